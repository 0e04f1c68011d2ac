//! `torch.nn.functional.interpolate` without antialiasing, as post-processing uses it: bilinear,
//! bicubic (a = -0.75) and nearest, `align_corners=False`. In f32, as torch computes it.

use crate::error::Result;
use crate::{err, Code};

/// Two neighbours of an output pixel and the weight of the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub first: usize,
    pub second: usize,
    pub weight: f32,
}

impl Pair {
    /// `a` and `b` mixed by the weight.
    pub fn mix(&self, a: f32, b: f32) -> f32 {
        (1.0 - self.weight) * a + self.weight * b
    }
}

/// The neighbours of each of `to` pixels over `from`.
pub fn pairs(from: usize, to: usize) -> Vec<Pair> {
    let scale = from as f32 / to as f32;
    let pair = |i: usize| {
        let at = (scale * (i as f32 + 0.5) - 0.5).max(0.0);
        let first = (at as usize).min(from - 1);
        Pair { first, second: (first + 1).min(from - 1), weight: at - first as f32 }
    };
    (0..to).map(pair).collect()
}

/// The pixel of `from` that stands for each of `to`.
pub fn nearest(from: usize, to: usize) -> Vec<usize> {
    let scale = from as f32 / to as f32;
    (0..to).map(|i| ((i as f32 * scale) as usize).min(from - 1)).collect()
}

/// x `[h, w]` -> `[height, width]`.
pub fn bilinear(x: &[f32], [h, w]: [usize; 2], [height, width]: [usize; 2]) -> Result<Vec<f32>> {
    let mut out = zeros(height, width)?;
    let (down, across) = (pairs(h, height), pairs(w, width));
    for (row, y) in out.chunks_exact_mut(width).zip(&down) {
        mix_row(x, w, y, &across, row);
    }
    Ok(out)
}

/// One output row of [`bilinear`], over the rows that `y` names.
pub fn mix_row(x: &[f32], w: usize, y: &Pair, across: &[Pair], row: &mut [f32]) {
    let (a, b) = (&x[y.first * w..][..w], &x[y.second * w..][..w]);
    for (out, x) in row.iter_mut().zip(across) {
        *out = y.mix(x.mix(a[x.first], a[x.second]), x.mix(b[x.first], b[x.second]));
    }
}

/// x `[h, w]` -> `[height, width]`.
pub fn bicubic(x: &[f32], [h, w]: [usize; 2], [height, width]: [usize; 2]) -> Result<Vec<f32>> {
    let mut out = zeros(height, width)?;
    let (down, across) = (cubes(h, height), cubes(w, width));
    for (row, (ys, vertical)) in out.chunks_exact_mut(width).zip(&down) {
        for (out, (xs, horizontal)) in row.iter_mut().zip(&across) {
            let mut sum = 0.0;
            for (y, v) in ys.iter().zip(vertical) {
                let source = &x[y * w..][..w];
                let line: f32 = xs.iter().zip(horizontal).map(|(&x, k)| source[x] * k).sum();
                sum += line * v;
            }
            *out = sum;
        }
    }
    Ok(out)
}

/// Four neighbours and their weights, per output pixel; beyond the edge the edge counts.
fn cubes(from: usize, to: usize) -> Vec<([usize; 4], [f32; 4])> {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let scale = from as f32 / to as f32;
    let cube = |i: usize| {
        let at = scale * (i as f32 + 0.5) - 0.5;
        let (floor, t) = (at.floor(), at - at.floor());
        let last = from as isize - 1;
        let neighbours = [-1, 0, 1, 2].map(|d| (floor as isize + d).clamp(0, last) as usize);
        (neighbours, [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)])
    };
    (0..to).map(cube).collect()
}

/// Zeros of a size that a picture decides: too many are an error, not an abort.
pub fn zeros<T: Default + Clone>(height: usize, width: usize) -> Result<Vec<T>> {
    let mut data = Vec::new();
    let len = height.checked_mul(width);
    if len.is_none_or(|len| data.try_reserve_exact(len).is_err()) {
        return Err(err!(Code::OutOfMemory, "a result of {width} x {height} pixels does not fit")
            .remedy("pass a smaller image"));
    }
    data.resize(height * width, T::default());
    Ok(data)
}
