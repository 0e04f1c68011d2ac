//! Text to token ids, and token ids to batches.

pub mod batch;
pub mod offsets;
pub mod tokenizer;

pub use batch::{Batch, Sequence};
pub use offsets::Offsets;
pub use tokenizer::{Encoding, Side, Tokenizer, TokenizerFiles, Truncate};
