//! Logits processors: what changes the scores of the next token before it is chosen, in the order
//! and with the arithmetic of `transformers` (`_get_logits_processor`).
//!
//! Scores are logits when tokens are chosen one by one, log-probabilities in beam search; each
//! processor acts on the row of one sequence.

use std::collections::HashSet;

use super::config::Settings;
use super::math::log_softmax;
use crate::error::Result;
use crate::{err, Code};

const OFF: f32 = f32::NEG_INFINITY;

/// One processor.
#[derive(Debug, Clone)]
enum Processor {
    SequenceBias(Vec<(Vec<u32>, f32)>),
    /// Penalizes (or, for the source, favours) tokens that were seen.
    Repetition {
        penalty: f32,
        source: bool,
    },
    NoRepeat(usize),
    SourceNoRepeat(usize),
    MinLength(usize),
    ForcedBos(u32),
    ForcedEos {
        tokens: Vec<u32>,
        at: usize,
    },
    RemoveInvalid,
    Decay {
        start: usize,
        factor: f64,
    },
    Suppress(Vec<u32>),
    SuppressAt {
        tokens: Vec<u32>,
        at: usize,
    },
}

/// The processors of one sequence.
#[derive(Debug, Clone)]
pub struct Processors {
    list: Vec<Processor>,
    eos: Vec<u32>,
    /// The encoder's tokens, or the prompt of a model without one.
    source: Vec<u32>,
}

impl Processors {
    /// The processors that `s` asks for, for a sequence whose own prompt is `prompt` tokens long
    /// and ends at `end`. `vocab` bounds every token id.
    pub fn new(
        s: &Settings,
        source: &[u32],
        prompt: usize,
        end: usize,
        vocab: usize,
    ) -> Result<Self> {
        use Processor::*;
        let mut list = Vec::new();
        let has_eos = !s.eos.is_empty();
        if !s.sequence_bias.is_empty() {
            list.push(SequenceBias(s.sequence_bias.clone()));
        }
        if let Some(penalty) = s.encoder_repetition_penalty {
            list.push(Repetition { penalty: (1.0 / penalty) as f32, source: true });
        }
        if let Some(penalty) = s.repetition_penalty {
            list.push(Repetition { penalty: penalty as f32, source: false });
        }
        if s.no_repeat_ngram_size > 0 {
            list.push(NoRepeat(s.no_repeat_ngram_size));
        }
        if s.encoder_no_repeat_ngram_size > 0 {
            list.push(SourceNoRepeat(s.encoder_no_repeat_ngram_size));
        }
        if !s.bad_words_ids.is_empty() {
            // The end of a text by itself is never a bad word.
            let bad = |ids: &&Vec<u32>| !(ids.len() == 1 && s.eos.contains(&ids[0]));
            let bad = s.bad_words_ids.iter().filter(bad).map(|ids| (ids.clone(), OFF));
            list.push(SequenceBias(bad.collect()));
        }
        // min_new_tokens takes the place of min_length, which Python overwrites with it.
        let min_length = s.min_new_tokens.map_or(s.min_length, |new| new + prompt);
        if has_eos && min_length > 0 {
            list.push(MinLength(min_length));
        }
        if let Some(id) = s.forced_bos_token_id {
            list.push(ForcedBos(id));
        }
        if let Some(tokens) = &s.forced_eos_token_id {
            list.push(ForcedEos { tokens: tokens.clone(), at: end - 1 });
        }
        if s.remove_invalid_values {
            list.push(RemoveInvalid);
        }
        if let (Some((start, factor)), true) = (s.exponential_decay, has_eos) {
            list.push(Decay { start: start + prompt, factor });
        }
        if !s.suppress_tokens.is_empty() {
            list.push(Suppress(s.suppress_tokens.clone()));
        }
        if !s.begin_suppress_tokens.is_empty() {
            let forced = prompt == 1 && s.forced_bos_token_id.is_some();
            let at = prompt + usize::from(forced);
            list.push(SuppressAt { tokens: s.begin_suppress_tokens.clone(), at });
        }
        let processors = Processors { list, eos: s.eos.clone(), source: source.to_vec() };
        processors.check(vocab)?;
        Ok(processors)
    }

    /// Every token id named by an option is in the vocabulary. (An end token beyond it can never
    /// come, which is harmless.)
    fn check(&self, vocab: usize) -> Result<()> {
        for processor in &self.list {
            let (name, ids): (&str, Vec<u32>) = match processor {
                Processor::SequenceBias(list) => {
                    let name = match list.first() {
                        Some((_, bias)) if *bias == OFF => "bad_words_ids",
                        _ => "sequence_bias",
                    };
                    (name, list.iter().flat_map(|(ids, _)| ids.clone()).collect())
                }
                Processor::ForcedBos(id) => ("forced_bos_token_id", vec![*id]),
                Processor::ForcedEos { tokens, .. } => ("forced_eos_token_id", tokens.clone()),
                Processor::Suppress(ids) => ("suppress_tokens", ids.clone()),
                Processor::SuppressAt { tokens, .. } => ("begin_suppress_tokens", tokens.clone()),
                _ => continue,
            };
            // Python ignores suppressed tokens beyond the vocabulary, too.
            if name.ends_with("suppress_tokens") {
                continue;
            }
            if let Some(id) = ids.into_iter().find(|id| *id as usize >= vocab) {
                let error = err!(Code::Input, "{name} holds the token {id}");
                return Err(error.remedy(format!("the model has the tokens 0 to {}", vocab - 1)));
            }
        }
        Ok(())
    }

    /// The tokens that cannot follow `ids`, where that is all that the processors do to scores;
    /// none where some change more.
    pub fn bans(&self, ids: &[u32]) -> Option<Vec<u32>> {
        let mut bans: Vec<u32> = Vec::new();
        for processor in &self.list {
            match processor {
                Processor::SequenceBias(list) => {
                    if list.iter().any(|(_, bias)| *bias != OFF) {
                        return None;
                    }
                    let hit = list.iter().filter(|(sequence, _)| completes(sequence, ids));
                    bans.extend(hit.filter_map(|(sequence, _)| sequence.last()));
                }
                Processor::NoRepeat(n) => bans.extend(followers(ids, ids, *n)),
                Processor::SourceNoRepeat(n) => bans.extend(followers(&self.source, ids, *n)),
                Processor::MinLength(length) if ids.len() < *length => bans.extend(&self.eos),
                Processor::Suppress(tokens) => bans.extend(tokens),
                Processor::SuppressAt { tokens, at } if ids.len() == *at => bans.extend(tokens),
                Processor::MinLength(_) | Processor::SuppressAt { .. } => {}
                Processor::ForcedBos(_) if ids.len() != 1 => {}
                Processor::ForcedEos { at, .. } if ids.len() != *at => {}
                Processor::Decay { start, .. } if ids.len() <= *start => {}
                Processor::ForcedBos(_)
                | Processor::ForcedEos { .. }
                | Processor::Decay { .. }
                | Processor::Repetition { .. }
                | Processor::RemoveInvalid => return None,
            }
        }
        bans.sort_unstable();
        bans.dedup();
        Some(bans)
    }

    /// Changes the scores `[V]` of the token after `ids` (prompt included).
    pub fn apply(&self, ids: &[u32], scores: &mut [f32]) {
        for processor in &self.list {
            self.one(processor, ids, scores);
        }
    }

    fn one(&self, processor: &Processor, ids: &[u32], scores: &mut [f32]) {
        let off = |scores: &mut [f32], tokens: &[u32]| {
            for &token in tokens {
                if let Some(score) = scores.get_mut(token as usize) {
                    *score = OFF;
                }
            }
        };
        let only = |scores: &mut [f32], tokens: &[u32]| {
            scores.fill(OFF);
            for &token in tokens {
                if let Some(score) = scores.get_mut(token as usize) {
                    *score = 0.0;
                }
            }
        };
        match processor {
            Processor::SequenceBias(list) => {
                for (sequence, bias) in list.iter().filter(|(s, _)| completes(s, ids)) {
                    scores[sequence[sequence.len() - 1] as usize] += bias;
                }
            }
            Processor::Repetition { penalty, source } => {
                let seen = if *source { &self.source } else { ids };
                let seen: HashSet<u32> = seen.iter().copied().collect();
                for token in seen {
                    if let Some(score) = scores.get_mut(token as usize) {
                        *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
                    }
                }
            }
            Processor::NoRepeat(n) => off(scores, &followers(ids, ids, *n)),
            Processor::SourceNoRepeat(n) => off(scores, &followers(&self.source, ids, *n)),
            Processor::MinLength(length) => {
                if ids.len() < *length {
                    off(scores, &self.eos);
                }
            }
            Processor::ForcedBos(token) => {
                if ids.len() == 1 {
                    only(scores, &[*token]);
                }
            }
            Processor::ForcedEos { tokens, at } => {
                if ids.len() == *at {
                    only(scores, tokens);
                }
            }
            Processor::RemoveInvalid => {
                for score in scores {
                    *score = match *score {
                        x if x.is_nan() => 0.0,
                        x => x.clamp(f32::MIN, f32::MAX),
                    };
                }
            }
            Processor::Decay { start, factor } => {
                if ids.len() > *start {
                    let growth = (factor.powi((ids.len() - start) as i32) - 1.0) as f32;
                    for &token in &self.eos {
                        if let Some(score) = scores.get_mut(token as usize) {
                            *score += score.abs() * growth;
                        }
                    }
                }
            }
            Processor::Suppress(tokens) => off(scores, tokens),
            Processor::SuppressAt { tokens, at } => {
                if ids.len() == *at {
                    off(scores, tokens);
                }
            }
        }
    }
}

/// Whether the last token of `sequence` would complete it after `ids`.
fn completes(sequence: &[u32], ids: &[u32]) -> bool {
    let before = &sequence[..sequence.len() - 1];
    // Python looks only once the text is as long as the whole sequence.
    let long = before.is_empty() || sequence.len() <= ids.len();
    long && ids.ends_with(before)
}

/// The tokens that follow, in `text`, each occurrence of the last `n - 1` tokens of `ids`.
fn followers(text: &[u32], ids: &[u32], n: usize) -> Vec<u32> {
    let Some(start) = (ids.len() + 1).checked_sub(n) else { return Vec::new() };
    let last = &ids[start..];
    text.windows(n).filter(|w| w[..n - 1] == *last).map(|w| w[n - 1]).collect()
}

/// `renormalize_logits`, which comes after everything else.
pub fn renormalize(s: &Settings, scores: &mut [f32]) {
    if s.renormalize_logits {
        log_softmax(scores);
    }
}
