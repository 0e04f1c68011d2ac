//! One file per architecture; names follow the checkpoint.

mod audio;
mod bart;
mod bert;
mod convnext;
mod detr;
mod detr_masks;
mod distilbert;
mod glpn;
mod gpt2;
mod lanes;
mod mask2former;
mod resnet;
mod segformer;
mod seq;
mod swin;
mod t5;
mod text;
mod vision;
mod vit;
mod wav2vec2;

pub(crate) use audio::first_largest;
pub use audio::{
    audio_manifest, AudioHead, AudioInputs, AudioModel, AudioOutput, Codes, Framing, Part,
};
pub use seq::{
    seq_manifest, Answer, Feed, SeqInfo, SeqModel, SeqNet, SeqTicket, SourceInputs, StepInputs,
    TopK, Want, CHUNK, MOST_BEST,
};
pub use text::{text_manifest, Head, Pooling, TextInputs, TextModel};
pub use vision::{
    vision_manifest, Array, Pixels, VisionHead, VisionInputs, VisionModel, VisionOutput,
};
