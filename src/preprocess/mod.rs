//! Text to token ids, and token ids to batches.

pub mod batch;

pub use batch::{Batch, Sequence};
