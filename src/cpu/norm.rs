//! Layer normalization over rows.

use super::simd::*;
use super::Activation;

/// `out = activation((x - mean) / sqrt(var + eps) * gamma + beta)` per row; x and out `[M, H]`,
/// gamma and beta `[H]`. The variance is the population's, from centred values.
pub fn layer_norm(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
    activation: Activation,
    out: &mut [f32],
) {
    match activation {
        Activation::None => rows(x, gamma, beta, eps, out, |v| v),
        Activation::Gelu => rows(x, gamma, beta, eps, out, |v| Activation::Gelu.vector(v)),
        other => rows(x, gamma, beta, eps, out, |v| other.vector(v)),
    }
}

#[inline(always)]
fn rows(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
    out: &mut [f32],
    activate: impl Fn(V) -> V,
) {
    let h = gamma.len();
    assert!(beta.len() == h && out.len() >= x.len(), "layer_norm: {h} features");
    if h == 0 {
        return;
    }
    for (x, out) in x.chunks_exact(h).zip(out.chunks_exact_mut(h)) {
        let mean = fold(x, add, 0.0) / h as f32;
        let centre = splat(mean);
        let square = |sum, v| {
            let d = sub(v, centre);
            madd(d, d, sum)
        };
        let var = fold(x, square, mean) / h as f32;
        let r = splat(1.0 / (var + eps).sqrt());
        let scale = |x, g, b| activate(madd(mul(sub(x, centre), r), g, b));
        let bulk = h / 4 * 4;
        for i in (0..bulk).step_by(4) {
            // SAFETY: i + 4 <= h, the length of all four.
            unsafe {
                let (g, b) = (load(gamma.as_ptr().add(i)), load(beta.as_ptr().add(i)));
                store(out.as_mut_ptr().add(i), scale(load(x.as_ptr().add(i)), g, b));
            }
        }
        let tail = |v: &[f32]| load_partial(&v[bulk..], 0.0);
        store_partial(&mut out[bulk..], scale(tail(x), tail(gamma), tail(beta)));
    }
}

/// `out = scale x / sqrt(mean(x²) + eps) * gamma` per row; x and out `[M, H]`, gamma `[H]`.
pub fn rms_norm(x: &[f32], gamma: &[f32], eps: f32, scale: f32, out: &mut [f32]) {
    let h = gamma.len();
    if h == 0 {
        return;
    }
    for (x, out) in x.chunks_exact(h).zip(out.chunks_exact_mut(h)) {
        let mean = fold(x, |sum, v| madd(v, v, sum), 0.0) / h as f32;
        let r = scale / (mean + eps).sqrt();
        for ((out, x), g) in out.iter_mut().zip(x).zip(gamma) {
            *out = x * r * g;
        }
    }
}

/// Sums `f` over a row in four accumulators; lanes past the row's end hold `fill`, of which `f`
/// adds nothing.
#[inline(always)]
fn fold(x: &[f32], f: impl Fn(V, V) -> V, fill: f32) -> f32 {
    let mut sums = [splat(0.0); 4];
    let sixteens = x.chunks_exact(16);
    let rest = sixteens.remainder();
    for sixteen in sixteens {
        for (j, s) in sums.iter_mut().enumerate() {
            // SAFETY: vector j of the four in 16 values.
            *s = f(*s, unsafe { load(sixteen.as_ptr().add(4 * j)) });
        }
    }
    for four in rest.chunks(4) {
        sums[0] = f(sums[0], load_partial(four, fill));
    }
    sum(add(add(sums[0], sums[1]), add(sums[2], sums[3])))
}
