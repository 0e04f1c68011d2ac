//! One file per architecture; names follow the checkpoint.

mod audio;
mod bert;
mod distilbert;
mod text;
mod vision;

pub use audio::{audio_manifest, AudioHead, AudioInputs, AudioModel, AudioOutput, Codes, Framing};
pub use text::{text_manifest, Head, Pooling, TextInputs, TextModel};
pub use vision::{
    vision_manifest, Array, Pixels, VisionHead, VisionInputs, VisionModel, VisionOutput,
};
