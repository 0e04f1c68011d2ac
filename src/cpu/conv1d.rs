//! Convolutions over time, channels last: a GEMM whose rows are overlapping windows of the input.

use std::ops::Range;

use super::gemm::{gemm, Rows};
use super::{Epilogue, PackedMatrix, Scratch};

/// Where the windows of a signal lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWindows {
    pub kernel: usize,
    pub stride: usize,
    /// Zeros before the first frame.
    pub padding: usize,
    pub groups: usize,
}

impl TimeWindows {
    /// The frames that windows `range` see, counted from the first zero of the padding.
    fn span(&self, range: &Range<usize>) -> Range<usize> {
        range.start * self.stride..(range.end - 1) * self.stride + self.kernel
    }

    /// Whether windows `range` of a signal of `frames` lie wholly within it and are consecutive
    /// values.
    pub fn are_rows(&self, range: &Range<usize>, frames: usize) -> bool {
        let span = self.span(range);
        self.groups == 1 && span.start >= self.padding && span.end <= self.padding + frames
    }
}

/// Windows `range` of x `[T, c]`, weight `[O, kernel * c / groups]` -> out `[range.len(), O]`.
#[allow(clippy::too_many_arguments)] // a convolution's operands
pub fn conv1d(
    x: &[f32],
    c: usize,
    windows: &TimeWindows,
    range: Range<usize>,
    weight: &PackedMatrix,
    e: Epilogue<'_>,
    out: &mut [f32],
    s: &mut Scratch,
) {
    if range.is_empty() || c == 0 {
        return;
    }
    let TimeWindows { padding, groups, .. } = *windows;
    let (n, m, frames) = (weight.n(), range.len(), x.len() / c);
    let cg = c / groups;
    fn rows<'a>(x: &'a [f32], m: usize, w: &TimeWindows, c: usize) -> Rows<'a> {
        Rows { x, m, stride: w.stride * c, k: w.kernel * c }
    }
    let span = windows.span(&range);
    if windows.are_rows(&range, frames) {
        let x = &x[(span.start - padding) * c..(span.end - padding) * c];
        gemm(rows(x, m, windows, c), weight, 0..n, e, out, s);
        return;
    }
    // One group at a time, with its padding: its windows are then consecutive, too.
    let mut group = std::mem::take(&mut s.patches);
    group.clear();
    group.resize(span.len() * cg, 0.0);
    for g in 0..groups {
        for (at, to) in span.clone().zip(group.chunks_exact_mut(cg)) {
            // frames before the first wrap around, to far beyond the last
            let frame = at.wrapping_sub(padding);
            if frame < frames {
                to.copy_from_slice(&x[frame * c + g * cg..][..cg]);
            }
        }
        let columns = g * n / groups..(g + 1) * n / groups;
        gemm(rows(&group, m, windows, cg), weight, columns, e, out, s);
    }
    s.patches = group;
}

/// The group norm with one channel per group of a convolution of one channel, as what is left of
/// it once its statistics are known: `[2, O]`, scales and then shifts of the convolution's sums.
/// x `[T]`, weight `[O, K]`.
///
/// The convolution itself is not needed: with m the mean window and C the windows' covariance a
/// channel w has the mean `w m` and the variance `w C w`. In f64, for a narrow filter has a
/// millionth of the signal's variance, which f32 sums of squares would lose.
pub fn conv1d_group_norm(
    x: &[f32],
    stride: usize,
    weight: &PackedMatrix,
    [gamma, beta]: [&[f32]; 2],
    eps: f32,
    out: &mut [f32],
) {
    let (n, k) = (weight.n(), weight.k());
    let (scales, shifts) = out.split_at_mut(n);
    let mut mean = vec![0.0f64; k];
    let mut products = vec![0.0f64; k * k];
    let mut centred = vec![0.0f64; k];
    let count = x.len().checked_sub(k).map_or(0, |rest| rest / stride + 1);
    // about the signal's mean, so that an offset costs no digits
    let centre = x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len().max(1) as f64;
    for window in x.windows(k).step_by(stride) {
        for ((c, m), &v) in centred.iter_mut().zip(&mut mean).zip(window) {
            *c = f64::from(v) - centre;
            *m += *c;
        }
        for (i, row) in products.chunks_exact_mut(k).enumerate() {
            for (p, c) in row[i..].iter_mut().zip(&centred[i..]) {
                *p += centred[i] * c;
            }
        }
    }
    let count = count.max(1) as f64;
    mean.iter_mut().for_each(|m| *m /= count);
    let mut w = vec![0.0f32; k];
    for o in 0..n {
        weight.row(o, &mut w);
        let (mut average, mut variance) = (0.0, 0.0);
        for i in 0..k {
            let wi = f64::from(w[i]);
            average += wi * (mean[i] + centre);
            for j in i..k {
                let covariance = products[i * k + j] / count - mean[i] * mean[j];
                let twice = if i == j { 1.0 } else { 2.0 };
                variance += twice * wi * f64::from(w[j]) * covariance;
            }
        }
        let scale = f64::from(gamma[o]) / (variance.max(0.0) + f64::from(eps)).sqrt();
        scales[o] = scale as f32;
        shifts[o] = (f64::from(beta[o]) - average * scale) as f32;
    }
}
