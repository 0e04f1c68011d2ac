//! Shapes, dtypes and the formats weights are stored in. No arithmetic on activations here.

mod dtype;
mod matrix;
mod shape;

pub use dtype::DType;
pub use matrix::{Format, Matrix, Q4_BLOCK};
pub use shape::Shape;
