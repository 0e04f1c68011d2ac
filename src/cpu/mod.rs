//! The CPU device: packed weights, register-tiled GEMM, and the row kernels that ops call.
//!
//! Kernels are plain functions over slices. They take ranges of output tiles, so that a threaded
//! build can split one call over workers without touching them.

mod attention;
mod cached;
mod conv;
mod conv1d;
mod deformable_attention;
mod depthwise;
mod dot;
mod gemm;
mod group_norm;
mod math;
mod memory;
mod norm;
mod pack;
mod product;
mod quantize;
mod resize;
#[doc(hidden)]
pub mod selftest;
mod simd;
mod tiles;
mod window_attention;

pub use attention::{attention, attention_kv, Columns};
pub use cached::{attend, Bias, Heads, Keys};
pub use conv::{conv2d, Window};
pub use conv1d::{conv1d, conv1d_group_norm, TimeWindows};
pub use deformable_attention::deformable_attention;
pub use depthwise::{depthwise_conv2d, max_pool2d};
pub use dot::Dot;
pub use gemm::{gemm, linear, Activation, Epilogue, Rows, Scratch};
pub use group_norm::group_norm;
pub use memory::{Buffer, Weight};
pub use norm::{layer_norm, rms_norm};
pub use pack::PackedMatrix;
pub use product::product;
pub use resize::{resize, Interpolation};
pub use window_attention::{window_attention, Windows};
