//! `activation(x Wᵀ + b) + residual`.

use crate::cpu::{self, Activation, Epilogue};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

/// The epilogue of a linear op.
#[derive(Debug, Clone, Copy)]
pub struct LinearOptions {
    pub activation: Activation,
    /// Added after the activation; of the output's shape.
    pub residual: Option<Tensor>,
}

impl Default for LinearOptions {
    fn default() -> Self {
        LinearOptions { activation: Activation::None, residual: None }
    }
}

#[derive(Debug)]
struct Linear {
    weight: WeightId,
    bias: Option<WeightId>,
    activation: Activation,
    n: usize,
    k: usize,
    has_residual: bool,
}

impl Recorder {
    /// x `[.., K]`, weight `[N, K]`, bias `[N]`, residual `[.., N]` -> `[.., N]`.
    pub fn linear(
        &mut self,
        x: Tensor,
        weight: WeightId,
        bias: Option<WeightId>,
        [n, k]: [usize; 2],
        options: LinearOptions,
    ) -> Tensor {
        let shape = x.shape.with_last(n);
        self.check(x.shape.last() == k, || {
            format!("linear: x {} against weight [{n}, {k}]", x.shape)
        });
        let mut reads = vec![x];
        if let Some(r) = options.residual {
            self.check(r.shape == shape, || {
                format!("linear: residual {} against output {shape}", r.shape)
            });
            reads.push(r);
        }
        let op = Linear {
            weight,
            bias,
            activation: options.activation,
            n,
            k,
            has_residual: options.residual.is_some(),
        };
        self.push(op, &reads, shape)
    }
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let epilogue = Epilogue {
            bias: self.bias.map(|b| io.vector(b)),
            activation: self.activation,
            residual: self.has_residual.then(|| io.f32(1)),
        };
        let m = io.out.len() / self.n;
        cpu::linear(io.f32(0), m, io.matrix(self.weight), epilogue, io.out, io.scratch);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let _ = self.k;
        io.missing(self)
    }
}
