//! Root mean square normalization over the innermost dimension (T5).

use crate::cpu;
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("rms_norm");

#[derive(Debug)]
struct RmsNorm {
    weight: WeightId,
    eps: f32,
    scale: f32,
}

impl Recorder {
    /// `scale x / sqrt(mean(x²) + eps) * weight`, x `[.., H]`, weight `[H]`.
    pub fn rms_norm(&mut self, x: Tensor, weight: WeightId, eps: f32, scale: f32) -> Tensor {
        self.push(RmsNorm { weight, eps, scale }, &[x], x.shape)
    }
}

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        cpu::rms_norm(io.f32(0), io.vector(self.weight), self.eps, self.scale, io.out);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let shape = io.out_shape();
        let (rows, h) = (shape.rows(), shape.last());
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new().set("PER", h.div_ceil(64)),
            params: &[rows as u32, h as u32, self.eps.to_bits(), self.scale.to_bits()],
            bindings: &[(1, io.read(0)), (2, io.vector(self.weight)?), (3, io.out())],
            grid: gpu::rows_grid(rows),
            flops: gpu::flops([4, rows, h]),
        })
    }
}
