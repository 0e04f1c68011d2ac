//! Checkpoints: safetensors read by streaming, tensor names, formats on load, quantized packs.
//!
//! A model declares the weights it needs through [`Scope`]s before any byte is read; the
//! [`Manifest`] they fill is checked against the header of the file, and tensors are then
//! converted one by one as they arrive and handed to the device.

mod config;
mod manifest;
mod stopgap;

pub use config::Config;
pub use manifest::{Declared, Kind, Manifest, Scope};
pub use stopgap::{Index, Reader};
