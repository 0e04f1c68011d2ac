//! Tokens one by one: the most probable, or one drawn by its probability.

use super::config::Settings;
use super::math::{argmax, log_softmax, softmax};
use super::processors::{renormalize, Processors};
use super::random::Random;
use super::stop::Stop;
use super::warpers::warp;
use super::{check, choice, Choice, Finish, Generated, Model, Prompt, Watch};
use crate::error::Result;
use crate::{err, Code};

/// One text in the making.
struct Row {
    /// Which prompt, and which of its return sequences.
    prompt: usize,
    sequence: usize,
    text: Generated,
    /// The length at which it ends.
    end: usize,
    processors: Processors,
    random: Random,
}

pub(super) async fn run<M: Model, W: Watch>(
    model: &mut M,
    prompts: &[Prompt],
    s: &Settings,
    stop: &Stop<'_>,
    watch: &mut W,
) -> Result<Vec<Vec<Generated>>> {
    let (vocab, n) = (model.vocab(), s.num_return_sequences);
    let seed = s.seed.unwrap_or_else(Random::seed);
    let mut rows = Vec::with_capacity(prompts.len() * n);
    for (i, prompt) in prompts.iter().enumerate() {
        let end = s.end(prompt.ids.len())?;
        let source = prompt.source.as_deref().unwrap_or(&prompt.ids);
        let processors = Processors::new(s, source, prompt.ids.len(), end, vocab)?;
        for sequence in 0..n {
            let text = Generated {
                ids: prompt.ids.clone(),
                prompt: prompt.ids.len(),
                score: None,
                choices: Vec::new(),
                finish: None,
            };
            let random = Random::new(seed, i * n + sequence);
            let processors = processors.clone();
            rows.push(Row { prompt: i, sequence, text, end, processors, random });
        }
    }
    let first = model.start(prompts).await?;
    check(&first, prompts.len(), vocab, s)?;
    // Every return sequence begins with its prompt's scores.
    let mut logits: Vec<f32> = Vec::with_capacity(rows.len() * vocab);
    for row in first.chunks_exact(vocab) {
        (0..n).for_each(|_| logits.extend_from_slice(row));
    }
    // The first step goes from the prompts' rows to those of the sequences.
    let mut parents: Vec<u32> = rows.iter().map(|row| row.prompt as u32).collect();
    // Sequences that still run, in the order of the model's rows.
    let mut live: Vec<usize> = (0..rows.len()).collect();
    loop {
        for (&r, scores) in live.iter().zip(logits.chunks_exact_mut(vocab)) {
            rows[r].processors.apply(&rows[r].text.ids, scores);
        }
        let ids: Vec<&[u32]> = live.iter().map(|&r| rows[r].text.ids.as_slice()).collect();
        watch.process(&ids, &mut logits).await?;
        for (&r, scores) in live.iter().zip(logits.chunks_exact_mut(vocab)) {
            let row = &mut rows[r];
            let choice = choose(s, scores, &mut row.random)?;
            row.text.ids.push(choice.id);
            watch.token(row.prompt, row.sequence, &choice)?;
            if s.output_scores {
                row.text.choices.push(choice);
            }
        }
        let ids: Vec<&[u32]> = live.iter().map(|&r| rows[r].text.ids.as_slice()).collect();
        let custom = watch.stop(&ids).await?;
        let mut next = (Vec::new(), Vec::new(), Vec::new());
        for (i, &r) in live.iter().enumerate() {
            let row = &mut rows[r];
            let custom = custom.get(i).copied().unwrap_or(false).then_some(Finish::Custom);
            row.text.finish = stop.check(&row.text.ids, row.end)?.or(custom);
            if row.text.finish.is_none() {
                next.0.push(r);
                next.1.push(parents[i]);
                next.2.extend(row.text.ids.last());
            }
        }
        let (running, from, tokens) = next;
        if running.is_empty() {
            break;
        }
        watch.turn().await?;
        logits = model.step(&from, &tokens).await?;
        check(&logits, tokens.len(), vocab, s)?;
        parents = (0..running.len() as u32).collect();
        live = running;
    }
    let mut texts: Vec<Vec<Generated>> = prompts.iter().map(|_| Vec::new()).collect();
    rows.into_iter().for_each(|row| texts[row.prompt].push(row.text));
    Ok(texts)
}

/// Chooses from processed scores `[V]`.
fn choose(s: &Settings, scores: &mut [f32], random: &mut Random) -> Result<Choice> {
    if s.do_sample {
        warp(s, scores);
    }
    renormalize(s, scores);
    let best = argmax(scores);
    if scores[best] == f32::NEG_INFINITY || scores[best].is_nan() {
        let error = err!(Code::Input, "the options leave no token to go on with");
        return Err(error.remedy("suppress fewer tokens, or shorten min_length"));
    }
    let id = if s.do_sample { draw(scores, random)? } else { best } as u32;
    if !s.output_scores {
        return Ok(Choice { id, logprob: f32::NAN, top: Vec::new() });
    }
    log_softmax(scores);
    Ok(choice(s, scores, id))
}

/// A token by its probability.
fn draw(scores: &[f32], random: &mut Random) -> Result<usize> {
    let probabilities = softmax(scores);
    let sum: f64 = probabilities.iter().map(|&p| f64::from(p)).sum();
    if !sum.is_finite() {
        let error = err!(Code::NonFinite, "the scores to sample from are not finite");
        return Err(error.remedy("set remove_invalid_values, or check the logits processor"));
    }
    let mut left = random.uniform() * sum;
    let mut last = 0;
    for (i, &p) in probabilities.iter().enumerate().filter(|(_, p)| **p > 0.0) {
        last = i;
        left -= f64::from(p);
        if left < 0.0 {
            break;
        }
    }
    Ok(last)
}
