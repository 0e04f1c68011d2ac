//! One op, one file: its shape rule (a method of the recorder), its CPU kernel call and its GPU
//! recipe. The shader of the same name stands in `shaders/`.

mod argmax;
mod attention;
mod conv2d;
mod embedding;
mod gather_rows;
mod layer_norm;
mod linear;
mod segment_mean;

pub use linear::{Affine, LinearOptions};
