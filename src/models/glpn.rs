//! GLPN (Kim et al. 2022, arXiv:2201.07436): depth from SegFormer's encoder and a decoder that
//! fuses local and global features. Names follow `transformers`' `GLPNForDepthEstimation`.

use super::segformer::MixTransformer;
use super::vision::{VisionHead, VisionInputs, VisionOutput};
use crate::checkpoint::{Config, Scope};
use crate::cpu::{Activation, Interpolation, Window};
use crate::error::Result;
use crate::layers::Linear;
use crate::ops::{Affine, LinearOptions};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

pub const BASE: &str = "glpn";

/// The decoder and its head, of which the bare encoder knows nothing.
pub const SKIP: &[&str] = &["decoder.", "head.", "num_batches_tracked"];

/// `nn.BatchNorm2d`'s own.
const EPS: f32 = 1e-5;

#[derive(Debug)]
pub struct Glpn {
    encoder: MixTransformer,
    depth: Option<Depth>,
}

#[derive(Debug)]
struct Depth {
    /// From the deepest map to the largest.
    stages: Vec<DecoderStage>,
    head: [Conv; 2],
    /// Metres that a sigmoid of 1 stands for.
    max_depth: f32,
}

#[derive(Debug)]
struct DecoderStage {
    /// To the decoder's channels, where the map has others.
    convolution: Option<Linear>,
    /// What weighs the map against the decoder's own; the first stage has nothing to fuse.
    fusion: Option<[Conv; 3]>,
}

/// A 3x3 convolution, perhaps with a batch norm.
#[derive(Debug)]
struct Conv {
    weight: WeightId,
    bias: WeightId,
    norm: Option<WeightId>,
    channels: usize,
}

impl Conv {
    fn new(scope: &Scope, channels: usize, from: usize, norm: Option<&Scope>) -> Self {
        Conv {
            weight: scope.conv_sensitive("weight", channels, from, &[3, 3]),
            bias: scope.vector("bias", channels),
            norm: norm.map(|norm| norm.batch_norm(channels, EPS)),
            channels,
        }
    }

    fn forward(&self, g: &mut Recorder, x: Tensor, activation: Activation) -> Tensor {
        let affine = self.norm.map_or(Affine::None, Affine::Norm);
        let options = LinearOptions { affine, activation, ..LinearOptions::default() };
        g.conv2d(x, self.weight, Some(self.bias), self.channels, Window::square(3, 1, 1), options)
    }
}

impl Glpn {
    /// Declares the weights of a GLPN with `head` in `root`.
    pub fn new(config: &Config, root: &Scope, head: VisionHead) -> Result<Self> {
        let encoder = MixTransformer::new(config, &root.pp(BASE).pp("encoder"))?;
        let depth = match head {
            VisionHead::Encoder => None,
            VisionHead::Depth => {
                let width = config.usize("decoder_hidden_size", Some(64))?;
                let decoder = root.pp("decoder.stages");
                let stage = |(i, channels): (usize, usize)| {
                    let scope = decoder.pp(i);
                    let fusion = scope.pp("fusion");
                    let conv = |name: &str, to, from| {
                        let layers = fusion.pp(name);
                        Conv::new(&layers.pp(0), to, from, Some(&layers.pp(1)))
                    };
                    DecoderStage {
                        convolution: (channels != width)
                            .then(|| Linear::pointwise(&scope.pp("convolution"), width, channels)),
                        fusion: (i > 0).then(|| {
                            [
                                conv("convolutional_layer1", width, 2 * width),
                                conv("convolutional_layer2", width / 2, width),
                                Conv::new(&fusion.pp("convolutional_layer3"), 2, width / 2, None),
                            ]
                        }),
                    }
                };
                let widths = encoder.stages.iter().rev().map(|stage| stage.width);
                let head = root.pp("head.head");
                Some(Depth {
                    stages: widths.enumerate().map(stage).collect(),
                    head: [
                        Conv::new(&head.pp(0), width, width, None),
                        Conv::new(&head.pp(2), 1, width, None),
                    ],
                    max_depth: config.f32("max_depth", Some(10.0))?,
                })
            }
            other => {
                let error = err!(Code::Unsupported, "GLPN has no head for {other:?}");
                return Err(error.remedy("its task is depth-estimation"));
            }
        };
        Ok(Glpn { encoder, depth })
    }

    /// pixels `[B, H, W, 3]` -> depth `[B, H, W]` in metres.
    pub fn forward(&self, g: &mut Recorder, x: &VisionInputs) -> VisionOutput {
        let maps = self.encoder.forward(g, x.pixels);
        let Some(depth) = &self.depth else {
            let states = maps.last().copied().unwrap_or(x.pixels);
            return VisionOutput::Hidden { states, pooled: None };
        };
        let mut fused: Option<Tensor> = None;
        for (i, (stage, &map)) in depth.stages.iter().zip(maps.iter().rev()).enumerate() {
            let local = match &stage.convolution {
                Some(convolution) => convolution.forward(g, map), // [B, h, w, D]
                None => map,
            };
            let y = match (&stage.fusion, fused) {
                (Some(layers), Some(global)) => {
                    let size = [local.shape.dims()[1], local.shape.dims()[2]];
                    let both = g.resize_concat(&[local, global], size, Interpolation::Bilinear);
                    let y = layers[0].forward(g, both, Activation::Relu); // [B, h, w, D]
                    let y = layers[1].forward(g, y, Activation::Relu); // [B, h, w, D / 2]
                    let gates = layers[2].forward(g, y, Activation::Sigmoid); // [B, h, w, 2]
                    let y = g.gated_sum([local, global], gates); // [B, h, w, D]
                    g.tap(format_args!("decoder.stages.{i}.fusion"), y);
                    y
                }
                _ => local,
            };
            let y = double(g, y); // [B, 2 h, 2 w, D]
            g.tap(format_args!("decoder.stages.{i}"), y);
            fused = Some(y);
        }
        let y = fused.unwrap_or(x.pixels);
        let y = double(g, y); // [B, H, W, D]
        let y = depth.head[0].forward(g, y, Activation::Relu); // [B, H, W, D]
        let y = depth.head[1].forward(g, y, Activation::Sigmoid); // [B, H, W, 1]
        let [b, h, w] = [0, 1, 2].map(|i| y.shape.dims()[i]);
        let y = g.scale(y, depth.max_depth, [b, h, w]); // [B, H, W]
        VisionOutput::Depth(y)
    }
}

/// x `[B, h, w, C]` -> `[B, 2 h, 2 w, C]`.
fn double(g: &mut Recorder, x: Tensor) -> Tensor {
    let size = [2 * x.shape.dims()[1], 2 * x.shape.dims()[2]];
    g.resize(x, size, Interpolation::Bilinear, None)
}
