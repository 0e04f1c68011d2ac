//! Two maps added under a gate each: GLPN's selective feature fusion.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("gated_sum");

#[derive(Debug)]
struct GatedSum;

impl Recorder {
    /// `a * gates[.., 0] + b * gates[.., 1]`; a and b `[.., C]`, gates `[.., 2]` -> `[.., C]`.
    pub fn gated_sum(&mut self, [a, b]: [Tensor; 2], gates: Tensor) -> Tensor {
        let rows = a.shape.rows();
        self.check(a.shape == b.shape && gates.shape.len() == 2 * rows, || {
            format!("gated_sum: {} and {} under gates {}", a.shape, b.shape, gates.shape)
        });
        self.push(GatedSum, &[a, b, gates], a.shape)
    }
}

impl Op for GatedSum {
    fn name(&self) -> &'static str {
        "gated_sum"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let c = io.shape(0).last().max(1);
        let (a, b, gates) = (io.f32(0).chunks_exact(c), io.f32(1).chunks_exact(c), io.f32(2));
        let rows = a.zip(b).zip(gates.chunks_exact(2));
        for (out, ((a, b), gates)) in io.out.chunks_exact_mut(c).zip(rows) {
            for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                *out = a * gates[0] + b * gates[1];
            }
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let shape = io.out_shape();
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new(),
            params: &[shape.len() as u32, shape.last() as u32],
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.read(2)), (4, io.out())],
            grid: gpu::rows_grid(shape.len().div_ceil(64)),
            flops: gpu::flops([3, shape.len()]),
        })
    }
}
