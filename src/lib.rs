//! Hugging Face models in the browser, in Rust.
//!
//! The map of the house; imports point downwards only:
//!
//! | module | what lives there |
//! |---|---|
//! | `wasm` | wasm-bindgen exports: translation, no logic |
//! | [`tasks`] | by family, one file per task: input, model, post-processing, result type |
//! | [`generate`] | decoding: options, processors, greedy, sampling, beams, stopping |
//! | [`models`] | one file per architecture; names follow the checkpoint |
//! | [`preprocess`] | text to token ids, images to pixels, sound to samples |
//! | [`layers`] | what models are made of: embeddings, linear layers, norms, encoder blocks |
//! | [`ops`] | one file per op: shape rule, CPU kernel call, GPU dispatch |
//! | [`plan`] | the recorder, the plan, its slots, and its replay on a device |
//! | [`cpu`], [`gpu`] | the two devices |
//! | [`checkpoint`] | safetensors streaming, tensor names, quantize-on-load, packs |
//! | [`tensor`] | shapes, dtypes, weight formats |
//! | [`error`] | the one error type |

pub mod checkpoint;
pub mod cpu;
pub mod error;
pub mod generate;
pub mod gpu;
pub mod layers;
pub mod models;
pub mod ops;
pub mod plan;
pub mod preprocess;
pub mod tasks;
pub mod tensor;
mod wait;
#[cfg(target_arch = "wasm32")]
pub mod wasm;

pub use error::{Code, Error, Result};
