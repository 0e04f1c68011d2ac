//! The mean of two values: DeiT's answer from its two heads.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("average");

#[derive(Debug)]
struct Average;

impl Recorder {
    /// (x + y) / 2, of one shape.
    pub fn average(&mut self, x: Tensor, y: Tensor) -> Tensor {
        self.check(x.shape == y.shape, || format!("average: {} and {}", x.shape, y.shape));
        self.push(Average, &[x, y], x.shape)
    }
}

impl Op for Average {
    fn name(&self) -> &'static str {
        "average"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (x, y) = (io.f32(0), io.f32(1));
        for ((o, x), y) in io.out.iter_mut().zip(x).zip(y) {
            *o = (x + y) * 0.5;
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let n = io.out_shape().len();
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new(),
            params: &[n as u32],
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.out())],
            grid: gpu::rows_grid(n.div_ceil(64)),
            flops: gpu::flops([2, n]),
        })
    }
}
