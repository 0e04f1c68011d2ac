//! N-gram language models in ARPA files, with backoff.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::{err, Code};

/// Log 10 probability of a word that the model does not know and gives none for.
const UNKNOWN: f32 = -100.0;
const MAX_ORDER: usize = 16;

/// The words that the next one is scored by: at most one less than the model's order.
pub type Context = Vec<u32>;

/// An n-gram model.
#[derive(Debug, Clone)]
pub struct Arpa {
    words: HashMap<String, u32>,
    /// Sorted, without what cannot begin a longer n-gram: what pyctcdecode takes for words.
    unigrams: Vec<String>,
    /// Log 10 probability and backoff by n-gram.
    grams: HashMap<Box<[u32]>, (f32, f32)>,
    order: usize,
    unknown: u32,
}

fn broken(line: usize, what: &str) -> Error {
    err!(Code::Input, "the language model, line {line}: {what}")
        .remedy("pass the text of an ARPA file; binary models have to be converted")
}

impl Arpa {
    /// Reads the text of an ARPA file.
    pub fn parse(text: &str) -> Result<Self> {
        let mut it = Arpa {
            words: HashMap::new(),
            unigrams: Vec::new(),
            grams: HashMap::new(),
            order: 0,
            unknown: 0,
        };
        let mut section = None;
        let mut ended = false;
        for (number, line) in text.lines().enumerate() {
            let (number, line) = (number + 1, line.trim());
            match (section, line) {
                (_, "") => {}
                (None, "\\data\\") => section = Some(0),
                (None, _) => {} // comments before the model
                (Some(_), "\\end\\") => {
                    ended = true;
                    break;
                }
                (Some(_), line) if line.starts_with('\\') => {
                    let order = line[1..].strip_suffix("-grams:").and_then(|n| n.parse().ok());
                    match order {
                        Some(n) if n == it.order + 1 && n <= MAX_ORDER => it.order = n,
                        _ => return Err(broken(number, &format!("{line:?} is out of order"))),
                    }
                    section = Some(it.order);
                }
                (Some(0), _) => {} // counts, which the lines themselves tell
                (Some(order), line) => it.gram(number, order, line)?,
            }
        }
        if !ended || it.order == 0 {
            return Err(broken(text.lines().count(), "it ends before \\end\\"));
        }
        it.unknown = it.id("<unk>");
        it.unigrams.sort_unstable();
        Ok(it)
    }

    fn gram(&mut self, number: usize, order: usize, line: &str) -> Result<()> {
        let mut fields = line.split_ascii_whitespace();
        let float = |what: &str, field: Option<&str>| {
            let value = field.and_then(|x| x.parse::<f32>().ok()).filter(|x| !x.is_nan());
            value.ok_or_else(|| broken(number, &format!("no {what}")))
        };
        let probability = float("probability", fields.next())?;
        let mut gram = Vec::with_capacity(order);
        for _ in 0..order {
            let word = fields.next().ok_or_else(|| broken(number, "words are missing"))?;
            if order > 1 && !self.words.contains_key(word) {
                return Err(broken(number, &format!("{word:?} is no 1-gram")));
            }
            gram.push(self.id(word));
        }
        let backoff = match fields.next() {
            None => 0.0,
            field => {
                if order == 1 {
                    let word = line.split_ascii_whitespace().nth(1).unwrap_or_default();
                    self.unigrams.push(word.to_string());
                }
                float("backoff", field)?
            }
        };
        self.grams.insert(gram.into(), (probability, backoff));
        Ok(())
    }

    fn id(&mut self, word: &str) -> u32 {
        if let Some(&id) = self.words.get(word) {
            return id;
        }
        let id = self.words.len() as u32;
        self.words.insert(word.to_string(), id);
        id
    }

    /// The context of a text's first word; nothing is known of it without `boundary`.
    pub fn start(&self, boundary: bool) -> Context {
        match self.words.get("<s>") {
            Some(&id) if boundary && self.order > 1 => vec![id],
            _ => Context::new(),
        }
    }

    /// Whether a word of the model begins with `part`.
    pub fn begins(&self, part: &str) -> bool {
        let at = self.unigrams.partition_point(|word| word.as_str() < part);
        self.unigrams.get(at).is_some_and(|word| word.starts_with(part))
    }

    /// Whether the model knows the word.
    pub fn knows(&self, word: &str) -> bool {
        self.unigrams.binary_search_by(|known| known.as_str().cmp(word)).is_ok()
    }

    /// Log 10 probability of `word` after `context`, and the context of the word after it.
    pub fn score(&self, context: &[u32], word: &str) -> (f32, Context) {
        let id = self.words.get(word).copied().unwrap_or(self.unknown);
        let mut gram = context.to_vec();
        gram.push(id);
        let mut score = 0.0;
        for from in 0..gram.len() {
            if let Some((probability, _)) = self.grams.get(&gram[from..]) {
                score += probability;
                break;
            }
            if from + 1 == gram.len() {
                score += UNKNOWN;
            } else {
                // An n-gram that is not there has no backoff either.
                score += self.grams.get(&gram[from..gram.len() - 1]).map_or(0.0, |g| g.1);
            }
        }
        let keep = gram.len().saturating_sub(self.order.saturating_sub(1));
        (score, gram.split_off(keep))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub const TEXT: &str = "made by hand\n\\data\\\nngram 1=5\nngram 2=3\nngram 3=1\n\n\\1-grams:\n\
        -1.0\t<unk>\n-99\t<s>\t-0.5\n-0.8\t</s>\n-0.5\tA\t-0.3\n-0.7\tBA\t-0.2\n\n\\2-grams:\n\
        -0.2\t<s> A\t-0.1\n-0.4\tA BA\t-0.05\n-0.6\tBA </s>\n\n\\3-grams:\n-0.1\t<s> A BA\n\n\\end\\\n";

    #[test]
    fn longer_contexts_win_and_missing_ones_back_off() {
        let lm = Arpa::parse(TEXT).unwrap();
        let near = |(score, context): (f32, Context), want: f32| {
            assert!((score - want).abs() < 1e-6, "{score} {want}");
            context
        };
        let s = lm.start(true);
        let a = near(lm.score(&s, "A"), -0.2);
        let ba = near(lm.score(&a, "BA"), -0.1);
        near(lm.score(&ba, "</s>"), -0.05 - 0.6);
        near(lm.score(&s, "BA"), -0.5 - 0.7);
        near(lm.score(&ba, "A"), -0.05 - 0.2 - 0.5);
        near(lm.score(&ba, "X"), -0.05 - 0.2 - 1.0);
        near(lm.score(&lm.start(false), "A"), -0.5);
        assert!(lm.begins("B") && lm.begins("BA") && !lm.begins("AB") && lm.begins(""));
        assert!(lm.knows("A") && !lm.knows("</s>") && !lm.knows("B"));
    }

    #[test]
    fn broken_files_say_the_line() {
        for (from, to, word) in [
            ("\\end\\", "", "ends before"),
            ("\\2-grams:", "\\3-grams:", "line 14"),
            ("-0.4\tA BA", "-0.4\tA BX", "BX"),
            ("-0.4\tA BA\t-0.05", "-0.4\tA", "words are missing"),
            ("-0.5\tA\t-0.3", "x\tA\t-0.3", "no probability"),
            ("\\data\\", "", "ends before"),
        ] {
            let error = Arpa::parse(&TEXT.replacen(from, to, 1)).unwrap_err();
            assert!(error.message.contains(word), "{word}: {error}");
        }
        assert!(Arpa::parse("").is_err());
    }
}
