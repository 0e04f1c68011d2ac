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
        let d = h / self.heads;
        let d4 = d.div_ceil(4);
        let Some([queries, keys]) = tiles(d4, io.caps().workgroup_memory as usize) else {
            return Err(err!(Code::Unsupported, "attention heads of {d} do not fit this GPU")
                .remedy("use device 'wasm'"));
        };
        let constants = gpu::Constants::new()
            .flag("VEC4", d % 4 == 0)
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
            .set("PARTIALS", queries * LANES);
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants,
            params: &[m as u32, self.heads as u32, self.scale.to_bits()],
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.out())],
            grid: [m.div_ceil(queries), self.heads],
            // of one sequence; a ragged batch takes less
            flops: gpu::flops([4, m, m, h]),
        })
    }
}

/// Lanes that share a pair of query rows.
const LANES: usize = 8;

/// The largest tile of queries and keys that fits the workgroup memory, for heads of `d4` vec4s.
fn tiles(d4: usize, memory: usize) -> Option<[usize; 2]> {
    let bytes =
        |[queries, keys]: [usize; 2]| 16 * d4 * (queries + keys) + 4 * queries * (keys + LANES);
    [[16, 32], [16, 16], [16, 8], [8, 8], [4, 8], [2, 8]]
        .into_iter()
        .find(|tile| bytes(*tile) <= memory)
}
