//! `activation(x Wᵀ + b) + residual`.

use crate::cpu::{self, Activation, Epilogue};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};
use crate::tensor::Format;

const TILED: gpu::Shader = gpu::shader!("linear");
const PACKED: gpu::Shader = gpu::shader!("linear_packed");
const SMALL: gpu::Shader = gpu::shader!("linear_small");

/// Up to this many rows, reading the weight is all that costs.
const SMALL_M: usize = 8;

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
        let matrix = io.matrix(self.weight)?;
        let m = io.out_shape().rows();
        let quantized = matches!(matrix.format, Format::Q8 | Format::Q4);
        for chunk in &matrix.chunks {
            let mut bindings = vec![(1, io.read(0)), (2, chunk.data()), (6, io.out())];
            bindings.extend(chunk.scales().map(|scales| (3, scales)));
            if let Some(bias) = self.bias {
                bindings.push((4, io.vector(bias)?));
            }
            if self.has_residual {
                bindings.push((5, io.read(1)));
            }
            let constants = gpu::Constants::new()
                .set("FORMAT", matrix.format.name())
                .set("ACTIVATION", self.activation.name())
                .flag("BIAS", self.bias.is_some())
                .flag("RESIDUAL", self.has_residual)
                .flag("X_VEC4", self.k % 4 == 0);
            let (shader, constants, grid) = if m <= SMALL_M {
                let rows = m.next_power_of_two();
                let constants = constants.set("M_MAX", rows).set("PARTIALS", 4 * rows * 64);
                (&SMALL, constants, [chunk.rows.div_ceil(4), 1])
            } else {
                let tile = Tile::of(m, chunk.rows);
                let grid = [chunk.rows.div_ceil(tile.side), m.div_ceil(tile.side)];
                if quantized && io.caps().packed_dot {
                    (&PACKED, tile.packed(constants), grid)
                } else {
                    let half = io.caps().f16 && matrix.format != Format::F32;
                    (&TILED, tile.plain(constants).flag("HALF_TILES", half), grid)
                }
            };
            io.dispatch(gpu::Dispatch {
                shader,
                constants,
                params: &[
                    m as u32,
                    chunk.rows as u32,
                    self.k as u32,
                    matrix.k_padded as u32 / 4,
                    chunk.first as u32,
                    self.n as u32,
                ],
                bindings: &bindings,
                grid,
                flops: gpu::flops([2, m, self.k, chunk.rows]),
            })?;
        }
        Ok(())
    }
}

/// The register tiling of a GEMM workgroup: a square of outputs over `tx` x 8 threads.
#[derive(Debug, Clone, Copy)]
struct Tile {
    side: usize,
    tx: usize,
}

impl Tile {
    /// Large tiles reuse more of what they load; small ones where large ones would leave a wide
    /// GPU idle (fewer than 64 workgroups).
    fn of(m: usize, n: usize) -> Tile {
        if m.div_ceil(64) * n.div_ceil(64) >= 64 {
            Tile { side: 64, tx: 16 }
        } else {
            Tile { side: 32, tx: 8 }
        }
    }

    fn common(self, constants: gpu::Constants) -> gpu::Constants {
        let ty = 8;
        constants
            .set("SIDE", self.side)
            .set("TX", self.tx)
            .set("TY", ty)
            .set("THREADS", self.tx * ty)
            .set("ROWS", self.side / ty)
            .set("COLUMNS", self.side / self.tx)
    }

    /// Tiles of 32 k as 8 vec4s.
    fn plain(self, constants: gpu::Constants) -> gpu::Constants {
        self.common(constants).set("TILE", 8 * self.side).set("LOADS", self.side / self.tx)
    }

    /// Tiles of two blocks of 32 k as two vec4s of packed words each.
    fn packed(self, constants: gpu::Constants) -> gpu::Constants {
        self.common(constants).set("TILE", 4 * self.side).set("SCALES", 2 * self.side)
    }
}
