//! DistilBERT (Sanh et al. 2019, arXiv:1910.01108): BERT at half the depth, without token types
//! or pooler. Names follow `transformers`' `DistilBertModel` and its heads.

use super::text::{Head, TextInputs};
use crate::checkpoint::{Config, Scope};
use crate::cpu::Activation;
use crate::error::Result;
use crate::layers::{activation, LayerNorm, Linear, PostNormLayer, PostNormNames, PostNormSizes};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

pub const BASE: &str = "distilbert";

/// Other heads of the family, and buffers.
pub const SKIP: &[&str] = &[
    "vocab_transform.",
    "vocab_layer_norm.",
    "vocab_projector.",
    "pre_classifier.",
    "classifier.",
    "qa_outputs.",
    "embeddings.position_ids",
];

/// `DistilBertModel` fixes this in code, not in its config.
const EPS: f32 = 1e-12;

const LAYER: PostNormNames = PostNormNames {
    qkv: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    out: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    output_norm: "output_layer_norm",
    tap_context: None,
    tap_attention: "sa_layer_norm",
};

#[derive(Debug)]
pub struct DistilBert {
    word: WeightId,     // [V, H]
    position: WeightId, // [P, H]
    norm: LayerNorm,
    hidden: usize,
    layers: Vec<PostNormLayer>,
    head: DistilBertHead,
}

#[derive(Debug)]
enum DistilBertHead {
    /// The bare encoder: hidden states `[M, H]`.
    Encoder,
    /// ReLU projection and classifier on [CLS]: `[B, L]`.
    Sequence { pre_classifier: Linear, classifier: Linear },
    /// A classifier on every token: `[M, L]`.
    Tokens { classifier: Linear },
    /// Vocabulary logits of the rows asked for: `[R, V]`.
    Masked { transform: Linear, activation: Activation, norm: LayerNorm, projector: Linear },
}

impl DistilBert {
    /// Declares the weights of a DistilBERT with `head` in `root`.
    pub fn new(config: &Config, root: &Scope, head: Head) -> Result<Self> {
        let hidden = config.usize("dim", Some(768))?;
        let vocab = config.usize("vocab_size", Some(30522))?;
        let activation = activation(config.string("activation", Some("gelu"))?)?;
        let sizes = PostNormSizes {
            hidden,
            heads: config.usize("n_heads", Some(12))?,
            intermediate: config.usize("hidden_dim", Some(3072))?,
            activation,
            eps: EPS,
        };

        let scope = root.pp(BASE);
        let e = scope.pp("embeddings");
        let word = e.sensitive("word_embeddings.weight", vocab, hidden);
        let positions = config.usize("max_position_embeddings", Some(512))?;
        let position = e.exact("position_embeddings.weight", positions, hidden);
        let norm = LayerNorm::new(&e.pp("LayerNorm"), hidden, EPS);
        let layers = (0..config.usize("n_layers", Some(6))?)
            .map(|i| PostNormLayer::new(&scope.pp("transformer.layer").pp(i), &LAYER, sizes))
            .collect();

        let labels = config.labels()?.len();
        let tokens = |name: &str, labels| DistilBertHead::Tokens {
            classifier: Linear::exact(&root.pp(name), labels, hidden),
        };
        let head = match head {
            Head::Encoder => DistilBertHead::Encoder,
            Head::Sequence => DistilBertHead::Sequence {
                pre_classifier: Linear::new(&root.pp("pre_classifier"), hidden, hidden),
                classifier: Linear::exact(&root.pp("classifier"), labels, hidden),
            },
            Head::Token => tokens("classifier", labels),
            Head::Question => tokens("qa_outputs", 2),
            Head::NextSentence => {
                let error = err!(Code::Unsupported, "DistilBERT has no next-sentence head");
                return Err(error.remedy("use a BERT checkpoint with cls.seq_relationship"));
            }
            Head::Masked => {
                let weight = if config.bool("tie_word_embeddings", Some(true))? {
                    word
                } else {
                    root.sensitive("vocab_projector.weight", vocab, hidden)
                };
                let bias = root.vector("vocab_projector.bias", vocab);
                DistilBertHead::Masked {
                    transform: Linear::new(&root.pp("vocab_transform"), hidden, hidden),
                    activation,
                    norm: LayerNorm::new(&root.pp("vocab_layer_norm"), hidden, EPS),
                    projector: Linear::tied(weight, bias, vocab, hidden),
                }
            }
        };
        Ok(DistilBert { word, position, norm, hidden, layers, head })
    }

    /// H
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// The head's output for a ragged batch.
    pub fn forward(&self, g: &mut Recorder, x: &TextInputs) -> Tensor {
        let tables = [(x.ids, self.word), (x.positions, self.position)];
        let h = g.embedding(&tables, self.hidden); // [M, H]
        let mut h = self.norm.forward(g, h); // [M, H]
        g.tap(format_args!("embeddings"), h);
        for (i, layer) in self.layers.iter().enumerate() {
            h = layer.forward(g, h, x.segments, &format!("transformer.layer.{i}"));
            // [M, H]
        }
        match &self.head {
            DistilBertHead::Encoder => x.pool(g, h),
            DistilBertHead::Tokens { classifier } => classifier.forward(g, h), // [M, L]
            DistilBertHead::Sequence { pre_classifier, classifier } => {
                let cls = g.gather_rows(h, x.rows); // [B, H]
                let cls = pre_classifier.activate(g, cls, Activation::Relu); // [B, H]
                classifier.forward(g, cls) // [B, L]
            }
            DistilBertHead::Masked { transform, activation, norm, projector } => {
                let rows = g.gather_rows(h, x.rows); // [R, H]
                let rows = transform.activate(g, rows, *activation); // [R, H]
                let rows = norm.forward(g, rows); // [R, H]
                projector.forward(g, rows) // [R, V]
            }
        }
    }
}
