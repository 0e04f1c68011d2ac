//! Normalization over groups of channels of an image.

use crate::cpu::{self, Activation};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("group_norm");

#[derive(Debug)]
struct GroupNorm {
    weight: WeightId,
    bias: WeightId,
    images: usize,
    groups: usize,
    eps: f32,
    activation: Activation,
}

impl Recorder {
    /// `activation((x - mean) / sqrt(var + eps) * weight + bias)`, x `[B, .., C]`, weight and bias
    /// `[C]`; mean and variance of each image and group of `C / groups` channels.
    pub fn group_norm(
        &mut self,
        x: Tensor,
        weight: WeightId,
        bias: WeightId,
        groups: usize,
        eps: f32,
        activation: Activation,
    ) -> Tensor {
        let images = x.shape.dims().first().copied().unwrap_or(1);
        self.check(groups > 0 && x.shape.last() % groups == 0, || {
            format!("group_norm: {} in {groups} groups", x.shape)
        });
        let op = GroupNorm { weight, bias, images, groups, eps, activation };
        self.push(op, &[x], x.shape)
    }
}

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (weight, bias) = (io.vector(self.weight), io.vector(self.bias));
        let (x, length) = (io.f32(0), io.out.len() / self.images.max(1));
        for (x, out) in x.chunks_exact(length).zip(io.out.chunks_exact_mut(length)) {
            cpu::group_norm(x, weight, bias, self.groups, self.eps, self.activation, out);
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let shape = io.out_shape();
        let (c, rows) = (shape.last(), shape.rows() / self.images.max(1));
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new().set("ACTIVATION", self.activation.name()),
            params: &[rows as u32, c as u32, (c / self.groups) as u32, self.eps.to_bits()],
            bindings: &[
                (1, io.read(0)),
                (2, io.vector(self.weight)?),
                (3, io.vector(self.bias)?),
                (4, io.out()),
            ],
            grid: [self.groups, self.images],
            flops: gpu::flops([8, shape.len()]),
        })
    }
}
