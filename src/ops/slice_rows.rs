//! Consecutive rows of a value: one level of a pyramid, one image of a batch.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};
use crate::tensor::Shape;

const SHADER: gpu::Shader = gpu::shader!("slice_rows");

#[derive(Debug)]
struct SliceRows {
    /// The first element.
    first: usize,
}

impl Recorder {
    /// Rows `first..` of x `[M, H]`, as many as `shape` `[.., H]` has.
    pub fn slice_rows(&mut self, x: Tensor, first: usize, shape: impl Into<Shape>) -> Tensor {
        let (shape, h) = (shape.into(), x.shape.last());
        self.check(shape.last() == h && first + shape.rows() <= x.shape.rows(), || {
            format!("slice_rows: {shape} from row {first} of {}", x.shape)
        });
        self.push(SliceRows { first: first * h }, &[x], shape)
    }
}

impl Op for SliceRows {
    fn name(&self) -> &'static str {
        "slice_rows"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let x = io.f32(0);
        io.out.copy_from_slice(&x[self.first..][..io.out.len()]);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let count = io.out_shape().len();
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new(),
            params: &[count as u32, self.first as u32],
            bindings: &[(1, io.read(0)), (2, io.out())],
            grid: gpu::rows_grid(count.div_ceil(64)),
            flops: 0,
        })
    }
}
