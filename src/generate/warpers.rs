//! What shapes the distribution that tokens are sampled from: temperature, top-k, top-p, min-p,
//! typical, epsilon and eta cut-offs, in Python's order.

use super::config::Settings;
use super::math::{log_softmax, softmax, top_k};

const OFF: f32 = f32::NEG_INFINITY;

/// Applies what `s` asks for to scores `[V]`; only called where tokens are sampled.
pub fn warp(s: &Settings, scores: &mut [f32]) {
    // Beams need a token besides each end of text to go on with.
    let keep = if s.num_beams > 1 { s.eos.len().max(1) + 1 } else { 1 };
    if let Some(temperature) = s.temperature.filter(|t| *t != 1.0) {
        let temperature = temperature as f32;
        scores.iter_mut().for_each(|x| *x /= temperature);
    }
    if let Some(k) = s.top_k {
        let last = kth(scores, k.max(keep));
        mask(scores, |_, x| x < last);
    }
    if let Some(p) = s.top_p {
        top_p(scores, p as f32, keep);
    }
    if let Some(p) = s.min_p {
        let probabilities = softmax(scores);
        let most = probabilities.iter().copied().fold(0.0, f32::max);
        let least = p as f32 * most;
        let kept = top_k(scores, keep);
        mask(scores, |i, _| probabilities[i] < least && !kept.contains(&i));
    }
    if let Some(mass) = s.typical_p {
        typical(scores, mass as f32, keep);
    }
    if let Some(epsilon) = s.epsilon_cutoff {
        cut_off(scores, epsilon as f32, keep);
    }
    if let Some(epsilon) = s.eta_cutoff {
        let mut logs = scores.to_vec();
        log_softmax(&mut logs);
        // Python's Categorical clamps the logs so that masked tokens add nothing.
        let entropy: f32 = -logs.iter().map(|&l| l.max(f32::MIN) * l.exp()).sum::<f32>();
        let epsilon = epsilon as f32;
        cut_off(scores, epsilon.min(epsilon.sqrt() * (-entropy).exp()), keep);
    }
}

fn mask(scores: &mut [f32], out: impl Fn(usize, f32) -> bool) {
    for (i, score) in scores.iter_mut().enumerate() {
        if out(i, *score) {
            *score = OFF;
        }
    }
}

/// The `k`-th largest score.
fn kth(scores: &[f32], k: usize) -> f32 {
    let k = k.min(scores.len());
    if k <= 64 {
        return top_k(scores, k).last().map_or(OFF, |&i| scores[i]);
    }
    let mut sorted = scores.to_vec();
    *sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

fn top_p(scores: &mut [f32], p: f32, keep: usize) {
    // Ascending, as in Python; what is masked has probability 0 and stays masked.
    let mut order: Vec<usize> = (0..scores.len()).filter(|&i| scores[i] > OFF).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let sorted: Vec<f32> = order.iter().map(|&i| scores[i]).collect();
    let probabilities = softmax(&sorted);
    let mut sum = 0.0f64;
    let last = order.len().saturating_sub(keep);
    for (&i, probability) in order[..last].iter().zip(probabilities) {
        sum += f64::from(probability);
        if sum as f32 <= 1.0 - p {
            scores[i] = OFF;
        }
    }
}

fn typical(scores: &mut [f32], mass: f32, keep: usize) {
    let mut logs = scores.to_vec();
    log_softmax(&mut logs);
    let live = |&i: &usize| logs[i] > OFF;
    let entropy = -(0..logs.len()).filter(live).map(|i| logs[i] * logs[i].exp()).sum::<f32>();
    let shifted: Vec<f32> = logs.iter().map(|l| (-l - entropy).abs()).collect();
    let mut order: Vec<usize> = (0..logs.len()).filter(live).collect();
    order.sort_by(|&a, &b| shifted[a].total_cmp(&shifted[b]));
    let mut sum = 0.0f64;
    let below = order
        .iter()
        .take_while(|&&i| {
            sum += f64::from(logs[i].exp());
            (sum as f32) < mass
        })
        .count();
    let Some(&last) = order.get(below.min(order.len().saturating_sub(1))) else { return };
    let kept: Vec<usize> = order.iter().take(keep).copied().collect();
    mask(scores, |i, _| shifted[i] > shifted[last] && !kept.contains(&i));
}

fn cut_off(scores: &mut [f32], least: f32, keep: usize) {
    let probabilities = softmax(scores);
    let last = kth(scores, keep);
    mask(scores, |i, x| probabilities[i] < least && x < last);
}
