//! Tokens to pieces of text: a piece never ends inside a character, and all pieces together are the
//! text that decoding everything gives.

use crate::error::Result;

/// Turns a growing list of tokens into pieces.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    ids: Vec<u32>,
    /// Text of `ids[..]` already given out, in bytes.
    given: usize,
}

/// A character that is not whole yet decodes to this.
const HALF: char = '\u{FFFD}';

impl TextStream {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds tokens; returns the text that is certain now, often a word, sometimes nothing.
    pub fn push(
        &mut self,
        ids: &[u32],
        decode: impl Fn(&[u32]) -> Result<String>,
    ) -> Result<String> {
        self.ids.extend_from_slice(ids);
        let text = decode(&self.ids)?;
        // Clean-up may still pull a space before punctuation; a half character waits for its rest.
        let whole = text.trim_end_matches(HALF).trim_end_matches(' ');
        let piece = whole.get(self.given..).unwrap_or_default().to_string();
        self.given += piece.len();
        // Long texts are decoded from a line's start only: decoding is then linear in the length.
        if text.ends_with('\n') && whole.len() == text.len() && self.ids.len() > 64 {
            self.ids.clear();
            self.given = 0;
        }
        Ok(piece)
    }

    /// The end of the text: what was held back.
    pub fn end(&mut self, decode: impl Fn(&[u32]) -> Result<String>) -> Result<String> {
        let text = decode(&self.ids)?;
        let piece = text.get(self.given..).unwrap_or_default().to_string();
        *self = Self::default();
        Ok(piece)
    }
}
