//! Multi-head self-attention over ragged segments.

/// Softmax attention of every token over the tokens of its own segment.
///
/// `qkv` `[M, 3, heads, D]`; `segments` `[M, 2]`: token i attends to keys `segments[i][0]..segments[i][1]`
/// (tokens of one sequence are consecutive and share their bounds); `out` `[M, heads, D]`.
pub fn attention(qkv: &[f32], segments: &[u32], heads: usize, scale: f32, out: &mut [f32]) {
    let m = segments.len() / 2;
    let h = out.len() / m; // heads * D
    let d = h / heads;
    let mut scores = Vec::new();
    for i in 0..m {
        let (start, end) = (segments[2 * i] as usize, segments[2 * i + 1] as usize);
        for head in 0..heads {
            let q = &qkv[i * 3 * h + head * d..][..d];
            scores.clear();
            scores.extend((start..end).map(|j| {
                let key = &qkv[j * 3 * h + h + head * d..][..d];
                scale * q.iter().zip(key).map(|(a, b)| a * b).sum::<f32>()
            }));
            let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = scores
                .iter_mut()
                .map(|s| {
                    *s = (*s - max).exp();
                    *s
                })
                .sum();
            let out = &mut out[i * h + head * d..][..d];
            out.fill(0.0);
            for (j, p) in (start..end).zip(&scores) {
                let v = &qkv[j * 3 * h + 2 * h + head * d..][..d];
                for (o, v) in out.iter_mut().zip(v) {
                    *o += p / sum * v;
                }
            }
        }
    }
}
