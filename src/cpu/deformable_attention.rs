//! Multi-scale deformable attention (Zhu et al. 2021, arXiv:2010.04159).

use super::simd::*;

/// Every pixel of every level looks at `points` places of every level, which `offsets` shift from
/// its own place and `scores` weigh (softmax over levels and points together).
///
/// `value` `[M, heads, D]`, `offsets` `[M, heads, levels, points, 2]` (x, y in pixels of the level
/// looked at), `scores` `[M, heads, levels, points]`, `out` `[M, heads, D]`; M pixels in all.
/// Values between pixels are bilinear, outside the level zero.
pub fn deformable_attention(
    value: &[f32],
    offsets: &[f32],
    scores: &[f32],
    levels: &[[usize; 2]],
    [heads, points]: [usize; 2],
    out: &mut [f32],
) {
    let m: usize = levels.iter().map(|[h, w]| h * w).sum();
    let taps = levels.len() * points;
    let h = out.len().checked_div(m).unwrap_or(0);
    let d = h.checked_div(heads).unwrap_or(0);
    if d == 0 || taps == 0 {
        return;
    }
    assert!(value.len() >= m * h && scores.len() >= m * heads * taps);
    assert!(offsets.len() >= 2 * m * heads * taps && d * heads == h);
    let mut weights = vec![0.0; taps];
    let mut query = 0;
    for &[height, width] in levels {
        for pixel in 0..height * width {
            let (x, y) = (pixel % width, pixel / width);
            let at = [(x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32];
            for head in 0..heads {
                let first = query * heads + head;
                softmax(&scores[first * taps..][..taps], &mut weights);
                let offsets = &offsets[first * taps * 2..][..taps * 2];
                let out = &mut out[first * d..][..d];
                out.fill(0.0);
                let mut start = 0;
                for (level, &[height, width]) in levels.iter().enumerate() {
                    for point in 0..points {
                        let tap = level * points + point;
                        let x = at[0] * width as f32 + offsets[2 * tap] - 0.5;
                        let y = at[1] * height as f32 + offsets[2 * tap + 1] - 0.5;
                        let corner = [x.floor(), y.floor()];
                        let part = [x - corner[0], y - corner[1]];
                        for j in 0..4 {
                            let (right, down) = (j % 2, j / 2);
                            // NaN and far away positions are outside too
                            let [px, py] = [corner[0] + right as f32, corner[1] + down as f32];
                            let inside = px >= 0.0 && py >= 0.0 && px < width as f32;
                            if !inside || py >= height as f32 {
                                continue;
                            }
                            let side = |i: usize, high: usize| match high {
                                0 => 1.0 - part[i],
                                _ => part[i],
                            };
                            let weight = weights[tap] * side(0, right) * side(1, down);
                            let row = start + py as usize * width + px as usize;
                            accumulate(&value[row * h + head * d..][..d], weight, out);
                        }
                    }
                    start += height * width;
                }
            }
            query += 1;
        }
    }
}

fn softmax(scores: &[f32], to: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut total = 0.0;
    for (to, s) in to.iter_mut().zip(scores) {
        *to = (s - most).exp();
        total += *to;
    }
    to.iter_mut().for_each(|w| *w /= total);
}

/// `to += weight * from`
fn accumulate(from: &[f32], weight: f32, to: &mut [f32]) {
    let bulk = to.len().min(from.len()) / 4 * 4;
    let weights = splat(weight);
    for i in (0..bulk).step_by(4) {
        // SAFETY: i + 4 <= the length of both.
        unsafe {
            let to = to.as_mut_ptr().add(i);
            store(to, madd(load(from.as_ptr().add(i)), weights, load(to)));
        }
    }
    to[bulk..].iter_mut().zip(&from[bulk..]).for_each(|(o, v)| *o += weight * v);
}
