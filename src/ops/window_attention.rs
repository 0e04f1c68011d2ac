//! Attention within shifted windows of a map, with a bias for relative positions.

use super::attention::Tiles;
use crate::cpu::{self, Windows};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};
use crate::{err, Code};

const SHADER: gpu::Shader = gpu::shader!("window_attention");

/// How [`Recorder::window_attention`] attends.
#[derive(Debug, Clone, Copy)]
pub struct WindowAttention {
    pub heads: usize,
    /// Multiplies the products of queries and keys.
    pub scale: f32,
    /// Windows of `side` x `side` pixels.
    pub side: usize,
    /// How far windows are moved right and down; below `side`.
    pub shift: usize,
    /// `[3 * C]`: the projection's bias, which is what pixels of the padding hold.
    pub padding: WeightId,
    /// Matrix `[(2 side - 1)², heads]`, f32: added to the scores.
    pub bias: WeightId,
}

#[derive(Debug)]
struct Attention {
    windows: Windows,
    options: WindowAttention,
}

impl Recorder {
    /// qkv `[B, H, W, 3 * C]` (queries, keys, values side by side, each `[heads, D]`) ->
    /// `[B, H, W, C]`. The map is padded right and below to whole windows and rolled by `shift`
    /// within the kernel; only pixels that were neighbours before the roll see each other.
    pub fn window_attention(&mut self, qkv: Tensor, options: WindowAttention) -> Tensor {
        let WindowAttention { heads, side, shift, .. } = options;
        let c = qkv.shape.last() / 3;
        let (images, size) = match qkv.shape.dims() {
            &[b, h, w, _] => (b, [h, w]),
            _ => (0, [0, 0]),
        };
        self.check(images > 0 && qkv.shape.last() == 3 * c && heads > 0 && c % heads == 0, || {
            format!("window_attention: qkv {} for {heads} heads", qkv.shape)
        });
        self.check(side > 0 && shift < side && size.into_iter().all(|n| n >= side), || {
            format!(
                "window_attention: {} x {} pixels have no window of {side} (the image is too small)",
                size[0], size[1]
            )
        });
        let windows = Windows { images, size, side: side.max(1), shift };
        self.push(Attention { windows, options }, &[qkv], [images, size[0], size[1], c])
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "window_attention"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let WindowAttention { heads, scale, padding, bias, .. } = self.options;
        let table = io.matrix(bias);
        let (qkv, padding) = (io.f32(0), io.vector(padding));
        let bias = |i: usize, to: &mut [f32]| table.row(i, to);
        let (out, scratch) = (&mut *io.out, &mut *io.scratch);
        cpu::window_attention(qkv, padding, self.windows, heads, scale, &bias, out, scratch);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let WindowAttention { heads, scale, padding, bias, side, shift } = self.options;
        let c = io.out_shape().last();
        let d = c / heads;
        let tiles = Tiles::of(d, io)?;
        let [down, across] = self.windows.grid();
        let n = side * side;
        let per_window = n.div_ceil(tiles.queries);
        let windows = self.windows.images * down * across;
        let table = io.matrix(bias)?;
        let Some(rows) = table.chunks.first() else {
            return Err(err!(Code::Internal, "window_attention: an empty table of biases"));
        };
        let [height, width] = self.windows.size;
        let params = [height, width, heads, 0, across, down * across, per_window];
        let mut params = params.map(|n| n as u32);
        params[3] = scale.to_bits();
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: tiles
                .constants(d % 4 == 0)
                .set("SIDE", side)
                .set("SHIFT", shift)
                .set("BIAS_WIDTH", table.k_padded),
            params: &params,
            bindings: &[(1, io.read(0)), (2, io.vector(padding)?), (3, rows.data()), (4, io.out())],
            grid: [windows * per_window, heads],
            flops: gpu::flops([4, windows, n, n, c]),
        })
    }
}
