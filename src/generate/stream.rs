//! Tokens to pieces of text: a piece never ends inside a character, and all pieces together are the
//! text that decoding everything gives.

use crate::error::Result;

/// Turns a growing list of tokens into pieces.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    ids: Vec<u32>,
    /// Bytes of the text of `ids` that were given out, or belong to the prompt.
    given: usize,
}

/// A character that is not whole yet decodes to this.
const HALF: char = '\u{FFFD}';

impl TextStream {
    /// A text that goes on after `prompt`, which is `bytes` long when decoded.
    pub fn after(prompt: &[u32], bytes: usize) -> Self {
        TextStream { ids: prompt.to_vec(), given: bytes }
    }

    /// Adds tokens; returns the text that is certain now, which may be nothing.
    ///
    /// `cleanup` says that `decode` takes out spaces before punctuation, so that the last word is
    /// certain only when the next one begins.
    pub fn push(
        &mut self,
        ids: &[u32],
        cleanup: bool,
        decode: impl Fn(&[u32]) -> Result<String>,
    ) -> Result<String> {
        self.ids.extend_from_slice(ids);
        let text = decode(&self.ids)?;
        // Only the last character can still be without its end; those before it stay as they are.
        let mut whole = text.strip_suffix(HALF).unwrap_or(&text);
        if cleanup && whole.ends_with(|c: char| c.is_ascii() && c != '\n') {
            whole = &whole[..whole.rfind(' ').unwrap_or(0)];
        }
        let piece = whole.get(self.given..).unwrap_or_default().to_string();
        self.given += piece.len();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as tokens: the worst case for characters.
    fn bytes(ids: &[u32]) -> Result<String> {
        let bytes: Vec<u8> = ids.iter().map(|id| *id as u8).collect();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn cleaned(ids: &[u32]) -> Result<String> {
        Ok(bytes(ids)?.replace(" n't", "n't").replace(" .", ".").replace(" ' ", "'"))
    }

    #[test]
    fn pieces_hold_whole_characters_and_add_up() {
        let text = "né 東京 👍🏽 do n't it ' s . e\u{301}\n end .";
        for (cleanup, decode) in [(false, bytes as fn(&[u32]) -> _), (true, cleaned)] {
            let mut stream = TextStream::default();
            let mut all = String::new();
            let mut pieces = 0;
            for byte in text.bytes() {
                let piece = stream.push(&[byte.into()], cleanup, decode).unwrap();
                assert!(!piece.contains(HALF));
                pieces += usize::from(!piece.is_empty());
                all += &piece;
            }
            all += &stream.end(decode).unwrap();
            let ids: Vec<u32> = text.bytes().map(u32::from).collect();
            assert_eq!(all, decode(&ids).unwrap());
            assert!(pieces > 6, "{pieces}");
        }
    }

    #[test]
    fn bytes_of_no_character_come_out_at_last() {
        let mut stream = TextStream::after(&[65, 66], 2);
        let mut all = String::new();
        for byte in [67, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 68] {
            all += &stream.push(&[byte], false, bytes).unwrap();
        }
        all += &stream.end(bytes).unwrap();
        assert_eq!(all, "C\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}D");
    }
}
