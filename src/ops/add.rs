//! A value plus another that may be repeated along its rows.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("add");

#[derive(Debug)]
struct Add;

impl Recorder {
    /// x `[M, H]`, y `[R, H]` -> `[M, H]`: row i of x plus row `i % R` of y, R a divisor of M.
    pub fn add(&mut self, x: Tensor, y: Tensor) -> Tensor {
        let fits = x.shape.last() == y.shape.last() && x.shape.rows() % y.shape.rows().max(1) == 0;
        self.check(fits, || format!("add: {} and {}", x.shape, y.shape));
        self.push(Add, &[x, y], x.shape)
    }
}

impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (x, y) = (io.f32(0), io.f32(1));
        let period = y.len().max(1);
        for (out, x) in io.out.chunks_mut(period).zip(x.chunks(period)) {
            for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                *out = x + y;
            }
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let count = io.out_shape().len();
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new(),
            params: &[count as u32, io.shape(1).len() as u32],
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.out())],
            grid: gpu::rows_grid(count.div_ceil(64)),
            flops: gpu::flops([count]),
        })
    }
}
