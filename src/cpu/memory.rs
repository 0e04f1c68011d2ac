//! What the CPU device holds: the weights of a model and the slots of a plan.

use super::PackedMatrix;
use crate::tensor::{DType, HostWeight};

/// A weight as the CPU holds it.
#[derive(Debug)]
pub enum Weight {
    /// Biases, norm parameters, small position tables: f32.
    Vector(Vec<f32>),
    /// Everything that is multiplied or looked up by row.
    Matrix(PackedMatrix),
}

impl Weight {
    /// Packs a weight as it arrives from a checkpoint.
    pub fn new(weight: HostWeight) -> Self {
        match weight {
            HostWeight::Vector(v) => Weight::Vector(v),
            HostWeight::Matrix(m) => Weight::Matrix(PackedMatrix::new(m)),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match self {
            Weight::Vector(v) => 4 * v.len(),
            Weight::Matrix(m) => m.bytes(),
        }
    }

    /// The vector; empty for a matrix, which no op that asks for a vector ever names.
    pub fn vector(&self) -> &[f32] {
        match self {
            Weight::Vector(v) => v,
            Weight::Matrix(_) => &[],
        }
    }

    /// The matrix. Panics on a vector: ops name weights by the kind they were declared with.
    pub fn matrix(&self) -> &PackedMatrix {
        match self {
            Weight::Matrix(m) => m,
            Weight::Vector(_) => unreachable!("a vector weight where the op declared a matrix"),
        }
    }
}

/// The memory of one slot.
#[derive(Debug)]
pub enum Buffer {
    F32(Vec<f32>),
    U32(Vec<u32>),
}

impl Buffer {
    /// A zeroed buffer of `len` elements.
    pub fn new(len: usize, dtype: DType) -> Self {
        match dtype {
            DType::F32 => Buffer::F32(vec![0.0; len]),
            DType::U32 => Buffer::U32(vec![0; len]),
        }
    }

    /// More elements, zeroed; those it has stay.
    pub fn grow(&mut self, len: usize) {
        match self {
            Buffer::F32(v) => v.resize(len, 0.0),
            Buffer::U32(v) => v.resize(len, 0),
        }
    }

    pub fn f32(&self) -> &[f32] {
        match self {
            Buffer::F32(v) => v,
            Buffer::U32(_) => &[],
        }
    }

    pub fn u32(&self) -> &[u32] {
        match self {
            Buffer::U32(v) => v,
            Buffer::F32(_) => &[],
        }
    }
}
