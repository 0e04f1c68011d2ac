//! Token sequences, and how long ones are cut.

use std::ops::Range;

/// The tokens of one text, before special tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub ids: Vec<u32>,
    /// Byte positions in the text.
    pub offsets: Vec<(usize, usize)>,
    /// Index of the word that each token belongs to.
    pub words: Vec<u32>,
}

/// What a model reads: one text or a pair, with special tokens. All vectors have one entry per
/// token.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Encoding {
    pub ids: Vec<u32>,
    /// 0 for the first text, 1 for the second; all 0 for models without token types.
    pub type_ids: Vec<u32>,
    /// Whether the token was put there by the template (`[CLS]`, `[SEP]`).
    pub special: Vec<bool>,
    /// Byte positions in the token's own text; `(0, 0)` for special tokens.
    pub offsets: Vec<(usize, usize)>,
    /// Index of the token's word in its text; `None` for special tokens.
    pub words: Vec<Option<u32>>,
    /// Which text the token comes from; `None` for special tokens.
    pub texts: Vec<Option<u8>>,
}

impl Encoding {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The bytes that word `word` covers in text `text`, as far as this encoding reaches.
    pub fn word_bytes(&self, word: u32, text: u8) -> Option<(usize, usize)> {
        let of_word = |&i: &usize| self.words[i] == Some(word) && self.texts[i] == Some(text);
        let first = (0..self.len()).find(of_word)?;
        let last = (0..self.len()).rfind(of_word)?;
        Some((self.offsets[first].0, self.offsets[last].1))
    }

    pub(super) fn push_special(&mut self, id: u32, type_id: u32) {
        self.ids.push(id);
        self.type_ids.push(type_id);
        self.special.push(true);
        self.offsets.push((0, 0));
        self.words.push(None);
        self.texts.push(None);
    }

    pub(super) fn push_text(
        &mut self,
        tokens: &Tokens,
        range: Range<usize>,
        type_id: u32,
        text: u8,
    ) {
        let n = self.len() + range.len();
        self.ids.extend_from_slice(&tokens.ids[range.clone()]);
        self.type_ids.resize(n, type_id);
        self.special.resize(n, false);
        self.offsets.extend_from_slice(&tokens.offsets[range.clone()]);
        self.words.extend(tokens.words[range].iter().map(|&w| Some(w)));
        self.texts.resize(n, Some(text));
    }
}

/// Which text of a pair gives way when both do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// The longer one, token by token.
    LongestFirst,
    OnlyFirst,
    OnlySecond,
}

/// The end at which a text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    Left,
    #[default]
    Right,
}

/// The lengths that texts of `first` and `second` tokens keep when `room` is left for both.
/// `None` if the text that should give way is too short to make room.
pub(super) fn shares(
    (first, second): (usize, usize),
    room: usize,
    truncate: Truncate,
) -> Option<(usize, usize)> {
    let excess = (first + second).saturating_sub(room);
    if excess == 0 {
        return Some((first, second));
    }
    match truncate {
        Truncate::OnlyFirst => (first > excess).then(|| (first - excess, second)),
        Truncate::OnlySecond => (second > excess).then(|| (first, second - excess)),
        Truncate::LongestFirst => {
            let shorter = first.min(second);
            let (shorter, longer) = if 2 * shorter > room {
                (room / 2, room - room / 2)
            } else {
                (shorter, room - shorter)
            };
            Some(if first <= second { (shorter, longer) } else { (longer, shorter) })
        }
    }
}

/// The one stretch of `len` tokens that stays when `keep` are kept.
pub(super) fn cut(len: usize, keep: usize, side: Side) -> Range<usize> {
    let keep = keep.min(len);
    match side {
        Side::Right => 0..keep,
        Side::Left => len - keep..len,
    }
}

/// Windows of `size` tokens over `len`, each sharing `overlap` (below `size` where there is more
/// than one window) with the next.
pub(super) fn windows(len: usize, size: usize, overlap: usize, side: Side) -> Vec<Range<usize>> {
    let step = size.saturating_sub(overlap).max(1);
    let count = 1 + len.saturating_sub(size).div_ceil(step);
    let window = |i: usize| match side {
        Side::Right => i * step..(i * step + size).min(len),
        Side::Left => {
            let end = len - i * step;
            end.saturating_sub(size)..end
        }
    };
    (0..count).map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_first_takes_from_the_longer() {
        let share = |a, b, room| shares((a, b), room, Truncate::LongestFirst);
        assert_eq!(share(3, 4, 9), Some((3, 4)));
        assert_eq!(share(3, 10, 9), Some((3, 6)));
        assert_eq!(share(10, 3, 9), Some((6, 3)));
        assert_eq!(share(10, 11, 9), Some((4, 5)));
        assert_eq!(share(11, 10, 9), Some((5, 4)));
        assert_eq!(share(20, 0, 9), Some((9, 0)));
    }

    #[test]
    fn one_sided_truncation_needs_a_long_enough_text() {
        assert_eq!(shares((5, 9), 10, Truncate::OnlyFirst), Some((1, 9)));
        assert_eq!(shares((4, 9), 9, Truncate::OnlyFirst), None);
        assert_eq!(shares((5, 9), 6, Truncate::OnlySecond), Some((5, 1)));
    }

    #[test]
    fn windows_overlap_and_stop_at_the_end() {
        assert_eq!(windows(10, 4, 1, Side::Right), [0..4, 3..7, 6..10]);
        assert_eq!(windows(11, 4, 1, Side::Right), [0..4, 3..7, 6..10, 9..11]);
        assert_eq!(windows(10, 4, 1, Side::Left), [6..10, 3..7, 0..4]);
        assert_eq!(windows(3, 4, 1, Side::Right), vec![0..3; 1]);
        assert_eq!(windows(0, 4, 1, Side::Right), vec![0..0; 1]);
    }
}
