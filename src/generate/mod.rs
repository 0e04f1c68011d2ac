//! `generate`: from a model's scores for the next token to texts, as `transformers` 4.57 does it.
//!
//! | file | what lives there |
//! |---|---|
//! | `config` | options, the files they come from, precedence, contradictions |
//! | `processors`, `warpers` | what changes the scores before a token is chosen |
//! | `search` | greedy and multinomial decoding |
//! | `shortlist` | what must be known of the scores, and choosing from the best few |
//! | `beam` | beam search and beam sampling |
//! | `stop` | when a text ends |
//! | `random` | the seeded generator |
//! | `stream` | tokens to text pieces that never hold half a character |
//!
//! Nothing here knows an architecture: [`Model`] is the one trait to implement, [`Watch`] is how the caller
//! follows, changes and stops a run. Every text of a batch comes out as if it had been run alone.
//!
//! A step asks the model for the least that its tokens can be chosen from (`shortlist`): the best
//! token, the best few, or all logits.

mod beam;
pub mod config;
pub mod math;
mod processors;
mod random;
mod search;
mod shortlist;
mod stop;
pub mod stream;
mod warpers;

pub use config::{Defaults, EarlyStopping, GenerationConfig, Settings};

use std::future::Future;

use crate::error::Result;
use crate::models::{Answer, Want};
use crate::{err, Code};
use stop::Stop;

/// What one text is generated from.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// The encoder's tokens, for models that have one.
    pub source: Option<Vec<u32>>,
    /// What the decoder has read before its first new token: the prompt, or the start token.
    pub ids: Vec<u32>,
}

/// A model that scores next tokens. Where a choice or the best tokens are wanted, it may as well
/// give the logits.
pub trait Model {
    /// V, the width of a row of logits.
    fn vocab(&self) -> usize;

    /// Forgets what it has read and reads `prompts`, one row each: what is wanted of the token
    /// after each, `[B]` of it.
    fn start(&mut self, prompts: &[Prompt], want: Next) -> impl Future<Output = Result<Answer>>;

    /// Reads one more token per row: the new row `r` continues the old row `parents[r]` with
    /// `tokens[r]`. Rows may be copied and dropped so.
    fn step(
        &mut self,
        parents: &[u32],
        tokens: &[u32],
        want: Next,
    ) -> impl Future<Output = Result<Answer>>;

    /// All logits of the last answer: asked for where the best few did not do.
    fn again(&mut self) -> impl Future<Output = Result<Answer>> {
        std::future::ready(Err(err!(Code::Internal, "this model always gives its logits")))
    }
}

/// What is wanted of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    pub want: Want,
    /// Where a choice is wanted: the next step will most likely read just that, row by row, so the
    /// model may begin with it.
    pub ahead: bool,
}

/// How a token was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub id: u32,
    /// Log of its probability in the distribution it was chosen from: after processors and, when
    /// sampling, temperature and cut-offs.
    pub logprob: f32,
    /// The most probable tokens of that distribution and the logs of their probabilities; empty
    /// where none were asked for. Tokens that could not be chosen are left out.
    pub top: Vec<(u32, f32)>,
}

/// Why a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// An end-of-text token.
    Eos,
    /// Its length reached the limit.
    Length,
    StopString,
    /// `max_time` is over.
    Time,
    /// The caller's own criterion.
    Custom,
}

/// A text that came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The prompt and what follows.
    pub ids: Vec<u32>,
    /// Length of the prompt in `ids`.
    pub prompt: usize,
    /// Its score in beam search: the sum of log-probabilities over the length to the power of
    /// `length_penalty`.
    pub score: Option<f32>,
    /// One per new token, where `output_scores` is on.
    pub choices: Vec<Choice>,
    pub finish: Option<Finish>,
}

impl Generated {
    pub fn new_ids(&self) -> &[u32] {
        &self.ids[self.prompt..]
    }
}

/// A hypothesis of beam search, for [`Watch::beams`].
#[derive(Debug, Clone, Copy)]
pub struct Beam<'a> {
    /// Its tokens after the prompt.
    pub ids: &'a [u32],
    pub score: f32,
    pub done: bool,
}

/// The caller's side of a run.
pub trait Watch {
    /// Whether [`Watch::process`] does anything: it needs all scores.
    fn processes(&self) -> bool {
        true
    }

    /// Changes scores `[R, V]` of the tokens after each of `ids`; called after the built-in
    /// processors and before the sampling ones, as Python's `logits_processor`.
    fn process(
        &mut self,
        _ids: &[&[u32]],
        _scores: &mut [f32],
    ) -> impl Future<Output = Result<()>> {
        std::future::ready(Ok(()))
    }

    /// Which of `ids` end here (`stopping_criteria`); none where the answer is empty.
    fn stop(&mut self, _ids: &[&[u32]]) -> impl Future<Output = Result<Vec<bool>>> {
        std::future::ready(Ok(Vec::new()))
    }

    /// A token was chosen for return sequence `sequence` of prompt `prompt`.
    fn token(&mut self, _prompt: usize, _sequence: usize, _choice: &Choice) -> Result<()> {
        Ok(())
    }

    /// One step of beam search is over: `settled` tokens after the prompt are the same in every
    /// hypothesis that can still be returned, so they will not change any more.
    fn beams(&mut self, _prompt: usize, _beams: &[Beam<'_>], _settled: usize) -> Result<()> {
        Ok(())
    }

    /// Between two steps: the place to let other work in, and to fail where the run is to stop.
    fn turn(&mut self) -> impl Future<Output = Result<()>> {
        std::future::ready(Ok(()))
    }
}

/// A watch that does nothing.
#[derive(Debug, Default)]
pub struct Unwatched;
impl Watch for Unwatched {
    fn processes(&self) -> bool {
        false
    }
}

/// Token ids to text, special tokens included; for stop strings.
pub type Decode<'a> = &'a dyn Fn(&[u32]) -> Result<String>;

/// Continues each prompt. The answer has `num_return_sequences` texts per prompt, the best first.
///
/// # Errors
/// [`Code::Input`] for prompts that do not fit the model or hold unknown tokens, and for more beams
/// than tokens; [`Code::NonFinite`] where the model's scores are not numbers; what `watch` returns.
pub async fn generate<M: Model, W: Watch>(
    model: &mut M,
    prompts: &[Prompt],
    settings: &Settings,
    decode: Decode<'_>,
    watch: &mut W,
) -> Result<Vec<Vec<Generated>>> {
    let vocab = model.vocab();
    let beams = settings.num_beams;
    if beams > vocab || (settings.eos.len() + 1).max(2) > vocab {
        let error =
            err!(Code::Input, "num_beams is {beams}, and the vocabulary has {vocab} tokens");
        return Err(error.remedy("use fewer beams"));
    }
    for (i, prompt) in prompts.iter().enumerate() {
        if prompt.ids.is_empty() {
            return Err(err!(Code::Input, "prompt {i} has no tokens"));
        }
        let all = prompt.ids.iter().chain(prompt.source.iter().flatten());
        if let Some(id) = all.copied().find(|id| *id as usize >= vocab) {
            let error =
                err!(Code::Input, "prompt {i} holds the token {id}, the model knows {vocab}");
            return Err(error.remedy("the tokenizer belongs to another model"));
        }
    }
    if prompts.is_empty() {
        return Ok(Vec::new());
    }
    let stop = Stop::new(settings, decode);
    if beams > 1 {
        beam::run(model, prompts, settings, &stop, watch).await
    } else {
        search::run(model, prompts, settings, &stop, watch).await
    }
}

/// An answer of so many rows, that is of numbers.
fn check(answer: &Answer, rows: usize, vocab: usize, settings: &Settings) -> Result<()> {
    let (got, nan) = match answer {
        Answer::Nothing => (0, false),
        Answer::Logits(logits) => {
            let allowed = settings.remove_invalid_values;
            (logits.len() / vocab, !allowed && logits.iter().any(|x| x.is_nan()))
        }
        Answer::Argmax(ids) => (ids.len(), ids.contains(&u32::MAX)),
        // NaNs come first
        Answer::TopK(tops) => (tops.len(), tops.iter().any(|top| top.logits[0].is_nan())),
    };
    if got != rows {
        return Err(err!(Code::Internal, "the model gave scores of {got} rows for {rows}"));
    }
    if nan {
        let error = err!(Code::NonFinite, "the model's scores are not numbers");
        return Err(error.remedy("try dtype 'fp32': the weights may overflow in less"));
    }
    Ok(())
}

fn nothing_left() -> crate::Error {
    err!(Code::Input, "the options leave no token to go on with")
        .remedy("suppress fewer tokens, or shorten min_length")
}

/// The choice of `id` from log-probabilities `[V]`.
fn choice(settings: &Settings, logs: &[f32], id: u32) -> Choice {
    let top = math::top_k(logs, settings.top_candidates);
    let top = top.into_iter().filter(|&i| logs[i] > f32::NEG_INFINITY);
    Choice { id, logprob: logs[id as usize], top: top.map(|i| (i as u32, logs[i])).collect() }
}
