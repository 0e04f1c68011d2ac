//! Tokenizers: text to token ids and back, exactly as Python's fast tokenizers.
//!
//! The `tokenizers` crate normalises, splits and looks up words; special tokens, truncation and
//! windows are laid out here (`template.rs` has the reasons).

pub mod bpe;
mod charsmap;
mod encoding;
mod load;
mod marian;
pub mod spm;
mod template;

pub use encoding::{Encoding, Side, Truncate};
pub use load::TokenizerFiles;

use std::collections::HashMap;

use tokenizers::{Decoder, Model};

use super::offsets::widen;
use crate::error::Result;
use crate::{err, Code};
use encoding::Tokens;
use marian::Marian;
use template::Template;

/// A tokenizer for one model.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Cuts and joins texts in the place of `inner`.
    marian: Option<Marian>,
    template: Template,
    /// Added tokens as they are spelled, by id.
    added: HashMap<u32, String>,
    special: Special,
    mask_token: Option<String>,
    side: Side,
    /// The model distinguishes the texts of a pair by token types.
    types: bool,
    cleanup: bool,
    subword_prefix: bool,
    max_length: usize,
}

/// Ids of the special tokens that tasks ask for; `None` where the tokenizer has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Special {
    pub unk: Option<u32>,
    pub pad: Option<u32>,
    pub cls: Option<u32>,
    pub mask: Option<u32>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
}

impl Special {
    fn all(&mut self) -> [&mut Option<u32>; 6] {
        let Special { unk, pad, cls, mask, bos, eos } = self;
        [unk, pad, cls, mask, bos, eos]
    }
}

impl Tokenizer {
    /// The special tokens' ids.
    pub fn special(&self) -> Special {
        self.special
    }

    /// The mask token's text, where there is one.
    pub fn mask_token(&self) -> Option<&str> {
        self.mask_token.as_deref()
    }

    /// The longest sequence in tokens, special ones included: `model_max_length`, and never more
    /// than the model has positions for.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// How many special tokens a single text or a pair gets.
    pub fn added_tokens(&self, pair: bool) -> usize {
        self.template.added(pair)
    }

    /// Whether tokens that continue a word are marked as such (`##ing`).
    pub fn has_subword_prefix(&self) -> bool {
        self.subword_prefix
    }

    /// The tokens of `text` alone.
    fn tokens(&self, text: &str) -> Result<Tokens> {
        if let Some(marian) = &self.marian {
            return marian.tokens(text);
        }
        let encoding = self.inner.encode(text, false).map_err(|e| {
            let error = err!(Code::Tokenizer, "tokenizer.json cannot encode the text: {e}");
            error.remedy("its vocabulary must hold the unknown token that it names")
        })?;
        let offsets = encoding.get_offsets().iter().map(|&offsets| widen(text, offsets)).collect();
        let words = encoding.get_word_ids().iter().map(|word| word.unwrap_or(0)).collect();
        Ok(Tokens { ids: encoding.get_ids().to_vec(), offsets, words })
    }

    /// Token ids of `text` without special tokens.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.tokens(text)?.ids)
    }

    /// One text or a pair with special tokens, whatever its length.
    pub fn encode(&self, text: &str, pair: Option<&str>) -> Result<Encoding> {
        self.truncated(text, pair, Truncate::LongestFirst, usize::MAX)
    }

    /// One text or a pair with special tokens, cut to `max_length` tokens in all.
    ///
    /// Fails with [`Code::Input`] where the text that should give way is too short for that, or
    /// `max_length` does not even hold the special tokens.
    pub fn truncated(
        &self,
        text: &str,
        pair: Option<&str>,
        truncate: Truncate,
        max_length: usize,
    ) -> Result<Encoding> {
        let first = self.tokens(text)?;
        let second = pair.map(|pair| self.tokens(pair)).transpose()?;
        let room = self.room(pair.is_some(), max_length)?;
        let lengths = (first.ids.len(), second.as_ref().map_or(0, |t| t.ids.len()));
        let Some((keep, keep_pair)) = encoding::shares(lengths, room, truncate) else {
            return Err(too_long(lengths, room));
        };
        let mut texts = vec![(&first, encoding::cut(lengths.0, keep, self.side))];
        if let Some(second) = &second {
            texts.push((second, encoding::cut(lengths.1, keep_pair, self.side)));
        }
        Ok(self.template.apply(&texts, self.types))
    }

    /// One text with special tokens, in as many windows of `max_length` tokens as it takes; each
    /// shares `overlap` tokens with the next.
    pub fn windows(&self, text: &str, max_length: usize, overlap: usize) -> Result<Vec<Encoding>> {
        let tokens = self.tokens(text)?;
        let room = self.room(false, max_length)?;
        check_overlap("stride", overlap, room, tokens.ids.len())?;
        let windows = encoding::windows(tokens.ids.len(), room, overlap, self.side);
        let apply = |window| self.template.apply(&[(&tokens, window)], self.types);
        Ok(windows.into_iter().map(apply).collect())
    }

    /// A question with as many windows of its context as it takes. `overlap` is given the room
    /// that is left for the context and answers how many tokens neighbours share;
    /// `max_question` tokens of the question are kept.
    pub fn question_windows(
        &self,
        question: &str,
        context: &str,
        max_length: usize,
        max_question: usize,
        overlap: impl Fn(usize) -> usize,
    ) -> Result<Vec<Encoding>> {
        let (question, context) = (self.tokens(question)?, self.tokens(context)?);
        let room = self.room(true, max_length)?;
        let kept = encoding::cut(question.ids.len(), max_question, self.side);
        if kept.len() >= room {
            return Err(too_long((kept.len(), context.ids.len()), room)
                .remedy("ask a shorter question, or pass max_question_len"));
        }
        let room = room - kept.len();
        let overlap = overlap(room);
        check_overlap("doc_stride", overlap, room, context.ids.len())?;
        let windows = encoding::windows(context.ids.len(), room, overlap, self.side);
        let apply = |window| {
            self.template.apply(&[(&question, kept.clone()), (&context, window)], self.types)
        };
        Ok(windows.into_iter().map(apply).collect())
    }

    /// What `max_length` leaves for texts.
    fn room(&self, pair: bool, max_length: usize) -> Result<usize> {
        let added = self.added_tokens(pair);
        max_length.checked_sub(added).ok_or_else(|| {
            let error =
                err!(Code::Input, "{max_length} tokens do not hold the {added} special tokens");
            error.remedy("raise the maximum length")
        })
    }

    /// The id of a token, if the vocabulary has it.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        match &self.marian {
            Some(marian) => marian.token_to_id(token),
            None => self.inner.token_to_id(token),
        }
    }

    /// The token with this id, as the vocabulary spells it.
    pub fn token(&self, id: u32) -> Option<String> {
        if let Some(marian) = &self.marian {
            return marian.token(id);
        }
        self.added.get(&id).cloned().or_else(|| self.inner.get_model().id_to_token(id))
    }

    /// Tokens joined to text (`convert_tokens_to_string`).
    pub fn join(&self, tokens: Vec<String>) -> Result<String> {
        if let Some(marian) = &self.marian {
            return Ok(marian.join(&tokens));
        }
        match self.inner.get_decoder() {
            Some(decoder) => decoder
                .decode(tokens)
                .map_err(|e| err!(Code::Tokenizer, "tokenizer.json: the decoder fails: {e}")),
            None => Ok(tokens.join(" ")),
        }
    }

    /// Ids to text; ids that the vocabulary lacks are left out.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.decode_as(ids, skip_special, self.cleanup)
    }

    /// [`Tokenizer::decode`], told whether to take out the spaces before punctuation that
    /// tokenizing may have put there (`clean_up_tokenization_spaces`).
    pub fn decode_as(&self, ids: &[u32], skip_special: bool, cleanup: bool) -> Result<String> {
        let vocabulary = self.inner.get_added_vocabulary();
        let keep = |token: &String| !skip_special || !vocabulary.is_special_token(token);
        let tokens = ids.iter().filter_map(|&id| self.token(id)).filter(keep).collect();
        let text = self.join(tokens)?;
        Ok(if cleanup { clean_up(&text) } else { text })
    }
}

fn too_long(lengths: (usize, usize), room: usize) -> crate::error::Error {
    let (first, second) = lengths;
    err!(
        Code::Input,
        "texts of {first} and {second} tokens do not fit the model's {room}, and the one to be \
         shortened is too short for that"
    )
}

fn check_overlap(name: &str, overlap: usize, room: usize, len: usize) -> Result<()> {
    if len > room && overlap >= room {
        let error =
            err!(Code::Input, "{name} {overlap} leaves nothing of the {room} tokens of a window");
        return Err(error.remedy(format!("{name} is the overlap: pass less than {room}")));
    }
    Ok(())
}

/// Python's `clean_up_tokenization`: no spaces before punctuation and English contractions.
pub(crate) fn clean_up(text: &str) -> String {
    const RULES: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    RULES.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}
