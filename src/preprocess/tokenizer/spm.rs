//! SentencePiece models (spiece.model, sentencepiece.bpe.model): the few fields of the protobuf
//! that matter, and the tokenizer.json that Python's conversion makes of them.

use serde_json::{json, Value};

use super::charsmap;
use super::load::broken;
use crate::error::Result;
use crate::{err, Code};

/// A unigram model.
#[derive(Debug)]
pub struct SentencePiece {
    /// Pieces with their scores and kinds, in id order.
    pieces: Vec<(String, f32, u64)>,
    unk: u64,
    pub(super) charsmap: Vec<u8>,
    /// `add_dummy_prefix`: a space is put before a text.
    pub(super) prefix: bool,
    /// `remove_extra_whitespaces`
    pub(super) squeeze: bool,
}

/// Kinds of pieces.
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER: u64 = 4;

/// How a class of `transformers` lays the pieces out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The file's pieces, then `extra` sentinels, the last first; texts end in `</s>`.
    T5 { extra: usize },
    /// fairseq's first four, the pieces, languages, `<mask>`; texts end in `</s>` and a language.
    MBart,
    /// The same with 52 languages; texts begin with the language and end in `</s>`.
    MBart50,
}

/// mBART's; mBART-50 has the further ones too.
const LANGUAGES: &str = "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT \
    ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN";
const FURTHER: &str = "af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN \
    mr_IN pl_PL ps_AF pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI";

/// The language codes of mBART and mBART-50.
pub fn languages() -> impl Iterator<Item = &'static str> {
    LANGUAGES.split_whitespace().chain(FURTHER.split_whitespace())
}

/// One field of a protobuf message.
enum Field<'a> {
    Number(u64),
    Bits(u32),
    Bytes(&'a [u8]),
    Skipped,
}

/// Reads fields off the front of a message.
struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        if n > self.0.len() {
            return None;
        }
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        Some(taken)
    }

    fn next(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Field::Skipped
            }
            2 => {
                let len = self.varint()?;
                Field::Bytes(self.take(usize::try_from(len).ok()?)?)
            }
            5 => Field::Bits(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((key >> 3, field))
    }
}

impl SentencePiece {
    /// Reads the file called `name`.
    ///
    /// # Errors
    /// [`Code::Tokenizer`] for damaged files, [`Code::Unsupported`] for models other than unigram.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let bad = || broken(name, "this is no SentencePiece model, or it is cut short");
        let mut model = SentencePiece {
            pieces: Vec::new(),
            unk: 0,
            charsmap: Vec::new(),
            prefix: true,
            squeeze: true,
        };
        let mut message = Message(bytes);
        while !message.0.is_empty() {
            let (field, value) = message.next().ok_or_else(bad)?;
            let Field::Bytes(bytes) = value else { continue };
            let mut inner = Message(bytes);
            let mut piece = (String::new(), 0.0, 1);
            while !inner.0.is_empty() {
                match (field, inner.next().ok_or_else(bad)?) {
                    (1, (1, Field::Bytes(text))) => {
                        piece.0 = String::from_utf8(text.to_vec()).map_err(|_| bad())?;
                    }
                    (1, (2, Field::Bits(bits))) => piece.1 = f32::from_bits(bits),
                    (1, (3, Field::Number(kind))) => piece.2 = kind,
                    // trainer_spec: model_type, unk_id
                    (2, (3, Field::Number(kind))) if kind != 1 => {
                        let error = err!(Code::Unsupported, "{name} is no unigram model");
                        return Err(error.remedy("save the repository with a tokenizer.json"));
                    }
                    (2, (40, Field::Number(id))) => model.unk = id,
                    // normalizer_spec
                    (3, (2, Field::Bytes(map))) => model.charsmap = map.to_vec(),
                    (3, (3, Field::Number(on))) => model.prefix = on != 0,
                    (3, (4, Field::Number(on))) => model.squeeze = on != 0,
                    _ => {}
                }
            }
            if field == 1 {
                model.pieces.push(piece);
            }
        }
        if model.pieces.is_empty()
            || !model.charsmap.is_empty() && charsmap::check(&model.charsmap).is_err()
        {
            return Err(bad());
        }
        if model.unk as usize >= model.pieces.len() || model.pieces.iter().any(|p| !p.1.is_finite())
        {
            return Err(bad());
        }
        Ok(model)
    }

    /// The pieces that texts are cut into, with their scores, and which of them is the unknown one;
    /// that one is spelled so that no text has it.
    pub(super) fn unigram(&self) -> (Vec<(String, f64)>, usize) {
        let kept = |p: &&(String, f32, u64)| matches!(p.2, 1 | UNKNOWN | USER);
        let piece = |(text, score, kind): &(String, f32, u64)| {
            let text = if *kind == UNKNOWN { String::new() } else { text.clone() };
            (text, f64::from(*score))
        };
        let unk = self.pieces[..self.unk as usize].iter().filter(kept).count();
        (self.pieces.iter().filter(kept).map(piece).collect(), unk)
    }

    /// The tokenizer.json of this model under a class's layout. `prepend` says where a space is put
    /// before a text: `always`, `first` (not after special tokens) or `never`.
    pub fn tokenizer_json(&self, layout: Layout, prepend: &str) -> Result<Vec<u8>> {
        let piece = |(text, score, _): &(String, f32, u64)| json!([text, score]);
        let plain = |token: &str| json!([token, 0.0]);
        let mut vocab: Vec<Value> = Vec::with_capacity(self.pieces.len() + 160);
        let mut special: Vec<(String, bool)> = Vec::new();
        let (mut unk, shift) = (self.unk, if matches!(layout, Layout::T5 { .. }) { 0 } else { 1 });
        if let Layout::T5 { extra } = layout {
            vocab.extend(self.pieces.iter().map(piece));
            vocab.extend((0..extra).rev().map(|i| plain(&format!("<extra_id_{i}>"))));
            special.extend((0..extra).map(|i| (format!("<extra_id_{i}>"), true)));
        } else {
            vocab.extend(["<s>", "<pad>", "</s>", "<unk>"].map(plain));
            vocab.extend(self.pieces.iter().skip(3).map(piece));
            let further = if layout == Layout::MBart50 { FURTHER } else { "" };
            let languages = LANGUAGES.split_whitespace().chain(further.split_whitespace());
            for token in languages.chain(["<mask>"]) {
                vocab.push(plain(token));
                special.push((token.to_string(), true));
            }
            special.extend(["<s>", "<pad>", "</s>", "<unk>"].map(|t| (t.to_string(), true)));
            unk = 3;
        }
        let own = self.pieces.iter().filter(|p| matches!(p.2, CONTROL | USER));
        special.extend(own.map(|(text, _, kind)| (text.clone(), *kind == CONTROL)));
        special.push((
            if shift == 0 { self.pieces[self.unk as usize].0.clone() } else { "<unk>".into() },
            true,
        ));
        let id = |token: &str| vocab.iter().position(|entry| entry[0] == token);
        let mut added: Vec<(usize, Value)> = Vec::new();
        for (token, special) in special {
            let Some(id) = id(&token).filter(|id| added.iter().all(|(a, _)| a != id)) else {
                continue;
            };
            added.push((
                id,
                json!({
                    "id": id, "content": token, "single_word": false, "lstrip": token == "<mask>",
                    "rstrip": false, "normalized": false, "special": special,
                }),
            ));
        }
        added.sort_by_key(|(id, _)| *id);
        let added: Vec<Value> = added.into_iter().map(|(_, token)| token).collect();
        let mut specials = json!({});
        for name in ["</s>", "en_XX"] {
            if let Some(id) = id(name) {
                specials[name] = json!({ "id": name, "ids": [id], "tokens": [name] });
            }
        }
        let token = |name: &str| json!({ "SpecialToken": { "id": name, "type_id": 0 } });
        let text = |which: &str| json!({ "Sequence": { "id": which, "type_id": 0 } });
        let (a, b, end) = (text("A"), text("B"), token("</s>"));
        let lang = token("en_XX");
        let (single, pair) = match layout {
            Layout::T5 { .. } => (json!([a, end]), json!([a, end, b, end])),
            Layout::MBart => (json!([a, end, lang]), json!([a, b, end, lang])),
            Layout::MBart50 => (json!([lang, a, end]), json!([lang, a, b, end])),
        };
        let mut normalizers = Vec::new();
        if !self.charsmap.is_empty() {
            let map = charsmap::encode_base64(&self.charsmap);
            normalizers.push(json!({ "type": "Precompiled", "precompiled_charsmap": map }));
        }
        normalizers.push(json!({ "type": "Strip", "strip_left": false, "strip_right": true }));
        normalizers
            .push(json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": "▁" }));
        let metaspace = json!({
            "type": "Metaspace", "replacement": "▁", "prepend_scheme": prepend, "split": true,
        });
        let json = json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": { "type": "Sequence", "normalizers": normalizers },
            "pre_tokenizer": metaspace,
            "post_processor": {
                "type": "TemplateProcessing", "single": single, "pair": pair,
                "special_tokens": specials,
            },
            "decoder": metaspace,
            "model": { "type": "Unigram", "unk_id": unk, "vocab": vocab, "byte_fallback": false },
        });
        serde_json::to_vec(&json).map_err(|e| broken("the SentencePiece model", e))
    }
}
