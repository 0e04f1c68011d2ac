//! Swin (Liu et al. 2021, arXiv:2103.14030): a pyramid of transformer blocks that attend within
//! windows, every other block's windows shifted by half. Names follow `transformers`' `SwinModel`,
//! its classifier and its backbone.

use super::vision::{VisionHead, VisionInputs, VisionOutput};
use crate::checkpoint::{Config, Scope};
use crate::cpu::{Activation, Window};
use crate::error::Result;
use crate::layers::{activation, LayerNorm, Linear};
use crate::ops::{LinearOptions, WindowAttention};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

pub const BASE: &str = "swin";

/// Other heads of the family, and buffers.
pub const SKIP: &[&str] = &["classifier.", "relative_position_index"];

/// `nn.LayerNorm`'s own, where the config's is not read.
const EPS: f32 = 1e-5;

#[derive(Debug)]
pub struct Swin {
    backbone: SwinBackbone,
    norm: LayerNorm,
    classifier: Option<Linear>,
}

impl Swin {
    /// Declares the weights of a Swin with `head` in `root`.
    pub fn new(config: &Config, root: &Scope, head: VisionHead) -> Result<Self> {
        let scope = root.pp(BASE);
        let backbone = SwinBackbone::new(config, &scope)?;
        let width = backbone.stages.last().map_or(1, |stage| stage.width);
        let eps = config.f32("layer_norm_eps", Some(1e-5))?;
        let norm = LayerNorm::new(&scope.pp("layernorm"), width, eps);
        let classifier = match head {
            VisionHead::Encoder => None,
            VisionHead::Classification => {
                let labels = config.labels()?.len();
                Some(Linear::exact(&root.pp("classifier"), labels, width))
            }
            other => {
                let error = err!(Code::Unsupported, "Swin has no head for {other:?}");
                return Err(error.remedy("tasks: image-classification, image-feature-extraction"));
            }
        };
        Ok(Swin { backbone, norm, classifier })
    }

    /// pixels `[B, H, W, 3]` -> logits `[B, L]`, or the last map and its mean.
    pub fn forward(&self, g: &mut Recorder, x: &VisionInputs) -> VisionOutput {
        let maps = self.backbone.forward(g, x.pixels, "");
        let last = maps.last().copied().unwrap_or(x.pixels);
        let states = self.norm.forward(g, last); // [B, h, w, C]
        g.tap(format_args!("layernorm"), states);
        let pooled = g.mean_rows(states); // [B, C]
        match &self.classifier {
            Some(classifier) => VisionOutput::Logits(classifier.forward(g, pooled)), // [B, L]
            None => VisionOutput::Hidden { states, pooled: Some(pooled) },
        }
    }
}

/// Patches and stages; what Mask2Former builds on.
#[derive(Debug)]
pub struct SwinBackbone {
    pub stages: Vec<Stage>,
    patches: WeightId, // [C, patch² * 3]
    patches_bias: WeightId,
    patches_norm: LayerNorm,
    patch: usize,
}

#[derive(Debug)]
pub struct Stage {
    /// C
    pub width: usize,
    blocks: Vec<Block>,
    /// To the next stage.
    merging: Option<Merging>,
}

#[derive(Debug)]
struct Merging {
    norm: LayerNorm,
    reduction: Linear, // [2 C, 4 C]
}

#[derive(Debug)]
struct Block {
    before: LayerNorm,
    qkv: Linear,
    /// The projection's bias: what it makes of the padding's zeros.
    padding: WeightId,
    bias: WeightId, // [(2 side - 1)², heads]
    out: Linear,
    after: LayerNorm,
    up: Linear,
    down: Linear,
    heads: usize,
    width: usize, // C
    side: usize,
    /// Of windows that do not fill the map.
    shift: usize,
    activation: Activation,
}

impl SwinBackbone {
    pub fn new(config: &Config, scope: &Scope) -> Result<Self> {
        for (name, wanted) in [("use_absolute_embeddings", false), ("qkv_bias", true)] {
            if config.bool(name, Some(wanted))? != wanted {
                let error = err!(Code::Unsupported, "Swin with {name} {}", !wanted);
                return Err(error.remedy("no checkpoint known has it"));
            }
        }
        let width = config.usize("embed_dim", Some(96))?;
        let depths = config.sizes("depths", &[2, 2, 6, 2])?;
        let heads = config.sizes("num_heads", &[3, 6, 12, 24])?;
        let side = config.usize("window_size", Some(7))?;
        let ratio = config.f32("mlp_ratio", Some(4.0))?;
        let eps = config.f32("layer_norm_eps", Some(1e-5))?;
        let activation = activation(config.string("hidden_act", Some("gelu"))?)?;
        let channels = config.usize("num_channels", Some(3))?;
        let patch = config.usize("patch_size", Some(4))?;
        if depths.len() != heads.len() || depths.len() > 8 {
            let error = err!(Code::Config, "{} depths, {} num_heads", depths.len(), heads.len());
            return Err(error.remedy("config.json must have one of each per stage"));
        }
        let embed = scope.pp("embeddings");
        let projection = embed.pp("patch_embeddings.projection");
        let stage = |i: usize| {
            let (width, last) = (width << i, i + 1 == depths.len());
            if width % heads[i] != 0 {
                let error = err!(Code::Config, "{} num_heads for {width} channels", heads[i]);
                return Err(error.remedy("every head needs the same whole number of channels"));
            }
            let scope = scope.pp("encoder.layers").pp(i);
            let inner = (ratio * width as f32) as usize;
            let block = |j: usize| {
                let scope = scope.pp("blocks").pp(j);
                let attention = scope.pp("attention.self");
                let span = 2 * side - 1;
                let part =
                    |leaf: &str| ["query", "key", "value"].map(|name| format!("{name}.{leaf}"));
                let qkv = attention.stacked(&part("weight"), width, width);
                let padding = attention.stacked_vector(&part("bias"), width);
                Block {
                    before: LayerNorm::new(&scope.pp("layernorm_before"), width, eps),
                    qkv: Linear::of(qkv, Some(padding), 3 * width, width),
                    padding,
                    bias: attention.exact("relative_position_bias_table", span * span, heads[i]),
                    out: Linear::sensitive(&scope.pp("attention.output.dense"), width, width),
                    after: LayerNorm::new(&scope.pp("layernorm_after"), width, eps),
                    up: Linear::new(&scope.pp("intermediate.dense"), inner, width),
                    down: Linear::new(&scope.pp("output.dense"), width, inner),
                    heads: heads[i],
                    width,
                    side,
                    shift: if j % 2 == 0 { 0 } else { side / 2 },
                    activation,
                }
            };
            let merging = (!last).then(|| {
                let scope = scope.pp("downsample");
                Merging {
                    norm: LayerNorm::new(&scope.pp("norm"), 4 * width, EPS),
                    reduction: Linear::unbiased(&scope.pp("reduction"), 2 * width, 4 * width),
                }
            });
            Ok(Stage { width, blocks: (0..depths[i]).map(block).collect(), merging })
        };
        Ok(SwinBackbone {
            patches: projection.conv_exact("weight", width, channels, &[patch, patch]),
            patches_bias: projection.vector("bias", width),
            patches_norm: LayerNorm::new(&embed.pp("norm"), width, EPS),
            patch,
            stages: (0..depths.len()).map(stage).collect::<Result<_>>()?,
        })
    }

    /// pixels `[B, H, W, 3]` -> the stages' maps `[B, h, w, C]`, before they are merged, the
    /// largest first; `path` goes before the names of taps.
    pub fn forward(&self, g: &mut Recorder, pixels: Tensor, path: &str) -> Vec<Tensor> {
        let width = self.stages.first().map_or(1, |stage| stage.width);
        // The picture is filled up to whole patches.
        let fill = |i: usize| {
            pixels.shape.dims().get(i).map_or(0, |n| (self.patch - n % self.patch) % self.patch)
        };
        let window = Window {
            padding: [[0, fill(1)], [0, fill(2)]],
            ..Window::square(self.patch, self.patch, 0)
        };
        let bias = Some(self.patches_bias);
        let x = g.conv2d(pixels, self.patches, bias, width, window, LinearOptions::default());
        let mut x = self.patches_norm.forward(g, x); // [B, h, w, C]
        g.tap(format_args!("{path}embeddings"), x);
        let mut maps = Vec::new();
        for (i, stage) in self.stages.iter().enumerate() {
            for (j, block) in stage.blocks.iter().enumerate() {
                x = block.forward(g, x, &format!("{path}encoder.layers.{i}.blocks.{j}"));
            }
            maps.push(x);
            if let Some(merging) = &stage.merging {
                let merged = g.patch_merge(x); // [B, h / 2, w / 2, 4 C]
                let merged = merging.norm.forward(g, merged);
                x = merging.reduction.forward(g, merged); // [B, h / 2, w / 2, 2 C]
                g.tap(format_args!("{path}encoder.layers.{i}.downsample"), x);
            }
        }
        maps
    }
}

impl Block {
    /// x `[B, h, w, C]` -> `[B, h, w, C]`; `path` names the block in taps.
    fn forward(&self, g: &mut Recorder, x: Tensor, path: &str) -> Tensor {
        let dims = x.shape.dims();
        // One window that fills the smaller side is not shifted.
        let shift = if dims[1].min(dims[2]) <= self.side { 0 } else { self.shift };
        let y = self.before.forward(g, x); // [B, h, w, C]
        g.tap(format_args!("{path}.layernorm_before"), y);
        let qkv = self.qkv.forward(g, y); // [B, h, w, 3 C]
        let options = WindowAttention {
            heads: self.heads,
            scale: 1.0 / ((self.width / self.heads) as f32).sqrt(),
            side: self.side,
            shift,
            padding: self.padding,
            bias: self.bias,
        };
        let context = g.window_attention(qkv, options); // [B, h, w, C]
        let x = self.out.add(g, context, x); // [B, h, w, C]
        let y = self.after.forward(g, x); // [B, h, w, C]
        let up = self.up.activate(g, y, self.activation); // [B, h, w, F]
        let y = self.down.add(g, up, x); // [B, h, w, C]
        g.tap(format_args!("{path}"), y);
        y
    }
}
