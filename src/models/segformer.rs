//! SegFormer (Xie et al. 2021, arXiv:2105.15203): a pyramid of transformer blocks whose keys and
//! values come from a spatially reduced map, and a head of linear layers. Names follow
//! `transformers`' `SegformerModel` and its heads. GLPN has the same encoder.

use super::vision::{VisionHead, VisionInputs, VisionOutput};
use crate::checkpoint::{Config, Scope};
use crate::cpu::{Activation, Interpolation, Window};
use crate::error::Result;
use crate::layers::{activation, LayerNorm, Linear};
use crate::ops::{Affine, AttentionKv, Columns, LinearOptions};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

pub const BASE: &str = "segformer";

/// Other heads of the family.
pub const SKIP: &[&str] = &["classifier.", "decode_head.", "num_batches_tracked"];

/// `nn.LayerNorm`'s own: `layer_norm_eps` of the config is never read.
const EPS: f32 = 1e-5;

#[derive(Debug)]
pub struct Segformer {
    encoder: MixTransformer,
    head: SegformerHead,
}

#[derive(Debug)]
enum SegformerHead {
    /// The last stage's map.
    Encoder,
    /// The mean of the last stage's map, classified.
    Classification(Linear),
    /// Every stage projected, brought to the first one's size, mixed and classified.
    Semantic {
        projections: Vec<Linear>,
        fuse: WeightId, // [D, stages * D]
        norm: WeightId, // batch norm of D
        classifier: Linear,
        width: usize, // D
    },
}

impl Segformer {
    /// Declares the weights of a SegFormer with `head` in `root`.
    pub fn new(config: &Config, root: &Scope, head: VisionHead) -> Result<Self> {
        let encoder = MixTransformer::new(config, &root.pp(BASE).pp("encoder"))?;
        let labels = config.labels()?.len();
        let head = match head {
            VisionHead::Encoder => SegformerHead::Encoder,
            VisionHead::Classification => {
                let width = encoder.stages.last().map_or(1, |stage| stage.width);
                SegformerHead::Classification(Linear::exact(&root.pp("classifier"), labels, width))
            }
            VisionHead::Semantic => {
                let scope = root.pp("decode_head");
                let width = config.usize("decoder_hidden_size", Some(256))?;
                let projection = |(i, stage): (usize, &Stage)| {
                    Linear::new(&scope.pp("linear_c").pp(i).pp("proj"), width, stage.width)
                };
                let stages = encoder.stages.iter().enumerate();
                SegformerHead::Semantic {
                    projections: stages.map(projection).collect(),
                    fuse: scope.conv(
                        "linear_fuse.weight",
                        width,
                        encoder.stages.len() * width,
                        &[1, 1],
                    ),
                    norm: scope.pp("batch_norm").batch_norm(width, EPS),
                    classifier: Linear::pointwise(&scope.pp("classifier"), labels, width),
                    width,
                }
            }
            other => {
                let error = err!(Code::Unsupported, "SegFormer has no head for {other:?}");
                return Err(error.remedy("tasks: image-classification, image-segmentation"));
            }
        };
        Ok(Segformer { encoder, head })
    }

    /// pixels `[B, H, W, 3]` -> logits `[B, L]` or `[B, H / 4, W / 4, L]`.
    pub fn forward(&self, g: &mut Recorder, x: &VisionInputs) -> VisionOutput {
        let maps = self.encoder.forward(g, x.pixels);
        let Some(&last) = maps.last() else { return VisionOutput::Logits(x.pixels) };
        match &self.head {
            SegformerHead::Encoder => VisionOutput::Hidden { states: last, pooled: None },
            SegformerHead::Classification(classifier) => {
                let mean = g.mean_rows(last); // [B, C]
                VisionOutput::Logits(classifier.forward(g, mean)) // [B, L]
            }
            SegformerHead::Semantic { projections, fuse, norm, classifier, width } => {
                let mut maps: Vec<Tensor> = projections
                    .iter()
                    .zip(&maps)
                    .enumerate()
                    .map(|(i, (projection, map))| {
                        let map = projection.forward(g, *map); // [B, h, w, D]
                        g.tap(format_args!("decode_head.linear_c.{i}"), map);
                        map
                    })
                    .collect();
                let size = [maps[0].shape.dims()[1], maps[0].shape.dims()[2]];
                maps.reverse(); // the deepest comes first
                let all = g.resize_concat(&maps, size, Interpolation::Bilinear);
                let options = LinearOptions {
                    affine: Affine::Norm(*norm),
                    activation: Activation::Relu,
                    ..LinearOptions::default()
                };
                let k = maps.len() * width;
                let mixed = g.linear(all, *fuse, None, [*width, k], options); // [B, h, w, D]
                VisionOutput::Semantic(classifier.forward(g, mixed)) // [B, h, w, L]
            }
        }
    }
}

/// The encoder: stages of overlapping patches, transformer blocks and a norm.
#[derive(Debug)]
pub struct MixTransformer {
    pub stages: Vec<Stage>,
}

#[derive(Debug)]
pub struct Stage {
    /// C
    pub width: usize,
    patches: WeightId, // [C, taps * C of the stage before]
    patches_bias: WeightId,
    window: Window,
    patches_norm: LayerNorm,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

#[derive(Debug)]
struct Block {
    attention_norm: LayerNorm,
    query: Linear,
    /// Reduces the map that keys and values come from.
    reduction: Option<Reduction>,
    key_value: Linear,
    out: Linear,
    mlp_norm: LayerNorm,
    up: Linear,
    depthwise: WeightId, // [9, F]
    depthwise_bias: WeightId,
    down: Linear,
    heads: usize,
    width: usize, // C
    activation: Activation,
}

#[derive(Debug)]
struct Reduction {
    weight: WeightId, // [C, ratio² * C]
    bias: WeightId,
    window: Window,
    norm: LayerNorm,
}

impl MixTransformer {
    pub fn new(config: &Config, scope: &Scope) -> Result<Self> {
        let widths = config.sizes("hidden_sizes", &[32, 64, 160, 256])?;
        let count = config.usize("num_encoder_blocks", Some(4))?;
        let activation = activation(config.string("hidden_act", Some("gelu"))?)?;
        let list = |name: &str, default: &[usize]| -> Result<Vec<usize>> {
            let list = config.sizes(name, default)?;
            if list.len() != count || widths.len() != count {
                let error = err!(Code::Config, "{name:?} in config.json has {} values", list.len());
                return Err(error.remedy("it must have one per stage (num_encoder_blocks)"));
            }
            Ok(list)
        };
        let depths = list("depths", &[2, 2, 2, 2])?;
        let heads = list("num_attention_heads", &[1, 2, 5, 8])?;
        let ratios = list("sr_ratios", &[8, 4, 2, 1])?;
        let growth = list("mlp_ratios", &[4, 4, 4, 4])?;
        let patches = list("patch_sizes", &[7, 3, 3, 3])?;
        let strides = list("strides", &[4, 2, 2, 2])?;
        let mut channels = config.usize("num_channels", Some(3))?;
        let mut stages = Vec::new();
        for i in 0..count {
            let width = widths[i];
            if width % heads[i] != 0 {
                let error = err!(Code::Config, "{} heads of {width} channels", heads[i]);
                return Err(error.remedy("hidden_sizes must be multiples of num_attention_heads"));
            }
            let embed = scope.pp("patch_embeddings").pp(i);
            let taps = [patches[i], patches[i]];
            // the first one sees pixels
            let patches_weight = match i {
                0 => embed.conv_exact("proj.weight", width, channels, &taps),
                _ => embed.conv_sensitive("proj.weight", width, channels, &taps),
            };
            let block = |j: usize| {
                let scope = scope.pp("block").pp(i).pp(j);
                Block::new(&scope, width, heads[i], ratios[i], growth[i], activation)
            };
            stages.push(Stage {
                width,
                patches: patches_weight,
                patches_bias: embed.vector("proj.bias", width),
                window: Window::square(patches[i], strides[i], patches[i] / 2),
                patches_norm: LayerNorm::new(&embed.pp("layer_norm"), width, EPS),
                blocks: (0..depths[i]).map(block).collect(),
                norm: LayerNorm::new(&scope.pp("layer_norm").pp(i), width, EPS),
            });
            channels = width;
        }
        Ok(MixTransformer { stages })
    }

    /// pixels `[B, H, W, 3]` -> the stages' maps `[B, h, w, C]`, the largest first.
    pub fn forward(&self, g: &mut Recorder, pixels: Tensor) -> Vec<Tensor> {
        let mut x = pixels;
        let mut maps = Vec::new();
        for (i, stage) in self.stages.iter().enumerate() {
            let bias = Some(stage.patches_bias);
            let options = LinearOptions::default();
            x = g.conv2d(x, stage.patches, bias, stage.width, stage.window, options); // [B, h, w, C]
            x = stage.patches_norm.forward(g, x);
            g.tap(format_args!("encoder.patch_embeddings.{i}"), x);
            for (j, block) in stage.blocks.iter().enumerate() {
                x = block.forward(g, x, &format!("encoder.block.{i}.{j}"));
            }
            x = stage.norm.forward(g, x); // [B, h, w, C]
            g.tap(format_args!("encoder.layer_norm.{i}"), x);
            maps.push(x);
        }
        maps
    }
}

impl Block {
    fn new(
        scope: &Scope,
        width: usize,
        heads: usize,
        ratio: usize,
        growth: usize,
        activation: Activation,
    ) -> Self {
        let attention = scope.pp("attention.self");
        let mlp = scope.pp("mlp");
        let inner = growth * width;
        let reduction = (ratio > 1).then(|| Reduction {
            weight: attention.conv("sr.weight", width, width, &[ratio, ratio]),
            bias: attention.vector("sr.bias", width),
            window: Window::square(ratio, ratio, 0),
            norm: LayerNorm::new(&attention.pp("layer_norm"), width, EPS),
        });
        Block {
            attention_norm: LayerNorm::new(&scope.pp("layer_norm_1"), width, EPS),
            query: Linear::sensitive(&attention.pp("query"), width, width),
            reduction,
            key_value: Linear::stacked(&attention, &["key", "value"], width, width),
            out: Linear::sensitive(&scope.pp("attention.output.dense"), width, width),
            mlp_norm: LayerNorm::new(&scope.pp("layer_norm_2"), width, EPS),
            up: Linear::new(&mlp.pp("dense1"), inner, width),
            depthwise: mlp.depthwise("dwconv.dwconv.weight", inner, &[3, 3]),
            depthwise_bias: mlp.vector("dwconv.dwconv.bias", inner),
            down: Linear::new(&mlp.pp("dense2"), width, inner),
            heads,
            width,
            activation,
        }
    }

    /// x `[B, h, w, C]` -> `[B, h, w, C]`; `path` names the block in taps.
    fn forward(&self, g: &mut Recorder, x: Tensor, path: &str) -> Tensor {
        let y = self.attention_norm.forward(g, x); // [B, h, w, C]
        let q = self.query.forward(g, y); // [B, h, w, C]
        let reduced = match &self.reduction {
            Some(r) => {
                let options = LinearOptions::default();
                let y = g.conv2d(y, r.weight, Some(r.bias), self.width, r.window, options);
                r.norm.forward(g, y) // [B, h / ratio, w / ratio, C]
            }
            None => y,
        };
        let kv = self.key_value.forward(g, reduced); // [B, .., .., 2 C]
        let options = AttentionKv {
            heads: self.heads,
            hidden: self.width,
            scale: 1.0 / ((self.width / self.heads) as f32).sqrt(),
            images: x.shape.dims()[0],
            mask: None,
        };
        let v = Columns { of: kv, first: self.width };
        let context = g.attention_kv([q.into(), kv.into(), v], options); // [B, h, w, C]
        g.tap(format_args!("{path}.attention.self"), context);
        let x = self.out.add(g, context, x); // [B, h, w, C]
        let y = self.mlp_norm.forward(g, x); // [B, h, w, C]
        let up = self.up.forward(g, y); // [B, h, w, F]
        let bias = Some(self.depthwise_bias);
        let window = Window::square(3, 1, 1);
        let up = g.depthwise_conv2d(up, self.depthwise, bias, window, self.activation);
        let y = self.down.add(g, up, x); // [B, h, w, C]
        g.tap(format_args!("{path}"), y);
        y
    }
}
