//! BART (Lewis et al. 2019, arXiv:1910.13461) and what was made of it: mBART (pre-norm, scaled
//! embeddings) and MarianMT (sinusoidal positions). Names follow `transformers`'
//! `BartForConditionalGeneration`, `MBartForConditionalGeneration` and `MarianMTModel`.

use super::seq::{SeqInfo, SeqNet, SourceInputs, StepInputs};
use super::text::TextInputs;
use crate::checkpoint::{Config, Scope};
use crate::cpu::Activation;
use crate::error::Result;
use crate::layers::{activation, LayerNorm, Linear};
use crate::ops::Lookup;
use crate::plan::{Recorder, Tensor, WeightId};
use crate::preprocess::Batch;
use crate::tensor::{DType, Format, HostWeight, Matrix};
use crate::{err, Code};

pub const BASE: &str = "model";

/// Sinusoids that some MarianMT files hold, and other heads.
pub const SKIP: &[&str] =
    &["classification_head.", "qa_outputs.", "embed_positions.weight", "final_logits_bias"];

/// The members of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Bart,
    MBart,
    Marian,
}

/// Encoder and decoder, without a head.
#[derive(Debug)]
pub struct Body {
    encoder: Stack,
    decoder: Stack,
    /// `[V, H]`: words, and with a bias the head.
    pub shared: WeightId,
    /// What words are multiplied with.
    scale: f32,
    activation: Activation,
    pub hidden: usize,
    pub vocab: usize,
    pub positions: usize,
    style: Style,
}

#[derive(Debug)]
struct Stack {
    path: &'static str,
    /// `[P + 2, H]`, or `[P, H]` sinusoids
    positions: WeightId,
    /// After the embeddings.
    norm: Option<LayerNorm>,
    layers: Vec<Layer>,
    /// After the last layer.
    last_norm: Option<LayerNorm>,
    heads: usize,
}

#[derive(Debug)]
struct Layer {
    qkv: Linear, // H -> 3H
    out: Linear,
    norm: LayerNorm,
    /// The decoder's look at the encoder.
    cross: Option<Cross>,
    fc1: Linear,
    fc2: Linear,
    last_norm: LayerNorm,
}

#[derive(Debug)]
struct Cross {
    q: Linear,
    kv: Linear, // H -> 2H
    out: Linear,
    norm: LayerNorm,
}

/// torch's default, which no config of the family changes.
const EPS: f32 = 1e-5;
/// Learned position tables have two rows in front that are never read.
const OFFSET: u32 = 2;

impl Body {
    /// Declares the weights in `root`. Sinusoids get the id `own`.
    pub fn new(config: &Config, root: &Scope, style: Style) -> Result<Self> {
        let vocab = config.usize("vocab_size", None)?;
        let hidden = config.usize("d_model", Some(1024))?;
        let positions = config.usize("max_position_embeddings", Some(1024))?;
        let switches = [
            ("share_encoder_decoder_embeddings", true),
            ("tie_word_embeddings", true),
            ("is_encoder_decoder", true),
        ];
        for (name, wanted) in switches {
            if config.bool(name, Some(wanted))? != wanted {
                let error = err!(Code::Unsupported, "{name} {} in config.json", !wanted);
                return Err(error.remedy("only models with shared embeddings are implemented"));
            }
        }
        let names = ["shared", "encoder.embed_tokens", "decoder.embed_tokens"];
        let mut names: Vec<String> = names.iter().map(|n| format!("{BASE}.{n}.weight")).collect();
        names.push("lm_head.weight".into());
        let shared = root.tied(&names, vocab, hidden);
        let scope = root.pp(BASE);
        let stack = |path: &'static str, cross: bool| -> Result<Stack> {
            let s = scope.pp(path);
            let heads = config.usize(&format!("{path}_attention_heads"), Some(16))?;
            if hidden % heads != 0 {
                let error =
                    err!(Code::Config, "{heads} {path}_attention_heads and d_model {hidden}");
                return Err(error.remedy("every head needs the same whole number of channels"));
            }
            let inner = config.usize(&format!("{path}_ffn_dim"), Some(4096))?;
            let count = config.usize(&format!("{path}_layers"), Some(12))?;
            let norm = |name: &str| LayerNorm::new(&s.pp(name), hidden, EPS);
            Ok(Stack {
                path,
                positions: match style {
                    Style::Marian => WeightId(u32::MAX), // known when all others are declared
                    _ => s.exact("embed_positions.weight", positions + OFFSET as usize, hidden),
                },
                norm: (style != Style::Marian).then(|| norm("layernorm_embedding")),
                layers: (0..count)
                    .map(|i| Layer::new(&s.pp("layers").pp(i), hidden, inner, cross))
                    .collect(),
                last_norm: (style == Style::MBart).then(|| norm("layer_norm")),
                heads,
            })
        };
        let scaled = config.bool("scale_embedding", Some(false))?;
        Ok(Body {
            encoder: stack("encoder", false)?,
            decoder: stack("decoder", true)?,
            shared,
            scale: if scaled { (hidden as f32).sqrt() } else { 1.0 },
            activation: activation(config.string("activation_function", Some("gelu"))?)?,
            hidden,
            vocab,
            positions,
            style,
        })
    }

    /// Words and positions of a stack, `[M, H]`.
    fn embed(&self, g: &mut Recorder, stack: &Stack, ids: Tensor, positions: Tensor) -> Tensor {
        let offset = if self.style == Style::Marian { 0 } else { OFFSET };
        let word = Lookup { scale: self.scale, ..Lookup::new(ids, self.shared) };
        let position = Lookup { offset, ..Lookup::new(positions, stack.positions) };
        let h = g.embedding_sum(&[word, position], self.hidden); // [M, H]
        stack.norm.map_or(h, |norm| norm.forward(g, h))
    }

    /// The encoder's hidden states `[S, H]`.
    pub fn encode(&self, g: &mut Recorder, x: &SourceInputs) -> Tensor {
        let attend = |g: &mut Recorder, _: usize, qkv: Tensor, heads, scale| {
            g.attention(qkv, x.segments, heads, scale)
        };
        self.stack(g, &self.encoder, [x.ids, x.positions], attend, None)
    }

    /// The decoder's hidden states `[M, H]`: `attend` is its self-attention, `look` its attention
    /// to the encoder (layer, queries, heads, scale).
    pub fn decode(
        &self,
        g: &mut Recorder,
        ids: [Tensor; 2],
        attend: impl Fn(&mut Recorder, usize, Tensor, usize, f32) -> Tensor,
        look: &dyn Fn(&mut Recorder, usize, Tensor, usize, f32) -> Tensor,
    ) -> Tensor {
        self.stack(g, &self.decoder, ids, attend, Some(look))
    }

    /// Keys and values of layer `i`'s look at the encoder's hidden states, `[S, 2H]`.
    pub fn cross_keys(&self, g: &mut Recorder, i: usize, encoded: Tensor) -> Tensor {
        match &self.decoder.layers[i].cross {
            Some(cross) => cross.kv.forward(g, encoded),
            None => encoded, // the decoder has one in every layer
        }
    }

    /// Layers of the decoder.
    pub fn depth(&self) -> usize {
        self.decoder.layers.len()
    }

    #[allow(clippy::type_complexity)]
    fn stack(
        &self,
        g: &mut Recorder,
        stack: &Stack,
        [ids, positions]: [Tensor; 2],
        attend: impl Fn(&mut Recorder, usize, Tensor, usize, f32) -> Tensor,
        look: Option<&dyn Fn(&mut Recorder, usize, Tensor, usize, f32) -> Tensor>,
    ) -> Tensor {
        let scale = 1.0 / ((self.hidden / stack.heads) as f32).sqrt();
        // The norm stands before each part in mBART, after its residual elsewhere.
        let pre = self.style == Style::MBart;
        let before =
            |g: &mut Recorder, norm: &LayerNorm, h| if pre { norm.forward(g, h) } else { h };
        let after =
            |g: &mut Recorder, norm: &LayerNorm, h| if pre { h } else { norm.forward(g, h) };
        let mut h = self.embed(g, stack, ids, positions); // [M, H]
        for (i, layer) in stack.layers.iter().enumerate() {
            let y = before(g, &layer.norm, h); // [M, H]
            let qkv = layer.qkv.forward(g, y); // [M, 3H]
            let y = attend(g, i, qkv, stack.heads, scale); // [M, H]
            h = layer.out.add(g, y, h); // [M, H]
            h = after(g, &layer.norm, h);
            if let (Some(cross), Some(look)) = (&layer.cross, look) {
                let y = before(g, &cross.norm, h); // [M, H]
                let q = cross.q.forward(g, y); // [M, H]
                let y = look(g, i, q, stack.heads, scale); // [M, H]
                h = cross.out.add(g, y, h); // [M, H]
                h = after(g, &cross.norm, h);
            }
            let y = before(g, &layer.last_norm, h); // [M, H]
            let y = layer.fc1.activate(g, y, self.activation); // [M, F]
            h = layer.fc2.add(g, y, h); // [M, H]
            h = after(g, &layer.last_norm, h);
            g.tap(format_args!("{}.layers.{i}", stack.path), h);
        }
        stack.last_norm.map_or(h, |norm| norm.forward(g, h))
    }
}

impl Layer {
    fn new(scope: &Scope, h: usize, inner: usize, cross: bool) -> Self {
        let norm = |name: &str| LayerNorm::new(&scope.pp(name), h, EPS);
        let a = scope.pp("self_attn");
        Layer {
            qkv: Linear::stacked(&a, &["q_proj", "k_proj", "v_proj"], h, h),
            out: Linear::sensitive(&a.pp("out_proj"), h, h),
            norm: norm("self_attn_layer_norm"),
            cross: cross.then(|| {
                let a = scope.pp("encoder_attn");
                Cross {
                    q: Linear::sensitive(&a.pp("q_proj"), h, h),
                    kv: Linear::stacked(&a, &["k_proj", "v_proj"], h, h),
                    out: Linear::sensitive(&a.pp("out_proj"), h, h),
                    norm: norm("encoder_attn_layer_norm"),
                }
            }),
            fc1: Linear::new(&scope.pp("fc1"), inner, h),
            fc2: Linear::new(&scope.pp("fc2"), h, inner),
            last_norm: norm("final_layer_norm"),
        }
    }
}

/// A BART that writes.
#[derive(Debug)]
pub struct Bart {
    body: Body,
    lm_head: Linear,
}

impl Bart {
    /// Declares the weights in `root`.
    pub fn new(config: &Config, root: &Scope, style: Style) -> Result<Self> {
        let mut body = Body::new(config, root, style)?;
        let bias = root.optional_vector("final_logits_bias", body.vocab);
        let lm_head = Linear::tied(body.shared, bias, body.vocab, body.hidden);
        if style == Style::Marian {
            let own = WeightId(root.declared() as u32);
            body.encoder.positions = own;
            body.decoder.positions = own;
        }
        Ok(Bart { body, lm_head })
    }
}

impl SeqNet for Bart {
    fn info(&self) -> SeqInfo {
        SeqInfo {
            vocab: self.body.vocab,
            encoder_decoder: true,
            positions: Some(self.body.positions),
            source_positions: Some(self.body.positions),
        }
    }

    fn cache(&self) -> (usize, usize) {
        (self.body.depth(), 2 * self.body.hidden)
    }

    fn encode(&self, g: &mut Recorder, x: &SourceInputs) {
        let h = self.body.encode(g, x); // [S, H]
        for i in 0..self.body.depth() {
            let kv = self.body.cross_keys(g, i, h); // [S, 2H]
            g.keep(&format!("cross.{i}"), kv);
        }
    }

    fn decode(&self, g: &mut Recorder, x: &StepInputs) -> Tensor {
        let width = 2 * self.body.hidden;
        let attend = |g: &mut Recorder, i: usize, qkv: Tensor, heads, scale| {
            let cache = g.state(&format!("kv.{i}"), [1, width], DType::F32);
            g.attention_cached(qkv, [cache, x.table], x.spans, heads, scale, None)
        };
        let look = |g: &mut Recorder, i: usize, q: Tensor, heads, scale| {
            let cache = g.state(&format!("cross.{i}"), [1, width], DType::F32);
            g.attention_over(q, cache, x.sources.unwrap_or(x.spans), heads, scale)
        };
        self.body.decode(g, [x.ids, x.positions], attend, &look)
    }

    fn head(&self, g: &mut Recorder, h: Tensor) -> Tensor {
        self.lm_head.forward(g, h) // [R, V]
    }

    fn own_weights(&self) -> Vec<HostWeight> {
        match self.body.style {
            Style::Marian => vec![sinusoids(self.body.positions, self.body.hidden)],
            _ => Vec::new(),
        }
    }
}

/// A BART that judges (bart-large-mnli): it reads the text once more, shifted by one, and a
/// classifier looks at the last end of text.
#[derive(Debug)]
pub struct BartClassifier {
    body: Body,
    dense: Linear,
    out_proj: Linear,
    /// What the decoder reads first.
    start: u32,
    eos: u32,
}

impl BartClassifier {
    /// Declares the weights in `root`.
    pub fn new(config: &Config, root: &Scope) -> Result<Self> {
        let body = Body::new(config, root, Style::Bart)?;
        let (hidden, labels) = (body.hidden, config.labels()?.len());
        let head = root.pp("classification_head");
        let id = |name: &str| -> Result<u32> {
            let id = config.get(name).and_then(serde_json::Value::as_u64).unwrap_or(2);
            u32::try_from(id).map_err(|_| err!(Code::Config, "{name} {id} in config.json"))
        };
        Ok(BartClassifier {
            body,
            dense: Linear::new(&head.pp("dense"), hidden, hidden),
            out_proj: Linear::exact(&head.pp("out_proj"), labels, hidden),
            start: id("decoder_start_token_id")?,
            eos: id("eos_token_id")?,
        })
    }

    pub fn hidden(&self) -> usize {
        self.body.hidden
    }

    /// What the decoder reads of a batch, `[M]`: each text shifted by one.
    pub fn shifted(&self, batch: &Batch) -> Vec<u32> {
        let positions = batch.positions.iter().enumerate();
        positions.map(|(i, p)| if *p == 0 { self.start } else { batch.ids[i - 1] }).collect()
    }

    /// The rows that the classifier looks at, `[R]`: the last end of text of each sequence.
    pub fn ends(&self, batch: &Batch) -> Vec<u32> {
        let mut rows: Vec<u32> = batch
            .bounds
            .chunks_exact(2)
            .map(|b| {
                let ids = &batch.ids[b[0] as usize..b[1] as usize];
                let end = ids.iter().rposition(|id| *id == self.eos);
                b[0] + end.unwrap_or(ids.len().saturating_sub(1)) as u32
            })
            .collect();
        rows.resize(batch.rows.len(), 0);
        rows
    }

    /// `[R, L]`; x.rows are [`BartClassifier::ends`], `shifted` those of the same batch.
    pub fn forward(&self, g: &mut Recorder, x: &TextInputs, shifted: Tensor) -> Tensor {
        let source = SourceInputs { ids: x.ids, positions: x.positions, segments: x.segments };
        let encoded = self.body.encode(g, &source); // [M, H]
        let attend = |g: &mut Recorder, _: usize, qkv: Tensor, heads, scale| {
            g.attention_causal(qkv, x.segments, heads, scale)
        };
        let look = |g: &mut Recorder, i: usize, q: Tensor, heads, scale| {
            let kv = self.body.cross_keys(g, i, encoded); // [M, 2H]
            g.attention_over(q, kv, x.segments, heads, scale)
        };
        let h = self.body.decode(g, [shifted, x.positions], attend, &look); // [M, H]
        let h = g.gather_rows(h, x.rows); // [R, H]
        let h = self.dense.activate(g, h, Activation::Tanh); // [R, H]
        self.out_proj.forward(g, h) // [R, L]
    }
}

/// `[P, H]`: the sines of all frequencies, then the cosines (the paper interleaves them).
fn sinusoids(positions: usize, h: usize) -> HostWeight {
    let mut table = Matrix::zeros(Format::F32, positions, h);
    let half = h.div_ceil(2);
    let mut row = vec![0.0; h];
    for p in 0..positions {
        for (j, to) in row.iter_mut().enumerate() {
            let i = if j < half { j } else { j - half };
            let angle = p as f64 / 10000f64.powf(2.0 * i as f64 / h as f64);
            *to = if j < half { angle.sin() } else { angle.cos() } as f32;
        }
        table.set_rows(p, &row);
    }
    HostWeight::Matrix(table)
}
