//! The group norm after a convolution of one channel (wav2vec2's first layer), reduced to what
//! the convolution's epilogue can apply: no pass over the convolution's output, which is never
//! held as a whole.

use crate::cpu;
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("conv1d_group_norm");

/// Channels of a workgroup of 256, each shared by 16 threads.
const CHANNELS: usize = 16;

/// The affine part of a group norm.
#[derive(Debug, Clone, Copy)]
pub struct GroupNormWeights {
    pub weight: WeightId,
    pub bias: WeightId,
    pub eps: f32,
}

#[derive(Debug)]
struct Conv1dGroupNorm {
    weight: WeightId,
    norm: GroupNormWeights,
    stride: usize,
    k: usize,
}

impl Recorder {
    /// x `[T, 1]`, weight `[O, K]` (f32) -> `[2, O]`: scale and shift with which the sums of the
    /// convolution without padding are its group norm, one channel per group.
    pub fn conv1d_group_norm(
        &mut self,
        x: Tensor,
        weight: WeightId,
        [o, k]: [usize; 2],
        stride: usize,
        norm: GroupNormWeights,
    ) -> Tensor {
        self.check(x.shape.last() == 1 && x.shape.rows() >= k && stride > 0, || {
            format!("conv1d_group_norm: x {} against weight [{o}, {k}]", x.shape)
        });
        self.push(Conv1dGroupNorm { weight, norm, stride, k }, &[x], [2, o])
    }
}

impl Op for Conv1dGroupNorm {
    fn name(&self) -> &'static str {
        "conv1d_group_norm"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let affine = [io.vector(self.norm.weight), io.vector(self.norm.bias)];
        let weight = io.matrix(self.weight);
        cpu::conv1d_group_norm(io.f32(0), self.stride, weight, affine, self.norm.eps, io.out);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let matrix = io.matrix(self.weight)?;
        let o = io.out_shape().last();
        let windows = (io.shape(0).rows() - self.k) / self.stride + 1;
        for chunk in &matrix.chunks {
            io.dispatch(gpu::Dispatch {
                shader: &SHADER,
                constants: gpu::Constants::new()
                    .set("FORMAT", matrix.format.name())
                    .set("K", self.k)
                    .set("CHANNELS", CHANNELS)
                    .set("LANES", 256 / CHANNELS),
                params: &[
                    windows as u32,
                    self.stride as u32,
                    chunk.rows as u32,
                    matrix.k_padded as u32 / 4,
                    chunk.first as u32,
                    o as u32,
                    self.norm.eps.to_bits(),
                ],
                bindings: &[
                    (1, io.read(0)),
                    (2, chunk.data()),
                    (4, io.vector(self.norm.weight)?),
                    (5, io.vector(self.norm.bias)?),
                    (6, io.out()),
                ],
                grid: [chunk.rows.div_ceil(CHANNELS), 1],
                flops: gpu::flops([4, windows, self.k, o]),
            })?;
        }
        Ok(())
    }
}
