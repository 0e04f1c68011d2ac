//! DETR (Carion et al. 2020, arXiv:2005.12872): a ResNet, a transformer whose decoder turns a
//! fixed set of queries into boxes, and for panoptic segmentation a mask per query. Names follow
//! `transformers`' `DetrForObjectDetection` and `DetrForSegmentation`; the backbone's are timm's or
//! `transformers`' own.

use super::detr_masks::MaskHead;
use super::resnet::{list, Backbone, Names, Sizes};
use super::vision::{VisionHead, VisionInputs, VisionOutput};
use crate::checkpoint::{Config, Scope};
use crate::cpu::{Activation, Window};
use crate::error::Result;
use crate::layers::{activation, Conv2d, LayerNorm, Linear};
use crate::ops::{AttentionKv, Columns};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

/// Detection checkpoints hold no masks; those of segmentation put all of the model into `detr`.
pub const SKIP: &[&str] = &["mask_head.", "bbox_attention.", "num_batches_tracked"];

/// Fixed in the model's code.
const EPS: f32 = 1e-5;

#[derive(Debug)]
pub struct Detr {
    backbone: Backbone,
    projection: Conv2d,
    /// `[Q, H]`
    queries: WeightId,
    sizes: Transformer,
    encoder: Vec<EncoderLayer>,
    decoder: Vec<DecoderLayer>,
    norm: LayerNorm,
    classifier: Linear,
    boxes: [Linear; 3],
    masks: Option<MaskHead>,
}

#[derive(Debug, Clone, Copy)]
struct Transformer {
    hidden: usize,
    queries: usize,
}

#[derive(Debug)]
struct Attention {
    query_key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
    hidden: usize,
}

/// Queries from one sequence, keys and values from another.
#[derive(Debug)]
struct CrossAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
    hidden: usize,
}

#[derive(Debug)]
struct FeedForward {
    up: Linear,
    down: Linear,
    norm: LayerNorm,
    activation: Activation,
}

#[derive(Debug)]
struct EncoderLayer {
    attention: Attention,
    norm: LayerNorm,
    feed_forward: FeedForward,
}

#[derive(Debug)]
struct DecoderLayer {
    attention: Attention,
    norm: LayerNorm,
    cross: CrossAttention,
    cross_norm: LayerNorm,
    feed_forward: FeedForward,
}

/// The backbone that `config.json` describes, and whose names it has.
fn backbone(config: &Config) -> Result<(Sizes, Names)> {
    if !config.bool("use_timm_backbone", Some(true))? {
        let Some(nested) = config.get("backbone_config") else {
            return Err(err!(Code::Unsupported, "a DETR config.json without backbone_config")
                .remedy("known: timm's ResNets, and a backbone_config of model_type resnet"));
        };
        let nested = Config::parse(nested.to_string().as_bytes())?;
        return match nested.model_type()? {
            "resnet" => Ok((Sizes::new(&nested)?, Names::Transformers)),
            other => Err(err!(Code::Unsupported, "a backbone of model_type {other:?}")
                .remedy("DETR's backbones known here: resnet")),
        };
    }
    let name = config.string("backbone", Some("resnet50"))?;
    let (depths, bottleneck): (&[usize], bool) = match name.split('.').next().unwrap_or(name) {
        "resnet18" => (&[2, 2, 2, 2], false),
        "resnet34" => (&[3, 4, 6, 3], false),
        "resnet50" => (&[3, 4, 6, 3], true),
        "resnet101" => (&[3, 4, 23, 3], true),
        "resnet152" => (&[3, 8, 36, 3], true),
        _ => {
            return Err(err!(Code::Unsupported, "the timm backbone {name:?} in config.json")
                .remedy("known: resnet18, resnet34, resnet50, resnet101, resnet152"))
        }
    };
    // timm's own arguments win over what the name says
    let (mut depths, mut channels) = (depths.to_vec(), vec![64, 128, 256, 512]);
    let mut dilated = config.bool("dilation", Some(false))?;
    if let Some(arguments) = config.get("backbone_kwargs") {
        let arguments = Config::parse(arguments.to_string().as_bytes())?;
        depths = list(&arguments, "layers", &depths)?;
        channels = list(&arguments, "channels", &channels)?;
        dilated |= arguments.usize("output_stride", Some(32))? == 16;
    }
    if channels.len() != depths.len() {
        return Err(err!(Code::Config, "backbone_kwargs of {} stages", channels.len())
            .remedy("layers and channels must be of one length"));
    }
    let expansion = if bottleneck { 4 } else { 1 };
    let sizes = Sizes {
        colours: config.usize("num_channels", Some(3))?,
        stem: 64,
        stages: channels.iter().map(|c| c * expansion).collect(),
        depths,
        bottleneck,
        activation: Activation::Relu,
        downsample_in_first_stage: false,
        downsample_in_bottleneck: false,
        dilated,
    };
    Ok((sizes, Names::Timm))
}

impl Detr {
    /// Declares the weights of a DETR with `head` in `root`.
    pub fn new(config: &Config, root: &Scope, head: VisionHead) -> Result<Self> {
        let panoptic = match head {
            VisionHead::Detection => false,
            VisionHead::Panoptic => true,
            other => {
                let error = err!(Code::Unsupported, "DETR has no head for {other:?}");
                return Err(error.remedy("DETR detects objects and segments panoptically"));
            }
        };
        if config.string("position_embedding_type", Some("sine"))? != "sine" {
            return Err(err!(Code::Unsupported, "learned position embeddings in a DETR")
                .remedy("position_embedding_type must be \"sine\""));
        }
        let nested = config.architecture() == Some("DetrForSegmentation");
        if panoptic && !nested {
            return Err(err!(Code::Unsupported, "a DETR without masks for segmentation")
                .remedy("use a checkpoint of DetrForSegmentation, or object-detection"));
        }
        let top = if nested { root.pp("detr") } else { root.clone() };
        let scope = top.pp("model");
        let hidden = config.usize("d_model", Some(256))?;
        let (resnet, names) = backbone(config)?;
        let channels = resnet.stages.clone();
        let backbone = Backbone::new(&scope.pp("backbone.conv_encoder.model"), &resnet, names);
        let last = channels.last().copied().unwrap_or(resnet.stem);
        let pointwise = Window::square(1, 1, 0);
        let projection = Conv2d::new(&scope.pp("input_projection"), [hidden, last], pointwise);
        let queries = config.usize("num_queries", Some(100))?;
        let activation = activation(config.string("activation_function", Some("relu"))?)?;

        let heads = config.usize("encoder_attention_heads", Some(8))?;
        let decoder_heads = config.usize("decoder_attention_heads", Some(8))?;
        if hidden % heads != 0 || hidden % decoder_heads != 0 || hidden % 4 != 0 {
            return Err(err!(Code::Config, "d_model {hidden}, {heads} and {decoder_heads} heads")
                .remedy("heads must divide the model's width, and four must"));
        }
        let inner = config.usize("encoder_ffn_dim", Some(2048))?;
        let encoder = (0..config.usize("encoder_layers", Some(6))?)
            .map(|i| {
                let scope = scope.pp("encoder.layers").pp(i);
                EncoderLayer {
                    attention: Attention::new(&scope.pp("self_attn"), hidden, heads),
                    norm: LayerNorm::new(&scope.pp("self_attn_layer_norm"), hidden, EPS),
                    feed_forward: FeedForward::new(&scope, hidden, inner, activation),
                }
            })
            .collect();
        let inner = config.usize("decoder_ffn_dim", Some(2048))?;
        let decoder = (0..config.usize("decoder_layers", Some(6))?)
            .map(|i| {
                let scope = scope.pp("decoder.layers").pp(i);
                let norm = |name: &str| LayerNorm::new(&scope.pp(name), hidden, EPS);
                DecoderLayer {
                    attention: Attention::new(&scope.pp("self_attn"), hidden, decoder_heads),
                    norm: norm("self_attn_layer_norm"),
                    cross: CrossAttention::new(&scope.pp("encoder_attn"), hidden, decoder_heads),
                    cross_norm: norm("encoder_attn_layer_norm"),
                    feed_forward: FeedForward::new(&scope, hidden, inner, activation),
                }
            })
            .collect();
        let labels = config.labels()?.len() + 1; // the last one is no object
        let predictor = top.pp("bbox_predictor.layers");
        Ok(Detr {
            backbone,
            projection,
            queries: scope.exact("query_position_embeddings.weight", queries, hidden),
            sizes: Transformer { hidden, queries },
            encoder,
            decoder,
            norm: LayerNorm::new(&scope.pp("decoder.layernorm"), hidden, EPS),
            classifier: Linear::exact(&top.pp("class_labels_classifier"), labels, hidden),
            // geometry: a rounded weight moves an edge
            boxes: [(hidden, 0), (hidden, 1), (4, 2)]
                .map(|(n, i)| Linear::exact(&predictor.pp(i), n, hidden)),
            masks: panoptic.then(|| MaskHead::new(root, hidden, heads, &channels)).transpose()?,
        })
    }

    /// The head's output for B images.
    pub fn forward(&self, g: &mut Recorder, x: &VisionInputs) -> VisionOutput {
        let Transformer { hidden, queries, .. } = self.sizes;
        let maps = self.backbone.forward(g, x.pixels, "backbone.");
        let map = maps.last().copied().unwrap_or(x.pixels); // [B, h, w, C]
                                                            // Padding takes part in convolutions; in the transformer it is hidden from every pixel
                                                            // and every query, and so left out.
        let [_, h, w, _] = four(map.shape);
        let [_, height, width, _] = four(x.pixels.shape);
        let size = [shown(h, height, x.valid[0]), shown(w, width, x.valid[1])];
        let map = g.crop(map, size);
        let b = four(map.shape)[0];
        let features = self.projection.forward(g, map); // [B, h, w, H]
        g.tap(format_args!("input_projection"), features);
        let positions = g.sine_positions(&[size], hidden, None); // [h * w, H]

        let mut memory = features; // [B * h * w, H]
        for (i, layer) in self.encoder.iter().enumerate() {
            memory = layer.forward(g, memory, positions, b);
            g.tap(format_args!("encoder.layers.{i}"), memory);
        }
        let placed = g.add(memory, positions); // [B * h * w, H]
        let places = g.table(self.queries, 0, [queries, hidden]); // [Q, H]
        let zeros = vec![0.0; b * queries * hidden];
        let mut objects = g.constant(&zeros, [b * queries, hidden]); // [B * Q, H]
        for (i, layer) in self.decoder.iter().enumerate() {
            objects = layer.forward(g, objects, places, [placed, memory], b);
            g.tap(format_args!("decoder.layers.{i}"), objects);
        }
        let objects = self.norm.forward(g, objects);
        let objects = g.slice_rows(objects, 0, [b, queries, hidden]); // [B, Q, H]
        g.tap(format_args!("decoder"), objects);

        let logits = self.classifier.forward(g, objects); // [B, Q, L + 1]
        let [first, second, third] = &self.boxes;
        let boxes = first.activate(g, objects, Activation::Relu); // [B, Q, H]
        let boxes = second.activate(g, boxes, Activation::Relu); // [B, Q, H]
        let boxes = third.activate(g, boxes, Activation::Sigmoid); // [B, Q, 4]
        let masks = self.masks.as_ref().map(|head| {
            let crop = |g: &mut Recorder, map: Tensor| {
                let [_, h, w, _] = four(map.shape);
                g.crop(map, [shown(h, height, x.valid[0]), shown(w, width, x.valid[1])])
            };
            let finer: Vec<Tensor> =
                maps.iter().rev().skip(1).take(3).map(|map| crop(g, *map)).collect();
            head.forward(g, objects, memory, features, &finer) // [B, Q, h', w']
        });
        VisionOutput::Queries { logits, boxes: Some(boxes), masks }
    }
}

/// `[B, H, W, C]`
pub fn four(shape: crate::tensor::Shape) -> [usize; 4] {
    match *shape.dims() {
        [b, h, w, c] => [b, h, w, c],
        _ => [1, 1, shape.rows(), shape.last()],
    }
}

/// Of `n` rows of a map over `size` rows of pixels, those whose nearest pixel is among the first
/// `valid`: at least one.
fn shown(n: usize, size: usize, valid: usize) -> usize {
    (0..n).take_while(|i| i * size / n < valid).count().max(1)
}

impl Attention {
    fn new(scope: &Scope, hidden: usize, heads: usize) -> Self {
        Attention {
            query_key: Linear::stacked(scope, &["q_proj", "k_proj"], hidden, hidden),
            value: Linear::sensitive(&scope.pp("v_proj"), hidden, hidden),
            out: Linear::sensitive(&scope.pp("out_proj"), hidden, hidden),
            heads,
            hidden,
        }
    }

    /// x `[B * N, H]`, positions `[N, H]` (added to queries and keys) -> x + attention(x).
    fn forward(&self, g: &mut Recorder, x: Tensor, positions: Tensor, images: usize) -> Tensor {
        let (heads, hidden) = (self.heads, self.hidden);
        let placed = g.add(x, positions); // [B * N, H]
        let qk = self.query_key.forward(g, placed); // [B * N, 2H]
        let v = self.value.forward(g, x); // [B * N, H]
        let key = Columns { of: qk, first: hidden };
        let scale = 1.0 / ((hidden / heads) as f32).sqrt();
        let options = AttentionKv { heads, hidden, scale, images, mask: None };
        let context = g.attention_kv([qk.into(), key, v.into()], options); // [B * N, H]
        self.out.add(g, context, x)
    }
}

impl CrossAttention {
    fn new(scope: &Scope, hidden: usize, heads: usize) -> Self {
        let linear = |name: &str| Linear::sensitive(&scope.pp(name), hidden, hidden);
        CrossAttention {
            query: linear("q_proj"),
            key: linear("k_proj"),
            value: linear("v_proj"),
            out: linear("out_proj"),
            heads,
            hidden,
        }
    }

    /// x `[B * Q, H]` with its positions `[Q, H]`, over keys and values `[B * N, H]`.
    fn forward(
        &self,
        g: &mut Recorder,
        x: Tensor,
        positions: Tensor,
        [keys, values]: [Tensor; 2],
        images: usize,
    ) -> Tensor {
        let (heads, hidden) = (self.heads, self.hidden);
        let placed = g.add(x, positions); // [B * Q, H]
        let q = self.query.forward(g, placed); // [B * Q, H]
        let k = self.key.forward(g, keys); // [B * N, H]
        let v = self.value.forward(g, values); // [B * N, H]
        let scale = 1.0 / ((hidden / heads) as f32).sqrt();
        let options = AttentionKv { heads, hidden, scale, images, mask: None };
        let context = g.attention_kv([q.into(), k.into(), v.into()], options); // [B * Q, H]
        self.out.add(g, context, x)
    }
}

impl FeedForward {
    fn new(scope: &Scope, hidden: usize, inner: usize, activation: Activation) -> Self {
        FeedForward {
            up: Linear::new(&scope.pp("fc1"), inner, hidden),
            down: Linear::new(&scope.pp("fc2"), hidden, inner),
            norm: LayerNorm::new(&scope.pp("final_layer_norm"), hidden, EPS),
            activation,
        }
    }

    fn forward(&self, g: &mut Recorder, x: Tensor) -> Tensor {
        let h = self.up.activate(g, x, self.activation); // [M, F]
        let h = self.down.add(g, h, x); // [M, H]
        self.norm.forward(g, h)
    }
}

impl EncoderLayer {
    fn forward(&self, g: &mut Recorder, x: Tensor, positions: Tensor, images: usize) -> Tensor {
        let x = self.attention.forward(g, x, positions, images); // [M, H]
        let x = self.norm.forward(g, x); // [M, H]
        self.feed_forward.forward(g, x)
    }
}

impl DecoderLayer {
    /// x `[B * Q, H]`, places `[Q, H]`, memory with and without positions `[B * N, H]`.
    fn forward(
        &self,
        g: &mut Recorder,
        x: Tensor,
        places: Tensor,
        memory: [Tensor; 2],
        images: usize,
    ) -> Tensor {
        let x = self.attention.forward(g, x, places, images); // [B * Q, H]
        let x = self.norm.forward(g, x);
        let x = self.cross.forward(g, x, places, memory, images); // [B * Q, H]
        let x = self.cross_norm.forward(g, x);
        self.feed_forward.forward(g, x)
    }
}
