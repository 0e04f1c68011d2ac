//! Vision models behind one door: the registry of architectures, the inputs they share, and the
//! model as tasks see it.

use std::collections::BTreeMap;

use super::{convnext, detr, glpn, mask2former, resnet, segformer, swin, vit};
use crate::checkpoint::{Config, Manifest, Scope};
use crate::error::Result;
use crate::gpu::WeightShape;
use crate::plan::{HostValue, Outputs, PlanKey, Recorder, Runtime, Tensor};
use crate::tensor::{DType, Format, Shape};
use crate::{err, Code};

/// What sits on top of the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VisionHead {
    /// Nothing: hidden states.
    Encoder,
    /// Logits per image.
    Classification,
    /// Boxes and their labels.
    Detection,
    /// Boxes, their labels and masks (`DetrForSegmentation`).
    Panoptic,
    /// Labels and masks of queries, no boxes (`Mask2FormerForUniversalSegmentation`).
    Universal,
    /// Logits per pixel.
    Semantic,
    /// Depth per pixel.
    Depth,
}

/// The recorded inputs of B images of one size.
#[derive(Debug, Clone, Copy)]
pub struct VisionInputs {
    /// `[B, H, W, 3]`, normalised, channels last
    pub pixels: Tensor,
    /// Height and width of what is no padding: it lies at the top left. Equal to `[H, W]` unless
    /// the processor pads to a fixed size.
    pub valid: [usize; 2],
}

/// What a head gives: recorded tensors, their shapes, or the values that were read back.
#[derive(Debug, Clone)]
pub enum VisionOutput<T = Tensor> {
    /// `[B, L]`
    Logits(T),
    /// What DETR and its kin give.
    Queries {
        /// `[B, Q, L + 1]`, the last label stands for no object
        logits: T,
        /// `[B, Q, 4]`: centre x, centre y, width, height as parts of the valid image; `None` for
        /// [`VisionHead::Universal`]
        boxes: Option<T>,
        /// `[B, Q, h, w]`, logits; `None` for [`VisionHead::Detection`]
        masks: Option<T>,
    },
    /// `[B, h, w, L]`
    Semantic(T),
    /// `[B, h, w]`
    Depth(T),
    /// The bare model.
    Hidden {
        /// `[B, N, H]` or `[B, h, w, C]`: `last_hidden_state`, channels last
        states: T,
        /// `[B, H]`: `pooler_output`, where the model has one
        pooled: Option<T>,
    },
}

/// Values read back.
#[derive(Debug, Clone)]
pub struct Array {
    pub shape: Shape,
    /// Row-major, of the shape's length.
    pub data: Vec<f32>,
}

impl<T> VisionOutput<T> {
    /// The same output with its values borrowed.
    pub fn as_ref(&self) -> VisionOutput<&T> {
        match self {
            VisionOutput::Logits(x) => VisionOutput::Logits(x),
            VisionOutput::Queries { logits, boxes, masks } => {
                VisionOutput::Queries { logits, boxes: boxes.as_ref(), masks: masks.as_ref() }
            }
            VisionOutput::Semantic(x) => VisionOutput::Semantic(x),
            VisionOutput::Depth(x) => VisionOutput::Depth(x),
            VisionOutput::Hidden { states, pooled } => {
                VisionOutput::Hidden { states, pooled: pooled.as_ref() }
            }
        }
    }

    /// The same output with `f` applied to each of its values.
    pub fn map<U>(
        self,
        mut f: impl FnMut(&'static str, T) -> Result<U>,
    ) -> Result<VisionOutput<U>> {
        Ok(match self {
            VisionOutput::Logits(x) => VisionOutput::Logits(f("logits", x)?),
            VisionOutput::Queries { logits, boxes, masks } => VisionOutput::Queries {
                logits: f("logits", logits)?,
                boxes: boxes.map(|x| f("boxes", x)).transpose()?,
                masks: masks.map(|x| f("masks", x)).transpose()?,
            },
            VisionOutput::Semantic(x) => VisionOutput::Semantic(f("logits", x)?),
            VisionOutput::Depth(x) => VisionOutput::Depth(f("depth", x)?),
            VisionOutput::Hidden { states, pooled } => VisionOutput::Hidden {
                states: f("states", states)?,
                pooled: pooled.map(|x| f("pooled", x)).transpose()?,
            },
        })
    }
}

/// A model of a known architecture.
#[derive(Debug)]
enum Net {
    Vit(vit::Vit),
    ResNet(resnet::ResNet),
    ConvNext(convnext::ConvNext),
    Swin(swin::Swin),
    Segformer(segformer::Segformer),
    Glpn(glpn::Glpn),
    Mask2Former(Box<mask2former::Mask2Former>),
    Detr(Box<detr::Detr>),
}

impl Net {
    /// The registry: one line per architecture. Returns what the checkpoint must hold.
    fn new(config: &Config, head: VisionHead) -> Result<(Self, Manifest)> {
        Ok(match config.model_type()? {
            name @ ("vit" | "deit") => {
                let root = Scope::root(if name == "vit" { "vit" } else { "deit" }, vit::SKIP);
                (Net::Vit(vit::Vit::new(config, &root, head)?), root.manifest())
            }
            "resnet" => {
                let root = Scope::root(resnet::BASE, resnet::SKIP);
                (Net::ResNet(resnet::ResNet::new(config, &root, head)?), root.manifest())
            }
            name @ ("convnext" | "convnextv2") => {
                let base = if name == "convnext" { "convnext" } else { "convnextv2" };
                let root = Scope::root(base, convnext::SKIP);
                (Net::ConvNext(convnext::ConvNext::new(config, &root, head)?), root.manifest())
            }
            "swin" => {
                let root = Scope::root(swin::BASE, swin::SKIP);
                (Net::Swin(swin::Swin::new(config, &root, head)?), root.manifest())
            }
            "segformer" => {
                let root = Scope::root(segformer::BASE, segformer::SKIP);
                (Net::Segformer(segformer::Segformer::new(config, &root, head)?), root.manifest())
            }
            "glpn" => {
                let root = Scope::root(glpn::BASE, glpn::SKIP);
                (Net::Glpn(glpn::Glpn::new(config, &root, head)?), root.manifest())
            }
            "mask2former" => {
                let root = Scope::root(mask2former::BASE, mask2former::SKIP);
                let net = mask2former::Mask2Former::new(config, &root, head)?;
                (Net::Mask2Former(Box::new(net)), root.manifest())
            }
            "detr" => {
                let root = Scope::root("", detr::SKIP);
                (Net::Detr(Box::new(detr::Detr::new(config, &root, head)?)), root.manifest())
            }
            other => {
                let error = err!(Code::Unsupported, "model_type {other:?} in config.json");
                return Err(error.remedy(
                    "vision models known here: vit, deit, resnet, convnext, convnextv2, detr, \
                         swin, segformer, glpn, mask2former",
                ));
            }
        })
    }

    fn forward(&self, g: &mut Recorder, x: &VisionInputs) -> VisionOutput {
        match self {
            Net::Vit(net) => net.forward(g, x),
            Net::ResNet(net) => net.forward(g, x),
            Net::ConvNext(net) => net.forward(g, x),
            Net::Swin(net) => net.forward(g, x),
            Net::Segformer(net) => net.forward(g, x),
            Net::Glpn(net) => net.forward(g, x),
            Net::Mask2Former(net) => net.forward(g, x),
            Net::Detr(net) => net.forward(g, x),
        }
    }
}

/// What the checkpoint of a vision model with `head` must hold.
pub fn vision_manifest(config: &Config, head: VisionHead) -> Result<Manifest> {
    Net::new(config, head).map(|(_, manifest)| manifest)
}

/// Images of one size, ready for a model.
#[derive(Debug, Clone, Copy)]
pub struct Pixels<'a> {
    /// `[B, H, W, 3]`
    pub data: &'a [f32],
    /// B
    pub images: usize,
    /// `[H, W]`
    pub size: [usize; 2],
    /// See [`VisionInputs::valid`].
    pub valid: [usize; 2],
}

/// A vision model with its weights on a device.
#[derive(Debug)]
pub struct VisionModel {
    net: Net,
    /// The format the weights came to, once they are loaded.
    pub format: Option<Format>,
    /// Where the weights are and runs happen; the loader fills it.
    pub runtime: Runtime,
    /// The shapes of the outputs, per plan.
    shapes: BTreeMap<PlanKey, VisionOutput<Shape>>,
}

/// Output shapes kept: as many plans as a runtime keeps, and then some.
const SHAPES: usize = 64;

impl VisionModel {
    /// Declares the model: what comes back beside it is what its checkpoint must hold.
    pub fn new(config: &Config, head: VisionHead, runtime: Runtime) -> Result<(Self, Manifest)> {
        let (net, manifest) = Net::new(config, head)?;
        Ok((VisionModel { net, format: None, runtime, shapes: BTreeMap::new() }, manifest))
    }

    /// Compiles what a GPU needs for an image of `size` (height, width), while the weights (their
    /// formats and shapes by id) are still on their way.
    pub fn prepare(&self, weights: &[WeightShape], size: [usize; 2]) -> Result<()> {
        let record = |g: &mut Recorder| {
            record(&self.net, g, 1, size, size);
        };
        self.runtime.prepare(record, weights)
    }

    /// The head's output for images of one size.
    pub async fn run(&mut self, x: Pixels<'_>) -> Result<VisionOutput<Array>> {
        let Pixels { images, size, valid, .. } = x;
        let key = key(x)?;
        let (net, shapes) = (&self.net, &mut self.shapes);
        let record = |g: &mut Recorder| {
            let output = record(net, g, images, size, valid);
            if shapes.len() == SHAPES {
                shapes.clear();
            }
            // Never fails: the closure does not.
            if let Ok(output) = output.map(|name, t| Ok(per_image(name, t.shape, images))) {
                shapes.insert(key, output);
            }
        };
        let inputs = [("pixels", HostValue::F32(x.data))];
        let mut outputs = self.runtime.run(key, record, &inputs).await?;
        let Some(shapes) = self.shapes.get(&key).cloned() else {
            return Err(err!(Code::Internal, "the shapes of plan {key:?} are lost"));
        };
        shapes.map(|name, shape| Ok(Array { shape, data: outputs.take(name)? }))
    }

    /// Runs once with inner values read back too, under the names of `transformers`' modules.
    pub async fn run_tapped(&mut self, x: Pixels<'_>, taps: &[&str]) -> Result<Outputs> {
        let Pixels { images, size, valid, .. } = x;
        let net = &self.net;
        let record = |g: &mut Recorder| {
            record(net, g, images, size, valid);
        };
        let inputs = [("pixels", HostValue::F32(x.data))];
        self.runtime.run_tapped(taps, record, &inputs).await
    }
}

/// Encoders lay the tokens of all images end to end; whoever reads them wants `[B, N, H]`.
fn per_image(name: &str, shape: Shape, images: usize) -> Shape {
    match *shape.dims() {
        [rows, hidden] if name == "states" => Shape::from([images, rows / images, hidden]),
        _ => shape,
    }
}

/// A plan depends on the batch, the size, and the valid part.
fn key(x: Pixels<'_>) -> Result<PlanKey> {
    let ([h, w], [vh, vw]) = (x.size, x.valid);
    let sides = 1..=1 << 16;
    if !sides.contains(&h) || !sides.contains(&w) || vh > h || vw > w || vh * vw == 0 {
        return Err(err!(Code::Internal, "images of {h} x {w} with {vh} x {vw} valid pixels"));
    }
    if x.data.len() != x.images * h * w * 3 || x.images == 0 {
        let (n, b) = (x.data.len(), x.images);
        return Err(err!(Code::Internal, "{n} numbers for {b} images of {h} x {w} x 3"));
    }
    // What was padded is at most a side.
    Ok([x.images, h, w, (h - vh) << 16 | (w - vw)])
}

fn record(
    net: &Net,
    g: &mut Recorder,
    images: usize,
    [h, w]: [usize; 2],
    valid: [usize; 2],
) -> VisionOutput {
    let pixels = g.input("pixels", [images, h, w, 3], DType::F32);
    let output = net.forward(g, &VisionInputs { pixels, valid });
    // Never fails: the closure does not.
    let _ = output.clone().map(|name, t| {
        g.output(name, t);
        Ok(())
    });
    output
}
