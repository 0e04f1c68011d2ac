//! The CPU device: packed weights, register-tiled GEMM, and the row kernels that ops call.
//!
//! Kernels are plain functions over slices. They take ranges of output tiles, so that a threaded
//! build can split one call over workers without touching them.

mod attention;
mod conv;
mod dot;
mod gemm;
mod math;
mod memory;
mod norm;
mod pack;
mod quantize;
#[doc(hidden)]
pub mod selftest;
mod simd;
mod tiles;

pub use attention::attention;
pub use conv::{conv2d, Window};
pub use dot::Dot;
pub use gemm::{linear, Activation, Epilogue, Scratch};
pub use memory::{Buffer, Weight};
pub use norm::layer_norm;
pub use pack::PackedMatrix;
