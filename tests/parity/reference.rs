//! The plain loops, in f64, and how far a device may be off.
//!
//! Weights are taken as their format stores them (dequantized), so a bound holds only what the
//! kernels themselves add:
//! - f32 sums of n terms: n units of roundoff of the sum of magnitudes, in any order;
//! - f16: where a device multiplies halves ([`Arithmetic`]), both factors are rounded to 11 bits; the errors are
//!   independent, so six standard deviations of their sum;
//! - q8 and q4: where a device multiplies integers, activations are rounded to so many steps of the
//!   largest of their block of 32: uniform errors of half a step, six standard deviations;
//! - activations, exp: a few units in the last place of what the shading language promises.

use tareas::cpu::{Activation, Window};
use tareas::tensor::{Format, Matrix, BLOCK};

/// Unit roundoff of f32.
pub(super) const U: f64 = 1.0 / (1u64 << 24) as f64;
/// Unit roundoff of f16.
const U_HALF: f64 = 1.0 / (1u64 << 11) as f64;

/// How a device multiplies weights that are not f32: it may be exact but for f32 rounding, or
/// trade digits for speed. Bounds are as tight as what it does allows.
#[derive(Debug, Clone, Copy)]
pub struct Arithmetic {
    /// Products of halves for f16 weights (and for q8 and q4 without `integer`).
    pub half: bool,
    /// Products of integers for q8 and q4 weights: the steps on either side of zero that
    /// activations are rounded to.
    pub integer: Option<f64>,
}

/// An op's output and the bound on each of its values.
#[derive(Default)]
pub struct Reference {
    pub expected: Vec<f64>,
    pub bound: Vec<f64>,
}

impl Reference {
    pub(super) fn with_capacity(n: usize) -> Self {
        Reference { expected: Vec::with_capacity(n), bound: Vec::with_capacity(n) }
    }

    pub(super) fn push(&mut self, expected: f64, bound: f64) {
        self.expected.push(expected);
        self.bound.push(bound);
    }

    pub(super) fn extend(&mut self, other: Reference) {
        self.expected.extend(other.expected);
        self.bound.extend(other.bound);
    }

    pub(super) fn zeros(n: usize) -> Self {
        Reference { expected: vec![0.0; n], bound: vec![0.0; n] }
    }
}

fn rows_of(matrix: &Matrix) -> Vec<f32> {
    let mut rows = vec![0.0; matrix.n * matrix.k];
    for (r, row) in rows.chunks_exact_mut(matrix.k).enumerate() {
        matrix.row(r, row);
    }
    rows
}

fn largest(x: &[f32]) -> f64 {
    x.iter().fold(0.0, |a, v| a.max(f64::from(v.abs())))
}

/// The error function by its Maclaurin series, and its complement's asymptote far out.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum(); // erfc(5) is 1.5e-12
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

pub fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluNew => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
    }
}

/// What a linear layer or a convolution does to its sums.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// `[N]` each
    pub bias: Option<&'a [f32]>,
    pub scale: Option<&'a [f32]>,
    pub shift: Option<&'a [f32]>,
    pub activation: Activation,
    /// `[M, N]`, added before the activation where `residual_first`.
    pub residual: Option<&'a [f32]>,
    pub residual_first: bool,
}

/// `activation((x Wᵀ + bias) * scale + shift) + residual`.
pub fn linear(x: &[f32], w: &Matrix, e: Epilogue<'_>, arithmetic: Arithmetic) -> Reference {
    let activation = e.activation;
    let (n, k) = (w.n, w.k);
    let rows = rows_of(w);
    let mut out = Reference::with_capacity(x.len() / k * n);
    for (i, x) in x.chunks_exact(k).enumerate() {
        for (j, w_row) in rows.chunks_exact(k).enumerate() {
            let (mut sum, mut magnitude, mut squares) = (0.0, 0.0, 0.0);
            for (&x, &w) in x.iter().zip(w_row) {
                let product = f64::from(x) * f64::from(w);
                sum += product;
                magnitude += product.abs();
                squares += product * product;
            }
            let column = |v: Option<&[f32]>, or: f64| v.map_or(or, |v| f64::from(v[j]));
            let (b, scale, shift) =
                (column(e.bias, 0.0), column(e.scale, 1.0), column(e.shift, 0.0));
            let r = e.residual.map_or(0.0, |r| f64::from(r[i * n + j]));
            let (first, r) = if e.residual_first { (r, 0.0) } else { (0.0, r) };
            let before = (sum + b) * scale + shift + first;
            let after = activate(activation, before);
            let outside = shift.abs() + first.abs();
            let sum_bound =
                (k as f64 + 4.0) * U * (magnitude + b.abs()) * scale.abs() + 4.0 * U * outside;
            let format_bound = match (w.format, arithmetic.integer) {
                (Format::F32, _) => 0.0,
                (Format::Q8 | Format::Q4, Some(steps)) => {
                    let blocks = x.chunks(BLOCK).zip(w_row.chunks(BLOCK));
                    let variance: f64 = blocks
                        .map(|(x, w)| {
                            let step = largest(x) / steps;
                            step * step / 12.0 * w.iter().map(|&w| f64::from(w * w)).sum::<f64>()
                        })
                        .sum();
                    6.0 * variance.sqrt()
                }
                _ if arithmetic.half => 6.0 * U_HALF * (2.0 / 3.0 * squares).sqrt(),
                _ => 0.0,
            };
            // No activation here is steeper than 1.13; Abramowitz and Stegun's erf is good to
            // 1.5e-7 of x, and exp(x) to 3 + 2|x| units in the last place.
            let activation_bound = match activation {
                Activation::None | Activation::Relu => 0.0,
                _ => 1e-6 * (1.0 + before.abs()),
            };
            let bound = 1.13 * (sum_bound + format_bound * scale.abs())
                + activation_bound
                + 2.0 * U * (after.abs() + r.abs());
            out.push(after + r, bound);
        }
    }
    out
}

/// The patches of an image `[b, h, w, c]`, `[b * h' * w', taps * c]`: what a convolution multiplies.
pub fn patches(x: &[f32], [b, h, w, c]: [usize; 4], window: &Window) -> Vec<f32> {
    let [out_h, out_w] = window.output([h, w]).unwrap();
    let mut patches = Vec::new();
    for image in 0..b {
        for (oy, ox) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
            for (ky, kx) in
                (0..window.kernel[0]).flat_map(|y| (0..window.kernel[1]).map(move |x| (y, x)))
            {
                let place = |o: usize, k: usize, i: usize| {
                    (o * window.stride[i] + k * window.dilation[i]) as i64
                        - window.padding[i][0] as i64
                };
                let (y, x_) = (place(oy, ky, 0), place(ox, kx, 1));
                let inside = (0..h as i64).contains(&y) && (0..w as i64).contains(&x_);
                let at = |ch| ((image * h + y as usize) * w + x_ as usize) * c + ch;
                patches.extend((0..c).map(|ch| if inside { x[at(ch)] } else { 0.0 }));
            }
        }
    }
    patches
}

/// Ragged softmax attention; qkv `[M, 3, heads, D]`.
pub fn attention(qkv: &[f32], segments: &[u32], heads: usize, scale: f32) -> Reference {
    let m = segments.len() / 2;
    let h = qkv.len() / m / 3;
    let d = h / heads;
    let scale = f64::from(scale);
    let at = |i: usize, part: usize, head: usize, c: usize| {
        f64::from(qkv[(i * 3 + part) * h + head * d + c])
    };
    let mut out = Reference::with_capacity(m * h);
    for i in 0..m {
        let keys = segments[2 * i] as usize..segments[2 * i + 1] as usize;
        for head in 0..heads {
            let mut magnitude = 0.0f64;
            let scores: Vec<f64> = keys
                .clone()
                .map(|j| {
                    let products = (0..d).map(|c| scale * at(i, 0, head, c) * at(j, 1, head, c));
                    let (sum, all) =
                        products.fold((0.0, 0.0), |(s, a), p: f64| (s + p, a + p.abs()));
                    magnitude = magnitude.max(all);
                    sum
                })
                .collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let min = scores.iter().copied().fold(f64::INFINITY, f64::min);
            let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
            let total: f64 = weights.iter().sum();
            // An error e in a score is a relative error e of its weight, and exp adds its own
            // (twice: a rescaled row multiplies two of them).
            let exp_bound = 2.0 * U * (4.0 + 2.0 * (max - min).min(30.0));
            let weight_bound =
                (d as f64 + 8.0) * U * 2.0 * magnitude + exp_bound + keys.len() as f64 * U;
            for c in 0..d {
                let value = |j: usize| at(j, 2, head, c);
                let sum: f64 = keys.clone().zip(&weights).map(|(j, w)| w * value(j)).sum();
                let all: f64 = keys.clone().zip(&weights).map(|(j, w)| w * value(j).abs()).sum();
                let (expected, all) = (sum / total, all / total);
                // Relative errors of numerator and denominator.
                out.push(expected, 2.0 * weight_bound * all + 4.0 * U * expected.abs());
            }
        }
    }
    out
}

/// `(x - mean) / sqrt(var + eps) * weight + bias` per row.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> Reference {
    let h = weight.len();
    let mut out = Reference::with_capacity(x.len());
    for x in x.chunks_exact(h) {
        let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let mean = x.iter().sum::<f64>() / h as f64;
        let var = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / h as f64;
        let r = 1.0 / (var + f64::from(eps)).sqrt();
        let largest = x.iter().fold(0.0f64, |a, v| a.max(v.abs()));
        // The mean is off by up to ln(h) or so roundings of the largest element with pairwise
        // sums, h with a naive one: 8 + sqrt(h) covers both in practice and is far below a bug.
        let roundings = U * (8.0 + (h as f64).sqrt());
        for ((v, &w), &b) in x.iter().zip(weight).zip(bias) {
            let (w, b) = (f64::from(w), f64::from(b));
            let y = (v - mean) * r;
            let bound = roundings * (largest * r + y.abs()) * w.abs() + 2.0 * U * b.abs();
            out.push(y * w + b, bound);
        }
    }
    out
}

/// The sum of rows of several tables.
///
/// A device that multiplies 7-bit activations ([`Arithmetic`]) may hold a q8 block at up to twice
/// its step, so that 16-bit sums of products cannot saturate: each value is then off by at most
/// one step of the original.
pub fn embedding(lookups: &[(&[u32], &Matrix)], arithmetic: Arithmetic) -> Reference {
    let coarse = |table: &Matrix, row: usize, i: usize| {
        let step = || f64::from(table.scales[row * table.k.div_ceil(BLOCK) + i / BLOCK]);
        let held = table.format == Format::Q8 && arithmetic.integer == Some(63.0);
        if held {
            step()
        } else {
            0.0
        }
    };
    let h = lookups[0].1.k;
    let m = lookups[0].0.len();
    let mut sums = vec![(0.0f64, 0.0f64, 0.0f64); m * h];
    let mut row = vec![0.0f32; h];
    for (index, table) in lookups {
        for (&index, sums) in index.iter().zip(sums.chunks_exact_mut(h)) {
            table.row(index as usize, &mut row);
            for (i, ((sum, magnitude, steps), &v)) in sums.iter_mut().zip(&row).enumerate() {
                *sum += f64::from(v);
                *magnitude += f64::from(v.abs());
                *steps += coarse(table, index as usize, i);
            }
        }
    }
    let mut out = Reference::with_capacity(m * h);
    sums.iter().for_each(|(sum, magnitude, steps)| out.push(*sum, 4.0 * U * magnitude + steps));
    out
}

/// Rows by index: exact.
pub fn gather_rows(x: &[f32], h: usize, rows: &[u32]) -> Reference {
    let mut out = Reference::with_capacity(rows.len() * h);
    for &row in rows {
        x[row as usize * h..][..h].iter().for_each(|&v| out.push(f64::from(v), 0.0));
    }
    out
}

/// The mean of each segment's rows.
pub fn segment_mean(x: &[f32], h: usize, bounds: &[u32]) -> Reference {
    let mut out = Reference::with_capacity(bounds.len() / 2 * h);
    for bounds in bounds.chunks_exact(2) {
        let n = f64::from(bounds[1] - bounds[0]);
        for c in 0..h {
            let column = (bounds[0]..bounds[1]).map(|r| f64::from(x[r as usize * h + c]));
            let (sum, magnitude) = column.fold((0.0, 0.0), |(s, a), v: f64| (s + v, a + v.abs()));
            out.push(sum / n, (n + 2.0) * U * magnitude / n);
        }
    }
    out
}

/// An index is right or wrong; one below 2^24 is exact in f32, and `u32::MAX` rounds to 2^32.
pub fn argmax(x: &[f32], width: usize) -> Reference {
    let rows = x.len() / width;
    let mut result = Reference::with_capacity(rows);
    for row in x.chunks_exact(width) {
        let mut best = 0;
        for (i, v) in row.iter().enumerate() {
            if *v > row[best] {
                best = i;
            }
        }
        let nan = row.iter().any(|v| v.is_nan());
        result.push(if nan { 4_294_967_296.0 } else { best as f64 }, 0.0);
    }
    result
}
