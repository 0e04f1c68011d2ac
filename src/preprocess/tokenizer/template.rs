//! Where special tokens go: the `post_processor` of tokenizer.json.
//!
//! Read here rather than by the `tokenizers` crate, whose templates index without checks and copy
//! the whole text for every window of a long one.

use serde_json::Value;

use super::encoding::{Encoding, Tokens};
use super::load::{broken, text, FILE};
use crate::error::Result;
use crate::{err, Code};
use std::ops::Range;

#[derive(Debug, Clone)]
enum Piece {
    Special { ids: Vec<u32>, type_id: u32 },
    Text { which: u8, type_id: u32 },
}

/// The layouts of a single text and of a pair.
#[derive(Debug, Clone)]
pub(super) struct Template {
    single: Vec<Piece>,
    pair: Vec<Piece>,
}

impl Template {
    /// From the `post_processor` of tokenizer.json.
    pub fn parse(value: &Value) -> Result<Self> {
        match value.get("type").and_then(Value::as_str) {
            None if value.is_null() => Ok(Self::bare()),
            Some("TemplateProcessing") => Ok(Template {
                single: pieces(value, "single", 1)?,
                pair: pieces(value, "pair", 2)?,
            }),
            Some("BertProcessing") => {
                let id = |key: &str| match value[key][1].as_u64().and_then(|id| id.try_into().ok())
                {
                    Some(id) => Ok(id),
                    None => Err(broken(FILE, format!("post_processor.{key} names no token id"))),
                };
                Ok(Self::bert(id("cls")?, id("sep")?))
            }
            Some("RobertaProcessing") => {
                let bert = serde_json::json!({
                    "type": "BertProcessing", "cls": value["cls"], "sep": value["sep"],
                });
                Self::parse(&bert).map(Self::roberta)
            }
            // Byte-level processors only move offsets.
            Some("ByteLevel") => Ok(Self::bare()),
            Some("Sequence") => {
                let list = value["processors"].as_array().map(Vec::as_slice).unwrap_or_default();
                let mut others = list.iter().filter(|p| text(p, "type") != Some("ByteLevel"));
                match (others.next(), others.next()) {
                    (None, _) => Ok(Self::bare()),
                    (Some(one), None) => Self::parse(one),
                    _ => Err(err!(Code::Unsupported, "several post_processors in {FILE}")
                        .remedy("one beside ByteLevel is implemented")),
                }
            }
            other => {
                let other = other.unwrap_or("without a type");
                let error = err!(Code::Unsupported, "the post_processor {other} of {FILE}");
                Err(error.remedy("TemplateProcessing, BertProcessing, RobertaProcessing and ByteLevel are implemented"))
            }
        }
    }

    /// `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`.
    fn bert(cls: u32, sep: u32) -> Self {
        let special = |id, type_id| Piece::Special { ids: vec![id], type_id };
        let text = |which| Piece::Text { which, type_id: which.into() };
        let single = vec![special(cls, 0), text(0), special(sep, 0)];
        let mut pair = single.clone();
        pair.extend([text(1), special(sep, 1)]);
        Template { single, pair }
    }

    /// `<s> A </s>` and `<s> A </s></s> B </s>`, from BERT's.
    fn roberta(self) -> Self {
        let mut pair = Vec::new();
        for (i, piece) in self.pair.iter().enumerate() {
            pair.push(piece.clone());
            if i == 2 {
                pair.push(piece.clone());
            }
        }
        let mut template = Template { single: self.single, pair };
        for piece in template.single.iter_mut().chain(&mut template.pair) {
            match piece {
                Piece::Special { type_id, .. } | Piece::Text { type_id, .. } => *type_id = 0,
            }
        }
        template
    }

    /// No special tokens.
    fn bare() -> Self {
        let text = |which| Piece::Text { which, type_id: which.into() };
        Template { single: vec![text(0)], pair: vec![text(0), text(1)] }
    }

    fn layout(&self, pair: bool) -> &[Piece] {
        if pair {
            &self.pair
        } else {
            &self.single
        }
    }

    /// How many special tokens a single text or a pair gets.
    pub fn added(&self, pair: bool) -> usize {
        let added = |piece: &Piece| match piece {
            Piece::Special { ids, .. } => ids.len(),
            Piece::Text { .. } => 0,
        };
        self.layout(pair).iter().map(added).sum()
    }

    /// Lays out stretches of one or two texts. `types` is false for models without token types.
    pub fn apply(&self, texts: &[(&Tokens, Range<usize>)], types: bool) -> Encoding {
        let mut out = Encoding::default();
        for piece in self.layout(texts.len() > 1) {
            match piece {
                Piece::Special { ids, type_id } => {
                    for &id in ids {
                        out.push_special(id, if types { *type_id } else { 0 });
                    }
                }
                Piece::Text { which, type_id } => {
                    let (tokens, range) = &texts[usize::from(*which)];
                    let type_id = if types { *type_id } else { 0 };
                    out.push_text(tokens, range.clone(), type_id, *which);
                }
            }
        }
        out
    }
}

fn pieces(value: &Value, key: &str, texts: u8) -> Result<Vec<Piece>> {
    let broken = |what: String| broken(FILE, format!("post_processor.{key}: {what}"));
    let list = value[key].as_array().ok_or_else(|| broken("is not a list".into()))?;
    let piece = |piece: &Value| {
        let type_id = |piece: &Value| {
            let id = piece["type_id"].as_u64().and_then(|id| id.try_into().ok());
            id.ok_or_else(|| broken(format!("{piece} has no type_id")))
        };
        if let Some(sequence) = piece.get("Sequence") {
            let which = match sequence["id"].as_str() {
                Some("A") => 0,
                Some("B") if texts > 1 => 1,
                _ => return Err(broken(format!("{sequence} is no text"))),
            };
            return Ok(Piece::Text { which, type_id: type_id(sequence)? });
        }
        let Some(special) = piece.get("SpecialToken") else {
            return Err(broken(format!("{piece} is neither Sequence nor SpecialToken")));
        };
        let name = text(special, "id").ok_or_else(|| broken(format!("{special} has no id")))?;
        let ids = value["special_tokens"][name]["ids"].as_array();
        let ids = ids.and_then(|ids| ids.iter().map(token_id).collect());
        let ids = ids.ok_or_else(|| broken(format!("special token {name:?} has no ids")))?;
        Ok(Piece::Special { ids, type_id: type_id(special)? })
    };
    list.iter().map(piece).collect()
}

fn token_id(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}
