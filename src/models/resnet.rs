//! ResNet (He et al. 2015, arXiv:1512.03385), v1 and v1.5 (the stride in the 3x3 convolution), of
//! basic and bottleneck blocks; a classifier, and the backbone of DETR. Names follow
//! `transformers`' `ResNetModel`, or timm's.

use super::vision::{VisionHead, VisionInputs, VisionOutput};
use crate::checkpoint::{Config, Scope};
use crate::cpu::{Activation, Window};
use crate::error::Result;
use crate::layers::{activation, Conv2d, Linear};
use crate::plan::{Recorder, Tensor};
use crate::{err, Code};

pub const BASE: &str = "resnet";

pub const SKIP: &[&str] = &["classifier.", "num_batches_tracked"];

/// The channels of a bottleneck, as a part of its output's.
const REDUCTION: usize = 4;

/// What a backbone is made of.
#[derive(Debug, Clone)]
pub struct Sizes {
    pub colours: usize,
    /// Channels of the stem and of each stage.
    pub stem: usize,
    pub stages: Vec<usize>,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    pub bottleneck: bool,
    pub activation: Activation,
    pub downsample_in_first_stage: bool,
    /// v1: the first convolution of a bottleneck has the stride, and not the second.
    pub downsample_in_bottleneck: bool,
    /// The last stage keeps its resolution and spreads its taps (DETR's dc5).
    pub dilated: bool,
}

impl Sizes {
    /// As a `ResNetConfig` has them.
    pub fn new(config: &Config) -> Result<Self> {
        let stages = list(config, "hidden_sizes", &[256, 512, 1024, 2048])?;
        let depths = list(config, "depths", &[3, 4, 6, 3])?;
        if stages.len() != depths.len() {
            let (a, b) = (stages.len(), depths.len());
            return Err(err!(Code::Config, "hidden_sizes of {a} stages and depths of {b}")
                .remedy("config.json is damaged or was edited"));
        }
        let bottleneck = match config.string("layer_type", Some("bottleneck"))? {
            "bottleneck" => true,
            "basic" => false,
            other => {
                return Err(err!(Code::Unsupported, "layer_type {other:?} in config.json")
                    .remedy("known: basic, bottleneck"))
            }
        };
        Ok(Sizes {
            colours: config.usize("num_channels", Some(3))?,
            stem: config.usize("embedding_size", Some(64))?,
            stages,
            depths,
            bottleneck,
            activation: activation(config.string("hidden_act", Some("relu"))?)?,
            downsample_in_first_stage: config.bool("downsample_in_first_stage", Some(false))?,
            downsample_in_bottleneck: config.bool("downsample_in_bottleneck", Some(false))?,
            dilated: false,
        })
    }
}

/// A list of sizes.
pub fn list(config: &Config, name: &str, default: &[usize]) -> Result<Vec<usize>> {
    let Some(value) = config.get(name) else { return Ok(default.to_vec()) };
    let sizes: Option<Vec<usize>> = value.as_array().and_then(|values| {
        let size = |v: &serde_json::Value| v.as_u64().filter(|v| (1..=1 << 16).contains(v));
        values.iter().map(|v| size(v).map(|v| v as usize)).collect()
    });
    sizes.filter(|s| (1..=64).contains(&s.len())).ok_or_else(|| {
        err!(Code::Config, "{name:?} in config.json is no list of sizes")
            .remedy("the file is damaged or was edited")
    })
}

/// Whose names a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// `embedder.embedder.convolution`, `encoder.stages.0.layers.0.layer.0.convolution`
    Transformers,
    /// `conv1`, `bn1`, `layer1.0.conv1`, `layer1.0.downsample.0`
    Timm,
}

/// The convolutions of a ResNet, without its head.
#[derive(Debug)]
pub struct Backbone {
    stem: Conv2d,
    stages: Vec<Vec<Block>>,
    activation: Activation,
    names: Names,
}

#[derive(Debug)]
struct Block {
    shortcut: Option<Conv2d>,
    convolutions: Vec<Conv2d>,
}

impl Backbone {
    pub fn new(scope: &Scope, sizes: &Sizes, names: Names) -> Self {
        let window = Window::square(7, 2, 3);
        let ends = [sizes.stem, sizes.colours];
        let stem = match names {
            Names::Transformers => named(&scope.pp("embedder.embedder"), ends, window),
            Names::Timm => Conv2d::normed(&scope.pp("conv1"), &scope.pp("bn1"), ends, window),
        };
        let mut input = sizes.stem;
        let mut stages = Vec::new();
        for (s, (&output, &depth)) in sizes.stages.iter().zip(&sizes.depths).enumerate() {
            let mut blocks = Vec::new();
            let dilated = sizes.dilated && s + 1 == sizes.stages.len();
            for l in 0..depth {
                let first = l == 0 && (s > 0 || sizes.downsample_in_first_stage);
                let stride = if first && !dilated { 2 } else { 1 };
                // what the blocks before it left undone widens the taps of the next one
                let dilation = if dilated && l > 0 { 2 } else { 1 };
                let scope = match names {
                    Names::Transformers => scope.pp("encoder.stages").pp(s).pp("layers").pp(l),
                    Names::Timm => scope.pp(format!("layer{}", s + 1)).pp(l),
                };
                blocks.push(Block::new(&scope, sizes, names, [output, input], stride, dilation));
                input = output;
            }
            stages.push(blocks);
        }
        Backbone { stem, stages, activation: sizes.activation, names }
    }

    /// x `[B, H, W, 3]` -> the feature maps of every stage, `[B, H / 4, W / 4, C]` first; `path`
    /// names the backbone in taps.
    pub fn forward(&self, g: &mut Recorder, x: Tensor, path: &str) -> Vec<Tensor> {
        let x = self.stem.activate(g, x, self.activation); // [B, H / 2, W / 2, C]
        let mut x = g.max_pool2d(x, Window::square(3, 2, 1)); // [B, H / 4, W / 4, C]
        g.tap(format_args!("{path}embedder"), x);
        let mut maps = Vec::new();
        for (s, blocks) in self.stages.iter().enumerate() {
            for (l, block) in blocks.iter().enumerate() {
                x = block.forward(g, x, self.activation);
                match self.names {
                    Names::Transformers => {
                        g.tap(format_args!("{path}encoder.stages.{s}.layers.{l}"), x)
                    }
                    Names::Timm => g.tap(format_args!("{path}layer{}.{l}", s + 1), x),
                }
            }
            maps.push(x);
        }
        maps
    }
}

/// A convolution and its norm in one module of `transformers`.
fn named(scope: &Scope, ends: [usize; 2], window: Window) -> Conv2d {
    Conv2d::normed(&scope.pp("convolution"), &scope.pp("normalization"), ends, window)
}

impl Block {
    fn new(
        scope: &Scope,
        sizes: &Sizes,
        names: Names,
        [output, input]: [usize; 2],
        stride: usize,
        dilation: usize,
    ) -> Self {
        let shortcut = (stride != 1 || input != output).then(|| {
            let window = Window::square(1, stride, 0);
            let ends = [output, input];
            match names {
                Names::Transformers => named(&scope.pp("shortcut"), ends, window),
                Names::Timm => {
                    let scope = scope.pp("downsample");
                    Conv2d::normed(&scope.pp(0), &scope.pp(1), ends, window)
                }
            }
        });
        let three = |stride| Window::square(3, stride, dilation).dilated(dilation);
        let inner = output / REDUCTION;
        let layers: Vec<([usize; 2], Window)> = if sizes.bottleneck {
            let [early, late] =
                if sizes.downsample_in_bottleneck { [stride, 1] } else { [1, stride] };
            vec![
                ([inner, input], Window::square(1, early, 0)),
                ([inner, inner], three(late)),
                ([output, inner], Window::square(1, 1, 0)),
            ]
        } else {
            vec![([output, input], three(stride)), ([output, output], three(1))]
        };
        let convolutions = layers
            .into_iter()
            .enumerate()
            .map(|(i, (ends, window))| match names {
                Names::Transformers => named(&scope.pp("layer").pp(i), ends, window),
                Names::Timm => {
                    let conv = scope.pp(format!("conv{}", i + 1));
                    Conv2d::normed(&conv, &scope.pp(format!("bn{}", i + 1)), ends, window)
                }
            })
            .collect();
        Block { shortcut, convolutions }
    }

    /// x `[B, H, W, I]` -> `[B, H', W', O]`.
    fn forward(&self, g: &mut Recorder, x: Tensor, activation: Activation) -> Tensor {
        let residual = match &self.shortcut {
            Some(shortcut) => shortcut.forward(g, x),
            None => x,
        };
        let mut h = x;
        let last = self.convolutions.len() - 1;
        for convolution in &self.convolutions[..last] {
            h = convolution.activate(g, h, activation);
        }
        self.convolutions[last].add_activate(g, h, residual, activation)
    }
}

#[derive(Debug)]
pub struct ResNet {
    backbone: Backbone,
    classifier: Option<Linear>,
}

impl ResNet {
    /// Declares the weights of a ResNet with `head` in `root`.
    pub fn new(config: &Config, root: &Scope, head: VisionHead) -> Result<Self> {
        let sizes = Sizes::new(config)?;
        let backbone = Backbone::new(&root.pp(BASE), &sizes, Names::Transformers);
        let hidden = sizes.stages.last().copied().unwrap_or(sizes.stem);
        let classifier = match head {
            VisionHead::Encoder => None,
            VisionHead::Classification => {
                let labels = config.labels()?.len();
                Some(Linear::exact(&root.pp("classifier.1"), labels, hidden))
            }
            other => {
                let error = err!(Code::Unsupported, "resnet has no head for {other:?}");
                return Err(error.remedy("ResNet classifies images"));
            }
        };
        Ok(ResNet { backbone, classifier })
    }

    /// The head's output for B images.
    pub fn forward(&self, g: &mut Recorder, x: &VisionInputs) -> VisionOutput {
        let maps = self.backbone.forward(g, x.pixels, "");
        let states = maps.last().copied().unwrap_or(x.pixels); // [B, h, w, C]
        let pooled = g.mean_rows(states); // [B, C]
        g.tap(format_args!("pooler"), pooled);
        match &self.classifier {
            None => VisionOutput::Hidden { states, pooled: Some(pooled) },
            Some(classifier) => VisionOutput::Logits(classifier.forward(g, pooled)), // [B, L]
        }
    }
}
