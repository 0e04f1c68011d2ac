//! Convolutions over channels-last images, as a GEMM whose rows are gathered.
//!
//! No image of patches is ever held: some rows of patches at a time go to the tiles of
//! [`super::linear`], few enough to stay in the cache.

use super::dot::Dot;
use super::gemm::{linear, product, Rows};
use super::pack::Values;
use super::quantize::{grow, Activations};
use super::{Epilogue, PackedMatrix, Scratch};
use crate::tensor::BLOCK;

/// Bytes of gathered rows at a time: half of a small core's second-level cache, beside which a
/// panel of weights must fit.
const ROWS_BYTES: usize = 256 << 10;

/// Where the taps of an output pixel lie, in rows and in columns. One-dimensional signals are
/// images of height 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Zeros around the image: `[[above, below], [left, right]]`.
    pub padding: [[usize; 2]; 2],
    pub dilation: [usize; 2],
}

impl Window {
    /// A square kernel.
    pub const fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [[padding; 2]; 2],
            dilation: [1; 2],
        }
    }

    /// A kernel along the columns of an image of height 1.
    pub const fn line(kernel: usize, stride: usize, padding: [usize; 2]) -> Self {
        Window {
            kernel: [1, kernel],
            stride: [1, stride],
            padding: [[0; 2], padding],
            dilation: [1; 2],
        }
    }

    /// The same with taps `dilation` apart.
    pub const fn dilated(self, dilation: usize) -> Self {
        Window { dilation: [dilation; 2], ..self }
    }

    /// Taps per output pixel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Output rows and columns for an image `[h, w]`; `None` where the kernel is larger than the
    /// padded image, or a size is zero.
    pub fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let mut out = [0; 2];
        for i in 0..2 {
            let [before, after] = self.padding[i];
            let reach = self.kernel[i].checked_sub(1)? * self.dilation[i] + 1;
            let free = (size[i] + before + after).checked_sub(reach)?;
            out[i] = free.checked_div(self.stride[i])? + 1;
        }
        Some(out)
    }
}

/// x `[b, h, w, c]`, weight `[O, taps * c]`, out `[b, h', w', O]`.
pub fn conv2d(
    x: &[f32],
    [b, h, w, c]: [usize; 4],
    window: &Window,
    weight: &PackedMatrix,
    e: Epilogue<'_>,
    out: &mut [f32],
    s: &mut Scratch,
) {
    let Some([out_h, out_w]) = window.output([h, w]) else { return };
    let (m, n, k) = (b * out_h * out_w, weight.n(), weight.k());
    assert!(k == window.taps() * c && x.len() >= b * h * w * c, "conv2d: {h}x{w}x{c} by {k}");
    assert!(out.len() >= m * n, "conv2d: {m} pixels of {n}");
    let image = Image { size: [h, w], out: [out_h, out_w], window };
    // A block of channels is a block of k: the image is quantized once, and not once per tap.
    let quantized = match &weight.values {
        Values::Q8 { dot, .. } | Values::Q4 { dot, .. } => *dot != Dot::Wide && c % BLOCK == 0,
        _ => false,
    };
    if quantized {
        let zero = match &weight.values {
            Values::Q8 { dot, .. } => {
                s.image.for_q8(Rows::dense(&x[..b * h * w * c], c), *dot);
                dot.activation_range().0 as u8
            }
            Values::Q4 { dot, .. } => {
                s.image.for_q4(Rows::dense(&x[..b * h * w * c], c), *dot);
                0
            }
            _ => 0,
        };
        let starts = matches!(weight.values, Values::Q4 { .. });
        let rows = (ROWS_BYTES / k).max(12);
        for first in (0..m).step_by(rows) {
            let rows = rows.min(m - first);
            let (from, to) = (&s.image, &mut s.activations);
            gather_quantized(&image, first, rows, c, zero, starts, from, to);
            product(&[], rows, weight, e.after_rows(first, n), &mut out[first * n..], s);
        }
        return;
    }
    let rows = (ROWS_BYTES / (4 * k)).max(12);
    for first in (0..m).step_by(rows) {
        let rows = rows.min(m - first);
        let mut patches = std::mem::take(&mut s.patches);
        grow(&mut patches, rows * k);
        image.gather(first, rows, x, c, 0.0, &mut patches);
        linear(&patches, rows, weight, e.after_rows(first, n), &mut out[first * n..], s);
        s.patches = patches;
    }
}

/// The geometry of one call.
struct Image<'a> {
    size: [usize; 2],
    out: [usize; 2],
    window: &'a Window,
}

impl Image<'_> {
    /// Copies the patches of `rows` output pixels from `first` on to `to`, `[rows][taps][c]`;
    /// taps beside the image become `outside`.
    fn gather<T: Copy>(
        &self,
        first: usize,
        rows: usize,
        from: &[T],
        c: usize,
        outside: T,
        to: &mut [T],
    ) {
        let Window { kernel: [kh, kw], stride, padding, dilation } = *self.window;
        let ([h, w], [out_h, out_w]) = (self.size, self.out);
        let line = kw * c;
        for (m, to) in (first..first + rows).zip(to.chunks_exact_mut(kh * line)) {
            let (y, x) = (m / out_w % out_h * stride[0], m % out_w * stride[1]);
            let image = m / (out_w * out_h) * h;
            for (ky, to) in to.chunks_exact_mut(line).enumerate() {
                // above the image this wraps around, to far below it
                let y = (y + ky * dilation[0]).wrapping_sub(padding[0][0]);
                if y >= h {
                    to.fill(outside);
                    continue;
                }
                let row = &from[(image + y) * w * c..][..w * c];
                let left = x.wrapping_sub(padding[1][0]);
                if dilation[1] == 1 && left < w && left + kw <= w {
                    to.copy_from_slice(&row[left * c..][..line]);
                    continue;
                }
                for (kx, to) in to.chunks_exact_mut(c).enumerate() {
                    let x = left.wrapping_add(kx * dilation[1]);
                    if x < w {
                        to.copy_from_slice(&row[x * c..][..c]);
                    } else {
                        to.fill(outside);
                    }
                }
            }
        }
    }
}

/// Patches of an image that is quantized already: bytes, scales and (q4) starts of sums.
#[allow(clippy::too_many_arguments)] // a patch's place, and what stands for nothing in it
fn gather_quantized(
    image: &Image<'_>,
    first: usize,
    rows: usize,
    c: usize,
    zero: u8,
    starts: bool,
    from: &Activations,
    to: &mut Activations,
) {
    let (k, blocks) = (image.window.taps() * c, c / BLOCK);
    let per_row = image.window.taps() * blocks;
    grow(&mut to.values, rows * k);
    grow(&mut to.scales, rows * per_row);
    image.gather(first, rows, &from.values, c, zero, &mut to.values);
    image.gather(first, rows, &from.scales, blocks, 0.0, &mut to.scales);
    if starts {
        grow(&mut to.first, rows * per_row);
        image.gather(first, rows, &from.first, blocks, 0, &mut to.first);
    }
}
