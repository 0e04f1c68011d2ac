//! The largest of each row, so that a choice among thousands is read back as one number.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("argmax");

#[derive(Debug)]
struct Argmax {
    width: usize,
}

impl Recorder {
    /// x `[.., W]` -> u32 `[R]`: the index of the largest value of each row, the first of equals;
    /// `u32::MAX` where the row holds a NaN.
    pub fn argmax(&mut self, x: Tensor) -> Tensor {
        let width = x.shape.last();
        self.check(width > 0, || format!("argmax: of nothing, {}", x.shape));
        self.push_u32(Argmax { width }, &[x], [x.shape.rows()])
    }
}

impl Op for Argmax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        for (row, out) in io.f32(0).chunks_exact(self.width).zip(&mut *io.out_u32) {
            let (mut best, mut at) = (f32::NEG_INFINITY, 0);
            for (i, &x) in row.iter().enumerate() {
                if x > best {
                    (best, at) = (x, i as u32);
                }
            }
            *out = if row.iter().any(|x| x.is_nan()) { u32::MAX } else { at };
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let rows = io.out_shape().len();
        let threads = if self.width > 1024 { 256 } else { 64 };
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new().set("THREADS", threads),
            params: &[rows as u32, self.width as u32],
            bindings: &[(1, io.read(0)), (2, io.out())],
            grid: gpu::rows_grid(rows),
            flops: gpu::flops([rows, self.width]),
        })
    }
}
