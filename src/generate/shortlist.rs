//! What must be known of the next token's scores, and choosing from the best few.
//!
//! The most probable token can be chosen where the scores are, and drawing among the `top_k` best
//! needs no more than those: a few numbers to read where the logits are V (50,000) per text. What
//! only rules tokens out (`bad_words_ids`, `no_repeat_ngram_size`, a minimal length) needs as many
//! more as are ruled out. All this is exact: what comes out is what the full scores give.

use super::config::Settings;
use super::math::{argmax, log_softmax};
use super::processors::Processors;
use super::random::Random;
use super::search::draw;
use super::warpers::warp;
use super::{choice, nothing_left, Choice};
use crate::error::Result;
use crate::models::{TopK, Want, MOST_BEST};

/// The least that rows can go on with, each given by its processors and tokens, where `needed`
/// tokens that may follow are enough; and the tokens that may not, row by row.
pub(super) fn least<'a>(
    needed: usize,
    vocab: usize,
    rows: impl Iterator<Item = (&'a Processors, &'a [u32])>,
) -> (Want, Vec<Vec<u32>>) {
    let bans: Option<Vec<Vec<u32>>> = rows.map(|(p, ids)| p.bans(ids)).collect();
    let Some(bans) = bans else { return (Want::Logits, Vec::new()) };
    let most = bans.iter().map(Vec::len).max().unwrap_or(0);
    // Few sizes, as each has its plan.
    let k = if most == 0 { needed } else { (needed + most).next_power_of_two() };
    if k > MOST_BEST || k > vocab {
        return (Want::Logits, Vec::new());
    }
    (Want::TopK(k), bans)
}

/// Tokens needed of each row to choose one; none where that takes all.
pub(super) fn needed(s: &Settings) -> Option<usize> {
    if s.renormalize_logits {
        return None;
    }
    match (s.do_sample, s.top_k) {
        (false, _) => Some(s.top_candidates.max(1)),
        // One more tells whether others equal the last.
        (true, Some(k)) => Some(k + 1),
        (true, None) => None,
    }
}

/// The tokens and logits of `top` that may follow, best first.
pub(super) fn allowed<'a>(top: &'a TopK, bans: &'a [u32]) -> impl Iterator<Item = (u32, f32)> + 'a {
    let all = top.ids.iter().copied().zip(top.logits.iter().copied());
    all.filter(|(id, _)| bans.binary_search(id).is_err())
}

/// Whether what was drawn from may lack tokens: Python keeps all that equal the k-th.
pub(super) fn tied(s: &Settings, top: &TopK, bans: &[u32]) -> bool {
    let (true, Some(k)) = (s.do_sample, s.top_k) else { return false };
    let temperature = s.temperature.unwrap_or(1.0) as f32;
    let mut from = allowed(top, bans).skip(k - 1).map(|(_, x)| x / temperature);
    matches!((from.next(), from.next()), (Some(last), Some(next)) if last == next)
}

/// Chooses from the best few.
pub(super) fn choose(
    s: &Settings,
    top: &TopK,
    bans: &[u32],
    random: &mut Random,
) -> Result<Choice> {
    let Some((best, logit)) = allowed(top, bans).next().filter(|(_, x)| *x > f32::NEG_INFINITY)
    else {
        return Err(nothing_left());
    };
    if !s.do_sample {
        let log = |x: f32| (x - top.logits[0]) - top.log_sum;
        if !s.output_scores {
            return Ok(Choice { id: best, logprob: f32::NAN, top: Vec::new() });
        }
        let candidates = allowed(top, bans).take(s.top_candidates);
        let candidates = candidates.map(|(id, x)| (id, log(x))).filter(|(_, l)| l.is_finite());
        return Ok(Choice { id: best, logprob: log(logit), top: candidates.collect() });
    }
    // In the order of their ids everything is summed as among the whole vocabulary, where the
    // others add nothing.
    let mut list: Vec<(u32, f32)> = allowed(top, bans).take(s.top_k.unwrap_or(1)).collect();
    list.sort_unstable_by_key(|(id, _)| *id);
    let mut scores: Vec<f32> = list.iter().map(|(_, x)| *x).collect();
    warp(s, &mut scores);
    if scores[argmax(&scores)] == f32::NEG_INFINITY {
        return Err(nothing_left());
    }
    let at = draw(&scores, random)?;
    let id = list[at].0;
    if !s.output_scores {
        return Ok(Choice { id, logprob: f32::NAN, top: Vec::new() });
    }
    log_softmax(&mut scores);
    let mut chosen = choice(s, &scores, at as u32);
    chosen.id = id;
    chosen.top.iter_mut().for_each(|(i, _)| *i = list[*i as usize].0);
    Ok(chosen)
}
