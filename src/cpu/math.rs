//! Vector exp, erf and tanh, and the activations made of them.

use super::simd::*;
use super::Activation;

/// Adding and subtracting it rounds an f32 of magnitude below 2^22 to an integer, ties to even;
/// after the addition alone the integer stands in the low bits.
pub(super) const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23

/// `e^x` for x in -87.3..=88.3, clamped to it outside: relative error below 2 ulp.
#[inline(always)]
pub fn exp(x: V) -> V {
    let x = min(max(x, splat(-87.3)), splat(88.3));
    // x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts (Cody and Waite), so that r is exact.
    let shifted = add(mul(x, splat(std::f32::consts::LOG2_E)), splat(ROUND));
    let n = sub(shifted, splat(ROUND));
    let r = madd(n, splat(-0.693_359_4), x);
    let r = madd(n, splat(2.121_944_4e-4), r);
    // e^r: Cephes' minimax polynomial.
    let p = madd(r, splat(1.987_569_1e-4), splat(1.398_199_9e-3));
    let p = madd(p, r, splat(8.333_452e-3));
    let p = madd(p, r, splat(4.166_579_6e-2));
    let p = madd(p, r, splat(1.666_666_5e-1));
    let p = madd(p, r, splat(0.5));
    let p = add(madd(mul(r, r), p, r), splat(1.0));
    // times 2^n: n into the exponent field, adding to the bits of p in 1..2 or 0.5..1
    add_i32(p, shl_i32::<23>(shifted))
}

/// `erf(x / sqrt 2)`, the normal distribution's mass within ±x: absolute error 4e-7.
///
/// A rational minimax fit on ±5.6, beyond which the result is 1 to f32. Half the instructions of
/// Abramowitz and Stegun 7.1.26, which needs an exponential: over a 128 x 3072 tensor gelu took
/// 1.1 ms with that one.
#[inline(always)]
pub fn normal_erf(x: V) -> V {
    let x = min(max(x, splat(-5.6)), splat(5.6));
    let z = mul(x, x);
    let p = madd(z, splat(2.180_954_7e-10), splat(-4.669_804_5e-8));
    let p = madd(p, z, splat(7.688_503e-6));
    let p = madd(p, z, splat(4.362_392e-4));
    let p = madd(p, z, splat(9.602_352e-3));
    let p = madd(p, z, splat(8.068_997_4e-2));
    let p = madd(p, z, splat(0.797_883_03));
    let q = madd(z, splat(7.904_802_6e-5), splat(2.098_873_5e-3));
    let q = madd(q, z, splat(3.167_868e-2));
    let q = madd(q, z, splat(0.267_788_02));
    let q = madd(q, z, splat(1.0));
    div(mul(x, p), q)
}

/// tanh to 2e-7 absolute, without overflow at any x.
#[inline(always)]
pub fn tanh(x: V) -> V {
    // 1 - 2 / (e^2a + 1) for a = |x|; a beyond 9 is 1 already.
    let a = abs(x);
    let doubled = min(add(a, a), splat(40.0));
    let y = sub(splat(1.0), div(splat(2.0), add(exp(doubled), splat(1.0))));
    // near zero that cancels: there an odd polynomial (Cephes)
    let z = mul(x, x);
    let p = madd(z, splat(-5.704_988_7e-3), splat(2.063_909e-2));
    let p = madd(p, z, splat(-5.373_971_6e-2));
    let p = madd(p, z, splat(0.133_314_42));
    let p = madd(p, z, splat(-0.333_332_83));
    let small = madd(mul(p, z), x, x);
    select(less(a, splat(0.625)), small, copy_sign(y, x))
}

#[inline(always)]
fn copy_sign(magnitude: V, sign: V) -> V {
    or(magnitude, and(sign, splat_i32(i32::MIN)))
}

impl Activation {
    /// The activation of four values.
    #[inline(always)]
    pub fn vector(self, x: V) -> V {
        match self {
            Activation::None => x,
            Activation::Gelu => {
                // below -5.6 erf is -1 to f32 but for its last bit, which a large x would amplify
                let half = mul(max(x, splat(-5.6)), splat(0.5));
                madd(half, normal_erf(x), half)
            }
            Activation::GeluNew => {
                let half = mul(x, splat(0.5));
                let cube = mul(mul(x, x), mul(x, splat(0.044_715)));
                let t = tanh(mul(add(x, cube), splat(0.797_884_6)));
                madd(half, t, half)
            }
            Activation::Relu => max(splat(0.0), x),
            Activation::Silu => div(x, add(splat(1.0), exp(sub(splat(0.0), x)))),
            Activation::Tanh => tanh(x),
            // beyond ±87 the exponential is clamped, and the sigmoid 0 or 1 to f32
            Activation::Sigmoid => div(splat(1.0), add(splat(1.0), exp(sub(splat(0.0), x)))),
        }
    }

    /// The activation of one value.
    pub fn apply(self, x: f32) -> f32 {
        lanes(self.vector(splat(x)))[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        f: impl Fn(V) -> V,
        reference: impl Fn(f64) -> f64,
        error: impl Fn(f64, f64) -> f64,
        bound: f64,
    ) {
        let mut worst = (0.0, 0.0);
        for i in -200_000..=200_000 {
            let x = i as f32 * 4.4e-4 + 1e-7;
            let got = lanes(f(splat(x)))[0];
            let e = error(f64::from(got), reference(f64::from(x)));
            if e > worst.0 {
                worst = (e, x);
            }
        }
        assert!(worst.0 <= bound, "error {} at {}", worst.0, worst.1);
    }

    /// erf by the series whose terms are all positive: nothing cancels.
    fn erf64(x: f64) -> f64 {
        let x = x.clamp(-7.0, 7.0);
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn exp_is_within_two_ulp() {
        check(
            exp,
            |x| x.clamp(-87.3f32 as f64, 88.3f32 as f64).exp(),
            |a, b| (a - b).abs() / b,
            2.0 * f64::powi(2.0, -24),
        );
    }

    #[test]
    fn exp_saturates() {
        for (x, low, high) in
            [(f32::NEG_INFINITY, 0.0, 2e-38), (-1e30, 0.0, 2e-38), (1e30, 2e38, f32::MAX)]
        {
            let y = lanes(exp(splat(x)))[0];
            assert!(y >= low && y <= high, "exp({x}) = {y}");
        }
    }

    #[test]
    fn erf_is_within_its_fit() {
        // of the fit 4e-9; the rest is eleven f32 roundings, most of them damped by z < 1
        check(normal_erf, |x| erf64(x / std::f64::consts::SQRT_2), |a, b| (a - b).abs(), 4.0e-7);
    }

    #[test]
    fn tanh_is_close_and_exact_near_zero() {
        check(tanh, f64::tanh, |a, b| (a - b).abs(), 2.5e-7);
        let x = 1e-4f32;
        assert!((lanes(tanh(splat(x)))[0] - x.tanh()).abs() < 1e-11);
    }

    #[test]
    fn activations_follow_their_definitions() {
        // erf's 4e-7 times |x| / 2, at most 2.8
        check(
            |x| Activation::Gelu.vector(x),
            |x| 0.5 * x * (1.0 + erf64(x / std::f64::consts::SQRT_2)),
            |a, b| (a - b).abs() / (1.0 + b.abs()),
            1.2e-6,
        );
        check(
            |x| Activation::GeluNew.vector(x),
            |x| {
                0.5 * x
                    * (1.0
                        + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
            },
            |a, b| (a - b).abs() / (1.0 + b.abs()),
            4e-7,
        );
        check(|x| Activation::Relu.vector(x), |x| x.max(0.0), |a, b| (a - b).abs(), 0.0);
        check(
            |x| Activation::Sigmoid.vector(x),
            |x| 1.0 / (1.0 + (-x).exp()),
            |a, b| (a - b).abs(),
            2e-7,
        );
    }
}
