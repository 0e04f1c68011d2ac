//! Checkpoints: safetensors read by streaming, tensor names, formats on load, quantized packs.
//!
//! A model declares the weights it needs through [`Scope`]s before any byte is read; the
//! [`Manifest`] they fill is checked against the header of the file, and tensors are then
//! converted one by one as they arrive and handed to the device.

mod config;
mod header;
mod index;
mod layout;
mod manifest;
mod names;
mod pack;
mod part;
mod reader;

pub use config::Config;
pub use header::{Entry, Header};
pub use index::Index;
pub use layout::{Fold, Layout, Piece};
pub use manifest::{Declared, Kind, Manifest, Scope};
pub use names::{Names, Role};
pub use pack::{dtype_name, Packer};
pub use reader::{Other, Reader, Sink};
