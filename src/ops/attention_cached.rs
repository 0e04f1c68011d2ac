//! Attention over keys that outlive the run, and attention with relative positions.
//!
//! A cache is a state of rows, each a token's keys and values `[2 H]`, in no order; a table (also
//! a state) lists the rows of each sequence. So sequences of any lengths share one cache without
//! padding, beams share the rows of the words they have in common, and following another beam
//! rewrites a few indices and moves no keys. The shader is one for all three ops.

use crate::cpu::{self, Bias, Heads, Keys};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};
use crate::tensor::DType;

const SHADER: gpu::Shader = gpu::shader!("attention_cached");

/// What T5 adds to its scores: a number per head and bucket of distances.
#[derive(Debug, Clone, Copy)]
pub struct RelativeBias {
    /// `[buckets, heads]`, f32
    pub table: WeightId,
    /// `[2 R + 1]`: the bucket of a key that stands `i - R` after the query; those further away
    /// are in the first and in the last.
    pub buckets: Tensor,
}

/// Where the keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// The past in the cache, by a table, and the tokens of this run up to the query itself.
    Past,
    /// Rows of the cache.
    Rows,
    /// The tokens of this run.
    Segments,
}

#[derive(Debug)]
struct Attention {
    over: Over,
    heads: usize,
    scale: f32,
    bias: Option<WeightId>,
    /// Of [`Over::Segments`]: no token sees those after it.
    causal: bool,
}

impl Recorder {
    /// qkv `[M, 3 H]`, cache `[.., 2 H]` and table `[..]` states, spans `[M, 3]` -> `[M, H]`.
    ///
    /// Token i with span (start, past, fresh) sees `past` rows of the cache, those that
    /// `table[start..]` lists, and the `fresh` tokens of this run that end with itself. Its own
    /// keys and values go to the row `table[start + past + fresh - 1]`.
    pub fn attention_cached(
        &mut self,
        qkv: Tensor,
        [cache, table]: [Tensor; 2],
        spans: Tensor,
        heads: usize,
        scale: f32,
        bias: Option<RelativeBias>,
    ) -> Tensor {
        let (m, h) = (qkv.shape.rows(), qkv.shape.last() / 3);
        self.check(qkv.shape.last() == 3 * h && heads > 0 && h % heads == 0, || {
            format!("attention_cached: qkv {} does not divide into 3 x {heads} heads", qkv.shape)
        });
        self.check(cache.shape.last() == 2 * h && spans.shape.dims() == [m, 3], || {
            format!("attention_cached: cache {}, spans {} for {m} tokens", cache.shape, spans.shape)
        });
        let op =
            Attention { over: Over::Past, heads, scale, bias: bias.map(|b| b.table), causal: true };
        let mut reads = vec![qkv, spans, table];
        reads.extend(bias.map(|b| b.buckets));
        self.push_updating(op, &reads, &[cache], [m, h], DType::F32)
    }

    /// q `[M, H]`, cache state `[.., 2 H]`, spans `[M, 2]` -> `[M, H]`: token i sees the rows
    /// `spans[i][0]..spans[i][1]` of the cache (the encoder's keys, which all beams share).
    pub fn attention_over(
        &mut self,
        q: Tensor,
        cache: Tensor,
        spans: Tensor,
        heads: usize,
        scale: f32,
    ) -> Tensor {
        let (m, h) = (q.shape.rows(), q.shape.last());
        let fits = cache.shape.last() == 2 * h && spans.shape.dims() == [m, 2];
        self.check(fits && heads > 0 && h % heads == 0, || {
            format!(
                "attention_over: q {}, cache {}, spans {}, {heads} heads",
                q.shape, cache.shape, spans.shape
            )
        });
        let op = Attention { over: Over::Rows, heads, scale, bias: None, causal: false };
        self.push(op, &[q, spans, cache], [m, h])
    }

    /// [`Recorder::attention`] with a relative bias.
    pub fn attention_relative(
        &mut self,
        qkv: Tensor,
        segments: Tensor,
        heads: usize,
        scale: f32,
        bias: RelativeBias,
    ) -> Tensor {
        self.attention_segments(qkv, segments, heads, scale, Some(bias))
    }

    /// [`Recorder::attention`] in which no token sees those after it.
    pub fn attention_causal(
        &mut self,
        qkv: Tensor,
        segments: Tensor,
        heads: usize,
        scale: f32,
    ) -> Tensor {
        self.attention_segments(qkv, segments, heads, scale, None)
    }

    fn attention_segments(
        &mut self,
        qkv: Tensor,
        segments: Tensor,
        heads: usize,
        scale: f32,
        bias: Option<RelativeBias>,
    ) -> Tensor {
        let (m, h) = (qkv.shape.rows(), qkv.shape.last() / 3);
        let fits = qkv.shape.last() == 3 * h && segments.shape.dims() == [m, 2];
        self.check(fits && heads > 0 && h % heads == 0, || {
            format!("attention over segments: qkv {}, segments {}", qkv.shape, segments.shape)
        });
        let (over, table) = (Over::Segments, bias.map(|b| b.table));
        let op = Attention { over, heads, scale, bias: table, causal: bias.is_none() };
        let mut reads = vec![qkv, segments];
        reads.extend(bias.map(|b| b.buckets));
        self.push(op, &reads, [m, h])
    }
}

impl Attention {
    /// The input that holds the buckets.
    fn buckets(&self) -> usize {
        if self.over == Over::Past {
            3
        } else {
            2
        }
    }

    /// Numbers per token of the first input.
    fn stride(&self, h: usize) -> usize {
        if self.over == Over::Rows {
            h
        } else {
            3 * h
        }
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        match self.over {
            Over::Past => "attention_cached",
            Over::Rows => "attention_over",
            Over::Segments if self.causal => "attention_causal",
            Over::Segments => "attention_relative",
        }
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (q, spans) = (io.f32(0), io.u32(1));
        let each = io.shape(1).last();
        let m = spans.len() / each;
        let h = io.out.len() / m;
        let shape = Heads { heads: self.heads, d: h / self.heads, scale: self.scale };
        let table = match self.bias {
            Some(table) => {
                let table = io.matrix(table);
                let mut rows = vec![0.0; table.n() * self.heads];
                rows.chunks_exact_mut(self.heads).enumerate().for_each(|(r, to)| table.row(r, to));
                rows
            }
            None => Vec::new(),
        };
        let buckets = if self.bias.is_some() { io.u32(self.buckets()) } else { &[] };
        let reach = buckets.len() as i64 / 2;
        // of the key that stands `distance` after the query
        let bias_at = |head: usize, distance: i64| {
            let bucket = buckets[(distance.clamp(-reach, reach) + reach) as usize];
            table[bucket as usize * self.heads + head]
        };
        let stride = self.stride(h);
        let mut at = std::mem::take(&mut io.scratch.rows);
        let mut i = 0;
        while i < m {
            let span = |i: usize| &spans[each * i..each * (i + 1)];
            at.clear();
            let mut rows = 1;
            match self.over {
                Over::Past => {
                    let [start, past, fresh] = [0, 1, 2].map(|c| span(i)[c] as usize);
                    // the tokens of one sequence follow each other, each seeing one more
                    let next = |n: usize| [start as u32, past as u32, (fresh + n) as u32];
                    while i + rows < m && span(i + rows) == next(rows) {
                        rows += 1;
                    }
                    let whole = io.whole_u32(2);
                    let first = i + 1 - fresh;
                    at.extend(whole[start..start + past].iter().map(|row| row * 2 * h as u32));
                    at.extend((first..i + rows).map(|t| (3 * t + 1) as u32 * h as u32));
                    let keys =
                        Keys { cache: io.states[0].f32(), fresh: q, past, at: &at, apart: h };
                    let sees = |t: usize| past + t + 1 - first;
                    let bias = self.bias.map(|_| Bias { of: &bias_at, first: sees(i) - 1 });
                    let out = &mut *io.out;
                    cpu::attend(q, stride, i..i + rows, &keys, sees, bias, shape, out, io.scratch);
                    if let cpu::Buffer::F32(cache) = &mut io.states[0] {
                        for t in i..i + rows {
                            let row = whole[start + past + t - first] as usize * 2 * h;
                            cache[row..row + 2 * h].copy_from_slice(&q[(3 * t + 1) * h..][..2 * h]);
                        }
                    }
                }
                Over::Rows => {
                    while i + rows < m && span(i + rows) == span(i) {
                        rows += 1;
                    }
                    let (first, end) = (span(i)[0], span(i)[1]);
                    at.extend((first..end).map(|row| row * 2 * h as u32));
                    let (cache, past) = (io.whole_f32(2), at.len());
                    let keys = Keys { cache, fresh: &[], past, at: &at, apart: h };
                    let (sees, out) = (|_| past, &mut *io.out);
                    cpu::attend(q, stride, i..i + rows, &keys, sees, None, shape, out, io.scratch);
                }
                Over::Segments => {
                    while i + rows < m && span(i + rows) == span(i) {
                        rows += 1;
                    }
                    let (first, end) = (span(i)[0], span(i)[1]);
                    at.extend((first..end).map(|t| (3 * t + 1) * h as u32));
                    let (length, past) = (at.len(), 0);
                    let keys = Keys { cache: &[], fresh: q, past, at: &at, apart: h };
                    let place = i - first as usize;
                    let bias = self.bias.map(|_| Bias { of: &bias_at, first: place });
                    let causal = self.causal;
                    let sees = |t: usize| if causal { t + 1 - first as usize } else { length };
                    let out = &mut *io.out;
                    cpu::attend(q, stride, i..i + rows, &keys, sees, bias, shape, out, io.scratch);
                }
            }
            i += rows;
        }
        io.scratch.rows = at;
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let shape = io.out_shape();
        let (m, h) = (shape.rows(), shape.last());
        let d = h / self.heads;
        let mut bindings = vec![(1, io.read(0)), (2, io.read(1)), (3, io.out())];
        match self.over {
            Over::Past => bindings.extend([(4, io.state(0)), (5, io.read(2))]),
            Over::Rows => bindings.push((4, io.read(2))),
            Over::Segments => {}
        }
        let (mut stride, mut reach) = (0, 0);
        if let Some(table) = self.bias {
            let matrix = io.matrix(table)?;
            stride = matrix.k_padded as u32;
            reach = io.shape(self.buckets()).len() as u32 / 2;
            bindings.push((6, matrix.chunks[0].data()));
            bindings.push((7, io.read(self.buckets())));
        }
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new()
                .set("OVER", format!("{:?}", self.over).to_lowercase())
                .flag("BIAS", self.bias.is_some())
                .flag("CAUSAL", self.causal)
                .set("D", d)
                .set("COLUMNS", d.div_ceil(64)),
            params: &[m as u32, self.heads as u32, self.scale.to_bits(), stride, reach],
            bindings: &bindings,
            grid: [m, self.heads],
            flops: gpu::flops([4, m, m, h]),
        })
    }
}
