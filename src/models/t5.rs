//! T5 (Raffel et al. 2019, arXiv:1910.10683): an encoder-decoder with relative positions, root
//! mean square norms and no biases; v1.1 and Flan-T5 gate their feed-forward layers. Names follow
//! `transformers`' `T5ForConditionalGeneration`.

use super::seq::{SeqInfo, SeqNet, SourceInputs, StepInputs};
use crate::checkpoint::{Config, Scope};
use crate::cpu::Activation;
use crate::error::Result;
use crate::layers::{activation, Linear};
use crate::ops::RelativeBias;
use crate::plan::{Recorder, Tensor, WeightId};
use crate::tensor::DType;

pub const BASE: &str = "transformer";

/// A table that old files hold for the decoder's look at the encoder, which has no positions.
pub const SKIP: &[&str] = &["EncDecAttention.relative_attention_bias.weight"];

#[derive(Debug)]
pub struct T5 {
    shared: WeightId, // [V, H]
    encoder: Stack,
    decoder: Stack,
    lm_head: WeightId, // [V, H]
    /// What the last norm is multiplied with before the head.
    scale: f32,
    vocab: usize,
    hidden: usize,
    heads: usize,
    /// heads * D, which need not be H
    inner: usize,
}

#[derive(Debug)]
struct Stack {
    path: &'static str,
    /// `[buckets, heads]`, of the first block and used by all
    bias: WeightId,
    buckets: Vec<u32>,
    blocks: Vec<Block>,
    last_norm: Norm,
}

#[derive(Debug)]
struct Block {
    qkv: Linear, // H -> 3 inner
    out: Linear, // inner -> H
    norm: Norm,
    cross: Option<Cross>,
    feed: FeedForward,
    feed_norm: Norm,
}

#[derive(Debug)]
struct Cross {
    q: Linear,
    kv: Linear, // H -> 2 inner
    out: Linear,
    norm: Norm,
}

#[derive(Debug)]
struct FeedForward {
    /// `wi`, or `wi_0` where there is a gate
    wi: Linear,
    gate: Option<Linear>,
    wo: Linear,
    activation: Activation,
}

#[derive(Debug, Clone, Copy)]
struct Norm {
    weight: WeightId,
    eps: f32,
}

impl Norm {
    fn forward(self, g: &mut Recorder, x: Tensor) -> Tensor {
        g.rms_norm(x, self.weight, self.eps, 1.0)
    }
}

impl T5 {
    /// Declares the weights in `root`.
    pub fn new(config: &Config, root: &Scope) -> Result<Self> {
        let vocab = config.usize("vocab_size", Some(32128))?;
        let hidden = config.usize("d_model", Some(512))?;
        let heads = config.usize("num_heads", Some(8))?;
        let inner = heads * config.usize("d_kv", Some(64))?;
        let f = config.usize("d_ff", Some(2048))?;
        let layers = config.usize("num_layers", Some(6))?;
        let eps = config.f32("layer_norm_epsilon", Some(1e-6))?;
        let buckets = config.usize("relative_attention_num_buckets", Some(32))?;
        let distance = config.usize("relative_attention_max_distance", Some(128))?;
        let tied = config.bool("tie_word_embeddings", Some(true))?;
        let feed = config.string("feed_forward_proj", Some("relu"))?;
        let (gated, act) = match feed.strip_prefix("gated-") {
            Some("gelu") => (true, "gelu_new"), // as transformers reads it
            Some(act) => (true, act),
            None => (false, feed),
        };
        let act = activation(act)?;

        let mut names =
            vec!["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
        if tied {
            names.push("lm_head.weight");
        }
        let shared = root.tied(&names, vocab, hidden);
        let lm_head = if tied { shared } else { root.sensitive("lm_head.weight", vocab, hidden) };

        let norm = |s: &Scope| Norm { weight: s.vector("weight", hidden), eps };
        let out =
            |s: &Scope| Linear::of(s.sensitive("o.weight", hidden, inner), None, hidden, inner);
        let stack = |path: &'static str, count: usize| {
            let s = root.pp(path);
            let table = s.pp("block.0.layer.0.SelfAttention.relative_attention_bias");
            let block = |i: usize| {
                let s = s.pp("block").pp(i).pp("layer");
                let a = s.pp("0.SelfAttention");
                let qkv = a.stacked(&["q.weight", "k.weight", "v.weight"], inner, hidden);
                let cross = (path == "decoder").then(|| {
                    let a = s.pp("1.EncDecAttention");
                    let kv = a.stacked(&["k.weight", "v.weight"], inner, hidden);
                    let q = a.sensitive("q.weight", inner, hidden);
                    Cross {
                        q: Linear::of(q, None, inner, hidden),
                        kv: Linear::of(kv, None, 2 * inner, hidden),
                        out: out(&a),
                        norm: norm(&s.pp("1.layer_norm")),
                    }
                });
                let last = s.pp(if cross.is_some() { 2 } else { 1 });
                let d = last.pp("DenseReluDense");
                let wi = |name: &str| Linear::of(d.matrix(name, f, hidden), None, f, hidden);
                Block {
                    qkv: Linear::of(qkv, None, 3 * inner, hidden),
                    out: out(&a),
                    norm: norm(&s.pp("0.layer_norm")),
                    cross,
                    feed: FeedForward {
                        wi: wi(if gated { "wi_0.weight" } else { "wi.weight" }),
                        gate: gated.then(|| wi("wi_1.weight")),
                        wo: Linear::of(d.matrix("wo.weight", hidden, f), None, hidden, f),
                        activation: act,
                    },
                    feed_norm: norm(&last.pp("layer_norm")),
                }
            };
            Stack {
                path,
                bias: table.exact("weight", buckets, heads),
                buckets: bucket_table(path == "encoder", buckets, distance),
                blocks: (0..count).map(block).collect(),
                last_norm: norm(&s.pp("final_layer_norm")),
            }
        };
        Ok(T5 {
            shared,
            encoder: stack("encoder", layers),
            decoder: stack("decoder", config.usize("num_decoder_layers", Some(layers))?),
            lm_head,
            scale: if tied { 1.0 / (hidden as f32).sqrt() } else { 1.0 },
            vocab,
            hidden,
            heads,
            inner,
        })
    }

    /// The residual stream `[M, H]` of a stack, before its last norm: `attend` is its
    /// self-attention, `look` the decoder's attention to the encoder. Neither scales its scores.
    fn stack(
        &self,
        g: &mut Recorder,
        stack: &Stack,
        ids: Tensor,
        attend: impl Fn(&mut Recorder, usize, Tensor, RelativeBias) -> Tensor,
        look: impl Fn(&mut Recorder, usize, Tensor) -> Tensor,
    ) -> Tensor {
        let buckets = g.constant_u32(stack.buckets.clone(), [stack.buckets.len()]);
        let bias = RelativeBias { table: stack.bias, buckets };
        let mut h = g.embedding(&[(ids, self.shared)], self.hidden); // [M, H]
        for (i, block) in stack.blocks.iter().enumerate() {
            let y = block.norm.forward(g, h); // [M, H]
            let qkv = block.qkv.forward(g, y); // [M, 3 inner]
            let y = attend(g, i, qkv, bias); // [M, inner]
            h = block.out.add(g, y, h); // [M, H]
            if let Some(cross) = &block.cross {
                let y = cross.norm.forward(g, h); // [M, H]
                let q = cross.q.forward(g, y); // [M, inner]
                let y = look(g, i, q); // [M, inner]
                h = cross.out.add(g, y, h); // [M, H]
            }
            let y = block.feed_norm.forward(g, h); // [M, H]
            let mut up = block.feed.wi.activate(g, y, block.feed.activation); // [M, F]
            if let Some(gate) = &block.feed.gate {
                let gate = gate.forward(g, y); // [M, F]
                up = g.multiply(up, gate); // [M, F]
            }
            h = block.feed.wo.add(g, up, h); // [M, H]
            g.tap(format_args!("{}.block.{i}", stack.path), h);
        }
        h
    }
}

impl SeqNet for T5 {
    fn info(&self) -> SeqInfo {
        SeqInfo {
            vocab: self.vocab,
            encoder_decoder: true,
            positions: None,
            source_positions: None,
        }
    }

    fn cache(&self) -> (usize, usize) {
        (self.decoder.blocks.len(), 2 * self.inner)
    }

    fn encode(&self, g: &mut Recorder, x: &SourceInputs) {
        let attend = |g: &mut Recorder, _: usize, qkv: Tensor, bias| {
            g.attention_relative(qkv, x.segments, self.heads, 1.0, bias)
        };
        let h = self.stack(g, &self.encoder, x.ids, attend, |_, _, q| q); // [S, H]
        let h = self.encoder.last_norm.forward(g, h); // [S, H]
        g.tap(format_args!("encoder.final_layer_norm"), h);
        for (i, block) in self.decoder.blocks.iter().enumerate() {
            if let Some(cross) = &block.cross {
                let kv = cross.kv.forward(g, h); // [S, 2 inner]
                g.keep(&format!("cross.{i}"), kv);
            }
        }
    }

    fn decode(&self, g: &mut Recorder, x: &StepInputs) -> Tensor {
        let width = 2 * self.inner;
        let attend = |g: &mut Recorder, i: usize, qkv: Tensor, bias| {
            let cache = g.state(&format!("kv.{i}"), [1, width], DType::F32);
            g.attention_cached(qkv, [cache, x.table], x.spans, self.heads, 1.0, Some(bias))
        };
        let look = |g: &mut Recorder, i: usize, q: Tensor| {
            let cache = g.state(&format!("cross.{i}"), [1, width], DType::F32);
            g.attention_over(q, cache, x.sources.unwrap_or(x.spans), self.heads, 1.0)
        };
        self.stack(g, &self.decoder, x.ids, attend, look)
    }

    fn head(&self, g: &mut Recorder, h: Tensor) -> Tensor {
        let norm = self.decoder.last_norm;
        let h = g.rms_norm(h, norm.weight, norm.eps, self.scale); // [R, H]
        Linear::of(self.lm_head, None, self.vocab, self.hidden).forward(g, h) // [R, V]
    }
}

/// The bucket of each distance from a query to a key, from `-reach` to `reach`; beyond, every
/// distance has the bucket of the end. Small distances have one each, larger ones share them by
/// their logarithm, in f32 and in the order of `transformers`: where a logarithm falls on a whole
/// number its rounding decides.
fn bucket_table(both_ways: bool, buckets: usize, max_distance: usize) -> Vec<u32> {
    let reach = max_distance as i64;
    let buckets = if both_ways { buckets / 2 } else { buckets };
    let exact = buckets / 2;
    let of = |distance: i64| {
        let ahead = both_ways && distance > 0;
        let away = if both_ways { distance.abs() } else { (-distance).max(0) } as usize;
        let bucket = if away < exact {
            away
        } else {
            let log = (away as f32 / exact as f32).ln();
            let span = (max_distance as f64 / exact as f64).ln() as f32;
            let step = log / span * (buckets - exact) as f32;
            (exact + step as usize).min(buckets - 1)
        };
        (bucket + if ahead { buckets } else { 0 }) as u32
    };
    (-reach..=reach).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `T5Attention._relative_position_bucket` in transformers 4.57.
    #[test]
    fn buckets_are_pythons() {
        let both = bucket_table(true, 32, 128);
        let of = |d: i64| both[(d + 128) as usize];
        let want = [(0, 0), (-7, 7), (-8, 8), (-16, 10), (-32, 12), (-64, 14), (-128, 15), (1, 17)];
        want.iter().for_each(|(d, bucket)| assert_eq!(of(*d), *bucket, "{d}"));
        let back = bucket_table(false, 32, 128);
        let of = |d: i64| back[(d + 128) as usize];
        let want =
            [(5, 0), (0, 0), (-15, 15), (-16, 16), (-32, 21), (-64, 26), (-113, 31), (-128, 31)];
        want.iter().for_each(|(d, bucket)| assert_eq!(of(*d), *bucket, "{d}"));
    }
}
