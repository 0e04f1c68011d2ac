//! Tokens one by one: the most probable, or one drawn by its probability.

use super::config::Settings;
use super::math::{argmax, log_softmax, softmax};
use super::processors::{renormalize, Processors};
use super::random::Random;
use super::stop::Stop;
use super::warpers::warp;
use super::{check, choice, nothing_left, shortlist};
use super::{Choice, Finish, Generated, Model, Next, Prompt, Watch};
use crate::error::Result;
use crate::models::{Answer, Want};
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
    // What suffices to choose from; the tokens that cannot come, by live row.
    let least = |rows: &[Row], live: &[usize], processes: bool| {
        let Some(needed) = shortlist::needed(s).filter(|_| !processes) else {
            return (Next { want: Want::Logits, ahead: false }, Vec::new());
        };
        let own = live.iter().map(|&r| (&rows[r].processors, rows[r].text.ids.as_slice()));
        let (mut want, bans) = shortlist::least(needed, vocab, own);
        // Where tokens are ruled out, logarithms of probabilities are of those that are left.
        let free = bans.iter().all(Vec::is_empty);
        if !free && s.output_scores && !s.do_sample {
            return (Next { want: Want::Logits, ahead: false }, Vec::new());
        }
        if free && want == Want::TopK(1) && !s.output_scores {
            want = Want::Argmax;
        }
        let ahead = live.iter().all(|&r| rows[r].text.ids.len() + 1 < rows[r].end);
        (Next { want, ahead }, bans)
    };
    // Sequences that still run, in the order of the model's rows.
    let mut live: Vec<usize> = (0..rows.len()).collect();
    let (first, mut bans) = least(&rows, &live, watch.processes());
    let ahead = first.ahead && n == 1;
    let mut answer = model.start(prompts, Next { ahead, ..first }).await?;
    check(&answer, prompts.len(), vocab, s)?;
    // The first step goes from the prompts' rows to those of the sequences.
    let mut parents: Vec<u32> = rows.iter().map(|row| row.prompt as u32).collect();
    loop {
        if let Answer::TopK(tops) = &answer {
            let mut own = parents.iter().zip(&bans);
            if own.any(|(&parent, bans)| shortlist::tied(s, &tops[parent as usize], bans)) {
                let count = tops.len();
                answer = model.again().await?;
                check(&answer, count, vocab, s)?;
            }
        }
        let mut choices = Vec::with_capacity(live.len());
        match &answer {
            Answer::Logits(logits) => {
                // Every return sequence begins with its prompt's scores.
                let own = |&parent: &u32| &logits[parent as usize * vocab..][..vocab];
                let mut scores: Vec<f32> = Vec::with_capacity(live.len() * vocab);
                parents.iter().for_each(|parent| scores.extend_from_slice(own(parent)));
                for (&r, scores) in live.iter().zip(scores.chunks_exact_mut(vocab)) {
                    rows[r].processors.apply(&rows[r].text.ids, scores);
                }
                if watch.processes() {
                    let ids: Vec<&[u32]> =
                        live.iter().map(|&r| rows[r].text.ids.as_slice()).collect();
                    watch.process(&ids, &mut scores).await?;
                }
                for (&r, scores) in live.iter().zip(scores.chunks_exact_mut(vocab)) {
                    choices.push(choose(s, scores, &mut rows[r].random)?);
                }
            }
            Answer::Argmax(ids) => {
                let plain = |id: u32| Choice { id, logprob: f32::NAN, top: Vec::new() };
                choices.extend(parents.iter().map(|&parent| plain(ids[parent as usize])));
            }
            Answer::TopK(tops) => {
                for ((&r, &parent), bans) in live.iter().zip(&parents).zip(&bans) {
                    let top = &tops[parent as usize];
                    choices.push(shortlist::choose(s, top, bans, &mut rows[r].random)?);
                }
            }
            Answer::Nothing => {} // check() wants a row of it
        }
        for (&r, choice) in live.iter().zip(choices) {
            let row = &mut rows[r];
            row.text.ids.push(choice.id);
            watch.token(row.prompt, row.sequence, &choice)?;
            if s.output_scores {
                row.text.choices.push(choice);
            }
        }
        let ids: Vec<&[u32]> = live.iter().map(|&r| rows[r].text.ids.as_slice()).collect();
        let custom = watch.stop(&ids).await?;
        let mut rest = (Vec::new(), Vec::new(), Vec::new());
        for (i, &r) in live.iter().enumerate() {
            let row = &mut rows[r];
            let custom = custom.get(i).copied().unwrap_or(false).then_some(Finish::Custom);
            row.text.finish = stop.check(&row.text.ids, row.end)?.or(custom);
            if row.text.finish.is_none() {
                rest.0.push(r);
                rest.1.push(parents[i]);
                rest.2.extend(row.text.ids.last());
            }
        }
        let (running, from, tokens) = rest;
        if running.is_empty() {
            break;
        }
        watch.turn().await?;
        live = running;
        let (next, own) = least(&rows, &live, watch.processes());
        bans = own;
        answer = model.step(&from, &tokens, next).await?;
        check(&answer, tokens.len(), vocab, s)?;
        parents = (0..live.len() as u32).collect();
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
        return Err(nothing_left());
    }
    let id = if s.do_sample { draw(scores, random)? } else { best } as u32;
    if !s.output_scores {
        return Ok(Choice { id, logprob: f32::NAN, top: Vec::new() });
    }
    log_softmax(scores);
    Ok(choice(s, scores, id))
}

/// A token by its probability.
pub(super) fn draw(scores: &[f32], random: &mut Random) -> Result<usize> {
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
