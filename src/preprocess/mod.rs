//! Text to token ids, token ids to batches, and sound to samples.

pub mod audio;
pub mod batch;
pub mod offsets;
pub mod tokenizer;

pub use batch::{Batch, Sequence};
pub use offsets::Offsets;
pub use tokenizer::{Encoding, Side, Tokenizer, TokenizerFiles, Truncate};
