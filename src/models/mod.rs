//! One file per architecture; names follow the checkpoint.

mod bert;
mod distilbert;
mod text;

pub use text::{Head, Pooling, TextInputs, TextModel};
