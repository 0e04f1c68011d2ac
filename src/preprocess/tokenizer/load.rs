//! From a repository's files to a tokenizer, the way Python's fast tokenizers do it.

use std::collections::{HashMap, HashSet};

use serde::de::IgnoredAny;
use serde::Deserialize;
use serde_json::{json, Map, Value};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{
    AddedToken, ModelWrapper, NormalizedString, Normalizer, NormalizerWrapper, PostProcessorWrapper,
};

use super::encoding::Side;
use super::template::Template;
use super::{charsmap, Special, Tokenizer};
use crate::error::{Error, Result};
use crate::{err, Code};

pub(super) const FILE: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const MAP: &str = "special_tokens_map.json";

/// The tokenizer classes that build a BERT tokenizer out of vocab.txt, and that let
/// tokenizer_config.json override the normalizer of tokenizer.json.
const WORDPIECE_CLASSES: &[&str] = &[
    "BertTokenizer",
    "ConvBertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "FunnelTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
    "MobileBertTokenizer",
    "SqueezeBertTokenizer",
];

/// Special tokens by key.
type Tokens = &'static [(&'static str, &'static str)];

/// Special tokens that a class has where its files do not say; WordPiece classes have BERT's.
const CLASS_SPECIAL: &[(&[&str], Tokens)] = &[
    (
        &["GPT2Tokenizer"],
        &[
            ("bos_token", "<|endoftext|>"),
            ("eos_token", "<|endoftext|>"),
            ("unk_token", "<|endoftext|>"),
        ],
    ),
    (
        &["BartTokenizer", "MBartTokenizer", "MBart50Tokenizer"],
        &[
            ("bos_token", "<s>"),
            ("eos_token", "</s>"),
            ("unk_token", "<unk>"),
            ("sep_token", "</s>"),
            ("pad_token", "<pad>"),
            ("cls_token", "<s>"),
            ("mask_token", "<mask>"),
        ],
    ),
    (
        &["T5Tokenizer", "MarianTokenizer"],
        &[("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")],
    ),
];

/// The class of a model whose tokenizer_config.json names none.
const MODEL_CLASS: &[(&str, &str)] = &[
    ("distilbert", "DistilBertTokenizer"),
    ("gpt2", "GPT2Tokenizer"),
    ("bart", "BartTokenizer"),
    ("mbart", "MBartTokenizer"),
    ("t5", "T5Tokenizer"),
    ("mt5", "T5Tokenizer"),
    ("marian", "MarianTokenizer"),
];

/// Special tokens in Python's order.
const SPECIAL: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// `model_max_length` above this means that there is none (Python writes 1e30).
const NO_LENGTH: f64 = 1e20;

/// The files of a repository that concern its tokenizer. `tokenizer_json` or `vocab_txt` must be
/// there.
#[derive(Debug, Default, Clone, Copy)]
pub struct TokenizerFiles<'a> {
    pub tokenizer_json: Option<&'a [u8]>,
    pub vocab_txt: Option<&'a [u8]>,
    pub tokenizer_config: Option<&'a [u8]>,
    pub special_tokens_map: Option<&'a [u8]>,
}

/// An error about a file: what is wrong with it, and that another copy may help.
pub(super) fn broken(file: &str, what: impl std::fmt::Display) -> Error {
    err!(Code::Tokenizer, "{file}: {what}")
        .remedy("the file is incomplete or was made for another program: fetch it again")
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The parts of tokenizer.json that are looked at before the `tokenizers` crate gets it. Parsing
/// them also proves the whole file to be JSON: the crate panics on some broken ones.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    post_processor: Value,
    model: IgnoredAny,
}

/// An added token as the files spell it.
#[derive(Deserialize, Clone)]
struct Added {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl Added {
    fn token(self) -> AddedToken {
        let normalized = self.normalized.unwrap_or(!self.special);
        AddedToken::from(self.content, self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(normalized)
    }
}

/// A special token in tokenizer_config.json: its text, or all its properties.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum SpecialToken {
    Text(String),
    Token(Added),
}

impl SpecialToken {
    fn content(&self) -> &str {
        match self {
            SpecialToken::Text(content) => content,
            SpecialToken::Token(token) => &token.content,
        }
    }
}

/// tokenizer_config.json, with special_tokens_map.json laid over it.
struct Config {
    values: Map<String, Value>,
    /// Added tokens listed by id; where there are some, special_tokens_map.json has no say.
    added: Option<Vec<AddedToken>>,
    wordpiece: bool,
    /// Without `Fast`.
    class: String,
}

impl Config {
    fn parse(files: &TokenizerFiles<'_>, model_type: &str) -> Result<Self> {
        let mut values = match files.tokenizer_config {
            Some(bytes) => object(CONFIG, bytes)?,
            None => Map::new(),
        };
        let added = match values.get("added_tokens_decoder") {
            Some(Value::Object(tokens)) => Some(added_tokens(tokens)?),
            Some(other) if !other.is_null() => {
                return Err(broken(CONFIG, "added_tokens_decoder is not an object"));
            }
            _ => None,
        };
        if let (Some(bytes), None) = (files.special_tokens_map, &added) {
            for (key, mut value) in object(MAP, bytes)? {
                if let Some(token) = value.as_object_mut() {
                    token.insert("special".into(), true.into());
                }
                values.insert(key, value);
            }
        }
        let class = match values.get("tokenizer_class").and_then(Value::as_str) {
            Some(class) => class.strip_suffix("Fast").unwrap_or(class).to_string(),
            None => {
                let known = MODEL_CLASS.iter().find(|(model, _)| *model == model_type);
                known.map_or("BertTokenizer", |(_, class)| class).to_string()
            }
        };
        let wordpiece = WORDPIECE_CLASSES.contains(&class.as_str());
        if !wordpiece && files.tokenizer_json.is_none() {
            let error = err!(Code::Unsupported, "{CONFIG} names {class}, and there is no {FILE}");
            return Err(error.remedy("save the repository with a fast tokenizer: it writes one"));
        }
        if class.starts_with("Distil") {
            let names = json!(["input_ids", "attention_mask"]);
            values.entry("model_input_names").or_insert(names);
        }
        Ok(Config { values, added, wordpiece, class })
    }

    /// The value of `key`, `None` where it is missing or null.
    fn get<'de, T: Deserialize<'de>>(&'de self, key: &str) -> Result<Option<T>> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match T::deserialize(value) {
                Ok(value) => Ok(Some(value)),
                Err(e) => Err(broken(CONFIG, format!("{key}: {e}"))),
            },
        }
    }

    fn bool(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// A special token; classes have defaults for the keys that are not mentioned.
    fn special(&self, key: &str) -> Result<Option<SpecialToken>> {
        let class = CLASS_SPECIAL.iter().find(|(names, _)| names.contains(&self.class.as_str()));
        if let (Some((_, tokens)), false) = (class, self.values.contains_key(key)) {
            let token = tokens.iter().find(|(name, _)| *name == key);
            return Ok(token.map(|(_, content)| SpecialToken::Text(content.to_string())));
        }
        let default = match key {
            "unk_token" => "[UNK]",
            "sep_token" => "[SEP]",
            "pad_token" => "[PAD]",
            "cls_token" => "[CLS]",
            "mask_token" => "[MASK]",
            _ => return self.get(key),
        };
        if self.wordpiece && !self.values.contains_key(key) {
            return Ok(Some(SpecialToken::Text(default.into())));
        }
        self.get(key)
    }

    /// Like Python, anything but a positive length of a usable size means none.
    fn max_length(&self) -> Result<Option<usize>> {
        let length: Option<f64> = self.get("model_max_length")?;
        Ok(length.filter(|&n| (1.0..=NO_LENGTH).contains(&n)).map(|n| n as usize))
    }
}

fn object(file: &str, bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes).map_err(|e| broken(file, e))
}

fn added_tokens(tokens: &Map<String, Value>) -> Result<Vec<AddedToken>> {
    let mut list = Vec::with_capacity(tokens.len());
    for (id, token) in tokens {
        let bad = |e: &dyn std::fmt::Display| {
            broken(CONFIG, format!("added_tokens_decoder[{id:?}]: {e}"))
        };
        let number: u32 = id.parse().map_err(|e| bad(&e))?;
        list.push((number, Added::deserialize(token).map_err(|e| bad(&e))?.token()));
    }
    list.sort_by_key(|(id, _)| *id);
    Ok(list.into_iter().map(|(_, token)| token).collect())
}

/// The tokenizer.json that Python's conversion of vocab.txt comes to.
fn from_vocab(bytes: &[u8], config: &Config) -> Result<Vec<u8>> {
    let vocab = std::str::from_utf8(bytes).map_err(|e| broken("vocab.txt", e))?;
    // Python reads with universal newlines; a line that ends the file is no empty token.
    let vocab = vocab.replace("\r\n", "\n").replace('\r', "\n");
    let lines = vocab.strip_suffix('\n').unwrap_or(&vocab);
    let ids: HashMap<&str, usize> = lines.split('\n').enumerate().map(|(i, t)| (t, i)).collect();

    let special = |key: &str| -> Result<(String, usize)> {
        let content = config.special(key)?.map(|t| t.content().to_string()).unwrap_or_default();
        match ids.get(content.as_str()) {
            Some(&id) => Ok((content, id)),
            None => Err(broken("vocab.txt", format!("has no line for the {key} {content:?}"))),
        }
    };
    let ((cls, cls_id), (sep, sep_id)) = (special("cls_token")?, special("sep_token")?);
    let basic = config.bool("do_basic_tokenize", true)?;
    let lowercase = config.bool("do_lower_case", true)?;
    let chinese = config.bool("tokenize_chinese_chars", true)?;
    let accents: Option<bool> = config.get("strip_accents")?;
    let json = json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": basic && chinese,
            "strip_accents": if basic { accents } else { Some(false) },
            "lowercase": basic && lowercase,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "BertProcessing", "cls": [cls, cls_id], "sep": [sep, sep_id] },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece",
            "unk_token": special("unk_token")?.0,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    });
    serde_json::to_vec(&json).map_err(|e| broken("vocab.txt", e))
}

impl Tokenizer {
    /// Reads a tokenizer from its files.
    ///
    /// `model_type` is that of config.json (it stands in for a missing `tokenizer_class`), and
    /// `max_positions` the longest sequence that the model takes: `model_max_length` may be less,
    /// never more. Truncation and padding saved in tokenizer.json are ignored, as in Python.
    ///
    /// Fails with [`Code::Tokenizer`] for missing and malformed files, [`Code::Unsupported`] for
    /// kinds of tokenizers that are not implemented.
    pub fn load(
        files: &TokenizerFiles<'_>,
        model_type: &str,
        max_positions: usize,
    ) -> Result<Self> {
        let config = Config::parse(files, model_type)?;
        let converted; // outlives the borrow below
        let (file, bytes) = match (files.tokenizer_json, files.vocab_txt) {
            (Some(bytes), _) => (FILE, bytes),
            (None, Some(vocab)) => {
                converted = from_vocab(vocab, &config)?;
                ("vocab.txt", converted.as_slice())
            }
            (None, None) => {
                let error = err!(Code::Tokenizer, "there is neither {FILE} nor vocab.txt");
                return Err(error.remedy("the repository must hold one of them"));
            }
        };
        let parts: Parts = serde_json::from_slice(bytes).map_err(|e| broken(file, e))?;
        let IgnoredAny = parts.model;
        charsmap::check_all(&parts.normalizer).map_err(|what| broken(file, what))?;
        let template = Template::parse(&parts.post_processor)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| broken(file, e))?;
        inner.with_truncation(None).map_err(|e| broken(file, e))?.with_padding(None);
        inner.with_post_processor(None::<PostProcessorWrapper>);
        if inner.get_vocab_size(false) == 0 {
            return Err(broken(file, "the vocabulary is empty"));
        }

        let saved: Vec<AddedToken> = parts.added_tokens.into_iter().map(Added::token).collect();
        add_tokens(&mut inner, &config, saved)?;
        override_normalizer(&mut inner, &config)?;
        check_added(&inner, file)?;

        let id = |key: &str| -> Result<Option<u32>> {
            Ok(config.special(key)?.and_then(|token| inner.token_to_id(token.content())))
        };
        let special = Special {
            unk: id("unk_token")?,
            pad: id("pad_token")?,
            cls: id("cls_token")?,
            mask: id("mask_token")?,
            bos: id("bos_token")?,
            eos: id("eos_token")?,
        };
        let mask_token = config.special("mask_token")?.map(|t| t.content().to_string());
        let side = match config.get::<String>("truncation_side")?.as_deref() {
            Some("left") => Side::Left,
            _ => Side::Right,
        };
        let names: Option<Vec<String>> = config.get("model_input_names")?;
        let types = names.is_none_or(|names| names.iter().any(|name| name == "token_type_ids"));
        // The slow classes that read vocab.txt clean up unless told otherwise, the others do not.
        let cleanup = config.bool("clean_up_tokenization_spaces", file != FILE)?;
        let subword_prefix = match inner.get_model() {
            ModelWrapper::WordPiece(model) => !model.continuing_subword_prefix.is_empty(),
            ModelWrapper::BPE(model) => {
                model.continuing_subword_prefix.as_ref().is_some_and(|p| !p.is_empty())
            }
            _ => false,
        };
        let added = inner.get_added_tokens_decoder();
        let added = added.into_iter().map(|(id, token)| (id, token.content)).collect();
        let max_length = config.max_length()?.unwrap_or(usize::MAX).min(max_positions);
        Ok(Tokenizer {
            inner,
            marian: None,
            template,
            added,
            special,
            mask_token,
            side,
            types,
            cleanup,
            subword_prefix,
            max_length,
        })
    }
}

/// Adds what the configuration lists beyond the file's own added tokens `saved`, then the special
/// tokens that are not there yet.
fn add_tokens(
    inner: &mut tokenizers::Tokenizer,
    config: &Config,
    saved: Vec<AddedToken>,
) -> Result<()> {
    let mut specials = Vec::new();
    for key in SPECIAL {
        specials.extend(config.special(key)?);
    }
    specials.extend(
        config.get::<Vec<SpecialToken>>("additional_special_tokens")?.into_iter().flatten(),
    );

    let names: HashSet<&str> = specials.iter().map(SpecialToken::content).collect();
    let mut tokens: Vec<AddedToken> = Vec::new();
    for token in config.added.iter().flatten().filter(|t| !saved.contains(t)) {
        let special = token.special || names.contains(token.content.as_str());
        tokens.push(token.clone().special(special));
    }
    // Without a list in the configuration, the properties saved in tokenizer.json hold.
    let listed = config.added.as_ref().unwrap_or(&saved);
    for special in &specials {
        let content = special.content();
        let known = |t: &&AddedToken| t.content == content;
        if listed.iter().any(|t| t.content == content) {
            continue;
        }
        match special {
            SpecialToken::Token(token) => tokens.push(token.clone().token().special(true)),
            SpecialToken::Text(_) if saved.iter().find(known).is_some() => {}
            SpecialToken::Text(_) => tokens.push(AddedToken::from(content, true)),
        }
    }
    inner.add_tokens(tokens).map_err(|e| broken(CONFIG, e))?;
    Ok(())
}

/// BERT's fast classes rebuild the normalizer wherever it differs from tokenizer_config.json or
/// its defaults.
fn override_normalizer(inner: &mut tokenizers::Tokenizer, config: &Config) -> Result<()> {
    let Some(NormalizerWrapper::BertNormalizer(saved)) = inner.get_normalizer() else {
        return Ok(());
    };
    let wanted = BertNormalizer::new(
        saved.clean_text,
        config.bool("tokenize_chinese_chars", true)?,
        config.get("strip_accents")?,
        config.bool("do_lower_case", true)?,
    );
    let same = wanted.lowercase == saved.lowercase
        && wanted.strip_accents == saved.strip_accents
        && wanted.handle_chinese_chars == saved.handle_chinese_chars;
    if config.wordpiece && !same {
        inner.with_normalizer(Some(wanted)).map_err(|e| broken(CONFIG, e))?;
    }
    Ok(())
}

/// Refuses added tokens of which the normalizer leaves nothing: the crate's matcher never comes to
/// an end with an empty pattern.
fn check_added(inner: &tokenizers::Tokenizer, file: &str) -> Result<()> {
    let Some(normalizer) = inner.get_normalizer() else { return Ok(()) };
    for token in inner.get_added_tokens_decoder().values().filter(|token| token.normalized) {
        let mut text = NormalizedString::from(token.content.as_str());
        normalizer.normalize(&mut text).map_err(|e| broken(file, e))?;
        if text.is_empty() {
            let content = &token.content;
            return Err(broken(file, format!("the added token {content:?} normalizes to nothing")));
        }
    }
    Ok(())
}
