//! Beam search as `transformers` 4.57 does it (`_beam_search`), arithmetic in f32 and in its order.
//!
//! Every prompt has its own group of beams, which ends by itself; the model's steps of all groups
//! run together.

use super::config::{EarlyStopping, Settings};
use super::math::{log_softmax, softmax, top_k};
use super::processors::{renormalize, Processors};
use super::random::Random;
use super::stop::Stop;
use super::warpers::warp;
use super::{check, choice, shortlist};
use super::{Beam, Choice, Finish, Generated, Model, Next, Prompt, Watch};
use crate::error::Result;
use crate::models::{Answer, TopK, Want};

/// A beam's next token, and the score of the text with it.
struct Candidate {
    beam: usize,
    token: u32,
    score: f32,
    /// How it was chosen, where that is wanted.
    choice: Option<Choice>,
}

/// A score that loses against every real one.
const LOST: f32 = -1.0e9;

#[derive(Debug, Clone)]
struct Hypothesis {
    ids: Vec<u32>,
    choices: Vec<Choice>,
    score: f32,
    done: bool,
    finish: Option<Finish>,
    /// The model's row that it continues.
    row: u32,
}

struct Group {
    prompt: usize,
    prompt_len: usize,
    end: usize,
    processors: Processors,
    random: Random,
    /// `num_beams` each, best first.
    running: Vec<Hypothesis>,
    finished: Vec<Hypothesis>,
    /// A running beam may still beat a finished one.
    improvable: bool,
}

pub(super) async fn run<M: Model, W: Watch>(
    model: &mut M,
    prompts: &[Prompt],
    s: &Settings,
    stop: &Stop<'_>,
    watch: &mut W,
) -> Result<Vec<Vec<Generated>>> {
    let (vocab, beams) = (model.vocab(), s.num_beams);
    let seed = s.seed.unwrap_or_else(Random::seed);
    let mut groups = Vec::with_capacity(prompts.len());
    for (i, prompt) in prompts.iter().enumerate() {
        let end = s.end(prompt.ids.len())?;
        let source = prompt.source.as_deref().unwrap_or(&prompt.ids);
        let processors = Processors::new(s, source, prompt.ids.len(), end, vocab)?;
        let hypothesis = |score| Hypothesis {
            ids: prompt.ids.clone(),
            choices: Vec::new(),
            score,
            done: false,
            finish: None,
            row: i as u32,
        };
        // All beams are alike at first: only one may go on, or the same text would come n times.
        let running = (0..beams).map(|b| hypothesis(if b == 0 { 0.0 } else { LOST })).collect();
        groups.push(Group {
            prompt: i,
            prompt_len: prompt.ids.len(),
            end,
            processors,
            random: Random::new(seed, i),
            running,
            finished: vec![hypothesis(LOST); beams],
            improvable: true,
        });
    }
    let mut results: Vec<Vec<Generated>> = prompts.iter().map(|_| Vec::new()).collect();
    let (next, mut bans) = least(s, vocab, &groups, watch.processes());
    let mut answer = model.start(prompts, next).await?;
    check(&answer, prompts.len(), vocab, s)?;
    while !groups.is_empty() {
        // One row of scores per beam; the first step's beams share their prompt's row.
        let rows: Vec<u32> = groups.iter().flat_map(|g| g.running.iter().map(|h| h.row)).collect();
        // log_probs [R, V], where the best few do not do.
        let mut scores = Vec::new();
        if let Answer::Logits(logits) = &mut answer {
            logits.chunks_exact_mut(vocab).for_each(log_softmax);
            for &row in &rows {
                scores.extend_from_slice(&logits[row as usize * vocab..][..vocab]);
            }
            let each = groups.iter().flat_map(|g| g.running.iter().map(move |h| (g, h)));
            for ((group, beam), scores) in each.zip(scores.chunks_exact_mut(vocab)) {
                group.processors.apply(&beam.ids, scores);
            }
            if watch.processes() {
                let ids: Vec<&[u32]> = groups
                    .iter()
                    .flat_map(|g| g.running.iter().map(|h| h.ids.as_slice()))
                    .collect();
                watch.process(&ids, &mut scores).await?;
            }
            for scores in scores.chunks_exact_mut(vocab) {
                if s.do_sample {
                    warp(s, scores);
                }
                renormalize(s, scores);
            }
        }
        let mut continuing = Vec::with_capacity(groups.len());
        for (at, mut group) in groups.into_iter().enumerate() {
            let own = at * beams..(at + 1) * beams;
            let best = match &answer {
                Answer::TopK(tops) => group.best_of(s, tops, &bans[own]),
                _ => group.best(s, &scores[own.start * vocab..own.end * vocab], vocab),
            };
            let mut candidates = group.extend(best);
            let ids: Vec<&[u32]> = candidates.iter().map(|h| h.ids.as_slice()).collect();
            let custom = watch.stop(&ids).await?;
            for (i, candidate) in candidates.iter_mut().enumerate() {
                let custom = custom.get(i).copied().unwrap_or(false).then_some(Finish::Custom);
                candidate.finish = stop.check(&candidate.ids, group.end)?.or(custom);
            }
            let goes_on = group.advance(s, candidates);
            group.report(watch)?;
            if goes_on {
                continuing.push(group);
            } else {
                let prompt = group.prompt;
                results[prompt] = group.results(s);
            }
        }
        groups = continuing;
        let (mut parents, mut tokens) = (Vec::new(), Vec::new());
        for beam in groups.iter_mut().flat_map(|g| &mut g.running) {
            parents.push(std::mem::replace(&mut beam.row, parents.len() as u32));
            tokens.extend(beam.ids.last());
        }
        if !tokens.is_empty() {
            watch.turn().await?;
            let (next, own) = least(s, vocab, &groups, watch.processes());
            bans = own;
            answer = model.step(&parents, &tokens, next).await?;
            check(&answer, tokens.len(), vocab, s)?;
        }
    }
    Ok(results)
}

impl Group {
    /// The best continuations of all beams, best first, from log-probabilities `[beams, V]`.
    fn best(&mut self, s: &Settings, logs: &[f32], vocab: usize) -> Vec<Candidate> {
        let mut total = logs.to_vec();
        for (beam, row) in self.running.iter().zip(total.chunks_exact_mut(vocab)) {
            row.iter_mut().for_each(|x| *x += beam.score);
        }
        let keep = keep(s);
        let best =
            if s.do_sample { sample(&total, keep, &mut self.random) } else { top_k(&total, keep) };
        let candidate = |i: usize| {
            let (beam, token) = (i / vocab, (i % vocab) as u32);
            let row = &logs[beam * vocab..][..vocab];
            let choice = s.output_scores.then(|| choice(s, row, token));
            Candidate { beam, token, score: total[i], choice }
        };
        best.into_iter().map(candidate).collect()
    }

    /// The same from the best few of each beam's row, without those that cannot come.
    fn best_of(&self, s: &Settings, tops: &[TopK], bans: &[Vec<u32>]) -> Vec<Candidate> {
        let log = |top: &TopK, x: f32| (x - top.logits[0]) - top.log_sum;
        let mut best = Vec::new();
        for (beam, (own, bans)) in self.running.iter().zip(bans).enumerate() {
            let top = &tops[own.row as usize];
            best.extend(shortlist::allowed(top, bans).map(|(token, x)| Candidate {
                beam,
                token,
                score: log(top, x) + own.score,
                choice: None,
            }));
        }
        let place = |c: &Candidate| (c.beam, c.token);
        best.sort_by(|a, b| b.score.total_cmp(&a.score).then(place(a).cmp(&place(b))));
        best.truncate(keep(s));
        for candidate in best.iter_mut().filter(|_| s.output_scores) {
            let top = &tops[self.running[candidate.beam].row as usize];
            let logs =
                || shortlist::allowed(top, &bans[candidate.beam]).map(|(id, x)| (id, log(top, x)));
            let own = logs().find(|(id, _)| *id == candidate.token);
            let others = logs().take(s.top_candidates).filter(|(_, l)| l.is_finite());
            candidate.choice = Some(Choice {
                id: candidate.token,
                logprob: own.map_or(f32::NAN, |(_, l)| l),
                top: others.collect(),
            });
        }
        best
    }

    /// The running texts with their candidates.
    fn extend(&self, best: Vec<Candidate>) -> Vec<Hypothesis> {
        let extend = |candidate: Candidate| {
            let beam = &self.running[candidate.beam];
            let mut next = Hypothesis { score: candidate.score, ..beam.clone() };
            next.ids.push(candidate.token);
            next.choices.extend(candidate.choice);
            next
        };
        best.into_iter().map(extend).collect()
    }

    /// Takes the running and the finished beams of the next step from `candidates`; whether there
    /// is one.
    fn advance(&mut self, s: &Settings, candidates: Vec<Hypothesis>) -> bool {
        let (beams, early) = (s.num_beams, s.early_stopping);
        let length = candidates.first().map_or(0, |h| h.ids.len());
        let penalty = |length: usize| (length as f64).powf(s.length_penalty) as f32;
        let lost = |on: bool| if on { LOST } else { 0.0 };

        let open: Vec<f32> =
            candidates.iter().map(|h| h.score + lost(h.finish.is_some())).collect();
        let running: Vec<Hypothesis> = top_k(&open, beams)
            .into_iter()
            .map(|i| Hypothesis { score: open[i], ..candidates[i].clone() })
            .collect();
        let all_end = candidates.iter().all(|h| h.finish.is_some());

        let full = self.finished.iter().all(|h| h.done) && early == EarlyStopping::Yes;
        let divisor = penalty(length - self.prompt_len);
        let mut merged = std::mem::take(&mut self.finished);
        for (i, mut candidate) in candidates.into_iter().enumerate() {
            // Those after the first num_beams only stand by to go on.
            candidate.done = candidate.finish.is_some() && i < beams;
            let score = candidate.score / divisor;
            candidate.score = score + lost(full) + lost(!self.improvable) + lost(!candidate.done);
            merged.push(candidate);
        }
        let scores: Vec<f32> = merged.iter().map(|h| h.score).collect();
        self.finished = top_k(&scores, beams).into_iter().map(|i| merged[i].clone()).collect();
        self.running = running;

        let best_length = match early {
            EarlyStopping::Never if s.length_penalty > 0.0 => self.end - self.prompt_len,
            _ => length - self.prompt_len,
        };
        let best = self.running.first().map_or(LOST, |h| h.score) / penalty(best_length);
        let worst = self.finished.iter().map(|h| h.score).fold(f32::INFINITY, f32::min);
        let beatable = |h: &Hypothesis| best > if h.done { worst } else { LOST };
        self.improvable &= self.finished.iter().any(beatable);
        let open = !(self.finished.iter().all(|h| h.done) && early == EarlyStopping::Yes);
        self.improvable && open && !all_end
    }

    fn report<W: Watch>(&self, watch: &mut W) -> Result<()> {
        let real = |h: &&Hypothesis| h.score > LOST / 2.0;
        let beams: Vec<Beam<'_>> = (self.running.iter().filter(real))
            .chain(self.finished.iter().filter(real))
            .map(|h| Beam { ids: &h.ids[self.prompt_len..], score: h.score, done: h.done })
            .collect();
        let Some(first) = beams.first() else { return Ok(()) };
        let common =
            |beam: &Beam<'_>| beam.ids.iter().zip(first.ids).take_while(|(a, b)| a == b).count();
        let settled = beams.iter().map(common).min().unwrap_or(0);
        watch.beams(self.prompt, &beams, settled)
    }

    fn results(self, s: &Settings) -> Vec<Generated> {
        // Python fills up to the longest, and takes a padding token 0 for none.
        let fill = s.pad.filter(|pad| *pad != 0).or(s.eos.first().copied()).or(s.pad);
        let best: Vec<Hypothesis> =
            self.finished.into_iter().take(s.num_return_sequences).collect();
        let longest = best.iter().map(|h| h.ids.len()).max().unwrap_or(0);
        let text = |mut h: Hypothesis| {
            if let Some(fill) = fill {
                h.ids.resize(longest, fill);
            }
            Generated {
                ids: h.ids,
                prompt: self.prompt_len,
                score: Some(h.score),
                choices: h.choices,
                finish: h.finish,
            }
        };
        best.into_iter().map(text).collect()
    }
}

/// Candidates of a step: enough that `num_beams` are left even if all others end.
fn keep(s: &Settings) -> usize {
    (1 + s.eos.len()).max(2) * s.num_beams
}

/// The least that the next candidates can be chosen from; the tokens that cannot come, by beam.
fn least(s: &Settings, vocab: usize, groups: &[Group], processes: bool) -> (Next, Vec<Vec<u32>>) {
    // Each row may have all of them.
    let needed = keep(s).max(s.top_candidates);
    let rows =
        groups.iter().flat_map(|g| g.running.iter().map(|h| (&g.processors, h.ids.as_slice())));
    let (want, bans) = match s.do_sample || s.renormalize_logits || processes {
        true => (Want::Logits, Vec::new()),
        false => shortlist::least(needed, vocab, rows),
    };
    (Next { want, ahead: false }, bans)
}

/// `k` indices drawn by `exp(scores)` without putting any back, in the order drawn.
fn sample(scores: &[f32], k: usize, random: &mut Random) -> Vec<usize> {
    // An exponential clock of each one's rate: the first to ring are a draw without replacement.
    let clock = |p: f32| if p > 0.0 { (1.0 - random.uniform()).ln() as f32 / p } else { f32::MIN };
    let keys: Vec<f32> = softmax(scores).into_iter().map(clock).collect();
    top_k(&keys, k)
}
