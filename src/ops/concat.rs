//! Values side by side, and the top left part of a map.

use super::conv2d::dims;
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const CHANNELS: gpu::Shader = gpu::shader!("concat_channels");
const CROP: gpu::Shader = gpu::shader!("crop");

#[derive(Debug)]
struct ConcatChannels;

#[derive(Debug)]
struct Crop {
    /// Rows and columns that are left.
    size: [usize; 2],
}

impl Recorder {
    /// x `[.., C]`, whose rows repeat, and y `[.., D]` side by side -> `[.., C + D]`.
    pub fn concat_channels(&mut self, x: Tensor, y: Tensor) -> Tensor {
        let (n, m) = (y.shape.rows(), x.shape.rows());
        self.check(m > 0 && n % m == 0, || format!("concat: {} and {}", x.shape, y.shape));
        let shape = y.shape.with_last(x.shape.last() + y.shape.last());
        self.push(ConcatChannels, &[x, y], shape)
    }

    /// x `[B, H, W, C]` -> `[B, h, w, C]`: the first h rows and w columns.
    pub fn crop(&mut self, x: Tensor, [h, w]: [usize; 2]) -> Tensor {
        let (b, size, c) = self.image("crop", x);
        self.check(h <= size[0] && w <= size[1] && h * w > 0, || {
            format!("crop: {} to {h} x {w}", x.shape)
        });
        if [h, w] == size {
            return x;
        }
        self.push(Crop { size: [h, w] }, &[x], [b, h, w, c])
    }
}

impl Op for ConcatChannels {
    fn name(&self) -> &'static str {
        "concat_channels"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (x, y) = (io.f32(0), io.f32(1));
        let (c, d) = (io.shape(0).last(), io.shape(1).last());
        let rows = io.out.chunks_exact_mut(c + d);
        for (out, (x, y)) in rows.zip(x.chunks_exact(c).cycle().zip(y.chunks_exact(d))) {
            out[..c].copy_from_slice(x);
            out[c..].copy_from_slice(y);
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let (x, y, n) = (io.shape(0), io.shape(1), io.out_shape().len());
        io.dispatch(gpu::Dispatch {
            shader: &CHANNELS,
            constants: gpu::Constants::new(),
            params: &[n as u32, x.rows() as u32, x.last() as u32, y.last() as u32],
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.out())],
            grid: gpu::rows_grid(n.div_ceil(64)),
            flops: n as u64,
        })
    }
}

impl Op for Crop {
    fn name(&self) -> &'static str {
        "crop"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let [_, height, width, c] = dims(io.shape(0));
        let (x, [h, w]) = (io.f32(0), self.size);
        for (i, out) in io.out.chunks_exact_mut(w * c).enumerate() {
            let (image, y) = (i / h, i % h);
            out.copy_from_slice(&x[(image * height + y) * width * c..][..w * c]);
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let ([_, height, width, c], [_, h, w, _]) = (dims(io.shape(0)), dims(io.out_shape()));
        let n = io.out_shape().len();
        io.dispatch(gpu::Dispatch {
            shader: &CROP,
            constants: gpu::Constants::new(),
            params: &[n, height, width, c, h, w].map(|v| v as u32),
            bindings: &[(1, io.read(0)), (2, io.out())],
            grid: gpu::rows_grid(n.div_ceil(64)),
            flops: n as u64,
        })
    }
}
