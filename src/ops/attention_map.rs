//! The weights of an attention, without its values: where each query looks, as a map per head.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("attention_map");

#[derive(Debug)]
struct AttentionMap {
    heads: usize,
    scale: f32,
}

impl Recorder {
    /// q `[Q, H]`, k `[h * w, H]` -> `[Q, h, w, heads]`: the softmax of scaled products, over heads
    /// and pixels together (DETR's panoptic head).
    pub fn attention_map(
        &mut self,
        q: Tensor,
        k: Tensor,
        [h, w]: [usize; 2],
        heads: usize,
        scale: f32,
    ) -> Tensor {
        let fits = q.shape.last() == k.shape.last() && k.shape.rows() == h * w;
        self.check(fits && heads > 0 && q.shape.last() % heads == 0, || {
            format!("attention_map: q {}, k {} of {h} x {w}, {heads} heads", q.shape, k.shape)
        });
        self.push(AttentionMap { heads, scale }, &[q, k], [q.shape.rows(), h, w, heads])
    }
}

impl Op for AttentionMap {
    fn name(&self) -> &'static str {
        "attention_map"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (q, k, hidden) = (io.f32(0), io.f32(1), io.shape(0).last());
        let d = hidden / self.heads;
        let map = io.shape(1).rows() * self.heads;
        for (q, out) in q.chunks_exact(hidden).zip(io.out.chunks_exact_mut(map)) {
            let mut most = f32::MIN;
            for (k, out) in k.chunks_exact(hidden).zip(out.chunks_exact_mut(self.heads)) {
                let heads = q.chunks_exact(d).zip(k.chunks_exact(d));
                for (o, (q, k)) in out.iter_mut().zip(heads) {
                    *o = self.scale * q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>();
                    most = most.max(*o);
                }
            }
            let mut total = 0.0f64;
            for o in out.iter_mut() {
                *o = (*o - most).exp();
                total += f64::from(*o);
            }
            let inverse = (1.0 / total) as f32;
            out.iter_mut().for_each(|o| *o *= inverse);
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let (queries, hidden, pixels) =
            (io.shape(0).rows(), io.shape(0).last(), io.shape(1).rows());
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new(),
            params: &[
                pixels as u32,
                self.heads as u32,
                (hidden / self.heads) as u32,
                self.scale.to_bits(),
            ],
            bindings: &[(1, io.read(0)), (2, io.read(1)), (3, io.out())],
            grid: [queries, 1],
            flops: gpu::flops([2, queries, pixels, hidden]),
        })
    }
}
