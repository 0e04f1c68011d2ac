//! The mean of the rows of each segment: mean pooling of a ragged batch.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("segment_mean");

#[derive(Debug)]
struct SegmentMean {
    h: usize,
}

impl Recorder {
    /// x `[M, H]`, bounds `[B, 2]` (rows `bounds[b][0]..bounds[b][1]`, never empty) -> `[B, H]`.
    pub fn segment_mean(&mut self, x: Tensor, bounds: Tensor) -> Tensor {
        let h = x.shape.last();
        self.check(bounds.shape.last() == 2, || format!("segment_mean: bounds {}", bounds.shape));
        self.push(SegmentMean { h }, &[x, bounds], [bounds.shape.rows(), h])
    }
}

impl Op for SegmentMean {
    fn name(&self) -> &'static str {
        "segment_mean"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (x, h) = (io.f32(0), self.h);
        for (bounds, out) in io.u32(1).chunks_exact(2).zip(io.out.chunks_exact_mut(h)) {
            let rows = &x[bounds[0] as usize * h..bounds[1] as usize * h];
            out.fill(0.0);
            for row in rows.chunks_exact(h) {
                out.iter_mut().zip(row).for_each(|(o, x)| *o += x);
            }
            let n = (bounds[1] - bounds[0]) as f32;
            out.iter_mut().for_each(|o| *o /= n);
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let count = io.out_shape().rows();
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new(),
            params: &[count as u32, self.h as u32],
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.out())],
            grid: gpu::rows_grid((count * self.h).div_ceil(64)),
            flops: gpu::flops([io.shape(0).len()]),
        })
    }
}
