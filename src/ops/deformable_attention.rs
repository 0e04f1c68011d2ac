//! Multi-scale deformable attention of a pixel decoder: every pixel of a pyramid looks at a few
//! places of each of its levels.

use crate::cpu;
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("deformable_attention");

/// Levels that the shader has room for.
const LEVELS: usize = 4;

#[derive(Debug)]
struct DeformableAttention {
    levels: Vec<[usize; 2]>,
    heads: usize,
    points: usize,
}

impl Recorder {
    /// value `[M, H]`, offsets `[M, heads * L * points * 2]` (x, y in pixels of the level looked
    /// at), scores `[M, heads * L * points]` (before the softmax over levels and points) ->
    /// `[M, H]`. The M rows are the pixels of the L `levels` (height, width), one after the other.
    pub fn deformable_attention(
        &mut self,
        value: Tensor,
        offsets: Tensor,
        scores: Tensor,
        levels: &[[usize; 2]],
        [heads, points]: [usize; 2],
    ) -> Tensor {
        let (m, h) = (value.shape.rows(), value.shape.last());
        let taps = m * heads * levels.len() * points;
        self.check(
            m == levels.iter().map(|[h, w]| h * w).sum::<usize>()
                && heads > 0
                && h % heads == 0
                && offsets.shape.len() == 2 * taps
                && scores.shape.len() == taps,
            || {
                let (v, o, s) = (value.shape, offsets.shape, scores.shape);
                format!(
                    "deformable_attention: value {v}, offsets {o}, scores {s} for {heads} heads, \
                     {points} points on levels {levels:?}"
                )
            },
        );
        self.check((1..=LEVELS).contains(&levels.len()), || {
            format!("deformable_attention: {} levels, 1 to {LEVELS} are implemented", levels.len())
        });
        let op = DeformableAttention { levels: levels.to_vec(), heads, points };
        self.push(op, &[value, offsets, scores], [m, h])
    }
}

impl Op for DeformableAttention {
    fn name(&self) -> &'static str {
        "deformable_attention"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (value, offsets, scores) = (io.f32(0), io.f32(1), io.f32(2));
        let sizes = [self.heads, self.points];
        cpu::deformable_attention(value, offsets, scores, &self.levels, sizes, io.out);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let shape = io.out_shape();
        let (m, h) = (shape.rows(), shape.last());
        let d = h / self.heads;
        let vec4 = d % 4 == 0;
        let d = if vec4 { d / 4 } else { d };
        let count = m * self.heads * d;
        let mut params = vec![count as u32, self.heads as u32, d as u32];
        for level in 0..LEVELS {
            let [h, w] = self.levels.get(level).copied().unwrap_or([1, 1]);
            params.extend([h as u32, w as u32]);
        }
        let taps = self.levels.len() * self.points;
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new()
                .flag("VEC4", vec4)
                .set("LEVELS", self.levels.len())
                .set("POINTS", self.points)
                .set("TAPS", taps),
            params: &params,
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.read(2)), (4, io.out())],
            grid: gpu::rows_grid(count.div_ceil(64)),
            flops: gpu::flops([8, m, taps, h]),
        })
    }
}
