//! `preprocessor_config.json`: today's names, those of old feature extractors, and what the class
//! takes for a key that is missing.
//!
//! A class whose name ends in `Fast` is `torchvision`'s arithmetic, any other is Pillow's: that is
//! what `AutoImageProcessor` of transformers 4.57 loads where `torchvision` is installed. (Without
//! it Python computes the same config with Pillow, up to one level of 255 apart.)

use serde_json::{Map, Value};

use super::geometry::Size;
use super::{Engine, Filter};
use crate::error::{Error, Result};
use crate::{err, Code};

/// Longest side a processor may ask for.
const MAX_TARGET: u64 = 1 << 14;

/// The processors, by how they find the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    ViT,
    DeiT,
    ConvNext,
    Detr,
    Segformer,
    Glpn,
    /// MaskFormer and Mask2Former.
    Mask,
}

/// How a picture's size becomes the model's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Resize {
    Exact(Size),
    /// As DETR computes it.
    ShortestLongest {
        short: usize,
        long: Option<usize>,
    },
    /// As MaskFormer computes it.
    Shortest {
        short: usize,
        long: Option<usize>,
    },
    Within(Size),
    /// Down to a multiple.
    Floor(usize),
}

/// A processor's settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub class: Class,
    pub engine: Engine,
    pub resize: Option<Resize>,
    /// Both sides up to a multiple, after `resize`.
    pub ceil: Option<usize>,
    pub filter: Filter,
    pub crop: Option<Size>,
    pub scale: Option<f64>,
    pub mean_std: Option<[[f64; 3]; 2]>,
    pub pad: Option<Size>,
}

const CLASSES: &[(&str, Class)] = &[
    ("ViTImageProcessor", Class::ViT),
    ("DeiTImageProcessor", Class::DeiT),
    ("ConvNextImageProcessor", Class::ConvNext),
    ("DetrImageProcessor", Class::Detr),
    ("SegformerImageProcessor", Class::Segformer),
    ("GLPNImageProcessor", Class::Glpn),
    ("MaskFormerImageProcessor", Class::Mask),
    ("Mask2FormerImageProcessor", Class::Mask),
];

/// What `AutoImageProcessor` takes where the file names no class.
const BY_MODEL: &[(&str, Class)] = &[
    ("vit", Class::ViT),
    ("swin", Class::ViT),
    ("swinv2", Class::ViT),
    ("deit", Class::DeiT),
    ("convnext", Class::ConvNext),
    ("convnextv2", Class::ConvNext),
    ("resnet", Class::ConvNext),
    ("detr", Class::Detr),
    ("segformer", Class::Segformer),
    ("glpn", Class::Glpn),
    ("maskformer", Class::Mask),
    ("mask2former", Class::Mask),
];

const STANDARD: [[f64; 3]; 2] = [[0.5; 3], [0.5; 3]];
const IMAGENET: [[f64; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

impl Settings {
    pub fn parse(bytes: &[u8], model_type: &str) -> Result<Self> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|e| wrong("is not valid JSON", &e.to_string()))?;
        let Value::Object(fields) = value else { return Err(wrong("is no object", "")) };
        let fields = Fields(fields);
        let (class, fast) = fields.class(model_type)?;
        let engine = if fast { Engine::Torch } else { Engine::Pillow };

        let default_filter = if class == Class::DeiT { Filter::Bicubic } else { Filter::Bilinear };
        let filter = match fields.get("resample") {
            None => default_filter,
            Some(id) => id.as_u64().and_then(Filter::from_id).ok_or_else(|| {
                wrong("has resample", &id.to_string()).remedy("known filters: 0 to 5, as in Pillow")
            })?,
        };
        let (resize, cropped) = if fields.bool("do_resize", true)? {
            let (resize, crop) = fields.resize(class, fast)?;
            (Some(resize), crop)
        } else {
            (None, None)
        };
        let divides = class == Class::Mask && resize.is_some();
        // `size_divisibility` is what MaskFormer's files said at first.
        let ceil = match fields.usize("size_divisor")?.or(fields.usize("size_divisibility")?) {
            _ if !divides => None,
            Some(0) => None,
            found => Some(found.unwrap_or(32)),
        };
        // DeiT crops by default. Of the others only torch's ViT looks at the switch.
        let cropping = class == Class::DeiT || (fast && class == Class::ViT);
        let crop = if cropping && fields.bool("do_center_crop", class == Class::DeiT)? {
            match fields.get("crop_size") {
                None => Some([224, 224]),
                Some(value) => Some(exact("crop_size", value)?),
            }
        } else {
            cropped
        };
        let scale = fields.bool("do_rescale", true)?.then(|| match class {
            Class::Glpn => Ok(1.0 / 255.0), // whatever the file says
            _ => fields.f64("rescale_factor", 1.0 / 255.0),
        });
        let normal = class != Class::Glpn && fields.bool("do_normalize", true)?;
        let defaults = match class {
            Class::ViT | Class::DeiT | Class::ConvNext | Class::Glpn => STANDARD,
            Class::Detr | Class::Segformer | Class::Mask => IMAGENET,
        };
        let mean_std = normal.then(|| -> Result<_> {
            let mean = fields.channels("image_mean", defaults[0])?;
            let std = fields.channels("image_std", defaults[1])?;
            if std.contains(&0.0) {
                return Err(wrong("has a zero in", "image_std"));
            }
            Ok([mean, std])
        });
        let pads = matches!(class, Class::Detr | Class::Mask);
        let pad = fields.get("pad_size").filter(|_| pads);
        let pad = pad.map(|value| exact("pad_size", value)).transpose()?;
        Ok(Settings {
            class,
            engine,
            resize,
            ceil,
            filter,
            crop,
            scale: scale.transpose()?,
            mean_std: mean_std.transpose()?,
            pad,
        })
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    /// The field, unless it is absent or null: both mean the class's default.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn class(&self, model_type: &str) -> Result<(Class, bool)> {
        let name = match (self.get("image_processor_type"), self.get("feature_extractor_type")) {
            (Some(name), _) => Some(name.as_str().unwrap_or_default().to_string()),
            (None, Some(name)) => Some(
                name.as_str().unwrap_or_default().replace("FeatureExtractor", "ImageProcessor"),
            ),
            (None, None) => None,
        };
        let Some(name) = name else {
            let known = BY_MODEL.iter().find(|(model, _)| *model == model_type);
            return known.map(|(_, class)| (*class, false)).ok_or_else(|| {
                wrong("names no image processor for model_type", model_type)
                    .remedy("it needs an \"image_processor_type\"")
            });
        };
        let slow = name.strip_suffix("Fast");
        let known = CLASSES.iter().find(|(class, _)| *class == slow.unwrap_or(&name));
        match known {
            // transformers 4.57 has no fast GLPN and takes the other.
            Some((_, class)) => Ok((*class, slow.is_some() && *class != Class::Glpn)),
            None => {
                let names: Vec<&str> = CLASSES.iter().map(|(name, _)| *name).collect();
                Err(err!(Code::Unsupported, "image processor {name:?}")
                    .remedy(format!("known: {}", names.join(", "))))
            }
        }
    }

    /// How to resize, and what ConvNeXT crops from that.
    fn resize(&self, class: Class, fast: bool) -> Result<(Resize, Option<Size>)> {
        if class == Class::Glpn {
            return match self.usize("size_divisor")? {
                Some(0) => Err(wrong("has size_divisor", "0")),
                divisor => Ok((Resize::Floor(divisor.unwrap_or(32)), None)),
            };
        }
        let square = matches!(class, Class::ViT | Class::DeiT | Class::Segformer);
        let max_size = self.usize("max_size")?.unwrap_or(1333);
        let long = matches!(class, Class::Detr | Class::Mask).then_some(max_size);
        let found = match (self.get("size"), class) {
            (Some(value), _) => size("size", value, square, long)?,
            (None, Class::ViT | Class::Glpn) => Resize::Exact([224, 224]),
            (None, Class::DeiT) => Resize::Exact([256, 256]),
            (None, Class::Segformer) => Resize::Exact([512, 512]),
            (None, Class::ConvNext) => Resize::Shortest { short: 384, long: None },
            (None, Class::Detr | Class::Mask) => Resize::Shortest { short: 800, long },
        };
        Ok(match (found, class) {
            (Resize::Shortest { short, .. }, Class::ConvNext) if short < 384 => {
                let part = self.f64("crop_pct", 224.0 / 256.0)?;
                let whole = (short as f64 / part) as u64;
                if !(1..=MAX_TARGET).contains(&whole) {
                    return Err(wrong("has crop_pct", &part.to_string()));
                }
                let resize = Resize::Shortest { short: whole as usize, long: None };
                (resize, Some([short, short]))
            }
            (Resize::Shortest { short, .. }, Class::ConvNext) => {
                (Resize::Exact([short, short]), None)
            }
            (_, Class::ConvNext) => return Err(wrong("has no shortest_edge in", "size")),
            // Mask2Former's fast processor counts as DETR's do.
            (Resize::Shortest { short, long }, Class::Detr) => {
                (Resize::ShortestLongest { short, long }, None)
            }
            (Resize::Shortest { short, long }, Class::Mask) if fast => {
                (Resize::ShortestLongest { short, long }, None)
            }
            (other, _) => (other, None),
        })
    }

    fn bool(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| wrong_value(name, value, "true or false")),
        }
    }

    fn f64(&self, name: &str, default: f64) -> Result<f64> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => number(name, value),
        }
    }

    fn usize(&self, name: &str) -> Result<Option<usize>> {
        self.get(name).map(|value| side(name, value, 0)).transpose()
    }

    /// One number for all channels, or three.
    fn channels(&self, name: &str, default: [f64; 3]) -> Result<[f64; 3]> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Array(values)) if values.len() == 3 => {
                let mut channels = [0.0; 3];
                for (channel, value) in channels.iter_mut().zip(values) {
                    *channel = number(name, value)?;
                }
                Ok(channels)
            }
            Some(value) if value.is_number() => Ok([number(name, value)?; 3]),
            Some(value) => Err(wrong_value(name, value, "a number or three of them")),
        }
    }
}

/// A size that must give both sides.
fn exact(name: &str, value: &Value) -> Result<Size> {
    match size(name, value, true, None)? {
        Resize::Exact(size) => Ok(size),
        _ => Err(wrong_value(name, value, "height and width")),
    }
}

/// A size in any of its styles: a number, `[height, width]`, or an object.
fn size(name: &str, value: &Value, square: bool, long: Option<usize>) -> Result<Resize> {
    match value {
        Value::Number(_) => {
            let short = side(name, value, 1)?;
            Ok(if square {
                Resize::Exact([short, short])
            } else {
                Resize::Shortest { short, long }
            })
        }
        Value::Array(sides) if sides.len() == 2 => {
            Ok(Resize::Exact([side(name, &sides[0], 1)?, side(name, &sides[1], 1)?]))
        }
        Value::Object(fields) => {
            let get = |key: &str| {
                let value = fields.get(key).filter(|value| !value.is_null());
                value.map(|value| side(name, value, 1)).transpose()
            };
            if let (Some(h), Some(w)) = (get("height")?, get("width")?) {
                return Ok(Resize::Exact([h, w]));
            }
            if let Some(short) = get("shortest_edge")? {
                return Ok(Resize::Shortest { short, long: get("longest_edge")? });
            }
            if let (Some(h), Some(w)) = (get("max_height")?, get("max_width")?) {
                return Ok(Resize::Within([h, w]));
            }
            Err(wrong_value(name, value, "height and width, or shortest_edge"))
        }
        other => Err(wrong_value(name, other, "a number or an object")),
    }
}

fn side(name: &str, value: &Value, least: u64) -> Result<usize> {
    let number = value.as_u64().or_else(|| {
        value.as_f64().filter(|x| x.fract() == 0.0 && *x >= 0.0 && *x < 1e9).map(|x| x as u64)
    });
    match number {
        Some(n) if n >= least && n <= MAX_TARGET => Ok(n as usize),
        _ => Err(wrong_value(name, value, "a number of pixels")),
    }
}

fn number(name: &str, value: &Value) -> Result<f64> {
    let found = value.as_f64().filter(|x| x.is_finite());
    found.ok_or_else(|| wrong_value(name, value, "a number"))
}

fn wrong_value(name: &str, value: &Value, wanted: &str) -> Error {
    let value: String = value.to_string().chars().take(60).collect();
    err!(Code::Config, "{name:?} in preprocessor_config.json is {value}, it must be {wanted}")
}

fn wrong(what: &str, value: &str) -> Error {
    err!(Code::Config, "preprocessor_config.json {what} {value}")
}
