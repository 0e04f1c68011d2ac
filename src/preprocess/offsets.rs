//! Byte positions of a text in the units that callers index their strings with.

/// Translates byte positions of one text. Inside the engine every offset is a byte position,
/// which slices Rust strings; JavaScript wants UTF-16 units, Python code points.
#[derive(Debug)]
pub struct Offsets {
    /// `None` for ASCII texts, where all three agree.
    table: Option<Vec<u32>>,
}

impl Offsets {
    /// Byte positions to UTF-16 units: `text.slice(start, end)` in JavaScript.
    pub fn utf16(text: &str) -> Self {
        Self::new(text, |c| c.len_utf16() as u32)
    }

    /// Byte positions to code points: `text[start:end]` in Python.
    pub fn code_points(text: &str) -> Self {
        Self::new(text, |_| 1)
    }

    fn new(text: &str, width: impl Fn(char) -> u32) -> Self {
        if text.is_ascii() {
            return Offsets { table: None };
        }
        let mut table = Vec::with_capacity(text.len() + 1);
        let mut at = 0;
        for c in text.chars() {
            table.resize(table.len() + c.len_utf8(), at);
            at += width(c);
        }
        table.push(at);
        Offsets { table: Some(table) }
    }

    /// The position of byte `at`; of its character's start where `at` lies inside one.
    pub fn at(&self, at: usize) -> usize {
        match &self.table {
            None => at,
            Some(table) => table[at.min(table.len() - 1)] as usize,
        }
    }
}

/// The part of `text` between two byte positions, widened to whole characters.
pub fn slice(text: &str, (start, end): (usize, usize)) -> &str {
    let (start, end) = widen(text, (start, end));
    text.get(start..end).unwrap_or("")
}

/// Moves `start` down and `end` up to character boundaries: byte-level tokenizers may cut
/// characters.
pub fn widen(text: &str, (start, end): (usize, usize)) -> (usize, usize) {
    let (mut start, mut end) = (start.min(text.len()), end.min(text.len()));
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    (start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let text = "a\u{e9}\u{1f600}b"; // 1, 2, 4 and 1 bytes
        let (js, py) = (Offsets::utf16(text), Offsets::code_points(text));
        let at: Vec<_> = [0, 1, 3, 7, 8].iter().map(|&i| (js.at(i), py.at(i))).collect();
        assert_eq!(at, [(0, 0), (1, 1), (2, 2), (4, 3), (5, 4)]);
        assert_eq!(js.at(5), 2, "inside the emoji");
        assert_eq!(slice(text, (2, 4)), "\u{e9}\u{1f600}");
        assert_eq!(Offsets::utf16("plain").at(3), 3);
    }
}
