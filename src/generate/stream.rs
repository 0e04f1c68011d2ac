//! Tokens to pieces of text: a piece never ends inside a character, and all pieces together are the
//! text that decoding everything gives.

use crate::error::Result;

/// Turns a growing list of tokens into pieces.
///
/// It decodes the last tokens only, so that a token costs the same however long the text is.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    /// The last tokens.
    ids: Vec<u32>,
    /// Bytes of the text of `ids` that were given out, or belong to the prompt.
    given: usize,
    /// Tokens to have before the first are let go.
    room: usize,
}

/// A character that is not whole yet decodes to this.
const HALF: char = '\u{FFFD}';

/// Tokens that stay, and that there may be before some are let go.
const KEPT: usize = 32;
const ROOM: usize = 64;
/// Bytes before what is not given yet that must read alike without the tokens let go: taking out
/// spaces looks at fewer.
const ALIKE: usize = 16;

impl TextStream {
    /// A text that goes on after `prompt`, which is `bytes` long when decoded.
    pub fn after(prompt: &[u32], bytes: usize) -> Self {
        TextStream { ids: prompt.to_vec(), given: bytes, room: 0 }
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
        if self.ids.len() > self.room.max(ROOM) {
            self.slide(&text, decode)?;
        }
        Ok(piece)
    }

    /// Lets the first tokens go, if the others decode to the end of `text` without them.
    fn slide(&mut self, text: &str, decode: impl Fn(&[u32]) -> Result<String>) -> Result<()> {
        let cut = self.ids.len() - KEPT;
        let tail = decode(&self.ids[cut..])?;
        let alike = tail.bytes().rev().zip(text.bytes().rev()).take_while(|(a, b)| a == b).count();
        match text.len().checked_sub(self.given) {
            Some(rest) if alike >= rest + ALIKE => {
                self.given = tail.len() - rest;
                self.ids.drain(..cut);
                self.room = 0;
            }
            _ => self.room = 2 * self.ids.len(), // tried again then
        }
        Ok(())
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

    /// Every token decodes to as much, wherever it stands; the first space of all is taken away, as
    /// SentencePiece does.
    #[test]
    fn a_token_costs_the_same_in_a_long_text() {
        let text = "né 東京 👍🏽 do n't it ' s . e\u{301}\n end . a b . c".repeat(60);
        for cleanup in [false, true] {
            let decoded = std::cell::Cell::new(0);
            let decode = |ids: &[u32]| {
                decoded.set(decoded.get() + ids.len());
                let text = if cleanup { cleaned(ids)? } else { bytes(ids)? };
                Ok(text.strip_prefix(' ').unwrap_or(&text).to_string())
            };
            let ids: Vec<u32> = text.bytes().map(u32::from).collect();
            let prompt = decode(&ids[..1]).unwrap();
            let mut stream = TextStream::after(&ids[..1], prompt.len());
            let mut all = prompt;
            for id in &ids[1..] {
                all += &stream.push(&[*id], cleanup, decode).unwrap();
            }
            all += &stream.end(decode).unwrap();
            let used = decoded.get();
            assert_eq!(all, decode(&ids).unwrap());
            assert!(used < 2 * ROOM * ids.len(), "{used} for {}", ids.len());
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
