//! MarianMT's tokenizer: text is cut by source.spm, and vocab.json numbers the pieces.
//!
//! Python's class is a slow one, so the reference is SentencePiece itself: its normalizer is here,
//! the search for the best pieces is the `tokenizers` crate's. As there, a text (and what follows a
//! special token in it) may begin with one language code, `>>es<<`, which is one token; the
//! punctuation normalizer of sacremoses has no say in tokenizing. target.spm is not needed: pieces
//! are joined as they are spelled.

use std::collections::HashMap;

use serde_json::{json, Value};
use tokenizers::models::unigram::Unigram;

use super::charsmap::Charsmap;
use super::encoding::Tokens;
use super::load::broken;
use super::spm::SentencePiece;
use super::{Tokenizer, TokenizerFiles};
use crate::error::Result;
use crate::{err, Code};

const SOURCE: &str = "source.spm";
const VOCAB: &str = "vocab.json";
/// What stands for a space.
const SPACE: char = '▁';

/// What takes the place of the `tokenizers` crate's pipeline.
#[derive(Debug)]
pub(super) struct Marian {
    pieces: Unigram,
    charsmap: Option<Charsmap>,
    /// A space is put before a text.
    prefix: bool,
    /// Runs of spaces become one, those at the ends none.
    squeeze: bool,
    ids: HashMap<String, u32>,
    tokens: HashMap<u32, String>,
    unk: u32,
    /// Special tokens, the longer ones first.
    special: Vec<String>,
}

/// A text as SentencePiece normalizes it, and where each of its bytes comes from.
struct Normalized {
    text: String,
    origin: Vec<usize>,
}

impl Marian {
    /// The bytes that the first step of the normalizer takes off `text`, and what it makes of them.
    fn step<'a>(&'a self, text: &'a str) -> (usize, &'a str) {
        if let Some(found) = self.charsmap.as_ref().and_then(|map| map.longest(text)) {
            return found;
        }
        let len = text.chars().next().map_or(0, char::len_utf8);
        (len, &text[..len])
    }

    fn normalize(&self, text: &str) -> Normalized {
        let mut out = Normalized { text: String::with_capacity(text.len() + 3), origin: vec![] };
        let mut at = 0;
        while self.squeeze && at < text.len() {
            let (len, " ") = self.step(&text[at..]) else { break };
            at += len;
        }
        if at < text.len() && self.prefix {
            out.push(SPACE, at);
        }
        let mut after_space = self.squeeze;
        while at < text.len() {
            let (len, mut new) = self.step(&text[at..]);
            if after_space {
                new = new.trim_start_matches(' ');
            }
            for c in new.chars() {
                out.push(if c == ' ' { SPACE } else { c }, at);
            }
            if let (true, Some(last)) = (self.squeeze, new.chars().last()) {
                after_space = last == ' ';
            }
            at += len;
        }
        if self.squeeze {
            let len = out.text.trim_end_matches(SPACE).len();
            at = out.origin.get(len).copied().unwrap_or(at);
            out.text.truncate(len);
            out.origin.truncate(len);
        }
        out.origin.push(at);
        out
    }

    fn id(&self, token: &str) -> u32 {
        self.ids.get(token).copied().unwrap_or(self.unk)
    }

    /// The tokens of `text[from..to]`, in which there are no special tokens.
    fn fragment(&self, text: &str, mut from: usize, to: usize, out: &mut Tokens) -> Result<()> {
        let fragment = &text[from..to];
        if let (true, Some(end)) = (fragment.starts_with(">>"), fragment.find("<<")) {
            out.push(self.id(&fragment[..end + 2]), (from, from + end + 2), true);
            from += end + 2;
        }
        let normalized = self.normalize(&text[from..to]);
        let pieces = self.pieces.encode(&normalized.text);
        let mut at = 0;
        for piece in pieces.map_err(|e| broken(SOURCE, e))? {
            let ends = [at, at + piece.len()].map(|at| from + normalized.origin[at]);
            out.push(self.id(&piece), ends.into(), piece.starts_with(SPACE));
            at += piece.len();
        }
        Ok(())
    }

    pub fn tokens(&self, text: &str) -> Result<Tokens> {
        let mut out = Tokens::default();
        let mut from = 0;
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if let Some(token) = self.special.iter().find(|token| rest.starts_with(token.as_str()))
            {
                self.fragment(text, from, at, &mut out)?;
                from = at + token.len();
                out.push(self.id(token), (at, from), true);
                at = from;
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        self.fragment(text, from, at, &mut out)?;
        Ok(out)
    }

    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    pub fn token(&self, id: u32) -> Option<String> {
        self.tokens.get(&id).cloned()
    }

    /// Tokens as text: a special token has a space after it.
    pub fn join(&self, tokens: &[String]) -> String {
        let mut text = String::new();
        let mut begins = true;
        for token in tokens {
            let special = self.special.contains(token);
            let piece = if begins { token.trim_start_matches(SPACE) } else { token };
            text.push_str(piece);
            if special {
                text.push(' ');
            }
            begins = special || begins && piece.is_empty();
        }
        text.replace(SPACE, " ").trim().to_string()
    }
}

impl Normalized {
    fn push(&mut self, c: char, from: usize) {
        self.text.push(c);
        self.origin.resize(self.text.len(), from);
    }
}

impl Tokens {
    fn push(&mut self, id: u32, offsets: (usize, usize), begins_word: bool) {
        let word = self.words.last().map_or(0, |word| word + u32::from(begins_word));
        self.ids.push(id);
        self.offsets.push(offsets);
        self.words.push(word);
    }
}

impl Tokenizer {
    /// MarianMT's, of `source` (source.spm) and `vocab` (vocab.json); of `files` only the settings
    /// are read.
    pub fn marian(
        source: &[u8],
        vocab: &[u8],
        files: &TokenizerFiles<'_>,
        max_positions: usize,
    ) -> Result<Self> {
        let settings = files.tokenizer_config.and_then(|b| serde_json::from_slice(b).ok());
        let settings: Value = settings.unwrap_or_default();
        if settings["separate_vocabs"] == true {
            return Err(err!(Code::Unsupported, "separate_vocabs: two vocabularies in one model")
                .remedy("pick a model whose languages share vocab.json, as most do"));
        }
        let ids: HashMap<String, u32> =
            serde_json::from_slice(vocab).map_err(|e| broken(VOCAB, e))?;
        let id = |token: &str| match ids.get(token) {
            Some(id) => Ok(*id),
            None => Err(broken(VOCAB, format!("has no {token}"))),
        };
        let (unk, eos) = (id("<unk>")?, id("</s>")?);
        id("<pad>")?;
        let model = SentencePiece::parse(SOURCE, source)?;
        let (pieces, unknown) = model.unigram();
        let pieces = Unigram::from(pieces, Some(unknown), false).map_err(|e| broken(SOURCE, e))?;

        let text = |which: &str| json!({ "Sequence": { "id": which, "type_id": 0 } });
        let (a, b) = (text("A"), text("B"));
        let end = json!({ "SpecialToken": { "id": "</s>", "type_id": 0 } });
        // The crate's own pipeline only keeps the list of special tokens.
        let json = json!({
            "version": "1.0",
            "post_processor": {
                "type": "TemplateProcessing", "single": [a, end], "pair": [a, b, end],
                "special_tokens": { "</s>": { "id": "</s>", "ids": [eos], "tokens": ["</s>"] } },
            },
            "model": { "type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0]] },
        });
        let json = serde_json::to_vec(&json).map_err(|e| broken(VOCAB, e))?;
        let files = TokenizerFiles { tokenizer_json: Some(&json), ..*files };
        let mut tokenizer = Tokenizer::load(&files, "marian", max_positions)?;

        let added = std::mem::take(&mut tokenizer.added);
        for special in tokenizer.special.all() {
            *special = special.and_then(|id| ids.get(added.get(&id)?).copied());
        }
        let mut special: Vec<String> = added
            .into_values()
            .filter(|token| !token.is_empty() && ids.contains_key(token))
            .collect();
        special.sort_by_key(|token| std::cmp::Reverse(token.len()));
        tokenizer.marian = Some(Marian {
            pieces,
            charsmap: Charsmap::new(&model.charsmap),
            prefix: model.prefix,
            squeeze: model.squeeze,
            tokens: ids.iter().map(|(token, id)| (*id, token.clone())).collect(),
            ids,
            unk,
            special,
        });
        Ok(tokenizer)
    }
}
