//! Weight matrices in the order the GEMM micro-kernels read them.

use crate::tensor::Matrix;

/// A weight matrix packed for this build's micro-kernels.
#[derive(Debug)]
pub struct PackedMatrix {
    inner: Matrix,
}

impl PackedMatrix {
    /// Packs `matrix`; the canonical copy is consumed, so at most one copy of one matrix is held
    /// beside the packed weights while a model loads.
    pub fn new(matrix: Matrix) -> Self {
        PackedMatrix { inner: matrix }
    }

    /// Output channels.
    pub fn n(&self) -> usize {
        self.inner.n
    }

    /// Input channels.
    pub fn k(&self) -> usize {
        self.inner.k
    }

    /// Dequantizes row `r` (`[K]`): an embedding lookup.
    pub fn row(&self, r: usize, out: &mut [f32]) {
        self.inner.row(r, out);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.inner.bytes()
    }
}
