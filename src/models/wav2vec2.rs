//! Wav2Vec2 (Baevski et al. 2020, arXiv:2006.11477) and HuBERT (Hsu et al. 2021,
//! arXiv:2106.07447): convolutions over the waveform, a convolution for positions, a transformer.
//! Names follow `transformers`' `Wav2Vec2Model` and its heads.
//!
//! Two styles are published, by two switches of the config. The base models have a group norm
//! after the first convolution and post-norm layers; the large ones (lv60, xlsr) a layer norm
//! after every convolution and pre-norm layers (`do_stable_layer_norm`).

use std::ops::Range;

use serde_json::Value;

use super::audio::{AudioHead, AudioInputs, Part};
use crate::checkpoint::{Config, Scope};
use crate::cpu::{Activation, TimeWindows};
use crate::error::Result;
use crate::layers::{
    activation, LayerNorm, Linear, PostNormLayer, PostNormNames, PostNormSizes, PreNormLayer,
};
use crate::ops::{Affine, GroupNormWeights, LinearOptions};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

pub const WAV2VEC2: &str = "wav2vec2";
pub const HUBERT: &str = "hubert";

/// Other heads of the family, and what only training uses.
pub const SKIP: &[&str] = &[
    "masked_spec_embed",
    "quantizer.",
    "project_q.",
    "project_hid.",
    "lm_head.",
    "projector.",
    "classifier.",
    "layer_weights",
];

const LAYER: PostNormNames = PostNormNames {
    qkv: ["attention.q_proj", "attention.k_proj", "attention.v_proj"],
    out: "attention.out_proj",
    attention_norm: "layer_norm",
    up: "feed_forward.intermediate_dense",
    down: "feed_forward.output_dense",
    output_norm: "final_layer_norm",
    tap_context: None,
    tap_attention: "layer_norm",
};

/// `nn.LayerNorm` and `nn.GroupNorm` of the convolutions: fixed in code, not in the config.
const CONV_EPS: f32 = 1e-5;

#[derive(Debug)]
pub struct Wav2Vec2 {
    convs: Vec<Conv>,
    /// What the convolutions and the positions end in.
    activation: Activation,
    projection: Projection,
    positions: Positions,
    /// After the positions in the base style, after the last layer in the large one.
    norm: LayerNorm,
    layers: Layers,
    head: Wav2Vec2Head,
    codebooks: usize,
}

/// A convolution of the feature extractor: `[T, I]` -> `[T', O]`, no padding.
#[derive(Debug)]
struct Conv {
    weight: WeightId, // [O, K * I]
    bias: Option<WeightId>,
    norm: ConvNorm,
    channels: usize,
    kernel: usize,
    stride: usize,
}

#[derive(Debug)]
enum ConvNorm {
    None,
    /// Over all of time, one channel per group.
    Group(GroupNormWeights),
    /// Over channels.
    Layer(LayerNorm),
}

#[derive(Debug)]
struct Projection {
    norm: Option<LayerNorm>,
    linear: Linear,
}

#[derive(Debug)]
struct Positions {
    weight: WeightId, // [H, K * H / groups]
    bias: WeightId,
    hidden: usize,
    windows: TimeWindows,
}

#[derive(Debug)]
enum Layers {
    PostNorm(Vec<PostNormLayer>),
    PreNorm(Vec<PreNormLayer>),
}

#[derive(Debug)]
enum Wav2Vec2Head {
    /// The bare encoder: hidden states `[F, H]`.
    Encoder,
    /// A classifier on every frame `[F, L]`: characters or labels.
    Frames { classifier: Linear, weights: Option<WeightId> },
    /// The mean over frames of a projection, then a classifier: `[1, L]`.
    Sequence { projector: Linear, classifier: Linear, weights: Option<WeightId> },
    /// Logits of the quantizer's codewords `[F, G * V]`, from the features before the encoder.
    Quantizer(Linear),
}

impl Wav2Vec2 {
    /// Declares the weights of a model of `family` with `head` in `root`.
    pub fn new(
        config: &Config,
        root: &Scope,
        family: &'static str,
        head: AudioHead,
    ) -> Result<Self> {
        for (name, what) in [
            ("add_adapter", "an adapter network"),
            ("conv_pos_batch_norm", "a batch norm before its positions"),
        ] {
            if config.bool(name, Some(false))? {
                return Err(err!(Code::Unsupported, "{family} with {what} ({name})"));
            }
        }
        if config.get("adapter_attn_dim").is_some_and(|v| !v.is_null()) {
            let error = err!(Code::Unsupported, "{family} with language adapters (MMS)");
            return Err(error.remedy("use a model without adapter_attn_dim in its config.json"));
        }
        let hidden = config.usize("hidden_size", Some(768))?;
        let eps = config.f32("layer_norm_eps", Some(1e-5))?;
        let sizes = PostNormSizes {
            hidden,
            heads: config.usize("num_attention_heads", Some(12))?,
            intermediate: config.usize("intermediate_size", Some(3072))?,
            activation: activation(config.string("hidden_act", Some("gelu"))?)?,
            eps,
        };
        let scope = root.pp(family);
        let convs = convs(config, &scope.pp("feature_extractor.conv_layers"))?;
        let features = convs.last().map_or(1, |c| c.channels);

        let p = scope.pp("feature_projection");
        let has_norm = family != HUBERT || config.bool("feat_proj_layer_norm", Some(true))?;
        let projection = Projection {
            norm: has_norm.then(|| LayerNorm::new(&p.pp("layer_norm"), features, eps)),
            linear: Linear::sensitive(&p.pp("projection"), hidden, features),
        };

        let encoder = scope.pp("encoder");
        let positions = Positions::new(config, &encoder.pp("pos_conv_embed.conv"), hidden)?;
        let norm = LayerNorm::new(&encoder.pp("layer_norm"), hidden, eps);
        let count = config.usize("num_hidden_layers", Some(12))?;
        let scopes = (0..count).map(|i| encoder.pp("layers").pp(i));
        let layers = if config.bool("do_stable_layer_norm", Some(false))? {
            Layers::PreNorm(scopes.map(|s| PreNormLayer::new(&s, &LAYER, sizes)).collect())
        } else {
            Layers::PostNorm(scopes.map(|s| PostNormLayer::new(&s, &LAYER, sizes)).collect())
        };

        let weighted = config.bool("use_weighted_layer_sum", Some(false))?;
        let weights = || weighted.then(|| root.vector("layer_weights", count + 1));
        let mut codebooks = 0;
        let head = match head {
            AudioHead::Encoder => Wav2Vec2Head::Encoder,
            AudioHead::Ctc => {
                let vocab = config.usize("vocab_size", Some(32))?;
                let classifier = Linear::exact(&root.pp("lm_head"), vocab, hidden);
                Wav2Vec2Head::Frames { classifier, weights: None }
            }
            AudioHead::Frame => {
                let labels = config.labels()?.len();
                let weights = weights();
                let classifier = Linear::exact(&root.pp("classifier"), labels, hidden);
                Wav2Vec2Head::Frames { classifier, weights }
            }
            AudioHead::Sequence => {
                let labels = config.labels()?.len();
                let width = config.usize("classifier_proj_size", Some(256))?;
                Wav2Vec2Head::Sequence {
                    weights: weights(),
                    projector: Linear::sensitive(&root.pp("projector"), width, hidden),
                    classifier: Linear::exact(&root.pp("classifier"), labels, width),
                }
            }
            AudioHead::Quantizer => {
                codebooks = config.usize("num_codevector_groups", Some(2))?;
                let codewords = config.usize("num_codevectors_per_group", Some(320))?;
                let width = codebooks.saturating_mul(codewords);
                if width > 1 << 20 {
                    return Err(err!(
                        Code::Config,
                        "num_codevector_groups {codebooks} of {codewords} in config.json"
                    ));
                }
                let scope = root.pp("quantizer.weight_proj");
                Wav2Vec2Head::Quantizer(Linear::exact(&scope, width, features))
            }
        };
        let activation = activation(config.string("feat_extract_activation", Some("gelu"))?)?;
        Ok(Wav2Vec2 { convs, activation, projection, positions, norm, layers, head, codebooks })
    }

    /// Kernel and stride of each convolution.
    pub fn kernels(&self) -> impl Iterator<Item = [usize; 2]> + '_ {
        self.convs.iter().map(|c| [c.kernel, c.stride])
    }

    /// Codebooks of the quantizer; 0 for other heads.
    pub fn codebooks(&self) -> usize {
        self.codebooks
    }

    /// The head's output for one utterance, or the encoder's.
    pub fn forward(&self, g: &mut Recorder, x: &AudioInputs, part: Part) -> Tensor {
        let features = self.features(g, x); // [F, C]
        let normed = match &self.projection.norm {
            Some(norm) => norm.forward(g, features), // [F, C]
            None => features,
        };
        if let (Part::Head, Wav2Vec2Head::Quantizer(weight_proj)) = (part, &self.head) {
            let logits = weight_proj.forward(g, normed); // [F, G * V]
            g.tap(format_args!("quantizer.weight_proj"), logits);
            return logits;
        }
        let h = self.projection.linear.forward(g, normed); // [F, H]
        g.tap(format_args!("feature_projection"), h);
        let mut h = self.positions.add(g, h, self.activation); // [F, H]
        let weights = match &self.head {
            Wav2Vec2Head::Frames { weights, .. } | Wav2Vec2Head::Sequence { weights, .. } => {
                weights.filter(|_| part == Part::Head)
            }
            Wav2Vec2Head::Encoder | Wav2Vec2Head::Quantizer(_) => None,
        };
        let mut sum = LayerSum { weights, layers: self.layers.len() + 1, next: 0, sum: None };
        match &self.layers {
            Layers::PostNorm(layers) => {
                h = self.norm.forward(g, h); // [F, H]
                g.tap(format_args!("encoder.layer_norm"), h);
                sum.add(g, h);
                for (i, layer) in layers.iter().enumerate() {
                    h = layer.forward(g, h, x.segments, &format!("encoder.layers.{i}")); // [F, H]
                    sum.add(g, h);
                }
            }
            Layers::PreNorm(layers) => {
                for (i, layer) in layers.iter().enumerate() {
                    sum.add(g, h);
                    h = layer.forward(g, h, x.segments, &format!("encoder.layers.{i}"));
                    // [F, H]
                }
                h = self.norm.forward(g, h); // [F, H]
                g.tap(format_args!("encoder.layer_norm"), h);
                sum.add(g, h);
            }
        }
        if part == Part::Hidden {
            return h; // [F, H]
        }
        let h = sum.sum.unwrap_or(h); // [F, H]
        match &self.head {
            Wav2Vec2Head::Encoder | Wav2Vec2Head::Quantizer(_) => h,
            Wav2Vec2Head::Frames { classifier, .. } => classifier.forward(g, h), // [F, L]
            Wav2Vec2Head::Sequence { projector, classifier, .. } => {
                let h = projector.forward(g, h); // [F, P]
                g.tap(format_args!("projector"), h);
                let pooled = g.segment_mean(h, x.bounds); // [1, P]
                classifier.forward(g, pooled) // [1, L]
            }
        }
    }

    /// The feature extractor, `x.chunk` frames at a time: `[T, 1]` -> `[F, C]`. A chunk is computed
    /// from the part of the waveform that its frames see, so the result is the same as of all at
    /// once; what two chunks both see (80 samples and a few frames) is computed twice.
    fn features(&self, g: &mut Recorder, x: &AudioInputs) -> Tensor {
        let frames = x.segments.shape.rows();
        let mut affine = Affine::None;
        if let Some(Conv {
            weight, norm: ConvNorm::Group(norm), channels, kernel, stride, ..
        }) = self.convs.first()
        {
            let shape = [*channels, *kernel];
            let statistics = g.conv1d_group_norm(x.wave, *weight, shape, *stride, *norm);
            affine = Affine::Computed(statistics); // [2, O]
        }
        let mut parts = Vec::new();
        for first in (0..frames).step_by(x.chunk) {
            let chunk = first..frames.min(first + x.chunk);
            // the outputs of each layer that the chunk needs
            let mut ranges: Vec<Range<usize>> = vec![chunk];
            for conv in self.convs.iter().skip(1).rev() {
                let Range { start, end } = ranges[ranges.len() - 1];
                ranges.push(start * conv.stride..(end - 1) * conv.stride + conv.kernel);
            }
            let mut h = x.wave;
            for (i, (conv, range)) in self.convs.iter().zip(ranges.into_iter().rev()).enumerate() {
                // only the first layer reads from a whole signal
                let (range, affine) = match i {
                    0 => (range, affine),
                    _ => (0..range.len(), Affine::None),
                };
                h = conv.forward(g, h, range, affine, self.activation); // [F_i, O]
                if parts.is_empty() && x.chunk >= frames {
                    g.tap(format_args!("feature_extractor.conv_layers.{i}"), h);
                }
            }
            parts.push(h);
        }
        let features = g.concat_rows(&parts); // [F, C]
        g.tap(format_args!("feature_extractor"), features);
        features
    }
}

impl Layers {
    fn len(&self) -> usize {
        match self {
            Layers::PostNorm(layers) => layers.len(),
            Layers::PreNorm(layers) => layers.len(),
        }
    }
}

/// The softmax-weighted sum of the hidden states, where a model has weights for one.
struct LayerSum {
    weights: Option<WeightId>,
    layers: usize,
    next: usize,
    sum: Option<Tensor>,
}

impl LayerSum {
    fn add(&mut self, g: &mut Recorder, h: Tensor) {
        if let Some(weights) = self.weights {
            self.sum = Some(g.layer_sum(self.sum, h, weights, self.next, self.layers));
            self.next += 1;
        }
    }
}

impl Conv {
    /// Output frames `range`.
    fn forward(
        &self,
        g: &mut Recorder,
        x: Tensor,
        range: Range<usize>,
        affine: Affine,
        activation: Activation,
    ) -> Tensor {
        let windows =
            TimeWindows { kernel: self.kernel, stride: self.stride, padding: 0, groups: 1 };
        let own = match self.norm {
            ConvNorm::Layer(_) => Activation::None,
            _ => activation,
        };
        let options = LinearOptions { affine, activation: own, ..LinearOptions::default() };
        let h = g.conv1d(x, self.weight, self.bias, self.channels, windows, range, options);
        match &self.norm {
            ConvNorm::Layer(norm) => norm.activate(g, h, activation),
            _ => h,
        }
    }
}

impl Positions {
    fn new(config: &Config, scope: &Scope, hidden: usize) -> Result<Self> {
        let kernel = config.usize("num_conv_pos_embeddings", Some(128))?;
        let groups = config.usize("num_conv_pos_embedding_groups", Some(16))?;
        if hidden % groups != 0 || kernel > 1 << 12 {
            return Err(err!(
                Code::Config,
                "a positional convolution {kernel} wide in {groups} groups of hidden_size {hidden} \
                 in config.json"
            ));
        }
        let weight = scope.weight_norm("weight", hidden, hidden / groups, &[kernel], 2);
        let bias = scope.vector("bias", hidden);
        // An even kernel gives one frame too many, and the last one is dropped.
        let windows = TimeWindows { kernel, stride: 1, padding: kernel / 2, groups };
        Ok(Positions { weight, bias, hidden, windows })
    }

    /// `x + activation(conv(x))`, x `[F, H]`.
    fn add(&self, g: &mut Recorder, x: Tensor, activation: Activation) -> Tensor {
        let frames = 0..x.shape.rows();
        let options = LinearOptions { activation, residual: Some(x), ..LinearOptions::default() };
        g.conv1d(x, self.weight, Some(self.bias), self.hidden, self.windows, frames, options)
    }
}

/// Declares the convolutions of the feature extractor.
fn convs(config: &Config, scope: &Scope) -> Result<Vec<Conv>> {
    let dims = sizes(config, "conv_dim", &[512; 7], 1 << 14)?;
    let kernels = sizes(config, "conv_kernel", &[10, 3, 3, 3, 3, 2, 2], 1 << 10)?;
    let strides = sizes(config, "conv_stride", &[5, 2, 2, 2, 2, 2, 2], 1 << 10)?;
    if dims.len() != kernels.len() || dims.len() != strides.len() || dims.len() > 16 {
        return Err(err!(
            Code::Config,
            "conv_dim, conv_kernel and conv_stride in config.json have {}, {} and {} entries",
            dims.len(),
            kernels.len(),
            strides.len()
        ));
    }
    if strides.iter().product::<usize>() > 1 << 16 {
        return Err(err!(Code::Config, "conv_stride {strides:?} in config.json"));
    }
    let style = config.string("feat_extract_norm", Some("group"))?;
    if !matches!(style, "group" | "layer") {
        let error = err!(Code::Unsupported, "feat_extract_norm {style:?} in config.json");
        return Err(error.remedy("known: group, layer"));
    }
    let has_bias = config.bool("conv_bias", Some(false))?;
    let mut convs = Vec::with_capacity(dims.len());
    let mut input = 1;
    for (i, (&channels, (&kernel, &stride))) in
        dims.iter().zip(kernels.iter().zip(&strides)).enumerate()
    {
        let scope = scope.pp(i);
        let taps = [kernel];
        // The first one sees samples: a few values that stay f32.
        let weight = match i {
            0 => scope.conv_exact("conv.weight", channels, input, &taps),
            _ => scope.conv_sensitive("conv.weight", channels, input, &taps),
        };
        let mut bias = has_bias.then(|| scope.vector("conv.bias", channels));
        let names = scope.pp("layer_norm");
        let norm = match (style, i) {
            ("layer", _) => ConvNorm::Layer(LayerNorm::new(&names, channels, CONV_EPS)),
            ("group", 0) => {
                bias = None; // the norm takes any offset away again
                ConvNorm::Group(GroupNormWeights {
                    weight: names.vector("weight", channels),
                    bias: names.vector("bias", channels),
                    eps: CONV_EPS,
                })
            }
            _ => ConvNorm::None,
        };
        convs.push(Conv { weight, bias, norm, channels, kernel, stride });
        input = channels;
    }
    Ok(convs)
}

/// A list of sizes from 1 to `most`.
fn sizes(config: &Config, name: &str, default: &[usize], most: usize) -> Result<Vec<usize>> {
    let Some(value) = config.get(name).filter(|v| !v.is_null()) else {
        return Ok(default.to_vec());
    };
    let size = |v: &Value| v.as_u64().map(|v| v as usize).filter(|v| (1..=most).contains(v));
    let list = value.as_array().and_then(|list| list.iter().map(size).collect::<Option<Vec<_>>>());
    list.filter(|list| !list.is_empty()).ok_or_else(|| {
        err!(Code::Config, "{name:?} in config.json must be a list of sizes from 1 to {most}")
            .remedy("the file is damaged or was edited")
    })
}
