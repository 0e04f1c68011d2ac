//! The product of two values: a gate.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("multiply");

#[derive(Debug)]
struct Multiply;

impl Recorder {
    /// `a * b`, element by element, of one shape.
    pub fn multiply(&mut self, a: Tensor, b: Tensor) -> Tensor {
        self.check(a.shape == b.shape, || format!("multiply: {} by {}", a.shape, b.shape));
        self.push(Multiply, &[a, b], a.shape)
    }
}

impl Op for Multiply {
    fn name(&self) -> &'static str {
        "multiply"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (a, b) = (io.f32(0), io.f32(1));
        for ((out, a), b) in io.out.iter_mut().zip(a).zip(b) {
            *out = a * b;
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let count = io.out_shape().len();
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new(),
            params: &[count as u32],
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.out())],
            grid: gpu::rows_grid(count.div_ceil(64)),
            flops: count as u64,
        })
    }
}
