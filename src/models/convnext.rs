//! ConvNeXT (Liu et al. 2022, arXiv:2201.03545) and its second version (Woo et al. 2023,
//! arXiv:2301.00808), which normalizes responses instead of scaling layers. Names follow
//! `transformers`' `ConvNextModel` and `ConvNextV2Model`.

use super::resnet::list;
use super::vision::{VisionHead, VisionInputs, VisionOutput};
use crate::checkpoint::{Config, Scope};
use crate::cpu::{Activation, Window};
use crate::error::Result;
use crate::layers::{activation, Conv2d, LayerNorm, Linear};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

pub const SKIP: &[&str] = &["classifier."];

/// Fixed in the model's code, but for the last norm.
const EPS: f32 = 1e-6;
const DEPTHWISE: Window = Window::square(7, 1, 3);

#[derive(Debug)]
pub struct ConvNext {
    patches: Conv2d,
    norm: LayerNorm,
    stages: Vec<Stage>,
    last_norm: LayerNorm,
    classifier: Option<Linear>,
}

#[derive(Debug)]
struct Stage {
    /// A norm and a convolution that halves the sides; all stages but the first.
    down: Option<(LayerNorm, Conv2d)>,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    depthwise: [WeightId; 2],
    norm: LayerNorm,
    up: Linear,
    end: End,
    down: Linear,
    activation: Activation,
}

/// What stands between a layer's activation and its residual, besides the last projection.
#[derive(Debug, Clone, Copy)]
enum End {
    Plain,
    /// Version 1: the projection is scaled, per channel.
    Scale(WeightId),
    /// Version 2: responses are normalized before the projection.
    Response([WeightId; 2]),
}

impl ConvNext {
    /// Declares the weights of a ConvNeXT with `head` in `root`.
    pub fn new(config: &Config, root: &Scope, head: VisionHead) -> Result<Self> {
        let second = config.model_type()? == "convnextv2";
        let sizes = list(config, "hidden_sizes", &[96, 192, 384, 768])?;
        let depths = list(config, "depths", &[3, 3, 9, 3])?;
        if sizes.len() != depths.len() {
            let (a, b) = (sizes.len(), depths.len());
            return Err(err!(Code::Config, "hidden_sizes of {a} stages and depths of {b}")
                .remedy("config.json is damaged or was edited"));
        }
        let patch = config.usize("patch_size", Some(4))?;
        let colours = config.usize("num_channels", Some(3))?;
        let scaled = !second && config.f32("layer_scale_init_value", Some(1e-6))? > 0.0;
        let activation = activation(config.string("hidden_act", Some("gelu"))?)?;

        let scope = root.pp(if second { "convnextv2" } else { "convnext" });
        let e = scope.pp("embeddings");
        let window = Window::square(patch, patch, 0);
        let patches = Conv2d::new(&e.pp("patch_embeddings"), [sizes[0], colours], window);
        let norm = LayerNorm::new(&e.pp("layernorm"), sizes[0], EPS);
        let mut stages = Vec::new();
        let mut input = sizes[0];
        for (s, (&c, &depth)) in sizes.iter().zip(&depths).enumerate() {
            let scope = scope.pp("encoder.stages").pp(s);
            let down = (s > 0).then(|| {
                let scope = scope.pp("downsampling_layer");
                let convolution = Conv2d::new(&scope.pp(1), [c, input], Window::square(2, 2, 0));
                (LayerNorm::new(&scope.pp(0), input, EPS), convolution)
            });
            let layer = |l: usize| {
                let scope = scope.pp("layers").pp(l);
                let depthwise = scope.pp("dwconv");
                let grn = scope.pp("grn");
                Layer {
                    depthwise: [
                        depthwise.depthwise("weight", c, &DEPTHWISE.kernel),
                        depthwise.vector("bias", c),
                    ],
                    norm: LayerNorm::new(&scope.pp("layernorm"), c, EPS),
                    up: Linear::new(&scope.pp("pwconv1"), 4 * c, c),
                    end: if second {
                        End::Response([grn.vector("weight", 4 * c), grn.vector("bias", 4 * c)])
                    } else if scaled {
                        End::Scale(scope.vector("layer_scale_parameter", c))
                    } else {
                        End::Plain
                    },
                    down: Linear::new(&scope.pp("pwconv2"), c, 4 * c),
                    activation,
                }
            };
            let layers = (0..depth).map(layer).collect();
            stages.push(Stage { down, layers });
            input = c;
        }
        let eps = config.f32("layer_norm_eps", Some(1e-12))?;
        let last_norm = LayerNorm::new(&scope.pp("layernorm"), input, eps);
        let classifier = match head {
            VisionHead::Encoder => None,
            VisionHead::Classification => {
                Some(Linear::exact(&root.pp("classifier"), config.labels()?.len(), input))
            }
            other => {
                let error = err!(Code::Unsupported, "ConvNeXT has no head for {other:?}");
                return Err(error.remedy("ConvNeXT classifies images"));
            }
        };
        Ok(ConvNext { patches, norm, stages, last_norm, classifier })
    }

    /// The head's output for B images.
    pub fn forward(&self, g: &mut Recorder, x: &VisionInputs) -> VisionOutput {
        let h = self.patches.forward(g, x.pixels); // [B, h, w, C]
        let mut h = self.norm.forward(g, h); // [B, h, w, C]
        g.tap(format_args!("embeddings"), h);
        for (s, stage) in self.stages.iter().enumerate() {
            if let Some((norm, convolution)) = &stage.down {
                h = norm.forward(g, h);
                h = convolution.forward(g, h); // [B, h / 2, w / 2, 2 C]
            }
            for (l, layer) in stage.layers.iter().enumerate() {
                h = layer.forward(g, h);
                g.tap(format_args!("encoder.stages.{s}.layers.{l}"), h);
            }
        }
        let pooled = g.mean_rows(h); // [B, C]
        let pooled = self.last_norm.forward(g, pooled); // [B, C]
        g.tap(format_args!("layernorm"), pooled);
        match &self.classifier {
            None => VisionOutput::Hidden { states: h, pooled: Some(pooled) },
            Some(classifier) => VisionOutput::Logits(classifier.forward(g, pooled)), // [B, L]
        }
    }
}

impl Layer {
    /// x `[B, h, w, C]` -> `[B, h, w, C]`.
    fn forward(&self, g: &mut Recorder, x: Tensor) -> Tensor {
        let [weight, bias] = self.depthwise;
        let h = g.depthwise_conv2d(x, weight, Some(bias), DEPTHWISE, Activation::None);
        let h = self.norm.forward(g, h); // [B, h, w, C]
        let h = self.up.activate(g, h, self.activation); // [B, h, w, 4C]
        match self.end {
            End::Plain => self.down.add(g, h, x),
            End::Scale(scale) => self.down.add_scaled(g, h, scale, x),
            End::Response([weight, bias]) => {
                let h = g.response_norm(h, weight, bias); // [B, h, w, 4C]
                self.down.add(g, h, x)
            }
        }
    }
}
