//! `question-answering`: the stretch of a context that answers a question.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoder::{all_tokens, Call, Encoder};
use crate::error::Result;
use crate::models::Pooling;
use crate::preprocess::{offsets, Encoding, Offsets, Sequence};
use crate::tasks::io::{self, options, Strings};
use crate::tasks::scores::{argmax, softmax, top_k};
use crate::{err, Code};

options! {
    /// Options of question answering.
    Options {
        /// Answers to return at most; more than 1 gives a list.
        top_k: usize = 1,
        /// Tokens that neighbouring windows of a long context share; 128, or half of
        /// `max_seq_len` where that is less.
        doc_stride: Option<usize> = None,
        /// Tokens of an answer at most.
        max_answer_len: usize = 15,
        /// Tokens of a window at most, the question included; 384, or the model's length where
        /// that is less.
        max_seq_len: Option<usize> = None,
        /// Tokens of the question at most; the whole question if not given. (Python documents 64,
        /// and its fast tokenizers ignore it.)
        max_question_len: Option<usize> = None,
        /// The empty answer counts as well.
        handle_impossible_answer: bool = false,
        /// Answers begin and end at words.
        align_to_words: bool = true,
    }
}

/// An answer, with `start` and `end` in UTF-16 units of the context.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    pub answer: String,
    /// Sums of probabilities: equal answers found in several places add up.
    pub score: f64,
    pub start: usize,
    pub end: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    question: Strings,
    context: Strings,
}

/// One question about one context.
struct Example {
    question: String,
    context: String,
}

pub(super) async fn run<E: Encoder>(
    call: &mut Call<'_, E>,
    input: Value,
    options: Options,
) -> Result<Value> {
    let (examples, single) = examples(input)?;
    io::positive("top_k", options.top_k)?;
    io::positive("max_answer_len", options.max_answer_len)?;
    let most = call.tokenizer.max_length();
    let length = options.max_seq_len.unwrap_or(most.min(384));
    let positions = call.info.limits.positions;
    if length > positions {
        let error = err!(Code::Input, "max_seq_len {length}, the model takes {positions} tokens");
        return Err(error.remedy(format!("max_seq_len can be {positions} at most")));
    }
    let max_question = options.max_question_len.unwrap_or(usize::MAX);
    // Python's default overlap fails where a long question leaves less room than that.
    let default = (length / 2).min(128);
    let overlap = |room: usize| match options.doc_stride {
        Some(stride) => stride,
        None if default >= room => room / 2,
        None => default,
    };

    let mut windows: Vec<Encoding> = Vec::new();
    let mut of: Vec<usize> = Vec::new(); // the example of each window
    for (i, Example { question, context }) in examples.iter().enumerate() {
        let tokenizer = call.tokenizer;
        windows.extend(tokenizer.question_windows(
            question,
            context,
            length,
            max_question,
            overlap,
        )?);
        of.resize(windows.len(), i);
    }
    let sequences: Vec<Sequence> = windows.iter().map(all_tokens).collect();

    let cls = call.tokenizer.special().cls;
    let mut found: Vec<Found> = examples.iter().map(|_| Found::default()).collect();
    call.run(
        &sequences,
        |window| of[window],
        Pooling::None,
        |window, logits| {
            let (i, encoding) = (of[window], &windows[window]);
            found[i].add(&examples[i].context, encoding, logits, cls, &options);
            Ok(())
        },
    )
    .await?;

    let mut results = Vec::with_capacity(examples.len());
    for (example, found) in examples.iter().zip(found) {
        let mut answers = found.best(&example.context, &options);
        results.push(match options.top_k {
            1 => io::json(answers.swap_remove(0))?,
            _ => io::json(answers)?,
        });
    }
    Ok(if single { results.swap_remove(0) } else { Value::Array(results) })
}

/// Reads `{ question, context }`, lists of either, or a list of such objects. A single question is
/// one that came in no list.
fn examples(input: Value) -> Result<(Vec<Example>, bool)> {
    let inputs = io::inputs::<Input>(input, "{ question, context }, strings or lists of strings")?;
    let mut single = inputs.single;
    let mut examples = Vec::new();
    for input in inputs.list {
        let (questions, contexts) = (input.question.as_slice(), input.context.as_slice());
        let one = |strings: &Strings| matches!(strings, Strings::One(_));
        let (question, context) = (one(&input.question), one(&input.context));
        single &= question && context;
        let (n, m) = (questions.len(), contexts.len());
        // A string goes with every element of the other's list.
        if n != m && !question && !context {
            let error = err!(Code::Input, "{n} questions about {m} contexts");
            return Err(error.remedy("pass as many contexts as questions, or one as a string"));
        }
        let count = if n.min(m) == 0 { 0 } else { n.max(m) };
        examples.extend((0..count).map(|i| Example {
            question: questions[i % n].clone(),
            context: contexts[i % m].clone(),
        }));
    }
    for (i, example) in examples.iter().enumerate() {
        for (name, text) in [("question", &example.question), ("context", &example.context)] {
            if text.is_empty() {
                let error = err!(Code::Input, "the {name} of input {i} is empty");
                return Err(error.remedy("pass a question and a text that may hold its answer"));
            }
        }
    }
    Ok((examples, single))
}

/// A candidate, in bytes of the context.
#[derive(Debug)]
struct Candidate {
    bytes: (usize, usize),
    lower: String,
    score: f64,
}

/// What the windows of one context have brought up.
#[derive(Debug, Default)]
struct Found {
    candidates: Vec<Candidate>,
    /// The least probability of an empty answer in any window.
    null_score: Option<f64>,
}

impl Found {
    /// Adds the best spans of a window. logits: `[T, 2]`, start and end.
    fn add(
        &mut self,
        context: &str,
        encoding: &Encoding,
        logits: &[f32],
        cls: Option<u32>,
        options: &Options,
    ) {
        // Tokens of the context may be in the answer; [CLS] stands for "no answer".
        let allowed: Vec<bool> = (0..encoding.len())
            .map(|i| encoding.texts[i] == Some(1) || Some(encoding.ids[i]) == cls)
            .collect();
        let probabilities = |column: usize| {
            let logit = |i: usize| if allowed[i] { logits[2 * i + column] } else { -10000.0 };
            let mut p: Vec<f32> = (0..encoding.len()).map(logit).collect();
            softmax(&mut p);
            p
        };
        let (mut start, mut end) = (probabilities(0), probabilities(1));
        let null = f64::from(start[0] * end[0]);
        self.null_score = Some(self.null_score.map_or(null, |least| least.min(null)));
        (start[0], end[0]) = (0.0, 0.0);

        // Words may make some candidates equal: take more than are asked for.
        let k = if options.align_to_words {
            options.top_k.saturating_mul(2).saturating_add(10)
        } else {
            options.top_k
        };
        for (s, e, score) in spans(&start, &end, k, options.max_answer_len) {
            if !(allowed[s] && allowed[e]) {
                continue;
            }
            let bytes = span_bytes(encoding, s, e, options.align_to_words);
            let lower = offsets::slice(context, bytes).to_lowercase();
            match self.candidates.iter_mut().find(|c| c.lower == lower) {
                Some(candidate) => candidate.score += f64::from(score),
                None => self.candidates.push(Candidate { bytes, lower, score: f64::from(score) }),
            }
        }
    }

    /// The best answers, never none: where nothing is possible, the empty one with score 0.
    fn best(mut self, context: &str, options: &Options) -> Vec<Answer> {
        let empty = |score| Candidate { bytes: (0, 0), lower: String::new(), score };
        match self.null_score {
            Some(score) if options.handle_impossible_answer => self.candidates.push(empty(score)),
            _ if self.candidates.is_empty() => self.candidates.push(empty(0.0)),
            _ => {}
        }
        self.candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.candidates.truncate(options.top_k);
        let at = Offsets::utf16(context);
        let answer = |c: Candidate| Answer {
            answer: offsets::slice(context, c.bytes).to_string(),
            score: c.score,
            start: at.at(c.bytes.0),
            end: at.at(c.bytes.1),
        };
        self.candidates.into_iter().map(answer).collect()
    }
}

/// The `k` most probable spans of at most `longest` tokens: first and last token, probability.
/// Impossible ones (probability 0) are left out.
fn spans(start: &[f32], end: &[f32], k: usize, longest: usize) -> Vec<(usize, usize, f32)> {
    let mut all = Vec::new();
    for (s, &p) in start.iter().enumerate() {
        if p == 0.0 {
            continue;
        }
        let last = s.saturating_add(longest).min(end.len());
        for (e, &q) in end.iter().enumerate().take(last).skip(s) {
            if p * q > 0.0 {
                all.push((s, e, p * q));
            }
        }
    }
    let scores: Vec<f32> = all.iter().map(|(_, _, p)| *p).collect();
    if k == 1 && !all.is_empty() {
        return vec![all[argmax(&scores)]];
    }
    top_k(&scores, k).into_iter().map(|i| all[i]).collect()
}

/// The bytes of the context that tokens `s..=e` cover, widened to words where those are known.
fn span_bytes(encoding: &Encoding, s: usize, e: usize, words: bool) -> (usize, usize) {
    let tokens = (encoding.offsets[s].0, encoding.offsets[e].1);
    let aligned = || {
        let first = encoding.word_bytes(encoding.words[s]?, 1)?;
        let last = encoding.word_bytes(encoding.words[e]?, 1)?;
        Some((first.0, last.1))
    };
    match words {
        true => aligned().unwrap_or(tokens),
        false => tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_run_forward_and_are_short() {
        let (start, end) = ([0.0, 0.6, 0.4], [0.0, 0.1, 0.9]);
        let found: Vec<_> = spans(&start, &end, 9, 2).iter().map(|s| (s.0, s.1)).collect();
        assert_eq!(found, [(1, 2), (2, 2), (1, 1)]);
        let found: Vec<_> = spans(&start, &end, 1, 1).iter().map(|s| (s.0, s.1)).collect();
        assert_eq!(found, [(2, 2)]);
        assert!(spans(&[0.0], &[1.0], 3, 5).is_empty());
    }
}
