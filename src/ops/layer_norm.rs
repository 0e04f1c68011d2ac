//! Layer normalization over the innermost dimension.

use crate::cpu;
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

#[derive(Debug)]
struct LayerNorm {
    weight: WeightId,
    bias: WeightId,
    eps: f32,
}

impl Recorder {
    /// `(x - mean) / sqrt(var + eps) * weight + bias`, x `[.., H]`, weight and bias `[H]`.
    pub fn layer_norm(&mut self, x: Tensor, weight: WeightId, bias: WeightId, eps: f32) -> Tensor {
        self.push(LayerNorm { weight, bias, eps }, &[x], x.shape)
    }
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        cpu::layer_norm(io.f32(0), io.vector(self.weight), io.vector(self.bias), self.eps, io.out);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        io.missing(self)
    }
}
