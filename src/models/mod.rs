//! One file per architecture; names follow the checkpoint.

mod bert;
mod distilbert;
mod text;

pub use text::{text_manifest, Head, Pooling, TextInputs, TextModel};
