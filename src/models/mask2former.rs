//! Mask2Former (Cheng et al. 2022, arXiv:2112.01527): queries that attend within the masks they
//! predicted a layer before, for semantic, instance and panoptic segmentation alike. Names follow
//! `transformers`' `Mask2FormerForUniversalSegmentation`.

use super::swin::SwinBackbone;
use super::vision::{VisionHead, VisionInputs, VisionOutput};
use crate::checkpoint::{Config, Scope};
use crate::cpu::{Activation, Interpolation, Window};
use crate::error::Result;
use crate::layers::{activation, LayerNorm, Linear};
use crate::ops::{AttentionKv, LinearOptions};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

pub const BASE: &str = "model";

/// Buffers, and the weights of the training loss.
pub const SKIP: &[&str] = &["relative_position_index", "criterion."];

/// `nn.LayerNorm`'s and `nn.GroupNorm`'s own.
const EPS: f32 = 1e-5;
/// Levels that the decoders look at, and groups of a group norm.
const LEVELS: usize = 3;
const GROUPS: usize = 32;
/// Places that a head of the pixel decoder looks at on each level.
const POINTS: usize = 4;

#[derive(Debug)]
pub struct Mask2Former {
    backbone: SwinBackbone,
    /// One per stage.
    norms: Vec<LayerNorm>,
    pixels: PixelDecoder,
    queries: QueryDecoder,
    classifier: Linear, // [L + 1, H]
}

impl Mask2Former {
    /// Declares the weights in `root`.
    pub fn new(config: &Config, root: &Scope, head: VisionHead) -> Result<Self> {
        if head != VisionHead::Universal {
            let error = err!(Code::Unsupported, "Mask2Former has no head for {head:?}");
            return Err(error.remedy("its task is image-segmentation"));
        }
        let Some(nested) = config.nested("backbone_config")? else {
            let error = err!(Code::Unsupported, "Mask2Former without a backbone_config");
            return Err(error.remedy("backbones known here: swin"));
        };
        if nested.model_type()? != "swin" {
            let error = err!(Code::Unsupported, "Mask2Former on {:?}", nested.model_type()?);
            return Err(error.remedy("backbones known here: swin"));
        }
        let level = root.pp(BASE).pp("pixel_level_module");
        let encoder = level.pp("encoder");
        let backbone = SwinBackbone::new(&nested, &encoder)?;
        let widths: Vec<usize> = backbone.stages.iter().map(|stage| stage.width).collect();
        if widths.len() != LEVELS + 1 {
            let error = err!(Code::Unsupported, "Mask2Former on {} stages", widths.len());
            return Err(error.remedy("four stages are implemented: strides 4, 8, 16, 32"));
        }
        let norms = widths.iter().enumerate().map(|(i, width)| {
            LayerNorm::new(
                &encoder.pp("hidden_states_norms").pp(format_args!("stage{}", i + 1)),
                *width,
                EPS,
            )
        });
        let norms = norms.collect();
        let pixels = PixelDecoder::new(config, &level.pp("decoder"), &widths)?;
        let queries = QueryDecoder::new(config, &root.pp(BASE).pp("transformer_module"))?;
        let labels = config.labels()?.len();
        let classifier = Linear::exact(&root.pp("class_predictor"), labels + 1, queries.width);
        Ok(Mask2Former { backbone, norms, pixels, queries, classifier })
    }

    /// pixels `[B, H, W, 3]` -> labels of queries `[B, Q, L + 1]` and masks `[B, Q, H / 4, W / 4]`.
    pub fn forward(&self, g: &mut Recorder, x: &VisionInputs) -> VisionOutput {
        let path = "pixel_level_module.encoder.";
        let maps = self.backbone.forward(g, x.pixels, path);
        let maps: Vec<Tensor> = maps
            .into_iter()
            .zip(&self.norms)
            .enumerate()
            .map(|(i, (map, norm))| {
                let map = norm.forward(g, map); // [B, h, w, C]
                g.tap(format_args!("{path}hidden_states_norms.stage{}", i + 1), map);
                map
            })
            .collect();
        let images = x.pixels.shape.dims()[0];
        let (mut logits, mut masks) = (Vec::new(), Vec::new());
        let mut size = [0, 0];
        for image in 0..images {
            let maps: Vec<Tensor> = maps.iter().map(|map| one(g, *map, image, images)).collect();
            let pyramid = self.pixels.forward(g, &maps);
            size = [1, 2].map(|i| pyramid.features.shape.dims()[i]);
            let (states, mask) = self.queries.forward(g, &pyramid); // [Q, H], [Q, h * w]
            logits.push(self.classifier.forward(g, states)); // [Q, L + 1]
            masks.push(mask);
        }
        let (logits, masks) = (g.concat_rows(&logits), g.concat_rows(&masks));
        let q = self.queries.count;
        let shaped = |t: Tensor, shape: [usize; 4]| Tensor { shape: shape.into(), ..t };
        VisionOutput::Queries {
            logits: Tensor { shape: [images, q, logits.shape.last()].into(), ..logits },
            boxes: None,
            masks: Some(shaped(masks, [images, q, size[0], size[1]])),
        }
    }
}

/// Image `image` of a map `[B, h, w, C]` -> `[1, h, w, C]`.
fn one(g: &mut Recorder, map: Tensor, image: usize, images: usize) -> Tensor {
    if images == 1 {
        return map;
    }
    let [h, w, c] = [1, 2, 3].map(|i| map.shape.dims()[i]);
    g.slice_rows(map, image * h * w, [1, h, w, c])
}

/// What the pixel decoder hands on.
struct Pyramid {
    /// `[1, h, w, F]`, from the smallest to the largest.
    levels: Vec<Tensor>,
    /// `[1, H / 4, W / 4, F]`, the features that masks are made of.
    features: Tensor,
}

#[derive(Debug)]
struct PixelDecoder {
    /// From the smallest map to the largest but one.
    projections: Vec<(Linear, GroupNorm)>,
    level_embed: WeightId, // [3, F]
    layers: Vec<PixelLayer>,
    /// The largest map.
    adapter: (Linear, GroupNorm),
    layer: (WeightId, GroupNorm), // 3x3
    mask_projection: Linear,
    heads: usize,
    width: usize, // F
}

/// The post-norm layer with deformable attention.
#[derive(Debug)]
struct PixelLayer {
    offsets: Linear,
    scores: Linear,
    value: Linear,
    out: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

#[derive(Debug, Clone, Copy)]
struct GroupNorm {
    weight: WeightId,
    bias: WeightId,
}

impl GroupNorm {
    fn new(scope: &Scope, width: usize) -> Self {
        GroupNorm { weight: scope.vector("weight", width), bias: scope.vector("bias", width) }
    }

    fn forward(self, g: &mut Recorder, x: Tensor, activation: Activation) -> Tensor {
        g.group_norm(x, self.weight, self.bias, GROUPS, EPS, activation)
    }
}

impl PixelDecoder {
    fn new(config: &Config, scope: &Scope, widths: &[usize]) -> Result<Self> {
        let width = config.usize("feature_size", Some(256))?;
        let heads = config.usize("num_attention_heads", Some(8))?;
        let inner = config.usize("encoder_feedforward_dim", Some(1024))?;
        let count = config.usize("encoder_layers", Some(6))?;
        if width % GROUPS != 0 || width % heads != 0 {
            let error = err!(Code::Config, "feature_size {width}, num_attention_heads {heads}");
            return Err(error.remedy("feature_size must be a multiple of 32 and of the heads"));
        }
        let projection = |i: usize| {
            let scope = scope.pp("input_projections").pp(i);
            let linear = Linear::pointwise(&scope.pp(0), width, widths[LEVELS - i]);
            (linear, GroupNorm::new(&scope.pp(1), width))
        };
        let layer = |i: usize| {
            let scope = scope.pp("encoder.layers").pp(i);
            let attention = scope.pp("self_attn");
            let taps = heads * LEVELS * POINTS;
            PixelLayer {
                // where to look is geometry, and small
                offsets: Linear::exact(&attention.pp("sampling_offsets"), 2 * taps, width),
                scores: Linear::exact(&attention.pp("attention_weights"), taps, width),
                value: Linear::sensitive(&attention.pp("value_proj"), width, width),
                out: Linear::sensitive(&attention.pp("output_proj"), width, width),
                attention_norm: LayerNorm::new(&scope.pp("self_attn_layer_norm"), width, EPS),
                up: Linear::new(&scope.pp("fc1"), inner, width),
                down: Linear::new(&scope.pp("fc2"), width, inner),
                norm: LayerNorm::new(&scope.pp("final_layer_norm"), width, EPS),
            }
        };
        let (adapter, output) = (scope.pp("adapter_1"), scope.pp("layer_1"));
        Ok(PixelDecoder {
            projections: (0..LEVELS).map(projection).collect(),
            level_embed: scope.exact("level_embed", LEVELS, width),
            layers: (0..count).map(layer).collect(),
            adapter: (
                Linear::pointwise_unbiased(&adapter.pp(0), width, widths[0]),
                GroupNorm::new(&adapter.pp(1), width),
            ),
            layer: (
                output.conv_sensitive("0.weight", width, width, &[3, 3]),
                GroupNorm::new(&output.pp(1), width),
            ),
            mask_projection: Linear::pointwise(
                &scope.pp("mask_projection"),
                config.usize("mask_feature_size", Some(256))?,
                width,
            ),
            heads,
            width,
        })
    }

    /// The backbone's maps `[1, h, w, C]` of one image, the largest first.
    fn forward(&self, g: &mut Recorder, maps: &[Tensor]) -> Pyramid {
        let path = "pixel_level_module.decoder";
        let mut projected = Vec::new();
        for (i, (linear, norm)) in self.projections.iter().enumerate() {
            let x = linear.forward(g, maps[LEVELS - i]); // [1, h, w, F]
            let x = norm.forward(g, x, Activation::None);
            g.tap(format_args!("{path}.input_projections.{i}"), x);
            projected.push(x);
        }
        let sizes: Vec<[usize; 2]> =
            projected.iter().map(|x| [1, 2].map(|i| x.shape.dims()[i])).collect();
        let mut x = g.concat_rows(&projected); // [M, F]
        let positions = g.sine_positions(&sizes, self.width, Some(self.level_embed)); // [M, F]
        for (i, layer) in self.layers.iter().enumerate() {
            let placed = g.add(x, positions); // [M, F]
            let value = layer.value.forward(g, x); // [M, F]
            let offsets = layer.offsets.forward(g, placed); // [M, heads * 3 * 4 * 2]
            let scores = layer.scores.forward(g, placed); // [M, heads * 3 * 4]
            let sizes_of = [self.heads, POINTS];
            let context = g.deformable_attention(value, offsets, scores, &sizes, sizes_of); // [M, F]
            let y = layer.out.add(g, context, x); // [M, F]
            let y = layer.attention_norm.forward(g, y);
            let up = layer.up.activate(g, y, Activation::Relu); // [M, I]
            let y = layer.down.add(g, up, y); // [M, F]
            x = layer.norm.forward(g, y);
            g.tap(format_args!("{path}.encoder.layers.{i}"), x);
        }
        let mut first = 0;
        let mut levels = Vec::new();
        for &[h, w] in &sizes {
            levels.push(g.slice_rows(x, first, [1, h, w, self.width])); // [1, h, w, F]
            first += h * w;
        }
        let (linear, norm) = &self.adapter;
        let y = linear.forward(g, maps[0]); // [1, H / 4, W / 4, F]
        let y = norm.forward(g, y, Activation::None);
        g.tap(format_args!("{path}.adapter_1"), y);
        let size = [1, 2].map(|i| y.shape.dims()[i]);
        let y = g.resize(levels[LEVELS - 1], size, Interpolation::Bilinear, Some(y));
        let (weight, norm) = self.layer;
        let options = LinearOptions::default();
        let y = g.conv2d(y, weight, None, self.width, Window::square(3, 1, 1), options);
        let y = norm.forward(g, y, Activation::Relu); // [1, H / 4, W / 4, F]
        g.tap(format_args!("{path}.layer_1"), y);
        let features = self.mask_projection.forward(g, y); // [1, H / 4, W / 4, F]
        g.tap(format_args!("{path}.mask_projection"), features);
        Pyramid { levels, features }
    }
}

#[derive(Debug)]
struct QueryDecoder {
    features: WeightId,    // [Q, H]
    positions: WeightId,   // [Q, H]
    level_embed: WeightId, // [3, H]
    /// Where the pixel decoder's width is another.
    projections: Vec<Linear>,
    layers: Vec<QueryLayer>,
    norm: LayerNorm,
    mask_embedder: Vec<Linear>,
    heads: usize,
    /// H
    width: usize,
    /// Q
    count: usize,
}

/// The post-norm layer: masked attention to pixels, attention among queries, FFN.
#[derive(Debug)]
struct QueryLayer {
    cross: Attention,
    cross_norm: LayerNorm,
    own: Attention,
    own_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
    activation: Activation,
}

#[derive(Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
}

impl QueryDecoder {
    fn new(config: &Config, scope: &Scope) -> Result<Self> {
        let width = config.usize("hidden_dim", Some(256))?;
        let from = config.usize("feature_size", Some(256))?;
        let heads = config.usize("num_attention_heads", Some(8))?;
        let inner = config.usize("dim_feedforward", Some(2048))?;
        let count = config.usize("num_queries", Some(100))?;
        // The first prediction is made before any layer, so one less.
        let layers = config.usize("decoder_layers", Some(10))? - 1;
        let masks = config.usize("mask_feature_size", Some(256))?;
        let activation = activation(config.string("activation_function", Some("relu"))?)?;
        if config.bool("pre_norm", Some(false))? || width % heads != 0 || width % 4 != 0 {
            let error = err!(Code::Unsupported, "Mask2Former of {heads} heads, {width} channels");
            return Err(error.remedy("implemented: pre_norm false, hidden_dim a multiple of both"));
        }
        let decoder = scope.pp("decoder");
        let layer = |i: usize| {
            let scope = decoder.pp("layers").pp(i);
            let (own, cross) = (scope.pp("self_attn"), scope.pp("cross_attn"));
            let linear = |name: &str| Linear::sensitive(&own.pp(name), width, width);
            let weights = cross.sliced("in_proj_weight", 3, width, width);
            let biases = cross.sliced_vector("in_proj_bias", 3, width);
            let part = |i: usize| Linear::of(weights[i], Some(biases[i]), width, width);
            QueryLayer {
                cross: Attention {
                    query: part(0),
                    key: part(1),
                    value: part(2),
                    out: Linear::sensitive(&cross.pp("out_proj"), width, width),
                },
                cross_norm: LayerNorm::new(&scope.pp("cross_attn_layer_norm"), width, EPS),
                own: Attention {
                    query: linear("q_proj"),
                    key: linear("k_proj"),
                    value: linear("v_proj"),
                    out: linear("out_proj"),
                },
                own_norm: LayerNorm::new(&scope.pp("self_attn_layer_norm"), width, EPS),
                up: Linear::new(&scope.pp("fc1"), inner, width),
                down: Linear::new(&scope.pp("fc2"), width, inner),
                norm: LayerNorm::new(&scope.pp("final_layer_norm"), width, EPS),
                activation,
            }
        };
        let project = from != width || config.bool("enforce_input_projection", Some(false))?;
        let projection = |i| Linear::pointwise(&scope.pp("input_projections").pp(i), width, from);
        let embedder = decoder.pp("mask_predictor.mask_embedder");
        let mlp = |i: usize| {
            let n = if i == 2 { masks } else { width };
            Linear::sensitive(&embedder.pp(i).pp(0), n, width)
        };
        Ok(QueryDecoder {
            features: scope.exact("queries_features.weight", count, width),
            positions: scope.exact("queries_embedder.weight", count, width),
            level_embed: scope.exact("level_embed.weight", LEVELS, width),
            projections: (0..if project { LEVELS } else { 0 }).map(projection).collect(),
            layers: (0..layers).map(layer).collect(),
            norm: LayerNorm::new(&decoder.pp("layernorm"), width, EPS),
            mask_embedder: (0..3).map(mlp).collect(),
            heads,
            width,
            count,
        })
    }

    /// -> the queries' last states, normed, `[Q, H]`, and their masks `[Q, H / 4 * W / 4]`.
    fn forward(&self, g: &mut Recorder, pyramid: &Pyramid) -> (Tensor, Tensor) {
        let path = "transformer_module.decoder";
        // What queries look at, per level: features (values), and with positions (keys).
        let mut levels = Vec::new();
        for (i, level) in pyramid.levels.iter().enumerate() {
            let x = match self.projections.get(i) {
                Some(projection) => projection.forward(g, *level), // [1, h, w, H]
                None => *level,
            };
            let size = [1, 2].map(|i| x.shape.dims()[i]);
            let embed = g.table(self.level_embed, i, [1, self.width]); // [1, H]
            let values = g.add(x, embed); // [1, h, w, H]
            let positions = g.sine_positions(&[size], self.width, None); // [h * w, H]
            let keys = g.add(values, positions); // [1, h, w, H]
                                                 // Resampling commutes with the product over channels: the features are resampled once
                                                 // per level, and no prediction in between is ever made at full size.
            let features = g.resize(pyramid.features, size, Interpolation::Bilinear, None);
            levels.push((keys, values, features));
        }
        let positions = g.table(self.positions, 0, [self.count, self.width]); // [Q, H]
        let mut x = g.table(self.features, 0, [self.count, self.width]); // [Q, H]
        let mut states = self.norm.forward(g, x); // [Q, H]
        for (i, layer) in self.layers.iter().enumerate() {
            let (keys, values, features) = levels[i % LEVELS];
            let mask = self.masks(g, states, features); // [Q, h * w]
            x = layer.forward(g, x, positions, [keys, values], mask, self.heads);
            g.tap(format_args!("{path}.layers.{i}"), x);
            states = self.norm.forward(g, x); // [Q, H]
        }
        let masks = self.masks(g, states, pyramid.features);
        (states, masks)
    }

    /// states `[Q, H]`, features `[1, h, w, F]` -> `[Q, h * w]`, logits.
    fn masks(&self, g: &mut Recorder, states: Tensor, features: Tensor) -> Tensor {
        let last = self.mask_embedder.len() - 1;
        let mut x = states;
        for (i, layer) in self.mask_embedder.iter().enumerate() {
            let activation = if i < last { Activation::Relu } else { Activation::None };
            x = layer.activate(g, x, activation); // [Q, H], at last [Q, F]
        }
        g.product(x, features)
    }
}

impl QueryLayer {
    /// x and positions `[Q, H]`, keys and values `[1, h, w, H]`, mask `[Q, h * w]` -> `[Q, H]`.
    fn forward(
        &self,
        g: &mut Recorder,
        x: Tensor,
        positions: Tensor,
        [keys, values]: [Tensor; 2],
        mask: Tensor,
        heads: usize,
    ) -> Tensor {
        let placed = g.add(x, positions); // [Q, H]
        let x = self.cross.forward(g, [placed, keys, values], Some(mask), heads, x);
        let x = self.cross_norm.forward(g, x);
        let placed = g.add(x, positions); // [Q, H]
        let x = self.own.forward(g, [placed, placed, x], None, heads, x);
        let x = self.own_norm.forward(g, x);
        let up = self.up.activate(g, x, self.activation); // [Q, I]
        let x = self.down.add(g, up, x); // [Q, H]
        self.norm.forward(g, x)
    }
}

impl Attention {
    /// What queries, keys and values are made of -> attention plus `residual`, `[Q, H]`.
    fn forward(
        &self,
        g: &mut Recorder,
        [q, k, v]: [Tensor; 3],
        mask: Option<Tensor>,
        heads: usize,
        residual: Tensor,
    ) -> Tensor {
        let hidden = residual.shape.last();
        let q = self.query.forward(g, q); // [Q, H]
        let k = self.key.forward(g, k); // [.., H]
        let v = self.value.forward(g, v); // [.., H]
        let scale = 1.0 / ((hidden / heads) as f32).sqrt();
        let options = AttentionKv { heads, hidden, scale, images: 1, mask };
        let context = g.attention_kv([q.into(), k.into(), v.into()], options); // [Q, H]
        self.out.add(g, context, residual)
    }
}
