//! ViT (Dosovitskiy et al. 2020, arXiv:2010.11929) and DeiT (Touvron et al. 2020,
//! arXiv:2012.12877), which has a second token that learned from a teacher. Names follow
//! `transformers`' `ViTModel`, `DeiTModel` and their heads.

use super::vision::{VisionHead, VisionInputs, VisionOutput};
use crate::checkpoint::{Config, Scope};
use crate::cpu::{Activation, Window};
use crate::error::Result;
use crate::layers::{activation, Conv2d, LayerNorm, Linear};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

/// Other heads of the family (masked image modelling, pooling), and its mask token.
pub const SKIP: &[&str] = &[
    "pooler.",
    "classifier.",
    "cls_classifier.",
    "distillation_classifier.",
    "decoder.",
    "embeddings.mask_token",
];

#[derive(Debug)]
pub struct Vit {
    /// `[H, patch, patch, C]`
    projection: Conv2d,
    /// `[H]`: the class token, and DeiT's distillation token.
    tokens: Vec<WeightId>,
    /// `[T + N, H]`
    positions: WeightId,
    /// T + N
    places: usize,
    image: [usize; 2],
    layers: Vec<Layer>,
    norm: LayerNorm,
    head: Head,
}

#[derive(Debug)]
enum Head {
    /// Hidden states `[B, T + N, H]`.
    Encoder,
    /// A classifier per token that has one; the answer is their mean.
    Classifiers(Vec<Linear>),
}

#[derive(Debug)]
struct Layer {
    before: LayerNorm,
    qkv: Linear,
    out: Linear,
    after: LayerNorm,
    up: Linear,
    down: Linear,
    heads: usize,
    hidden: usize,
    activation: Activation,
}

/// A size that is one number or a pair `[height, width]`.
pub fn pair(config: &Config, name: &str, default: usize) -> Result<[usize; 2]> {
    let Some(list) = config.get(name).and_then(|v| v.as_array()) else {
        return Ok([config.usize(name, Some(default))?; 2]);
    };
    let side = |i: usize| {
        let side = list.get(i).and_then(|v| v.as_u64()).filter(|v| (1..=1 << 16).contains(v));
        side.map(|v| v as usize).ok_or_else(|| {
            err!(Code::Config, "{name:?} in config.json is {list:?}, it must be one or two sizes")
                .remedy("the file is damaged or was edited")
        })
    };
    Ok([side(0)?, side(1.min(list.len().saturating_sub(1)))?])
}

impl Vit {
    /// Declares the weights of a ViT (`distilled` false) or a DeiT with `head` in `root`.
    pub fn new(config: &Config, root: &Scope, head: VisionHead) -> Result<Self> {
        let distilled = config.model_type()? == "deit";
        let base = if distilled { "deit" } else { "vit" };
        let hidden = config.usize("hidden_size", Some(768))?;
        let image = pair(config, "image_size", 224)?;
        let patch = pair(config, "patch_size", 16)?;
        let colours = config.usize("num_channels", Some(3))?;
        let eps = config.f32("layer_norm_eps", Some(1e-12))?;

        let scope = root.pp(base);
        let e = scope.pp("embeddings");
        let window =
            Window { kernel: patch, stride: patch, padding: [[0; 2]; 2], dilation: [1; 2] };
        let projection =
            Conv2d::new(&e.pp("patch_embeddings.projection"), [hidden, colours], window);
        let names: &[&str] =
            if distilled { &["cls_token", "distillation_token"] } else { &["cls_token"] };
        let tokens: Vec<_> = names.iter().map(|name| e.vector(name, hidden)).collect();
        let places = tokens.len() + (image[0] / patch[0]) * (image[1] / patch[1]);
        let positions = e.exact("position_embeddings", places, hidden);
        let layers = (0..config.usize("num_hidden_layers", Some(12))?)
            .map(|i| Layer::new(config, &scope.pp("encoder.layer").pp(i), hidden, eps))
            .collect::<Result<_>>()?;
        let norm = LayerNorm::new(&scope.pp("layernorm"), hidden, eps);

        let labels = config.labels()?.len();
        let classifiers = |names: &[&str]| {
            let classifier = |name: &&str| Linear::exact(&root.pp(name), labels, hidden);
            Head::Classifiers(names.iter().map(classifier).collect())
        };
        let taught =
            config.architecture().is_some_and(|a| a == "DeiTForImageClassificationWithTeacher");
        let head = match head {
            VisionHead::Encoder => Head::Encoder,
            VisionHead::Classification if taught => {
                classifiers(&["cls_classifier", "distillation_classifier"])
            }
            VisionHead::Classification => classifiers(&["classifier"]),
            other => {
                let error = err!(Code::Unsupported, "{base} has no head for {other:?}");
                return Err(error.remedy("ViT and DeiT classify images"));
            }
        };
        Ok(Vit { projection, tokens, positions, places, image, layers, norm, head })
    }

    /// The head's output for B images.
    pub fn forward(&self, g: &mut Recorder, x: &VisionInputs) -> VisionOutput {
        let b = x.pixels.shape.dims()[0];
        g.check(x.pixels.shape.dims()[1..3] == self.image, || {
            format!("pixels {}, the model has positions for {:?}", x.pixels.shape, self.image)
        });
        let h = self.projection.forward(g, x.pixels); // [B, h, w, H]
        let h = g.class_tokens(h, &self.tokens, self.positions, self.places); // [B, P, H]
        g.tap(format_args!("embeddings"), h);
        let ends = |i: usize| [i / self.places * self.places, (i / self.places + 1) * self.places];
        let rows = b * self.places;
        let segments = (0..rows).flat_map(ends).map(|i| i as u32).collect();
        let segments = g.constant_u32(segments, [rows, 2]);
        let mut h = h;
        for (i, layer) in self.layers.iter().enumerate() {
            h = layer.forward(g, h, segments); // [B, P, H]
            g.tap(format_args!("encoder.layer.{i}"), h);
        }
        let classifiers = match &self.head {
            Head::Encoder => {
                let states = self.norm.forward(g, h); // [B, P, H]
                g.tap(format_args!("layernorm"), states);
                return VisionOutput::Hidden { states, pooled: None };
            }
            Head::Classifiers(classifiers) => classifiers,
        };
        let mut logits: Option<Tensor> = None;
        for (t, classifier) in classifiers.iter().enumerate() {
            // norms are per row: only the token's own is needed
            let rows = (0..b).map(|i| (i * self.places + t) as u32).collect();
            let rows = g.constant_u32(rows, [b]);
            let token = g.gather_rows(h, rows); // [B, H]
            let token = self.norm.forward(g, token); // [B, H]
            let own = classifier.forward(g, token); // [B, L]
            logits = Some(match logits {
                Some(other) => g.average(other, own),
                None => own,
            });
        }
        VisionOutput::Logits(logits.unwrap_or(h))
    }
}

impl Layer {
    fn new(config: &Config, scope: &Scope, hidden: usize, eps: f32) -> Result<Self> {
        let inner = config.usize("intermediate_size", Some(4 * hidden))?;
        let attention = scope.pp("attention");
        let names = ["query", "key", "value"];
        let qkv = attention.pp("attention");
        Ok(Layer {
            before: LayerNorm::new(&scope.pp("layernorm_before"), hidden, eps),
            qkv: if config.bool("qkv_bias", Some(true))? {
                Linear::stacked(&qkv, &names, hidden, hidden)
            } else {
                Linear::stacked_unbiased(&qkv, &names, hidden, hidden)
            },
            out: Linear::sensitive(&attention.pp("output.dense"), hidden, hidden),
            after: LayerNorm::new(&scope.pp("layernorm_after"), hidden, eps),
            up: Linear::new(&scope.pp("intermediate.dense"), inner, hidden),
            down: Linear::new(&scope.pp("output.dense"), hidden, inner),
            heads: config.usize("num_attention_heads", Some(12))?,
            hidden,
            activation: activation(config.string("hidden_act", Some("gelu"))?)?,
        })
    }

    /// x `[B, P, H]`, segments `[B * P, 2]` -> `[B, P, H]`.
    fn forward(&self, g: &mut Recorder, x: Tensor, segments: Tensor) -> Tensor {
        let scale = 1.0 / ((self.hidden / self.heads) as f32).sqrt();
        let h = self.before.forward(g, x); // [B, P, H]
        let qkv = self.qkv.forward(g, h); // [B, P, 3H]
        let context = g.attention(qkv, segments, self.heads, scale); // [B * P, H]
        let x = self.out.add(g, context, x); // [B * P, H]
        let h = self.after.forward(g, x); // [B * P, H]
        let h = self.up.activate(g, h, self.activation); // [B * P, F]
        self.down.add(g, h, x) // [B * P, H]
    }
}
