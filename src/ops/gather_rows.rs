//! Rows picked by index: the [CLS] tokens, the masked positions.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("gather_rows");

#[derive(Debug)]
struct GatherRows {
    h: usize,
}

impl Recorder {
    /// x `[M, H]`, rows `[R]` (each below M) -> `[R, H]`.
    pub fn gather_rows(&mut self, x: Tensor, rows: Tensor) -> Tensor {
        let h = x.shape.last();
        self.push(GatherRows { h }, &[x, rows], [rows.shape.len(), h])
    }
}

impl Op for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (x, h) = (io.f32(0), self.h);
        for (&row, out) in io.u32(1).iter().zip(io.out.chunks_exact_mut(h)) {
            out.copy_from_slice(&x[row as usize * h..][..h]);
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
            flops: 0,
        })
    }
}
