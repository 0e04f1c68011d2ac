//! `token-classification`: a label for each token, or entities made of tokens.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoder::{all_tokens, Call, Encoder};
use super::text_classification::label;
use crate::error::Result;
use crate::models::Pooling;
use crate::preprocess::{offsets, Encoding, Offsets, Sequence, Tokenizer};
use crate::tasks::io::{self, options, Inputs};
use crate::tasks::scores::{argmax, softmax};

options! {
    /// Options of token classification.
    Options {
        aggregation_strategy: Strategy = Strategy::None,
        /// Labels, or entity groups, that are left out of the result.
        ignore_labels: Vec<String> = vec!["O".into()],
        /// Read texts longer than the model in windows that share this many tokens. Without it
        /// they are cut, as in Python.
        stride: Option<usize> = None,
    }
}

/// How tokens become entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Every token stands for itself.
    None,
    /// Neighbouring tokens of one label are joined.
    Simple,
    /// As simple, and a word has the label of its first token.
    First,
    /// As simple, and a word has the label of its tokens' mean scores.
    Average,
    /// As simple, and a word has the label of its most certain token.
    Max,
}

/// A token's label, with `start` and `end` in UTF-16 units of the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenLabel {
    pub entity: String,
    pub score: f32,
    /// Position in the model's sequence, where `[CLS]` is 0.
    pub index: usize,
    pub word: String,
    pub start: usize,
    pub end: usize,
}

/// An entity of one or more tokens, with `start` and `end` in UTF-16 units of the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntityGroup {
    pub entity_group: String,
    pub score: f32,
    pub word: String,
    pub start: usize,
    pub end: usize,
}

pub(super) async fn run<E: Encoder>(
    call: &mut Call<'_, E>,
    input: Value,
    options: Options,
) -> Result<Value> {
    let inputs: Inputs<String> = io::inputs(input, "a string")?;
    let most = call.tokenizer.max_length();
    let mut encodings: Vec<Encoding> = Vec::new();
    let mut texts: Vec<usize> = Vec::new(); // of each encoding
    let mut windows: Vec<usize> = Vec::new(); // of each text
    for (i, text) in inputs.list.iter().enumerate() {
        match options.stride {
            Some(stride) => encodings.extend(call.tokenizer.windows(text, most, stride)?),
            None => encodings.push(call.encode(text, None, true)?),
        }
        windows.push(encodings.len() - texts.len());
        texts.resize(encodings.len(), i);
    }
    let sequences: Vec<Sequence> = encodings.iter().map(all_tokens).collect();

    let (tokenizer, labels) = (call.tokenizer, &call.info.labels);
    let mut found: Vec<Vec<Entity>> = inputs.list.iter().map(|_| Vec::new()).collect();
    let of = |window: usize| texts[window];
    call.run(&sequences, of, Pooling::None, |window, logits| {
        let text = of(window);
        let tokens = tokens(tokenizer, &inputs.list[text], &encodings[window], logits);
        let entities = aggregate(tokenizer, tokens, options.aggregation_strategy, labels)?;
        found[text]
            .extend(entities.into_iter().filter(|e| !options.ignore_labels.contains(&e.label)));
        Ok(())
    })
    .await?;

    let mut results = Vec::with_capacity(inputs.list.len());
    for ((text, mut entities), windows) in inputs.list.iter().zip(found).zip(windows) {
        if windows > 1 {
            entities = resolve_overlaps(entities);
        }
        let grouped = options.aggregation_strategy != Strategy::None;
        results.push(present(text, entities, grouped)?);
    }
    Ok(inputs.shape(results))
}

/// A token before it is given a label.
struct Token {
    word: String,
    scores: Vec<f32>,
    index: usize,
    /// Bytes of the text.
    bytes: (usize, usize),
    /// Continues the word before it.
    subword: bool,
}

/// A labelled token, word or group.
#[derive(Debug, Clone, PartialEq)]
struct Entity {
    label: String,
    score: f32,
    index: usize,
    word: String,
    /// Bytes of the text.
    bytes: (usize, usize),
}

/// The tokens of one window. logits: `[T, L]`.
fn tokens(tokenizer: &Tokenizer, text: &str, encoding: &Encoding, logits: &[f32]) -> Vec<Token> {
    let width = logits.len() / encoding.len().max(1);
    let unknown = tokenizer.special().unk;
    let mut tokens = Vec::new();
    for (i, row) in logits.chunks_exact(width.max(1)).enumerate() {
        if encoding.special[i] {
            continue;
        }
        let mut scores = row.to_vec();
        softmax(&mut scores);
        let (id, bytes) = (encoding.ids[i], encoding.offsets[i]);
        let source = offsets::slice(text, bytes);
        let mut word = tokenizer.token(id).unwrap_or_default();
        // Python's way to see that a token continues a word: `##ing` is longer than its source.
        // Accents that were stripped look the same, and so join words; that is kept.
        let mut subword = if tokenizer.has_subword_prefix() {
            word.chars().count() != source.chars().count()
        } else {
            bytes.0 > 0 && {
                let before = text[..bytes.0].chars().next_back();
                before != Some(' ') && !text[bytes.0..].starts_with(' ')
            }
        };
        if Some(id) == unknown {
            word = source.to_string();
            subword = false;
        }
        tokens.push(Token { word, scores, index: i, bytes, subword });
    }
    tokens
}

fn aggregate(
    tokenizer: &Tokenizer,
    tokens: Vec<Token>,
    strategy: Strategy,
    labels: &[String],
) -> Result<Vec<Entity>> {
    let single = |token: Token| {
        let best = argmax(&token.scores);
        Entity {
            label: label(labels, best),
            score: token.scores[best],
            index: token.index,
            word: token.word,
            bytes: token.bytes,
        }
    };
    let entities = match strategy {
        Strategy::None => return Ok(tokens.into_iter().map(single).collect()),
        Strategy::Simple => tokens.into_iter().map(single).collect(),
        _ => words(tokenizer, tokens, strategy, labels)?,
    };
    groups(tokenizer, entities)
}

/// Tokens joined to words, each with one label.
fn words(
    tokenizer: &Tokenizer,
    tokens: Vec<Token>,
    strategy: Strategy,
    labels: &[String],
) -> Result<Vec<Entity>> {
    let mut words: Vec<Vec<Token>> = Vec::new();
    for token in tokens {
        match words.last_mut() {
            Some(word) if token.subword => word.push(token),
            _ => words.push(vec![token]),
        }
    }
    let mut entities = Vec::with_capacity(words.len());
    for word in words {
        let scores = match strategy {
            Strategy::Average => mean_scores(&word),
            Strategy::Max => {
                let best: Vec<f32> = word.iter().map(|t| t.scores[argmax(&t.scores)]).collect();
                word[argmax(&best)].scores.clone()
            }
            _ => word[0].scores.clone(),
        };
        let best = argmax(&scores);
        let bytes = (word[0].bytes.0, word[word.len() - 1].bytes.1);
        let index = word[0].index;
        let joined = tokenizer.join(word.into_iter().map(|t| t.word).collect())?;
        let label = label(labels, best);
        entities.push(Entity { label, score: scores[best], index, word: joined, bytes });
    }
    Ok(entities)
}

fn mean_scores(word: &[Token]) -> Vec<f32> {
    let mut mean = vec![0.0; word[0].scores.len()];
    for token in word {
        mean.iter_mut().zip(&token.scores).for_each(|(m, s)| *m += s);
    }
    mean.iter_mut().for_each(|m| *m /= word.len() as f32);
    mean
}

/// Whether a label begins an entity, and the entity's kind. Labels without B- or I- continue.
fn tag(label: &str) -> (bool, &str) {
    match (label.strip_prefix("B-"), label.strip_prefix("I-")) {
        (Some(kind), _) => (true, kind),
        (_, Some(kind)) => (false, kind),
        _ => (false, label),
    }
}

/// Neighbours of one kind joined, unless the later begins an entity.
fn groups(tokenizer: &Tokenizer, entities: Vec<Entity>) -> Result<Vec<Entity>> {
    let mut groups: Vec<Vec<Entity>> = Vec::new();
    for entity in entities {
        let (begins, kind) = tag(&entity.label);
        match groups.last_mut() {
            Some(group) if !begins && tag(&group[group.len() - 1].label).1 == kind => {
                group.push(entity);
            }
            _ => groups.push(vec![entity]),
        }
    }
    let mut joined = Vec::with_capacity(groups.len());
    for group in groups {
        // The group is named after what follows the first hyphen.
        let label = &group[0].label;
        let label = label.split_once('-').map_or(label.as_str(), |(_, name)| name).to_string();
        let score = group.iter().map(|e| e.score).sum::<f32>() / group.len() as f32;
        let bytes = (group[0].bytes.0, group[group.len() - 1].bytes.1);
        let index = group[0].index;
        let word = tokenizer.join(group.into_iter().map(|e| e.word).collect())?;
        joined.push(Entity { label, score, index, word, bytes });
    }
    Ok(joined)
}

/// Of entities that overlap, found in neighbouring windows, the longest stays; of equally long
/// ones the more certain.
fn resolve_overlaps(mut entities: Vec<Entity>) -> Vec<Entity> {
    entities.sort_by_key(|e| e.bytes.0);
    let mut kept: Vec<Entity> = Vec::with_capacity(entities.len());
    for entity in entities {
        match kept.last_mut() {
            Some(last) if last.bytes.0 <= entity.bytes.0 && entity.bytes.0 < last.bytes.1 => {
                let length = |e: &Entity| e.bytes.1 - e.bytes.0;
                let longer = length(&entity) > length(last);
                if longer || length(&entity) == length(last) && entity.score > last.score {
                    *last = entity;
                }
            }
            _ => kept.push(entity),
        }
    }
    kept
}

/// The result for one text.
fn present(text: &str, entities: Vec<Entity>, grouped: bool) -> Result<Value> {
    let at = Offsets::utf16(text);
    let mut list = Vec::with_capacity(entities.len());
    for Entity { label, score, index, word, bytes } in entities {
        let (start, end) = (at.at(bytes.0), at.at(bytes.1));
        list.push(if grouped {
            io::json(EntityGroup { entity_group: label, score, word, start, end })?
        } else {
            io::json(TokenLabel { entity: label, score, index, word, start, end })?
        });
    }
    Ok(Value::Array(list))
}
