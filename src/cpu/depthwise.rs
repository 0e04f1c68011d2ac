//! Depthwise convolution and pooling over channels-last images: channels in vectors.
//!
//! Some channels of an image at a time are copied with its padding into scratch, so that the taps
//! of a pixel lie side by side whatever the number of channels, and no tile has an edge.

use super::quantize::grow;
use super::simd::*;
use super::{Activation, PackedMatrix, Scratch, Window};

/// Channels at a time: two vectors.
const LANES: usize = 8;
/// Output pixels at a time, which share the loads of the kernel: with two vectors of channels
/// eight sums, and room for their operands.
const WIDE: usize = 4;

/// `activation(x * w + bias)` per channel; x `[b, h, w, c]`, weight `[taps, c]`, bias `[c]`, out
/// `[b, h', w', c]`.
#[allow(clippy::too_many_arguments)]
pub fn depthwise_conv2d(
    x: &[f32],
    size: [usize; 4],
    window: &Window,
    weight: &PackedMatrix,
    bias: Option<&[f32]>,
    activation: Activation,
    out: &mut [f32],
    s: &mut Scratch,
) {
    let (taps, c) = (window.taps(), size[3]);
    assert!(weight.n() == taps && weight.k() == c, "depthwise: {taps} taps of {c}");
    let Some(mut blocks) = Blocks::new(x, size, window, 0.0) else { return };
    let mut kernels = std::mem::take(&mut s.panel);
    grow(&mut kernels, taps * (c + LANES));
    let (rows, kernel) = kernels.split_at_mut(taps * c);
    for (t, row) in rows.chunks_exact_mut(c).take(taps).enumerate() {
        weight.row(t, row);
    }
    blocks.run(&mut s.patches, out, |block, first, width, out| {
        for (to, row) in kernel.chunks_exact_mut(LANES).zip(rows.chunks_exact(c)) {
            to[..width].copy_from_slice(&row[first..first + width]);
        }
        let mut start = [0.0; LANES];
        if let Some(bias) = bias {
            start[..width].copy_from_slice(&bias[first..first + width]);
        }
        // SAFETY: eight f32 are two vectors.
        let start = unsafe { [load(start.as_ptr()), load(start.as_ptr().add(4))] };
        let finish = |v: V| match activation {
            Activation::None => v,
            activation => finish(activation, v),
        };
        // SAFETY: `kernel` holds LANES values per tap; `block.tiles` gives places of whole tiles.
        block.tiles(|at| unsafe { block.products(at, kernel.as_ptr(), start) }, finish, out);
    });
    s.panel = kernels;
}

/// The largest value of every window; nothing beyond the image counts. x `[b, h, w, c]`, out
/// `[b, h', w', c]`.
pub fn max_pool2d(x: &[f32], size: [usize; 4], window: &Window, out: &mut [f32], s: &mut Scratch) {
    let Some(mut blocks) = Blocks::new(x, size, window, f32::MIN) else { return };
    blocks.run(&mut s.patches, out, |block, _, _, out| {
        // SAFETY: `block.tiles` gives places of whole tiles.
        block.tiles(|at| unsafe { block.largest(at) }, |v| v, out);
    });
}

#[inline(never)]
fn finish(activation: Activation, v: V) -> V {
    activation.vector(v)
}

type Tile = [[V; LANES / 4]; WIDE];

/// A walk over the blocks of channels of all images.
struct Blocks<'a> {
    x: &'a [f32],
    size: [usize; 4],
    window: &'a Window,
    out: [usize; 2],
    /// Rows and columns of a padded block.
    padded: [usize; 2],
    outside: f32,
}

/// One block: LANES channels of a padded image.
struct Block<'a> {
    values: *const f32,
    window: &'a Window,
    out: [usize; 2],
    /// Columns of the block.
    width: usize,
    /// Channels of the image, and how many of them are in the block.
    c: usize,
    lanes: usize,
}

impl<'a> Blocks<'a> {
    fn new(x: &'a [f32], size: [usize; 4], window: &'a Window, outside: f32) -> Option<Self> {
        let [b, h, w, c] = size;
        assert!(x.len() >= b * h * w * c, "an image of {size:?}");
        let out = window.output([h, w])?;
        let reach = |i: usize, out: usize| {
            (out - 1) * window.stride[i] + (window.kernel[i] - 1) * window.dilation[i] + 1
        };
        // the last tile of a row is whole
        let padded = [reach(0, out[0]), reach(1, out[1].next_multiple_of(WIDE))];
        Some(Blocks { x, size, window, out, padded, outside })
    }

    /// Calls `f(block, first channel, channels, the image's output)` for every block.
    fn run(
        &mut self,
        scratch: &mut Vec<f32>,
        out: &mut [f32],
        mut f: impl FnMut(&Block<'_>, usize, usize, &mut [f32]),
    ) {
        let [b, h, w, c] = self.size;
        let [rows, columns] = self.padded;
        let len = rows * columns * LANES;
        grow(scratch, len);
        scratch[..len].fill(self.outside);
        let [[above, _], [left, _]] = self.window.padding;
        let pixels = self.out[0] * self.out[1];
        for image in 0..b {
            let x = &self.x[image * h * w * c..][..h * w * c];
            let out = &mut out[image * pixels * c..][..pixels * c];
            for first in (0..c).step_by(LANES) {
                let lanes = LANES.min(c - first);
                let shown = [h.min(rows - above.min(rows)), w.min(columns - left.min(columns))];
                for y in 0..shown[0] {
                    let to = &mut scratch[((y + above) * columns + left) * LANES..];
                    let from = &x[y * w * c + first..];
                    let pixels = to.chunks_exact_mut(LANES).take(shown[1]);
                    if lanes == LANES {
                        for (to, from) in pixels.zip(from.chunks(c)) {
                            to.copy_from_slice(&from[..LANES]);
                        }
                    } else {
                        for (to, from) in pixels.zip(from.chunks(c)) {
                            to[..lanes].copy_from_slice(&from[..lanes]);
                        }
                    }
                }
                let values = scratch.as_ptr();
                let (window, width) = (self.window, columns);
                f(
                    &Block { values, window, out: self.out, width, c, lanes },
                    first,
                    lanes,
                    &mut out[first..],
                );
            }
        }
    }
}

impl Block<'_> {
    /// Stores `finish` of the tile at every place; `out` begins at the block's first channel.
    #[inline(always)]
    fn tiles(&self, tile: impl Fn(*const f32) -> Tile, finish: impl Fn(V) -> V, out: &mut [f32]) {
        let [sy, sx] = self.window.stride;
        for y in 0..self.out[0] {
            for x in (0..self.out[1]).step_by(WIDE) {
                // SAFETY: within the block, which has rows for all y and columns for whole tiles.
                let at = unsafe { self.values.add((y * sy * self.width + x * sx) * LANES) };
                let pixels = WIDE.min(self.out[1] - x);
                for (i, sums) in tile(at).into_iter().enumerate().take(pixels) {
                    let to = &mut out[(y * self.out[1] + x + i) * self.c..];
                    if self.lanes == LANES {
                        for (to, v) in to[..LANES].chunks_exact_mut(4).zip(sums) {
                            // SAFETY: four f32 are 16 bytes.
                            unsafe { store(to.as_mut_ptr(), finish(v)) };
                        }
                    } else {
                        for (to, v) in to[..self.lanes].chunks_mut(4).zip(sums) {
                            store_partial(to, finish(v));
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    /// `at` is the first tap of a whole tile; `kernel` holds LANES values per tap.
    #[inline(never)]
    unsafe fn products(&self, at: *const f32, mut kernel: *const f32, start: [V; 2]) -> Tile {
        let [kh, kw] = self.window.kernel;
        let [dy, dx] = self.window.dilation;
        let sx = self.window.stride[1];
        let mut sums = [start; WIDE];
        for ky in 0..kh {
            let mut p = at.add(ky * dy * self.width * LANES);
            for _ in 0..kw {
                let w = [load(kernel), load(kernel.add(4))];
                for (i, sums) in sums.iter_mut().enumerate() {
                    let pixel = p.add(i * sx * LANES);
                    sums[0] = madd(load(pixel), w[0], sums[0]);
                    sums[1] = madd(load(pixel.add(4)), w[1], sums[1]);
                }
                p = p.add(dx * LANES);
                kernel = kernel.add(LANES);
            }
        }
        sums
    }

    /// # Safety
    /// `at` is the first tap of a whole tile.
    #[inline(never)]
    unsafe fn largest(&self, at: *const f32) -> Tile {
        let [kh, kw] = self.window.kernel;
        let [dy, dx] = self.window.dilation;
        let sx = self.window.stride[1];
        let mut most = [[splat(f32::MIN); 2]; WIDE];
        for ky in 0..kh {
            for kx in 0..kw {
                let p = at.add((ky * dy * self.width + kx * dx) * LANES);
                for (i, most) in most.iter_mut().enumerate() {
                    let pixel = p.add(i * sx * LANES);
                    most[0] = max(most[0], load(pixel));
                    most[1] = max(most[1], load(pixel.add(4)));
                }
            }
        }
        most
    }
}
