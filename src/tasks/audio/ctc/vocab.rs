//! `Wav2Vec2CTCTokenizer`: a vocabulary of characters.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::{err, Code};

/// The repository's files that describe the vocabulary, as they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct VocabularyFiles<'a> {
    pub vocab_json: Option<&'a [u8]>,
    pub tokenizer_config: Option<&'a [u8]>,
    pub special_tokens_map: Option<&'a [u8]>,
    pub added_tokens: Option<&'a [u8]>,
}

/// The characters that a CTC head knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Vocabulary {
    /// By id. Ids that the files leave out hold the unknown token, as in Python.
    tokens: Vec<String>,
    /// Per id, the first id of the same text: Python collapses repeats by text.
    same: Vec<u32>,
    blank: String,
    delimiter: Option<String>,
    /// What stands for the delimiter in texts.
    space: String,
    lower: bool,
    clean_up: bool,
}

const FILE: &str = "vocab.json";

impl Vocabulary {
    /// Reads the files; `size` is the number of the head's logits.
    pub fn load(files: &VocabularyFiles<'_>, size: usize) -> Result<Self> {
        let Some(vocab) = files.vocab_json else {
            return Err(err!(Code::Tokenizer, "{FILE} is missing")
                .remedy("a CTC model needs its characters; check the repository"));
        };
        let vocab = object(FILE, vocab)?;
        let mut config = match files.tokenizer_config {
            Some(bytes) => object("tokenizer_config.json", bytes)?,
            None => Map::new(),
        };
        // Python's order: the map of special tokens wins, unless the config is of the newer form.
        if let Some(bytes) = files.special_tokens_map {
            let newer = config.contains_key("added_tokens_decoder");
            for (key, value) in object("special_tokens_map.json", bytes)? {
                if !newer || !config.contains_key(&key) {
                    config.insert(key, value);
                }
            }
        }
        let vocab = language(vocab, config.get("target_lang"))?;

        let unknown = token(&config, "unk_token")?.unwrap_or_else(|| "<unk>".into());
        let mut tokens = vec![unknown; size];
        let mut put = |file: &str, token: &str, id: Option<u64>| match id {
            // Ids beyond the head never come up; a file may have them.
            Some(id) => {
                if let Some(slot) = usize::try_from(id).ok().and_then(|id| tokens.get_mut(id)) {
                    *slot = token.to_string();
                }
                Ok(())
            }
            None => Err(err!(Code::Tokenizer, "{file}: the id of {token:?} is not a number")),
        };
        for (token, id) in &vocab {
            put(FILE, token, id.as_u64())?;
        }
        if let Some(bytes) = files.added_tokens {
            for (token, id) in &object("added_tokens.json", bytes)? {
                put("added_tokens.json", token, id.as_u64())?;
            }
        }
        if let Some(Value::Object(added)) = config.get("added_tokens_decoder") {
            for (id, token) in added {
                if let Some(text) = text(token) {
                    put("tokenizer_config.json", text, id.parse().ok())?;
                }
            }
        }

        let same = tokens.iter().map(|token| {
            let first = tokens.iter().position(|other| other == token);
            first.unwrap_or(0) as u32
        });
        let delimiter = match config.get("word_delimiter_token") {
            None => Some("|".to_string()),
            Some(value) => text(value).map(str::to_string),
        };
        Ok(Vocabulary {
            same: same.collect(),
            blank: token(&config, "pad_token")?.unwrap_or_else(|| "<pad>".into()),
            delimiter,
            space: token(&config, "replace_word_delimiter_char")?.unwrap_or_else(|| " ".into()),
            lower: flag(&config, "do_lower_case")?,
            clean_up: flag(&config, "clean_up_tokenization_spaces")?,
            tokens,
        })
    }

    /// Number of tokens: the width of the head's logits.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The first id of the same text as `id`'s.
    pub fn canonical(&self, id: usize) -> usize {
        self.same.get(id).map_or(id, |&same| same as usize)
    }

    /// CTC's blank is the padding token.
    pub fn is_blank(&self, id: usize) -> bool {
        self.tokens.get(id) == Some(&self.blank)
    }

    /// What token `id` adds to a text.
    pub fn text(&self, id: usize) -> &str {
        match self.tokens.get(id) {
            Some(token) if Some(token) == self.delimiter.as_ref() => &self.space,
            Some(token) => token,
            None => "",
        }
    }

    /// What separates words.
    pub fn space(&self) -> &str {
        &self.space
    }

    /// The finished form of characters that were put together.
    pub fn finish(&self, text: &str) -> String {
        let mut text = text.trim().to_string();
        if self.lower {
            text = text.to_lowercase();
        }
        if self.clean_up {
            text = crate::preprocess::tokenizer::clean_up(&text);
        }
        text
    }
}

fn object(file: &str, bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes).map_err(|e| err!(Code::Tokenizer, "{file}: {e}"))
}

/// The text of a token, which may be an object with its properties.
fn text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// A token of the configuration.
fn token(config: &Map<String, Value>, name: &str) -> Result<Option<String>> {
    match config.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match text(value) {
            Some(text) => Ok(Some(text.to_string())),
            None => Err(wrong(name, "a string")),
        },
    }
}

fn flag(config: &Map<String, Value>, name: &str) -> Result<bool> {
    match config.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| wrong(name, "true or false")),
    }
}

fn wrong(name: &str, expected: &str) -> Error {
    err!(Code::Tokenizer, "tokenizer_config.json: {name} is not {expected}")
}

/// One language of a vocabulary that holds several.
fn language(vocab: Map<String, Value>, target: Option<&Value>) -> Result<Map<String, Value>> {
    let nested = vocab.values().any(Value::is_object);
    let names = || vocab.keys().take(20).cloned().collect::<Vec<_>>().join(", ");
    match target.and_then(Value::as_str) {
        Some(target) => match vocab.get(target) {
            Some(Value::Object(one)) => Ok(one.clone()),
            _ => Err(err!(Code::Tokenizer, "{FILE} has no language {target:?}")
                .remedy(format!("it has {}", names()))),
        },
        None if nested => Err(err!(Code::Tokenizer, "{FILE} has several languages")
            .remedy(format!("set target_lang in tokenizer_config.json: {}", names()))),
        None => Ok(vocab),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(vocab: &str, config: &str, special: Option<&str>) -> Result<Vocabulary> {
        let files = VocabularyFiles {
            vocab_json: Some(vocab.as_bytes()),
            tokenizer_config: Some(config.as_bytes()),
            special_tokens_map: special.map(str::as_bytes),
            added_tokens: None,
        };
        Vocabulary::load(&files, 5)
    }

    #[test]
    fn special_tokens_come_from_the_files() {
        let vocab = r#"{"<pad>": 0, "|": 1, "A": 2, "_": 4}"#;
        let v = load(vocab, "{}", None).unwrap();
        assert!(v.is_blank(0) && !v.is_blank(1));
        assert_eq!([v.text(1), v.text(2), v.text(3)], [" ", "A", "<unk>"]);
        let config = r#"{"pad_token": {"content": "_"}, "word_delimiter_token": null,
                         "unk_token": "?", "do_lower_case": true}"#;
        let v = load(vocab, config, None).unwrap();
        assert!(v.is_blank(4) && !v.is_blank(0));
        assert_eq!([v.text(1), v.text(3)], ["|", "?"]);
        assert_eq!(v.finish(" AB "), "ab");
        let v = load(vocab, config, Some(r#"{"pad_token": "A"}"#)).unwrap();
        assert!(v.is_blank(2));
    }

    #[test]
    fn languages_are_chosen_or_listed() {
        let vocab = r#"{"eng": {"<pad>": 0, "A": 1}, "spa": {"<pad>": 0, "Ñ": 1}}"#;
        assert_eq!(load(vocab, r#"{"target_lang": "spa"}"#, None).unwrap().text(1), "Ñ");
        let error = load(vocab, "{}", None).unwrap_err();
        assert!(error.remedy.contains("eng, spa"), "{error}");
        assert!(load(vocab, r#"{"target_lang": "fra"}"#, None).is_err());
    }

    #[test]
    fn broken_files_are_refused() {
        assert!(Vocabulary::load(&VocabularyFiles::default(), 5).is_err());
        for (vocab, config) in [
            ("[]", "{}"),
            (r#"{"A": "x"}"#, "{}"),
            (r#"{"A": -1}"#, "{}"),
            ("{}", r#"{"pad_token": 3}"#),
            ("{}", r#"{"do_lower_case": "no"}"#),
        ] {
            assert_eq!(load(vocab, config, None).unwrap_err().code, Code::Tokenizer, "{vocab}");
        }
    }
}
