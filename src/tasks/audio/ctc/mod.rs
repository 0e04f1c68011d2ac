//! From a CTC head's logits to text: greedy, or by prefix beam search with a language model.

mod arpa;
mod beam;
mod greedy;
mod vocab;

pub use arpa::Arpa;
pub use beam::{beam_search, log_softmax, Hypothesis, Search};
pub use greedy::{decode, words, Path, Span, Transcript};
pub use vocab::{Vocabulary, VocabularyFiles};
