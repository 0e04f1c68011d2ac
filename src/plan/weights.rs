//! The weights of a model on one device, by id.

/// A weight of a model: an index into the weights of the runtime that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WeightId(pub u32);

/// Weights of type `W`; they arrive in the order of the checkpoint, not of their ids.
#[derive(Debug)]
pub struct Weights<W>(Vec<Option<W>>);

impl<W> Default for Weights<W> {
    fn default() -> Self {
        Weights(Vec::new())
    }
}

impl<W> Weights<W> {
    pub fn set(&mut self, id: WeightId, weight: W) {
        let at = id.0 as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at] = Some(weight);
    }

    /// The weight, if it has arrived. A checkpoint that lacks one is refused when it has been
    /// read, so no plan runs without.
    pub fn get(&self, id: WeightId) -> Option<&W> {
        self.0.get(id.0 as usize)?.as_ref()
    }

    pub fn iter(&self) -> impl Iterator<Item = &W> {
        self.0.iter().flatten()
    }
}

impl<W> FromIterator<W> for Weights<W> {
    fn from_iter<I: IntoIterator<Item = W>>(weights: I) -> Self {
        Weights(weights.into_iter().map(Some).collect())
    }
}
