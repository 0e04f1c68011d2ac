//! The CPU device: packed weights, register-tiled GEMM, and the row kernels that ops call.
//!
//! Kernels are plain functions over slices. They take ranges of output tiles, so that a threaded
//! build can split one call over workers without touching them.

mod attention;
mod gemm;
mod norm;
mod pack;

pub use attention::attention;
pub use gemm::{linear, Activation, Epilogue, Scratch};
pub use norm::layer_norm;
pub use pack::PackedMatrix;

/// A weight as the CPU holds it.
#[derive(Debug)]
pub enum Weight {
    /// Biases, norm parameters, small position tables: f32.
    Vector(Vec<f32>),
    /// Everything that is multiplied or looked up by row.
    Matrix(PackedMatrix),
}

impl Weight {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match self {
            Weight::Vector(v) => 4 * v.len(),
            Weight::Matrix(m) => m.bytes(),
        }
    }
}
