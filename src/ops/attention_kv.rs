//! Multi-head attention of queries over keys and values of their own: cross-attention, attention
//! over a spatially reduced map, attention within a predicted mask.

use super::attention::Tiles;
use crate::cpu;
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("attention_kv");

/// Some columns of a value: its rows from column `first` on.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    pub of: Tensor,
    pub first: usize,
}

impl From<Tensor> for Columns {
    fn from(of: Tensor) -> Self {
        Columns { of, first: 0 }
    }
}

/// How [`Recorder::attention_kv`] attends.
#[derive(Debug, Clone, Copy)]
pub struct AttentionKv {
    pub heads: usize,
    /// H: the columns that queries, keys, values and the output have.
    pub hidden: usize,
    /// Multiplies the products of queries and keys.
    pub scale: f32,
    /// B: rows of q, k and v fall into so many equal parts that do not see each other.
    pub images: usize,
    /// `[B * Mq, Mk]`: a key is hidden from a query where the mask is negative; a query whose keys
    /// are all hidden sees them all, as in Mask2Former.
    pub mask: Option<Tensor>,
}

#[derive(Debug)]
struct Attention {
    heads: usize,
    hidden: usize,
    scale: f32,
    images: usize,
    first: [usize; 3],
    mask: bool,
}

impl Recorder {
    /// q `[B * Mq, H]`, k and v `[B * Mk, H]`, each from its first column on -> `[B * Mq, H]`; rows
    /// may be the pixels of a map `[B, h, w, H]`.
    pub fn attention_kv(&mut self, [q, k, v]: [Columns; 3], options: AttentionKv) -> Tensor {
        let AttentionKv { heads, hidden, scale, images, mask } = options;
        let (queries, keys) = (q.of.shape.rows(), k.of.shape.rows());
        let fits = |c: Columns| c.first + hidden <= c.of.shape.last();
        let rows = |n: usize| images > 0 && n > 0 && n % images == 0;
        self.check(
            heads > 0
                && hidden % heads == 0
                && [q, k, v].into_iter().all(fits)
                && v.of.shape.rows() == keys
                && rows(queries)
                && rows(keys),
            || {
                let [q, k, v] = [q, k, v].map(|c| c.of.shape);
                format!(
                    "attention_kv: q {q}, k {k}, v {v} for {heads} heads of {hidden} together, \
                     {images} images"
                )
            },
        );
        let mut reads = vec![q.of, k.of, v.of];
        if let Some(mask) = mask {
            let wanted = queries * keys / images.max(1);
            self.check(mask.shape.len() == wanted, || {
                format!("attention_kv: mask {} for {queries} queries, {keys} keys", mask.shape)
            });
            reads.push(mask);
        }
        let first = [q.first, k.first, v.first];
        let op = Attention { heads, hidden, scale, images, first, mask: mask.is_some() };
        self.push(op, &reads, q.of.shape.with_last(hidden))
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention_kv"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let d = self.hidden / self.heads;
        let [queries, keys] = [0, 1].map(|i| io.shape(i).rows() / self.images);
        for image in 0..self.images {
            let columns = |i: usize, rows: usize| {
                let stride = io.shape(i).last();
                let first = image * rows * stride + self.first[i];
                cpu::Columns { values: io.f32(i), first, stride, d }
            };
            let qkv = [columns(0, queries), columns(1, keys), columns(2, keys)];
            let mask = self.mask.then(|| &io.f32(3)[image * queries * keys..][..queries * keys]);
            let out = &mut io.out[image * queries * self.hidden..][..queries * self.hidden];
            let sizes = [queries, keys];
            cpu::attention_kv(qkv, sizes, self.heads, self.scale, mask, out, io.scratch);
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let [queries, keys] = [0, 1].map(|i| io.shape(i).rows() / self.images);
        let d = self.hidden / self.heads;
        let tiles = Tiles::of(d, io)?;
        let widths = [0, 1, 2].map(|i| io.shape(i).last());
        let vec4 = d % 4 == 0 && self.first.iter().chain(&widths).all(|n| n % 4 == 0);
        let unit = if vec4 { 4 } else { 1 };
        let mut params = vec![queries as u32, keys as u32, self.heads as u32, self.scale.to_bits()];
        for (first, width) in self.first.iter().zip(widths) {
            params.extend([(first / unit) as u32, (width / unit) as u32]);
        }
        let mut bindings = vec![(1, io.read(0)), (2, io.read(1)), (3, io.read(2)), (5, io.out())];
        if self.mask {
            bindings.push((4, io.read(3)));
        }
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: tiles.constants(vec4).flag("MASK", self.mask),
            params: &params,
            bindings: &bindings,
            grid: [queries.div_ceil(tiles.queries), self.heads * self.images],
            flops: gpu::flops([4, self.images, queries, keys, self.hidden]),
        })
    }
}
