//! Multi-head self-attention over ragged segments, queries, keys and values from one projection.

use crate::cpu;
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

#[derive(Debug)]
struct Attention {
    heads: usize,
    scale: f32,
}

impl Recorder {
    /// qkv `[M, 3 * H]` (queries, keys, values side by side, each `[heads, D]`), segments `[M, 2]`
    /// -> `[M, H]`. Token i attends to keys `segments[i][0]..segments[i][1]`; the tokens of one
    /// sequence are consecutive and share their bounds, so a batch of texts of any lengths is one
    /// call without padding.
    pub fn attention(&mut self, qkv: Tensor, segments: Tensor, heads: usize, scale: f32) -> Tensor {
        let (m, h) = (qkv.shape.rows(), qkv.shape.last() / 3);
        self.check(qkv.shape.last() == 3 * h && heads > 0 && h % heads == 0, || {
            format!("attention: qkv {} does not divide into 3 x {heads} heads", qkv.shape)
        });
        self.check(segments.shape.dims() == [m, 2], || {
            format!("attention: segments {} for {m} tokens", segments.shape)
        });
        self.push(Attention { heads, scale }, &[qkv, segments], [m, h])
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        cpu::attention(io.f32(0), io.u32(1), self.heads, self.scale, io.out, io.scratch);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        io.missing(self)
    }
}
