//! A shape of up to four dimensions, outermost first, copied like a number.

use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; 4],
    rank: u8,
}

impl Shape {
    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank as usize]
    }

    /// Number of elements.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.dims().iter().product()
    }

    /// The innermost dimension (channels, features); 1 for a scalar.
    pub fn last(&self) -> usize {
        self.dims().last().copied().unwrap_or(1)
    }

    /// All dimensions but the innermost, multiplied: the rows of the value seen as a matrix.
    pub fn rows(&self) -> usize {
        self.dims().split_last().map_or(1, |(_, outer)| outer.iter().product())
    }

    /// The same shape with another innermost dimension.
    pub fn with_last(mut self, last: usize) -> Self {
        if self.rank > 0 {
            self.dims[self.rank as usize - 1] = last;
        }
        self
    }
}

impl<const R: usize> From<[usize; R]> for Shape {
    fn from(from: [usize; R]) -> Self {
        const { assert!(R <= 4, "a shape has at most four dimensions") };
        let mut dims = [1; 4];
        dims[..R].copy_from_slice(&from);
        Shape { dims, rank: R as u8 }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
