//! The product of two values, where neither is a weight: masks from the embeddings of queries and
//! pixels.

use crate::cpu;
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("product");

#[derive(Debug)]
struct Product;

impl Recorder {
    /// `a bᵀ`: a `[M, K]`, b `[N, K]` -> `[M, N]`.
    pub fn product(&mut self, a: Tensor, b: Tensor) -> Tensor {
        self.check(a.shape.last() == b.shape.last(), || {
            format!("product: {} and {}", a.shape, b.shape)
        });
        self.push(Product, &[a, b], [a.shape.rows(), b.shape.rows()])
    }
}

impl Op for Product {
    fn name(&self) -> &'static str {
        "product"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        cpu::product(io.f32(0), io.f32(1), io.shape(0).last(), io.out, io.scratch);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let (m, n, k) = (io.shape(0).rows(), io.shape(1).rows(), io.shape(0).last());
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new().flag("VEC4", k % 4 == 0),
            params: &[m as u32, n as u32, k as u32],
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.out())],
            grid: [n.div_ceil(32), m.div_ceil(32)],
            flops: gpu::flops([2, m, n, k]),
        })
    }
}
