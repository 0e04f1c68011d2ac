//! BERT (Devlin et al. 2018, arXiv:1810.04805): a bidirectional post-norm encoder with learned
//! positions. Names follow `transformers`' `BertModel` and its heads.

use super::text::{Head, TextInputs};
use crate::checkpoint::{Config, Scope};
use crate::cpu::Activation;
use crate::error::Result;
use crate::layers::{activation, LayerNorm, Linear, PostNormLayer, PostNormNames, PostNormSizes};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

pub const BASE: &str = "bert";

/// Other heads of the family (pre-training, classification, question answering) and buffers.
pub const SKIP: &[&str] =
    &["pooler.", "cls.", "classifier.", "qa_outputs.", "embeddings.position_ids"];

const LAYER: PostNormNames = PostNormNames {
    qkv: ["attention.self.query", "attention.self.key", "attention.self.value"],
    out: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    output_norm: "output.LayerNorm",
    tap_context: Some("attention.self"),
    tap_attention: "attention.output",
};

#[derive(Debug)]
pub struct Bert {
    embeddings: Embeddings,
    layers: Vec<PostNormLayer>,
    head: BertHead,
}

#[derive(Debug)]
struct Embeddings {
    word: WeightId,       // [V, H]
    position: WeightId,   // [P, H]
    token_type: WeightId, // [T, H]
    norm: LayerNorm,
    hidden: usize,
}

#[derive(Debug)]
enum BertHead {
    /// The bare encoder: hidden states `[M, H]`.
    Encoder,
    /// Pooler and classifier on [CLS]: `[B, L]` (next-sentence prediction is one of these).
    Pooled { pooler: Linear, classifier: Linear },
    /// A classifier on every token: `[M, L]`.
    Tokens { classifier: Linear },
    /// Vocabulary logits of the rows asked for: `[R, V]`.
    Masked { transform: Linear, activation: Activation, norm: LayerNorm, decoder: Linear },
}

impl Bert {
    /// Declares the weights of a BERT with `head` in `root`.
    pub fn new(config: &Config, root: &Scope, head: Head) -> Result<Self> {
        let hidden = config.usize("hidden_size", Some(768))?;
        let vocab = config.usize("vocab_size", Some(30522))?;
        let eps = config.f32("layer_norm_eps", Some(1e-12))?;
        let activation = activation(config.string("hidden_act", Some("gelu"))?)?;
        let positions = config.string("position_embedding_type", Some("absolute"))?;
        if positions != "absolute" {
            let error = err!(Code::Unsupported, "BERT with position_embedding_type {positions:?}");
            return Err(error.remedy("only \"absolute\" positions are implemented"));
        }
        let sizes = PostNormSizes {
            hidden,
            heads: config.usize("num_attention_heads", Some(12))?,
            intermediate: config.usize("intermediate_size", Some(3072))?,
            activation,
            eps,
        };

        let scope = root.pp(BASE);
        let e = scope.pp("embeddings");
        let embeddings = Embeddings {
            word: e.sensitive("word_embeddings.weight", vocab, hidden),
            position: e.exact(
                "position_embeddings.weight",
                config.usize("max_position_embeddings", Some(512))?,
                hidden,
            ),
            token_type: e.exact(
                "token_type_embeddings.weight",
                config.usize("type_vocab_size", Some(2))?,
                hidden,
            ),
            norm: LayerNorm::new(&e.pp("LayerNorm"), hidden, eps),
            hidden,
        };
        let layers = (0..config.usize("num_hidden_layers", Some(12))?)
            .map(|i| PostNormLayer::new(&scope.pp("encoder.layer").pp(i), &LAYER, sizes))
            .collect();

        let labels = config.labels()?.len();
        let pooled = |classifier: &Scope, labels| BertHead::Pooled {
            pooler: Linear::new(&scope.pp("pooler.dense"), hidden, hidden),
            classifier: Linear::exact(classifier, labels, hidden),
        };
        let head = match head {
            Head::Encoder => BertHead::Encoder,
            Head::Sequence => pooled(&root.pp("classifier"), labels),
            Head::NextSentence => pooled(&root.pp("cls.seq_relationship"), 2),
            Head::Token => BertHead::Tokens {
                classifier: Linear::exact(&root.pp("classifier"), labels, hidden),
            },
            Head::Question => {
                BertHead::Tokens { classifier: Linear::exact(&root.pp("qa_outputs"), 2, hidden) }
            }
            Head::Masked => {
                let scope = root.pp("cls.predictions");
                let weight = if config.bool("tie_word_embeddings", Some(true))? {
                    embeddings.word
                } else {
                    scope.sensitive("decoder.weight", vocab, hidden)
                };
                BertHead::Masked {
                    transform: Linear::new(&scope.pp("transform.dense"), hidden, hidden),
                    activation,
                    norm: LayerNorm::new(&scope.pp("transform.LayerNorm"), hidden, eps),
                    decoder: Linear::tied(weight, scope.vector("bias", vocab), vocab, hidden),
                }
            }
        };
        Ok(Bert { embeddings, layers, head })
    }

    /// H
    pub fn hidden(&self) -> usize {
        self.embeddings.hidden
    }

    /// The head's output for a ragged batch.
    pub fn forward(&self, g: &mut Recorder, x: &TextInputs) -> Tensor {
        let e = &self.embeddings;
        let tables = [(x.ids, e.word), (x.positions, e.position), (x.type_ids, e.token_type)];
        let h = g.embedding(&tables, e.hidden); // [M, H]
        let mut h = e.norm.forward(g, h); // [M, H]
        g.tap(format_args!("embeddings"), h);
        for (i, layer) in self.layers.iter().enumerate() {
            h = layer.forward(g, h, x.segments, &format!("encoder.layer.{i}")); // [M, H]
        }
        match &self.head {
            BertHead::Encoder => x.pool(g, h),
            BertHead::Tokens { classifier } => classifier.forward(g, h), // [M, L]
            BertHead::Pooled { pooler, classifier } => {
                let cls = g.gather_rows(h, x.rows); // [B, H]
                let pooled = pooler.activate(g, cls, Activation::Tanh); // [B, H]
                g.tap(format_args!("pooler"), pooled);
                classifier.forward(g, pooled) // [B, L]
            }
            BertHead::Masked { transform, activation, norm, decoder } => {
                let rows = g.gather_rows(h, x.rows); // [R, H]
                let rows = transform.activate(g, rows, *activation); // [R, H]
                let rows = norm.forward(g, rows); // [R, H]
                decoder.forward(g, rows) // [R, V]
            }
        }
    }
}
