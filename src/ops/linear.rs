//! `activation(affine(x Wᵀ + b)) + residual`.

use crate::cpu::{self, Activation, Epilogue};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};
use crate::tensor::{Format, Shape};
use crate::{err, Code};

const TILED: gpu::Shader = gpu::shader!("linear");
const PACKED: gpu::Shader = gpu::shader!("linear_packed");
const SMALL: gpu::Shader = gpu::shader!("linear_small");

/// Up to this many rows, reading the weight is all that costs.
const SMALL_M: usize = 8;

/// What is done to a sum and its bias before the activation.
#[derive(Debug, Clone, Copy, Default)]
pub enum Affine {
    #[default]
    None,
    /// `[N]`: multiplied by a layer scale.
    Gain(WeightId),
    /// `[2 N]`: a batch norm in inference, scales and then shifts.
    Norm(WeightId),
    /// `[2, N]`: the same, computed in the run (a group norm's).
    Computed(Tensor),
}

impl Affine {
    /// The name in shaders.
    fn name(self) -> &'static str {
        match self {
            Affine::None => "none",
            Affine::Gain(_) => "gain",
            Affine::Norm(_) | Affine::Computed(_) => "norm",
        }
    }
}

/// The epilogue of a linear op or a convolution: `activation(affine(sum + bias)) + residual`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinearOptions {
    pub affine: Affine,
    pub activation: Activation,
    /// Of the output's shape.
    pub residual: Option<Tensor>,
    /// The residual is added before the activation, as in a ResNet, and not after it.
    pub residual_first: bool,
}

/// A product with a weight and its epilogue, whatever the rows of its left operand are.
#[derive(Debug)]
pub(super) struct Gemm {
    pub weight: WeightId,
    bias: Option<WeightId>,
    affine: Affine,
    activation: Activation,
    n: usize,
    k: usize,
    has_residual: bool,
    residual_first: bool,
    /// Groups of output channels, each with its own rows of x.
    pub groups: usize,
}

impl Gemm {
    /// Checks the residual; returns what the step reads, too.
    #[allow(clippy::too_many_arguments)] // an op's operands and the shape that they must give
    pub fn new(
        g: &mut Recorder,
        op: &str,
        x: Tensor,
        weight: WeightId,
        bias: Option<WeightId>,
        [n, k]: [usize; 2],
        shape: Shape,
        options: LinearOptions,
    ) -> (Gemm, Vec<Tensor>) {
        let LinearOptions { affine, activation, residual, residual_first } = options;
        let mut reads = vec![x];
        if let Some(r) = residual {
            g.check(r.shape.rows() == shape.rows() && r.shape.last() == n, || {
                format!("{op}: residual {} against output {shape}", r.shape)
            });
            reads.push(r);
        }
        if let Affine::Computed(t) = affine {
            g.check(t.shape.dims() == [2, n], || {
                format!("{op}: scales and shifts {} for {n} channels", t.shape)
            });
            reads.push(t);
        }
        let has_residual = residual.is_some();
        (
            Gemm {
                weight,
                bias,
                affine,
                activation,
                n,
                k,
                has_residual,
                residual_first,
                groups: 1,
            },
            reads,
        )
    }

    pub fn epilogue<'a>(&self, io: &CpuIo<'a>) -> Epilogue<'a> {
        let (scale, shift) = match self.affine {
            Affine::None => (None, None),
            Affine::Gain(id) => (Some(io.vector(id)), None),
            Affine::Norm(_) | Affine::Computed(_) => {
                let vector = match self.affine {
                    Affine::Norm(id) => io.vector(id),
                    _ => io.f32(self.computed()),
                };
                let (scale, shift) = vector.split_at(self.n.min(vector.len()));
                (Some(scale), Some(shift))
            }
        };
        Epilogue {
            bias: self.bias.map(|b| io.vector(b)),
            scale,
            shift,
            activation: self.activation,
            residual: self.has_residual.then(|| io.f32(1)),
            residual_first: self.residual_first,
        }
    }

    /// Which input [`Affine::Computed`] is.
    fn computed(&self) -> usize {
        1 + usize::from(self.has_residual)
    }

    /// The dispatches; `constants` and `params` are those of the loader of x, which reads vec4s
    /// where `x_vec4`.
    pub fn encode(
        &self,
        io: &mut gpu::Encoder<'_>,
        constants: gpu::Constants,
        loader: &[u32],
        x_vec4: bool,
    ) -> Result<()> {
        let matrix = io.matrix(self.weight)?;
        let m = io.out_shape().rows();
        let quantized = matches!(matrix.format, Format::Q8 | Format::Q4);
        let residual = match (self.has_residual, self.residual_first) {
            (false, _) => "none",
            (true, true) => "first",
            (true, false) => "last",
        };
        if self.groups > 1 && matrix.chunks.len() > 1 {
            return Err(err!(
                Code::Unsupported,
                "a convolution of {} groups with a weight [{}, {}] beyond what this GPU binds at once",
                self.groups,
                self.n,
                self.k
            )
            .remedy("use a smaller dtype (q8, q4), or device 'wasm'"));
        }
        for chunk in &matrix.chunks {
            let mut bindings = vec![(1, io.read(0)), (2, chunk.data()), (6, io.out())];
            bindings.extend(chunk.scales().map(|scales| (3, scales)));
            if let Some(bias) = self.bias {
                bindings.push((4, io.vector(bias)?));
            }
            if self.has_residual {
                bindings.push((5, io.read(1)));
            }
            match self.affine {
                Affine::None => {}
                Affine::Gain(id) | Affine::Norm(id) => bindings.push((7, io.vector(id)?)),
                Affine::Computed(_) => bindings.push((7, io.read(self.computed()))),
            }
            let columns = chunk.rows / self.groups; // of a group
            let constants = constants
                .clone()
                .set("FORMAT", matrix.format.name())
                .set("ACTIVATION", self.activation.name())
                .flag("BIAS", self.bias.is_some())
                .set("AFFINE", self.affine.name())
                .set("RESIDUAL", residual)
                .flag("X_VEC4", x_vec4);
            let (shader, constants, grid) = if m <= SMALL_M {
                let rows = m.next_power_of_two();
                let constants = constants.set("M_MAX", rows).set("PARTIALS", 4 * rows * 64);
                (&SMALL, constants, [columns.div_ceil(4) * self.groups, 1])
            } else {
                let tile = Tile::of(m, chunk.rows);
                let grid = [columns.div_ceil(tile.side) * self.groups, m.div_ceil(tile.side)];
                if quantized && io.caps().packed_dot {
                    (&PACKED, tile.packed(constants), grid)
                } else {
                    let half = io.caps().f16 && matrix.format != Format::F32;
                    (&TILED, tile.plain(constants).flag("HALF_TILES", half), grid)
                }
            };
            let mut params = vec![
                m as u32,
                columns as u32,
                self.k as u32,
                matrix.k_padded as u32 / 4,
                chunk.first as u32,
                self.n as u32,
            ];
            params.extend(loader);
            io.dispatch(gpu::Dispatch {
                shader,
                constants,
                params: &params,
                bindings: &bindings,
                grid,
                flops: gpu::flops([2, m, self.k, chunk.rows]),
            })?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Linear(Gemm);

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
        let (gemm, reads) = Gemm::new(self, "linear", x, weight, bias, [n, k], shape, options);
        self.push(Linear(gemm), &reads, shape)
    }
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let Linear(gemm) = self;
        let m = io.out.len() / gemm.n;
        let epilogue = gemm.epilogue(io);
        cpu::linear(io.f32(0), m, io.matrix(gemm.weight), epilogue, io.out, io.scratch);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let constants = gpu::Constants::new().flag("CONV", false);
        self.0.encode(io, constants, &[], self.0.k % 4 == 0)
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
