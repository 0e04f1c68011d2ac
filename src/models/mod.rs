//! One file per architecture; names follow the checkpoint.

mod audio;
mod bert;
mod convnext;
mod distilbert;
mod resnet;
mod text;
mod vision;
mod vit;

pub use audio::{audio_manifest, AudioHead, AudioInputs, AudioModel, AudioOutput, Codes, Framing};
pub use text::{text_manifest, Head, Pooling, TextInputs, TextModel};
pub use vision::{
    vision_manifest, Array, Pixels, VisionHead, VisionInputs, VisionModel, VisionOutput,
};
