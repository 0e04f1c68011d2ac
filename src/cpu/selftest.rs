//! Every kernel against a plain f64 loop, over awkward shapes: called by `cargo test` here and by
//! the browser tests in the builds that users run. Each function returns what is wrong, or nothing.

use super::{Activation, Dot, Epilogue, PackedMatrix, Scratch};
use crate::tensor::{Format, Matrix, BLOCK};

/// Values in about -1..1 with an outlier now and then, the same on every run.
pub fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32
    };
    (0..n)
        .map(|_| {
            let bell = next() + next() + next() + next() - 2.0;
            if next() > 0.99 {
                6.0 * bell
            } else {
                bell
            }
        })
        .collect()
}

const M: [usize; 5] = [1, 2, 3, 5, 17];
const N: [usize; 5] = [1, 7, 12, 13, 100];
const K: [usize; 7] = [1, 4, 31, 32, 36, 70, 300];

/// Linear layers of every shape, format and dot product of this build.
pub fn linear() -> Vec<String> {
    let mut dots = Dot::available().to_vec();
    if !dots.contains(&Dot::detect()) {
        dots.push(Dot::detect());
    }
    let mut scratch = Scratch::default();
    let mut wrong = Vec::new();
    for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
        for (which, &dot) in dots.iter().enumerate() {
            if which > 0 && matches!(format, Format::F32 | Format::F16) {
                continue;
            }
            for n in N {
                for k in K {
                    let mut w = Matrix::zeros(format, n, k);
                    w.set_rows(0, &noise(n * k, (n * 1000 + k) as u32));
                    let w = PackedMatrix::for_dot(w, dot);
                    for m in M {
                        if let Some(e) = linear_case(m, &w, format, dot, &mut scratch) {
                            wrong.push(format!("{format:?} {dot:?} m={m} n={n} k={k}: {e}"));
                        }
                    }
                }
            }
        }
    }
    wrong
}

/// One case, without an epilogue and with a full one.
fn linear_case(
    m: usize,
    w: &PackedMatrix,
    format: Format,
    dot: Dot,
    scratch: &mut Scratch,
) -> Option<String> {
    let (n, k) = (w.n(), w.k());
    let x = noise(m * k, (m * 31 + k) as u32);
    let (bias, residual) = (noise(n, 5), noise(m * n, 6));
    let plain = Epilogue::default();
    let full = Epilogue {
        bias: Some(&bias),
        activation: Activation::Gelu,
        residual: Some(&residual),
        ..plain
    };
    let mut out = [vec![f32::NAN; m * n], vec![f32::NAN; m * n]];
    super::linear(&x, m, w, plain, &mut out[0], scratch);
    super::linear(&x, m, w, full, &mut out[1], scratch);

    let mut row = vec![0.0; k];
    for j in 0..n {
        w.row(j, &mut row); // what the packed weights stand for: their own error is pack's test
        for i in 0..m {
            let x = &x[i * k..(i + 1) * k];
            let (mut dot_product, mut magnitude) = (0.0, 0.0);
            for (a, b) in x.iter().zip(&row) {
                dot_product += f64::from(*a) * f64::from(*b);
                magnitude += (f64::from(*a) * f64::from(*b)).abs();
            }
            // Rounding in f32: a relative 2^-24 per addition. Quantizing activations: each is off
            // by a uniform error of its block's step, so the sum is off by their root sum of
            // squares; six of those standard deviations are allowed. A wrong lane, a lost zero
            // point or a saturated sum is off by tens.
            let bound = magnitude * (k + 8) as f64 * f64::powi(2.0, -24)
                + 6.0 * activation_error(x, &row, format, dot);
            let error = (f64::from(out[0][i * n + j]) - dot_product).abs();
            if error.is_nan() || error > bound + 1e-9 {
                return Some(format!("[{i},{j}] is {} for {dot_product}", out[0][i * n + j]));
            }
            // The epilogue on the sum that came out, which it shares to the last bit.
            let sum = out[0][i * n + j] + bias[j];
            let want = Activation::Gelu.apply(sum) + residual[i * n + j];
            if out[1][i * n + j] != want {
                return Some(format!("epilogue [{i},{j}] is {} for {want}", out[1][i * n + j]));
            }
        }
    }
    None
}

/// Standard deviation of the sum's error from rounding `x` to the steps of its blocks.
fn activation_error(x: &[f32], w: &[f32], format: Format, dot: Dot) -> f64 {
    let levels = match (format, dot) {
        (Format::F32 | Format::F16, _) => return 0.0,
        (_, Dot::Wide) => 32767.0,
        (Format::Q8, Dot::Pairs) => 63.0,
        _ => 127.0,
    };
    let size = if dot == Dot::Wide { x.len() } else { BLOCK };
    let mut variance = 0.0;
    for (x, w) in x.chunks(size).zip(w.chunks(size)) {
        let most = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let step = f64::from(most) / levels;
        variance += w.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() * step * step / 12.0;
    }
    variance.sqrt()
}

/// Layer norms of odd and even widths.
pub fn layer_norm() -> Vec<String> {
    let mut wrong = Vec::new();
    for h in [1, 3, 4, 12, 16, 21, 100, 384, 770] {
        let (m, eps) = (3, 1e-12);
        let x: Vec<f32> = noise(m * h, h as u32).iter().map(|v| v + 3.0).collect();
        let (gamma, beta) = (noise(h, 2), noise(h, 3));
        let mut out = vec![f32::NAN; m * h];
        super::layer_norm(&x, &gamma, &beta, eps, Activation::None, &mut out);
        for (r, row) in x.chunks_exact(h).enumerate() {
            let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / h as f64;
            let var = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / h as f64;
            for j in 0..h {
                let z = (f64::from(row[j]) - mean) / (var + f64::from(eps)).sqrt();
                let want = z * f64::from(gamma[j]) + f64::from(beta[j]);
                let got = f64::from(out[r * h + j]);
                // the mean (about 3) is rounded to f32 and divided by the spread (about 0.6)
                let bound = 4e-6 * (1.0 + want.abs() + f64::from(gamma[j]).abs());
                if h > 1 && ((got - want).abs() > bound || got.is_nan()) {
                    wrong.push(format!("h={h} [{r},{j}] is {got} for {want}"));
                }
            }
        }
    }
    wrong
}

/// Attention with head sizes and lengths that fit no tile, several sequences in one call.
pub fn attention() -> Vec<String> {
    let mut scratch = Scratch::default();
    let mut wrong = Vec::new();
    for (heads, d) in [(1, 1), (2, 12), (3, 20), (4, 32), (2, 64), (1, 7)] {
        for lengths in [vec![1], vec![2, 1, 3], vec![5, 12, 13], vec![37, 70], vec![128]] {
            let m: usize = lengths.iter().sum();
            let h = heads * d;
            let qkv: Vec<f32> = noise(m * 3 * h, (m + h) as u32).iter().map(|v| 2.0 * v).collect();
            let mut segments = Vec::new();
            let mut start = 0;
            for length in &lengths {
                let bounds = [start as u32, (start + length) as u32];
                segments.extend((0..*length).flat_map(|_| bounds));
                start += length;
            }
            let scale = 1.0 / (d as f32).sqrt();
            let mut out = vec![f32::NAN; m * h];
            super::attention(&qkv, &segments, heads, scale, &mut out, &mut scratch);
            for i in 0..m {
                let keys = segments[2 * i] as usize..segments[2 * i + 1] as usize;
                for head in 0..heads {
                    let at = |which: usize, t: usize, c: usize| {
                        f64::from(qkv[(3 * t + which) * h + head * d + c])
                    };
                    let scores: Vec<f64> = keys
                        .clone()
                        .map(|j| (0..d).map(|c| at(0, i, c) * at(1, j, c)).sum::<f64>())
                        .map(|s| (s * f64::from(scale)).exp())
                        .collect();
                    let total: f64 = scores.iter().sum();
                    for c in 0..d {
                        let want = keys
                            .clone()
                            .zip(&scores)
                            .map(|(j, p)| p / total * at(2, j, c))
                            .sum::<f64>();
                        let got = f64::from(out[i * h + head * d + c]);
                        // scores up to about 30, rounded to f32, go through exp: 30 * 2^-24
                        // relative, times values up to 12
                        if (got - want).abs() > 4e-5 || got.is_nan() {
                            wrong.push(format!(
                                "{heads}x{d} {lengths:?} [{i},{head},{c}] is {got} for {want}"
                            ));
                        }
                    }
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    fn none(wrong: Vec<String>) {
        assert!(wrong.is_empty(), "{} wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(8)]);
    }

    #[test]
    fn linear_layers() {
        none(super::linear());
    }

    #[test]
    fn layer_norms() {
        none(super::layer_norm());
    }

    #[test]
    fn attentions() {
        none(super::attention());
    }
}
