//! Patches become a sequence: class tokens come first, and every place gets its position.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("class_tokens");

#[derive(Debug)]
struct ClassTokens {
    tokens: Vec<WeightId>,
    positions: WeightId,
}

impl Recorder {
    /// x `[B, .., H]` of N patches an image, one or two tokens `[H]`, positions f32 `[T + N, H]`
    /// -> `[B, T + N, H]`: tokens, then patches, each plus its position.
    pub fn class_tokens(
        &mut self,
        x: Tensor,
        tokens: &[WeightId],
        positions: WeightId,
        places: usize,
    ) -> Tensor {
        let (b, h) = (x.shape.dims().first().copied().unwrap_or(1), x.shape.last());
        let n = places.saturating_sub(tokens.len());
        self.check(matches!(tokens.len(), 1 | 2) && x.shape.rows() == b * n, || {
            format!("class_tokens: patches {} for {places} positions", x.shape)
        });
        let op = ClassTokens { tokens: tokens.to_vec(), positions };
        self.push(op, &[x], [b, places, h])
    }
}

impl Op for ClassTokens {
    fn name(&self) -> &'static str {
        "class_tokens"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (positions, t) = (io.matrix(self.positions), self.tokens.len());
        let (places, h) = (positions.n(), positions.k());
        let mut patches = io.f32(0).chunks_exact(h);
        let tokens: Vec<&[f32]> = self.tokens.iter().map(|id| io.vector(*id)).collect();
        for (at, out) in io.out.chunks_exact_mut(h).enumerate() {
            let place = at % places;
            positions.row(place, out);
            let value = if place < t { Some(tokens[place]) } else { patches.next() };
            for (o, v) in out.iter_mut().zip(value.unwrap_or_default()) {
                *o += v;
            }
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let positions = io.matrix(self.positions)?;
        let (n, h, t) = (io.out_shape().len(), io.out_shape().last(), self.tokens.len());
        let mut bindings = vec![(1, io.read(0)), (5, io.out())];
        // a few hundred rows: one chunk holds them all
        bindings.extend(positions.chunks.first().map(|chunk| (2, chunk.data())));
        for (binding, token) in (3..).zip(&self.tokens) {
            bindings.push((binding, io.vector(*token)?));
        }
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new().set("TOKENS", t),
            params: &[n as u32, h as u32, positions.n as u32, positions.k_padded as u32],
            bindings: &bindings,
            grid: gpu::rows_grid(n.div_ceil(64)),
            flops: n as u64,
        })
    }
}
