//! Shapes, dtypes and the formats weights are stored in. No arithmetic on activations here.

mod dtype;
mod matrix;
mod shape;

pub use dtype::DType;
pub use matrix::{Format, Matrix, BLOCK};
pub use shape::Shape;

/// A weight as it arrives from a checkpoint, on its way to a device.
#[derive(Debug)]
pub enum HostWeight {
    /// Biases, norm parameters: f32.
    Vector(Vec<f32>),
    /// Everything that is multiplied or looked up by row.
    Matrix(Matrix),
}
