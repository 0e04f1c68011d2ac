//! Text to token ids, token ids to batches, sound to samples, pictures to pixel values.

pub mod audio;
pub mod batch;
pub mod image;
pub mod offsets;
pub mod tokenizer;

pub use batch::{Batch, Sequence};
pub use offsets::Offsets;
pub use tokenizer::{Encoding, Side, Tokenizer, TokenizerFiles, Truncate};
