//! Layer normalization over the innermost dimension.

use crate::cpu::{self, Activation};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("layer_norm");

#[derive(Debug)]
struct LayerNorm {
    weight: WeightId,
    bias: WeightId,
    eps: f32,
    activation: Activation,
}

impl Recorder {
    /// `(x - mean) / sqrt(var + eps) * weight + bias`, x `[.., H]`, weight and bias `[H]`.
    pub fn layer_norm(&mut self, x: Tensor, weight: WeightId, bias: WeightId, eps: f32) -> Tensor {
        self.layer_norm_activate(x, weight, bias, eps, Activation::None)
    }

    /// `activation` of [`Recorder::layer_norm`].
    pub fn layer_norm_activate(
        &mut self,
        x: Tensor,
        weight: WeightId,
        bias: WeightId,
        eps: f32,
        activation: Activation,
    ) -> Tensor {
        self.push(LayerNorm { weight, bias, eps, activation }, &[x], x.shape)
    }
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (weight, bias) = (io.vector(self.weight), io.vector(self.bias));
        cpu::layer_norm(io.f32(0), weight, bias, self.eps, self.activation, io.out);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let shape = io.out_shape();
        let (rows, h) = (shape.rows(), shape.last());
        let vec4 = h % 4 == 0;
        let width = if vec4 { h / 4 } else { h };
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new()
                .flag("VEC4", vec4)
                .set("PER", width.div_ceil(64))
                .set("ACTIVATION", self.activation.name()),
            params: &[rows as u32, width as u32, h as u32, self.eps.to_bits()],
            bindings: &[
                (1, io.read(0)),
                (2, io.vector(self.weight)?),
                (3, io.vector(self.bias)?),
                (4, io.out()),
            ],
            grid: gpu::rows_grid(rows),
            flops: gpu::flops([8, rows, h]),
        })
    }
}
