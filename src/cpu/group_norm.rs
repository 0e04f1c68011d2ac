//! Normalization over groups of channels.

use super::simd::*;
use super::Activation;

/// Rows whose values are summed in f32 before they go to an f64 sum.
const ROWS: usize = 64;

/// `out = activation((x - mean) / sqrt(var + eps) * weight + bias)`, x `[rows, C]` of one image,
/// mean and variance over rows and the `C / groups` channels of a group.
pub fn group_norm(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    groups: usize,
    eps: f32,
    activation: Activation,
    out: &mut [f32],
) {
    let c = weight.len();
    assert!(bias.len() == c && out.len() >= x.len() && groups > 0 && c % groups == 0);
    if x.is_empty() || c == 0 {
        return;
    }
    let width = c / groups;
    let count = (x.len() / groups) as f64;
    // per channel, then per group; variances from centred values
    let grouped = |sums: &[f64]| -> Vec<f64> {
        sums.chunks_exact(width).map(|g| g.iter().sum::<f64>() / count).collect()
    };
    let spread = |values: &[f64]| -> Vec<f32> {
        values.iter().flat_map(|v| std::iter::repeat_n(*v as f32, width)).collect()
    };
    let zeros = vec![0.0; c];
    let means = grouped(&sums(x, &zeros, |d| d));
    let centre = spread(&means);
    let variances = grouped(&sums(x, &centre, |d| mul(d, d)));
    let factors: Vec<f64> = variances.iter().map(|v| 1.0 / (v + f64::from(eps)).sqrt()).collect();
    let scale: Vec<f32> = spread(&factors).iter().zip(weight).map(|(r, w)| r * w).collect();
    for (x, out) in x.chunks_exact(c).zip(out.chunks_exact_mut(c)) {
        for i in (0..c).step_by(4) {
            let y = madd(sub(part(x, i), part(&centre, i)), part(&scale, i), part(bias, i));
            put(out, i, activation.vector(y));
        }
    }
}

/// Per channel, the sum of `f(x - centre)` over all rows.
fn sums(x: &[f32], centre: &[f32], f: impl Fn(V) -> V) -> Vec<f64> {
    let c = centre.len();
    let mut total = vec![0.0; c];
    let mut partial = vec![0.0; c];
    for rows in x.chunks(ROWS * c) {
        partial.fill(0.0);
        for row in rows.chunks_exact(c) {
            for i in (0..c).step_by(4) {
                let sum = add(part(&partial, i), f(sub(part(row, i), part(centre, i))));
                put(&mut partial, i, sum);
            }
        }
        total.iter_mut().zip(&partial).for_each(|(t, p)| *t += f64::from(*p));
    }
    total
}

/// Four channels from `i` on, or those that there are, which only then go through an array.
#[inline(always)]
fn part(v: &[f32], i: usize) -> V {
    match v.get(i..i + 4) {
        // SAFETY: four f32 are 16 bytes.
        Some(four) => unsafe { load(four.as_ptr()) },
        None => load_partial(&v[i..], 0.0),
    }
}

#[inline(always)]
fn put(to: &mut [f32], i: usize, v: V) {
    match to.get_mut(i..i + 4) {
        // SAFETY: four f32 are 16 bytes.
        Some(four) => unsafe { store(four.as_mut_ptr(), v) },
        None => store_partial(&mut to[i..], v),
    }
}
