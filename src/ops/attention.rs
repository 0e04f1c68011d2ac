//! Multi-head self-attention over ragged segments, queries, keys and values from one projection.

use crate::cpu;
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};
use crate::{err, Code};

const SHADER: gpu::Shader = gpu::shader!("attention");

#[derive(Debug)]
struct Attention {
    heads: usize,
    scale: f32,
}

impl Recorder {
    /// qkv `[M, 3 * H]` (queries, keys, values side by side, each `[heads, D]`), segments `[M, 2]`
    /// -> `[M, H]`. Token i attends to keys `segments[i][0]..segments[i][1]`; the tokens of one
    /// sequence are consecutive and share their bounds, so a batch of texts of any lengths is one
    /// call without padding.
    pub fn attention(&mut self, qkv: Tensor, segments: Tensor, heads: usize, scale: f32) -> Tensor {
        let (m, h) = (qkv.shape.rows(), qkv.shape.last() / 3);
        self.check(qkv.shape.last() == 3 * h && heads > 0 && h % heads == 0, || {
            format!("attention: qkv {} does not divide into 3 x {heads} heads", qkv.shape)
        });
        self.check(segments.shape.dims() == [m, 2], || {
            format!("attention: segments {} for {m} tokens", segments.shape)
        });
        self.push(Attention { heads, scale }, &[qkv, segments], [m, h])
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        cpu::attention(io.f32(0), io.u32(1), self.heads, self.scale, io.out, io.scratch);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let shape = io.out_shape();
        let (m, h) = (shape.rows(), shape.last());
        let tiles = Tiles::of(h / self.heads, io)?;
        let constants = tiles.constants((h / self.heads) % 4 == 0);
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants,
            params: &[m as u32, self.heads as u32, self.scale.to_bits()],
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.out())],
            grid: [m.div_ceil(tiles.queries), self.heads],
            // of one sequence; a ragged batch takes less
            flops: gpu::flops([4, m, m, h]),
        })
    }
}

/// Lanes that share a pair of query rows.
const LANES: usize = 8;

/// How lib/attention.wgsl tiles heads of D.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles {
    d: usize,
    pub queries: usize,
    keys: usize,
}

impl Tiles {
    /// The largest tile of queries and keys that fits the workgroup memory.
    pub fn of(d: usize, io: &gpu::Encoder<'_>) -> Result<Tiles> {
        let memory = io.caps().workgroup_memory as usize;
        // 4 more bytes per query: which of them a mask leaves without keys
        let bytes = |[queries, keys]: [usize; 2]| {
            16 * d.div_ceil(4) * (queries + keys) + 4 * queries * (keys + LANES + 1)
        };
        match [[16, 32], [16, 16], [16, 8], [8, 8], [4, 8], [2, 8]]
            .into_iter()
            .find(|tile| bytes(*tile) <= memory)
        {
            Some([queries, keys]) => Ok(Tiles { d, queries, keys }),
            None => Err(err!(Code::Unsupported, "attention heads of {d} do not fit this GPU")
                .remedy("use device 'wasm'")),
        }
    }

    /// The constants of lib/attention.wgsl; `vec4` where rows of heads can be read by fours.
    pub fn constants(self, vec4: bool) -> gpu::Constants {
        let Tiles { d, queries, keys } = self;
        let d4 = d.div_ceil(4);
        gpu::Constants::new()
            .flag("VEC4", vec4)
            .set("D", d)
            .set("D4", d4)
            .set("QUERIES", queries)
            .set("KEYS", keys)
            .set("KEYS_PER_LANE", keys / LANES)
            .set("COLUMNS", d4.div_ceil(LANES))
            .set("THREADS", queries / 2 * LANES)
            .set("QUERY_TILE", queries * d4)
            .set("KEY_TILE", keys * d4)
            .set("WEIGHT_TILE", queries * keys)
            .set("PARTIALS", queries * LANES)
    }
}
