//! Ragged batches: token sequences of any lengths laid end to end, without padding.

use crate::error::Result;
use crate::models::Pooling;
use crate::{err, Code};

/// Tokens of a run at most, unless one sequence alone has more. Longer lists of texts are cut
/// into several runs: between them a call can be aborted, and buffers stay small.
pub const RUN_TOKENS: usize = 2048;

/// On the GPU the token count is padded to a multiple of this, so that few plans are needed.
const TOKEN_BUCKET: usize = 32;

/// One sequence for a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequence {
    pub ids: Vec<u32>,
    pub type_ids: Vec<u32>,
    /// The tokens that a head looks at, counted from the sequence's first (`[CLS]`, masks).
    pub rows: Vec<u32>,
}

/// What the model can take; kernels index tables without checks of their own.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub vocab: usize,
    /// Token types; 0 for models that have none and ignore them.
    pub types: usize,
    pub positions: usize,
}

/// B sequences of M tokens in all, and R rows that the head looks at: the inputs of one run.
///
/// Vectors may end in padding (see [`Batch::pad`]); `tokens`, `head_rows` and `sequences` count
/// what is real.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// `[M]`, each below the vocabulary's size
    pub ids: Vec<u32>,
    /// `[M]`
    pub type_ids: Vec<u32>,
    /// `[M]`, counted from 0 in each sequence
    pub positions: Vec<u32>,
    /// `[M, 2]`: the rows of the token's own sequence, start and end
    pub segments: Vec<u32>,
    /// `[R]`: the rows a head looks at
    pub rows: Vec<u32>,
    /// `[B, 2]`: the rows of each sequence, start and end
    pub bounds: Vec<u32>,
    /// What the bare encoder returns.
    pub pooling: Pooling,
    /// How many of the M, R and B are real.
    pub tokens: usize,
    pub head_rows: usize,
    pub sequences: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new(pooling: Pooling) -> Self {
        Batch { pooling, ..Batch::default() }
    }

    /// Appends a sequence that [`check`] has accepted.
    pub fn push(&mut self, sequence: &Sequence) {
        let (start, len) = (self.ids.len() as u32, sequence.ids.len() as u32);
        self.ids.extend_from_slice(&sequence.ids);
        self.type_ids.extend_from_slice(&sequence.type_ids);
        self.positions.extend(0..len);
        self.segments.extend((0..len).flat_map(|_| [start, start + len]));
        self.rows.extend(sequence.rows.iter().map(|row| start + row));
        self.bounds.extend([start, start + len]);
        self.tokens = self.ids.len();
        self.head_rows = self.rows.len();
        self.sequences += 1;
    }

    /// Pads M to a multiple of 32, R and B to powers of two: padding tokens are sequences of one
    /// token `pad`, padding rows and bounds look at the first token.
    pub fn pad(&mut self, pad: u32) {
        let m = self.ids.len().next_multiple_of(TOKEN_BUCKET);
        for row in self.ids.len() as u32..m as u32 {
            self.segments.extend([row, row + 1]);
        }
        self.ids.resize(m, pad);
        self.type_ids.resize(m, 0);
        self.positions.resize(m, 0);
        self.rows.resize(self.rows.len().next_power_of_two(), 0);
        while !(self.bounds.len() / 2).is_power_of_two() {
            self.bounds.extend([0, 1]);
        }
    }
}

/// Refuses sequences that would make a kernel read outside a table. `index` and `count` say which
/// of the caller's texts this is.
pub fn check(sequence: &Sequence, limits: Limits, index: usize, count: usize) -> Result<()> {
    let which = if count > 1 { format!("text {index}") } else { "the text".into() };
    let n = sequence.ids.len();
    if n == 0 {
        let error = err!(Code::Input, "{which} has no tokens");
        return Err(error.remedy("the tokenizer adds no special tokens: pass a text with words"));
    }
    if n > limits.positions {
        let most = limits.positions;
        let error = err!(Code::Input, "{which} has {n} tokens, the model takes at most {most}");
        return Err(
            error.remedy("split the text, or pass `truncation: true` to tasks that have it")
        );
    }
    if let Some(id) = sequence.ids.iter().find(|&&id| id as usize >= limits.vocab) {
        let vocab = limits.vocab;
        let error = err!(
            Code::Input,
            "{which} contains token {id}, the model's vocabulary ends at {vocab}"
        );
        return Err(error.remedy("the tokenizer's files belong to another model"));
    }
    let kinds = sequence.type_ids.iter().max().map_or(0, |&t| t as usize + 1);
    if limits.types > 0 && kinds > limits.types {
        let error = err!(
            Code::Input,
            "{which} is a pair with {kinds} token types, the model knows {}",
            limits.types
        );
        return Err(error.remedy("the model was made for single texts"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(ids: &[u32], rows: &[u32]) -> Sequence {
        Sequence { ids: ids.to_vec(), type_ids: vec![0; ids.len()], rows: rows.to_vec() }
    }

    #[test]
    fn sequences_lie_end_to_end() {
        let mut batch = Batch::new(Pooling::None);
        batch.push(&sequence(&[7, 8, 9], &[0]));
        batch.push(&sequence(&[5, 6], &[0, 1]));
        assert_eq!(batch.ids, [7, 8, 9, 5, 6]);
        assert_eq!(batch.positions, [0, 1, 2, 0, 1]);
        assert_eq!(batch.segments, [0, 3, 0, 3, 0, 3, 3, 5, 3, 5]);
        assert_eq!(batch.rows, [0, 3, 4]);
        assert_eq!(batch.bounds, [0, 3, 3, 5]);
    }

    #[test]
    fn padding_is_made_of_one_token_sequences() {
        let mut batch = Batch::new(Pooling::Mean);
        for ids in [[7, 8, 9], [4, 5, 6], [1, 2, 3]] {
            batch.push(&sequence(&ids, &[0]));
        }
        batch.pad(1);
        assert_eq!((batch.tokens, batch.head_rows, batch.sequences), (9, 3, 3));
        assert_eq!(batch.ids.len(), 32);
        assert_eq!(batch.ids[9], 1);
        assert_eq!(batch.segments[18..22], [9, 10, 10, 11]);
        assert_eq!(batch.segments.len(), 64);
        assert_eq!(batch.rows, [0, 3, 6, 0]);
        assert_eq!(batch.bounds[6..], [0, 1]);
    }

    #[test]
    fn what_would_read_outside_a_table_is_refused() {
        let limits = Limits { vocab: 10, types: 1, positions: 3 };
        let message = |s: &Sequence| check(s, limits, 4, 9).unwrap_err().message;
        assert!(check(&sequence(&[1, 9], &[0]), limits, 0, 1).is_ok());
        assert_eq!(
            message(&sequence(&[1; 4], &[])),
            "text 4 has 4 tokens, the model takes at most 3"
        );
        assert!(message(&sequence(&[10], &[])).contains("token 10"));
        assert!(message(&sequence(&[], &[])).contains("no tokens"));
        let pair = Sequence { type_ids: vec![0, 1], ..sequence(&[1, 2], &[]) };
        assert!(message(&pair).contains("2 token types"));
    }
}
