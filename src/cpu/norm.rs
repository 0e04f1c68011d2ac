//! Layer normalization over rows.

/// `out = (x - mean) / sqrt(var + eps) * gamma + beta` per row; x and out `[M, H]`, gamma and
/// beta `[H]`. The variance is the population's, from centred values.
pub fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, out: &mut [f32]) {
    let h = gamma.len();
    for (x, out) in x.chunks_exact(h).zip(out.chunks_exact_mut(h)) {
        let mean = x.iter().sum::<f32>() / h as f32;
        let var = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / h as f32;
        let r = 1.0 / (var + eps).sqrt();
        for i in 0..h {
            out[i] = (x[i] - mean) * r * gamma[i] + beta[i];
        }
    }
}
