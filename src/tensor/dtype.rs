//! Element types of the values that flow through a plan.

/// Activations are `F32`; token ids, positions, row indices and segment bounds are `U32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    F32,
    U32,
}

impl DType {
    /// Bytes per element.
    pub const fn size(self) -> usize {
        4
    }
}
