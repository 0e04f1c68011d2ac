//! Logits to scores, in f32 as numpy does it in the Python pipelines.

/// `exp(x - max) / sum`, in place.
pub fn softmax(logits: &mut [f32]) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in logits.iter_mut() {
        *x = (*x - max).exp();
        sum += *x;
    }
    logits.iter_mut().for_each(|x| *x /= sum);
}

pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Index of the first largest number; 0 for none.
pub fn argmax(x: &[f32]) -> usize {
    let mut best = 0;
    for (i, v) in x.iter().enumerate() {
        if *v > x[best] {
            best = i;
        }
    }
    best
}

/// Indices by falling score, equal ones in their order, the first `k` of them.
pub fn top_k(scores: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let falling = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    if k < order.len() {
        // A vocabulary has 30,000 entries and k is 5: sort only what is asked for.
        if k > 0 {
            order.select_nth_unstable_by(k - 1, falling);
        }
        order.truncate(k);
    }
    order.sort_by(falling);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_survives_large_logits() {
        let mut x = [1000.0, 1000.0, -1000.0];
        softmax(&mut x);
        assert_eq!(x, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn equal_scores_keep_their_order() {
        let x = [1.0, 3.0, 2.0, 3.0, 3.0];
        assert_eq!(top_k(&x, 2), [1, 3]);
        assert_eq!(top_k(&x, 9), [1, 3, 4, 2, 0]);
        assert!(top_k(&x, 0).is_empty());
        assert_eq!(argmax(&x), 1);
    }
}
