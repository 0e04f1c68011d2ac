//! GPT-2 (Radford et al. 2019): a causal pre-norm decoder with learned positions and a head tied
//! to the word embeddings. Names follow `transformers`' `GPT2LMHeadModel`; DistilGPT-2 is one.

use super::seq::{SeqInfo, SeqNet, StepInputs};
use crate::checkpoint::{Config, Scope};
use crate::cpu::Activation;
use crate::error::Result;
use crate::layers::{activation, LayerNorm, Linear};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::tensor::DType;
use crate::{err, Code};

pub const BASE: &str = "transformer";

/// The causal masks that old checkpoints hold, and other heads.
pub const SKIP: &[&str] =
    &["attn.bias", "attn.masked_bias", "score.", "classifier.", "multiple_choice_head."];

#[derive(Debug)]
pub struct Gpt2 {
    wte: WeightId, // [V, H]
    wpe: WeightId, // [P, H]
    blocks: Vec<Block>,
    ln_f: LayerNorm,
    lm_head: WeightId, // [V, H]
    activation: Activation,
    vocab: usize,
    positions: usize,
    hidden: usize,
    heads: usize,
}

#[derive(Debug)]
struct Block {
    ln_1: LayerNorm,
    c_attn: Linear, // H -> 3H
    attn_proj: Linear,
    ln_2: LayerNorm,
    c_fc: Linear, // H -> F
    c_proj: Linear,
    /// What the scores are multiplied with.
    scale: f32,
}

impl Gpt2 {
    /// Declares the weights in `root`.
    pub fn new(config: &Config, root: &Scope) -> Result<Self> {
        if config.bool("add_cross_attention", Some(false))? {
            let error = err!(Code::Unsupported, "GPT-2 with add_cross_attention");
            return Err(error.remedy("only GPT-2 that writes on its own is implemented"));
        }
        let vocab = config.usize("vocab_size", Some(50257))?;
        let positions = config.usize("n_positions", Some(1024))?;
        let hidden = config.usize("n_embd", Some(768))?;
        let heads = config.usize("n_head", Some(12))?;
        let inner = config.usize("n_inner", Some(4 * hidden))?;
        let eps = config.f32("layer_norm_epsilon", Some(1e-5))?;
        let scaled = config.bool("scale_attn_weights", Some(true))?;
        let by_layer = config.bool("scale_attn_by_inverse_layer_idx", Some(false))?;
        let by_width = if scaled { 1.0 / ((hidden / heads) as f32).sqrt() } else { 1.0 };

        let scope = root.pp(BASE);
        let (wte, lm_head) = if config.bool("tie_word_embeddings", Some(true))? {
            let names = ["transformer.wte.weight", "lm_head.weight"];
            let table = root.tied(&names, vocab, hidden);
            (table, table)
        } else {
            let wte = scope.sensitive("wte.weight", vocab, hidden);
            (wte, root.sensitive("lm_head.weight", vocab, hidden))
        };
        // `Conv1D` weights are `[K, N]` in the file.
        let linear = |scope: Scope, n: usize, k: usize, sensitive: bool| {
            let weight = match sensitive {
                true => scope.transposed_sensitive("weight", n, k),
                false => scope.transposed("weight", n, k),
            };
            Linear::of(weight, Some(scope.vector("bias", n)), n, k)
        };
        let block = |i: usize| {
            let scope = scope.pp("h").pp(i);
            Block {
                ln_1: LayerNorm::new(&scope.pp("ln_1"), hidden, eps),
                c_attn: linear(scope.pp("attn.c_attn"), 3 * hidden, hidden, true),
                attn_proj: linear(scope.pp("attn.c_proj"), hidden, hidden, true),
                ln_2: LayerNorm::new(&scope.pp("ln_2"), hidden, eps),
                c_fc: linear(scope.pp("mlp.c_fc"), inner, hidden, false),
                c_proj: linear(scope.pp("mlp.c_proj"), hidden, inner, false),
                scale: by_width / if by_layer { (i + 1) as f32 } else { 1.0 },
            }
        };
        Ok(Gpt2 {
            wte,
            wpe: scope.exact("wpe.weight", positions, hidden),
            blocks: (0..config.usize("n_layer", Some(12))?).map(block).collect(),
            ln_f: LayerNorm::new(&scope.pp("ln_f"), hidden, eps),
            lm_head,
            activation: activation(config.string("activation_function", Some("gelu_new"))?)?,
            vocab,
            positions,
            hidden,
            heads,
        })
    }
}

impl SeqNet for Gpt2 {
    fn info(&self) -> SeqInfo {
        SeqInfo {
            vocab: self.vocab,
            encoder_decoder: false,
            positions: Some(self.positions),
            source_positions: None,
        }
    }

    fn cache(&self) -> (usize, usize) {
        (self.blocks.len(), 2 * self.hidden)
    }

    /// Seven steps a block.
    fn decode(&self, g: &mut Recorder, x: &StepInputs) -> Tensor {
        let tables = [(x.ids, self.wte), (x.positions, self.wpe)];
        let mut h = g.embedding(&tables, self.hidden); // [M, H]
        g.tap(format_args!("drop"), h);
        for (i, block) in self.blocks.iter().enumerate() {
            let y = block.ln_1.forward(g, h); // [M, H]
            let qkv = block.c_attn.forward(g, y); // [M, 3H]
            let cache = g.state(&format!("kv.{i}"), [1, 2 * self.hidden], DType::F32);
            let cache = [cache, x.table];
            let y = g.attention_cached(qkv, cache, x.spans, self.heads, block.scale, None); // [M, H]
            h = block.attn_proj.add(g, y, h); // [M, H]
            let y = block.ln_2.forward(g, h); // [M, H]
            let y = block.c_fc.activate(g, y, self.activation); // [M, F]
            h = block.c_proj.add(g, y, h); // [M, H]
            g.tap(format_args!("h.{i}"), h);
        }
        h
    }

    fn head(&self, g: &mut Recorder, h: Tensor) -> Tensor {
        let h = self.ln_f.forward(g, h); // [R, H]
        g.tap(format_args!("ln_f"), h);
        Linear::of(self.lm_head, None, self.vocab, self.hidden).forward(g, h) // [R, V]
    }
}
