//! `fill-mask`: what may stand in the place of a mask token.

use serde::Serialize;
use serde_json::Value;

use super::encoder::{masks_per_run, Call, Encoder};
use crate::error::Result;
use crate::models::Pooling;
use crate::preprocess::{Encoding, Sequence, Tokenizer};
use crate::tasks::io::{self, options, Inputs, Strings};
use crate::tasks::scores::{softmax, top_k};
use crate::{err, Code};

options! {
    /// Options of mask filling.
    Options {
        top_k: usize = 5,
        /// Only these words; words that the vocabulary lacks stand for their first token.
        targets: Option<Strings> = None,
        /// Cut texts that are longer than the model takes; otherwise they are an error.
        truncation: bool = false,
    }
}

/// A word for a mask.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fill {
    pub score: f32,
    pub token: u32,
    pub token_str: String,
    /// The text with the mask filled in.
    pub sequence: String,
}

pub(super) async fn run<E: Encoder>(
    call: &mut Call<'_, E>,
    input: Value,
    options: Options,
) -> Result<Value> {
    let inputs: Inputs<String> = io::inputs(input, "a string")?;
    let k = io::positive("top_k", options.top_k)?;
    let tokenizer = call.tokenizer;
    let vocab = call.info.limits.vocab;
    let (Some(mask), Some(name)) = (tokenizer.special().mask, tokenizer.mask_token()) else {
        let error = err!(Code::Unsupported, "the tokenizer has no mask token");
        return Err(error.remedy("pick a model made for masked language modelling"));
    };
    let targets = options.targets.as_ref().map(|t| target_ids(tokenizer, t, vocab)).transpose()?;

    let mut encodings = Vec::with_capacity(inputs.list.len());
    let mut sequences: Vec<Sequence> = Vec::new();
    let mut of: Vec<usize> = Vec::new(); // the text of each sequence
    for (i, text) in inputs.list.iter().enumerate() {
        let encoding = call.encode(text, None, options.truncation)?;
        let masks = masks(&encoding, mask);
        if masks.is_empty() {
            let which = if inputs.single { String::new() } else { format!(" {i}") };
            let error = err!(Code::Input, "there is no {name} in text{which}");
            return Err(error.remedy(format!("put {name} where a word is missing")));
        }
        for rows in masks.chunks(masks_per_run(vocab)) {
            sequences.push(Sequence {
                ids: encoding.ids.clone(),
                type_ids: encoding.type_ids.clone(),
                rows: rows.to_vec(),
            });
            of.push(i);
        }
        encodings.push((encoding, masks.len()));
    }

    let mut found: Vec<Vec<Value>> = inputs.list.iter().map(|_| Vec::new()).collect();
    call.run(
        &sequences,
        |s| of[s],
        Pooling::None,
        |s, logits| {
            let (encoding, masks) = &encodings[of[s]];
            let rows = &sequences[s].rows;
            for (row, logits) in rows.iter().zip(logits.chunks_exact(logits.len() / rows.len())) {
                let filled = fill(
                    tokenizer,
                    encoding,
                    *row as usize,
                    logits,
                    targets.as_deref(),
                    k,
                    *masks == 1,
                )?;
                found[of[s]].push(io::json(filled)?);
            }
            Ok(())
        },
    )
    .await?;

    let mut results = Vec::with_capacity(found.len());
    for mut masks in found {
        results.push(match masks.len() {
            1 => masks.swap_remove(0),
            _ => Value::Array(masks),
        });
    }
    Ok(inputs.shape(results))
}

fn masks(encoding: &Encoding, mask: u32) -> Vec<u32> {
    let is_mask = |(_, &id): &(usize, &u32)| id == mask;
    encoding.ids.iter().enumerate().filter(is_mask).map(|(i, _)| i as u32).collect()
}

/// Ids of the target words, each once.
fn target_ids(tokenizer: &Tokenizer, targets: &Strings, vocab: usize) -> Result<Vec<u32>> {
    let words = targets.as_slice();
    let mut ids: Vec<u32> = Vec::with_capacity(words.len());
    for word in words {
        match tokenizer.token_to_id(word) {
            Some(id) => ids.push(id),
            None => ids.extend(tokenizer.ids(word)?.first()),
        }
    }
    ids.retain(|&id| (id as usize) < vocab);
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        let error = err!(Code::Input, "none of the targets {words:?} has a token");
        return Err(error.remedy("pass at least one word that the vocabulary can spell"));
    }
    Ok(ids)
}

/// The `k` best tokens for the mask at `row`. logits: `[V]`.
fn fill(
    tokenizer: &Tokenizer,
    encoding: &Encoding,
    row: usize,
    logits: &[f32],
    targets: Option<&[u32]>,
    k: usize,
    only: bool,
) -> Result<Vec<Fill>> {
    let mut scores = logits.to_vec();
    softmax(&mut scores);
    // The targets' scores are those among the whole vocabulary.
    let chosen: Vec<f32> = match targets {
        Some(ids) => ids.iter().map(|&id| scores[id as usize]).collect(),
        None => scores,
    };
    let mut filled = Vec::with_capacity(k.min(chosen.len()));
    for i in top_k(&chosen, k) {
        let token = targets.map_or(i as u32, |ids| ids[i]);
        let mut ids = encoding.ids.clone();
        ids[row] = token;
        ids.retain(|&id| Some(id) != tokenizer.special().pad);
        filled.push(Fill {
            score: chosen[i],
            token,
            token_str: tokenizer.decode(&[token], false)?,
            // With other masks left, special tokens stay: the masks are some of them.
            sequence: tokenizer.decode(&ids, only)?,
        });
    }
    Ok(filled)
}
