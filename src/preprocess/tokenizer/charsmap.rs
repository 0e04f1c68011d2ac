//! SentencePiece's precompiled character map, checked before the `tokenizers` crate walks it: it
//! indexes without looking, and a broken file would end the whole engine.
//!
//! Layout: the byte length of a double-array trie (u32), the trie's units (u32 each), then
//! replacement texts, each ended by a zero byte. A trie's value is where its replacement begins.

use serde_json::Value;

/// Checks every `Precompiled` in a `normalizer` of tokenizer.json; says what is wrong.
pub fn check_all(normalizer: &Value) -> Result<(), String> {
    if normalizer["type"] == "Precompiled" || normalizer.get("precompiled_charsmap").is_some() {
        let map = normalizer["precompiled_charsmap"].as_str();
        let map = map.ok_or("a Precompiled normalizer without its precompiled_charsmap")?;
        check(&decode_base64(map).ok_or("precompiled_charsmap is not base64")?)?;
    }
    let inner = normalizer["normalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
    inner.iter().try_for_each(check_all)
}

/// Checks one map.
pub fn check(map: &[u8]) -> Result<(), String> {
    let bad = || "the precompiled character map is damaged".to_string();
    let size = u32::from_le_bytes(map.get(..4).and_then(|b| b.try_into().ok()).ok_or_else(bad)?);
    let trie = map.get(4..).and_then(|rest| rest.get(..size as usize)).ok_or_else(bad)?;
    let texts = std::str::from_utf8(&map[4 + trie.len()..]).map_err(|_| bad())?;
    let units: Vec<u32> =
        trie.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    // Every unit that a text can lead to: from each, all 256 bytes must stay inside.
    let base = |at: usize| {
        let unit = units[at] as usize;
        at ^ (unit >> 10) << ((unit & 1 << 9) >> 6)
    };
    if units.is_empty() {
        return Err(bad());
    }
    let mut seen = vec![false; units.len()];
    let mut todo = vec![0];
    while let Some(at) = todo.pop() {
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        let next = base(at);
        if next | 255 >= units.len() {
            return Err(bad());
        }
        if units[at] >> 8 & 1 == 1 {
            let text = (units[next] & 0x7FFF_FFFF) as usize;
            if !texts.is_char_boundary(text) {
                return Err(bad());
            }
        }
        // A unit's label is the byte that leads to it.
        todo.extend((1..256).map(|c| (next ^ c, c as u32)).filter_map(|(to, c)| {
            let label = units[to] & 0x8000_00FF;
            (label == c && !seen[to]).then_some(to)
        }));
    }
    Ok(())
}

/// A map that passed [`check`].
#[derive(Debug)]
pub struct Charsmap {
    units: Vec<u32>,
    texts: String,
}

impl Charsmap {
    /// `None` for a damaged map, and for an empty one.
    pub fn new(map: &[u8]) -> Option<Self> {
        check(map).ok()?;
        let size = u32::from_le_bytes(map.get(..4)?.try_into().ok()?) as usize;
        let (trie, texts) = map[4..].split_at(size);
        let unit = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        Some(Charsmap {
            units: trie.chunks_exact(4).map(unit).collect(),
            texts: String::from_utf8(texts.to_vec()).ok()?,
        })
    }

    /// The longest beginning of `text` that is in the map: its length, and what replaces it.
    pub fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let offset = |unit: u32| ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize;
        let mut at = offset(self.units[0]);
        let mut found = None;
        // A zero byte is no key: its units are the values.
        for (i, c) in text.bytes().enumerate().take_while(|(_, c)| *c != 0) {
            at ^= usize::from(c);
            let unit = self.units[at];
            if unit & 0x8000_00FF != u32::from(c) {
                break;
            }
            at ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                found = Some((i + 1, (self.units[at] & 0x7FFF_FFFF) as usize));
            }
        }
        let (len, value) = found.filter(|(len, _)| text.is_char_boundary(*len))?;
        Some((len, self.texts[value..].split('\0').next().unwrap_or_default()))
    }
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| {
        Some(match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    let text = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    for quad in text.chunks(4) {
        let mut bits = 0u32;
        for &c in quad {
            bits = bits << 6 | u32::from(digit(c)?);
        }
        bits <<= 6 * (4 - quad.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..quad.len()]);
    }
    Some(out)
}

pub fn encode_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut three = [0; 4];
        three[1..1 + chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(three);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}
