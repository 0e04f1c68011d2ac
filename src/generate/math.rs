//! Soft maxima over a vocabulary, and the largest of many.

/// `scores - log(sum(exp(scores)))`, in place.
///
/// Sums in f64: with 50,000 terms PyTorch's own f32 order of summation cannot be met, and the exact
/// sum is closest to any of them.
pub fn log_softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|x| f64::from((x - max).exp())).sum();
    let log = sum.ln() as f32;
    for x in scores {
        *x = (*x - max) - log;
    }
}

/// `exp(scores) / sum(exp(scores))`.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut out: Vec<f32> = scores.iter().map(|x| (x - max).exp()).collect();
    let sum: f64 = out.iter().map(|&x| f64::from(x)).sum();
    let scale = (1.0 / sum) as f32;
    out.iter_mut().for_each(|x| *x *= scale);
    out
}

/// The index of the largest; the first of equal ones, as `torch.argmax` on a CPU.
pub fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (i, x) in scores.iter().enumerate() {
        if *x > scores[best] {
            best = i;
        }
    }
    best
}

/// The indices of the `k` largest, largest first; of equal ones the first.
///
/// `torch.topk` leaves the order of equal ones open; it matters only where scores are masked, and
/// there beams of score -1e9 or less never become results.
pub fn top_k(scores: &[f32], k: usize) -> Vec<usize> {
    let k = k.min(scores.len());
    if k == 0 {
        return Vec::new();
    }
    let before = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    // Few are wanted of many: keep the best so far, and look closer only at what beats the last.
    let mut best: Vec<usize> = (0..k).collect();
    best.sort_unstable_by(before);
    for i in k..scores.len() {
        if scores[i] > scores[best[k - 1]] {
            best.pop();
            let at = best.partition_point(|b| before(b, &i).is_lt());
            best.insert(at, i);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_equal_ones_in_order() {
        let scores = [1.0, 5.0, 2.0, 5.0, f32::NEG_INFINITY, 3.0];
        assert_eq!(top_k(&scores, 4), [1, 3, 5, 2]);
        assert_eq!(top_k(&scores, 9), [1, 3, 5, 2, 0, 4]);
        assert_eq!(argmax(&scores), 1);
        assert!(top_k(&scores, 0).is_empty());
    }

    #[test]
    fn log_softmax_sums_to_one() {
        let mut scores = [1.0, 2.0, f32::NEG_INFINITY, -3.0];
        let p = softmax(&scores);
        log_softmax(&mut scores);
        assert_eq!(scores[2], f32::NEG_INFINITY);
        for (a, b) in p.iter().zip(&scores) {
            assert!((a - b.exp()).abs() < 1e-6);
        }
    }
}
