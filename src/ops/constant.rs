//! A value that a plan knows: position encodings of one image size, rows to gather, zeros.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};
use crate::tensor::{DType, Shape};

const SHADER: gpu::Shader = gpu::shader!("constant");

struct Constant {
    /// Words of the value; f32 as their bits.
    words: Vec<u32>,
    dtype: DType,
}

impl std::fmt::Debug for Constant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Constant({} words)", self.words.len())
    }
}

impl Recorder {
    /// `values`, row-major.
    pub fn constant(&mut self, values: &[f32], shape: impl Into<Shape>) -> Tensor {
        let words = values.iter().map(|v| v.to_bits()).collect();
        let shape = self.constant_shape(values.len(), shape.into());
        self.push(Constant { words, dtype: DType::F32 }, &[], shape)
    }

    /// The same for u32.
    pub fn constant_u32(&mut self, words: Vec<u32>, shape: impl Into<Shape>) -> Tensor {
        let shape = self.constant_shape(words.len(), shape.into());
        self.push_u32(Constant { words, dtype: DType::U32 }, &[], shape)
    }

    fn constant_shape(&mut self, len: usize, shape: Shape) -> Shape {
        self.check(len == shape.len(), || format!("constant: {len} values for {shape}"));
        shape
    }
}

impl Op for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        match self.dtype {
            DType::F32 => {
                for (o, w) in io.out.iter_mut().zip(&self.words) {
                    *o = f32::from_bits(*w);
                }
            }
            DType::U32 => io.out_u32.copy_from_slice(&self.words),
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let n = self.words.len();
        let words = io.constant(&self.words)?;
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new(),
            params: &[n as u32],
            bindings: &[(1, words), (2, io.out())],
            grid: gpu::rows_grid(n.div_ceil(64)),
            flops: n as u64,
        })
    }
}
