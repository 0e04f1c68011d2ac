//! A value times a number.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};
use crate::tensor::Shape;

const SHADER: gpu::Shader = gpu::shader!("scale");

#[derive(Debug)]
struct Scale(f32);

impl Recorder {
    /// `factor * x`, in the shape `shape` of as many elements.
    pub fn scale(&mut self, x: Tensor, factor: f32, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        self.check(x.shape.len() == shape.len(), || format!("scale: {} to {shape}", x.shape));
        self.push(Scale(factor), &[x], shape)
    }
}

impl Op for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let x = io.f32(0);
        io.out.iter_mut().zip(x).for_each(|(out, x)| *out = self.0 * x);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let count = io.out_shape().len();
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new(),
            params: &[count as u32, self.0.to_bits()],
            bindings: &[(1, io.read(0)), (2, io.out())],
            grid: gpu::rows_grid(count.div_ceil(64)),
            flops: gpu::flops([count]),
        })
    }
}
