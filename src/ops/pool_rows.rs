//! One value per channel of an image: the mean over its pixels, or their Euclidean norm; and the
//! global response normalization that is made of the latter.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const POOL: gpu::Shader = gpu::shader!("pool_rows");
const RESPONSE: gpu::Shader = gpu::shader!("response_norm");

/// What ConvNeXT V2 adds to the mean norm.
const EPS: f32 = 1e-6;

#[derive(Debug)]
struct PoolRows {
    norm: bool,
}

#[derive(Debug)]
struct ResponseNorm {
    weight: WeightId,
    bias: WeightId,
}

impl Recorder {
    /// x `[B, .., C]` -> `[B, C]`: the mean over an image's pixels.
    pub fn mean_rows(&mut self, x: Tensor) -> Tensor {
        self.pool_rows(x, false)
    }

    fn pool_rows(&mut self, x: Tensor, norm: bool) -> Tensor {
        let b = x.shape.dims().first().copied().unwrap_or(0);
        self.check(x.shape.len() > 0, || format!("pool_rows: {}", x.shape));
        self.push(PoolRows { norm }, &[x], [b, x.shape.last()])
    }

    /// Global response normalization (ConvNeXt V2, arXiv:2301.00808): x `[B, .., C]`, weight and
    /// bias `[C]` -> `weight * x * n + bias + x`, where n is the norm of the channel over its
    /// image, relative to the mean norm of the image's channels.
    pub fn response_norm(&mut self, x: Tensor, weight: WeightId, bias: WeightId) -> Tensor {
        let norms = self.pool_rows(x, true);
        self.push(ResponseNorm { weight, bias }, &[x, norms], x.shape)
    }
}

impl Op for PoolRows {
    fn name(&self) -> &'static str {
        "pool_rows"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let c = io.shape(0).last();
        let rows = io.shape(0).rows() / io.out.len().div_ceil(c).max(1);
        for (x, out) in io.f32(0).chunks_exact(rows * c).zip(io.out.chunks_exact_mut(c)) {
            out.fill(0.0);
            for row in x.chunks_exact(c) {
                if self.norm {
                    out.iter_mut().zip(row).for_each(|(o, x)| *o += x * x);
                } else {
                    out.iter_mut().zip(row).for_each(|(o, x)| *o += x);
                }
            }
            for o in out {
                *o = if self.norm { o.sqrt() } else { *o / rows as f32 };
            }
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let (shape, c) = (io.shape(0), io.shape(0).last());
        let b = io.out_shape().rows();
        io.dispatch(gpu::Dispatch {
            shader: &POOL,
            constants: gpu::Constants::new().flag("NORM", self.norm),
            params: &[(shape.rows() / b) as u32, c as u32],
            bindings: &[(1, io.read(0)), (2, io.out())],
            grid: [c.div_ceil(8), b],
            flops: gpu::flops([2, shape.len()]),
        })
    }
}

impl Op for ResponseNorm {
    fn name(&self) -> &'static str {
        "response_norm"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (x, c) = (io.f32(0), io.shape(0).last());
        let norms = io.f32(1);
        let (weight, bias) = (io.vector(self.weight), io.vector(self.bias));
        let image = x.len() / (norms.len() / c).max(1);
        let mut factors = vec![0.0; c];
        let images = x.chunks_exact(image).zip(io.out.chunks_exact_mut(image));
        for ((x, out), norms) in images.zip(norms.chunks_exact(c)) {
            let mean = norms.iter().sum::<f32>() / c as f32;
            for ((f, n), w) in factors.iter_mut().zip(norms).zip(weight) {
                *f = 1.0 + w * (n / (mean + EPS));
            }
            for (x, out) in x.chunks_exact(c).zip(out.chunks_exact_mut(c)) {
                for (((o, x), f), b) in out.iter_mut().zip(x).zip(&factors).zip(bias) {
                    *o = x * f + b;
                }
            }
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let (shape, c) = (io.shape(0), io.shape(0).last());
        let b = io.shape(1).rows();
        let rows = shape.rows() / b;
        io.dispatch(gpu::Dispatch {
            shader: &RESPONSE,
            constants: gpu::Constants::new(),
            params: &[rows as u32, c as u32, EPS.to_bits()],
            bindings: &[
                (1, io.read(0)),
                (2, io.read(1)),
                (3, io.vector(self.weight)?),
                (4, io.vector(self.bias)?),
                (5, io.out()),
            ],
            grid: [rows.div_ceil(16), b],
            flops: gpu::flops([2, shape.len()]),
        })
    }
}
