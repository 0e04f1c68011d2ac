//! Rows for the ops over maps: attention in windows and over other values, deformable attention,
//! resampling, patch merging; each with its plain loop in f64.

use tareas::cpu::Interpolation;
use tareas::ops::{AttentionKv, Columns, WindowAttention};
use tareas::plan::WeightId;
use tareas::tensor::{Format, Matrix};

use super::cases::numbers;
use super::reference::{Reference, U};
use super::{Case, Input, Source};

pub fn all(cases: &mut Vec<Case>) {
    attention_kvs(cases);
    window_attentions(cases);
    deformable_attentions(cases);
    resizes(cases);
    patch_merges(cases);
}

/// Softmax attention of one query: scores and what they add up from, values; -> outputs, bounds.
///
/// `scores` come with the sum of their terms' magnitudes; the bound is that of `reference::attention`.
fn attend(scores: &[(f64, f64)], d: usize, value: impl Fn(usize, usize) -> f64) -> Reference {
    let most = scores.iter().map(|s| s.0).fold(f64::NEG_INFINITY, f64::max);
    let least = scores.iter().map(|s| s.0).fold(f64::INFINITY, f64::min);
    let magnitude = scores.iter().map(|s| s.1).fold(0.0, f64::max);
    let weights: Vec<f64> = scores.iter().map(|s| (s.0 - most).exp()).collect();
    let total: f64 = weights.iter().sum();
    let exp_bound = 2.0 * U * (4.0 + 2.0 * (most - least).min(30.0));
    let weight_bound = (d as f64 + 8.0) * U * 2.0 * magnitude + exp_bound + scores.len() as f64 * U;
    let mut out = Reference::with_capacity(d);
    for c in 0..d {
        let sum: f64 = weights.iter().enumerate().map(|(j, w)| w * value(j, c)).sum();
        let all: f64 = weights.iter().enumerate().map(|(j, w)| w * value(j, c).abs()).sum();
        let (expected, all) = (sum / total, all / total);
        out.push(expected, 2.0 * weight_bound * all + 4.0 * U * expected.abs());
    }
    out
}

/// Sum of products and of their magnitudes.
fn dot(scale: f64, d: usize, q: impl Fn(usize) -> f64, k: impl Fn(usize) -> f64) -> (f64, f64) {
    (0..d).map(|c| scale * q(c) * k(c)).fold((0.0, 0.0), |(s, a), p| (s + p, a + p.abs()))
}

fn attention_kvs(cases: &mut Vec<Case>) {
    // images, queries, keys (per image), heads, D, together (keys and values in one), mask
    for (images, queries, keys, heads, d, together, masked) in [
        (1, 1, 1, 1, 4, false, false),
        (1, 40, 7, 2, 32, true, false),
        (2, 19, 35, 3, 12, true, false),
        (1, 70, 130, 1, 64, false, false),
        (2, 5, 9, 2, 6, true, false),
        (1, 33, 40, 2, 32, false, true),
        (1, 5, 9, 3, 6, false, true),
        (2, 17, 33, 1, 20, false, true),
    ] {
        let hidden = heads * d;
        let (mq, mk) = (images * queries, images * keys);
        let q = numbers(31, mq * hidden, 1.0);
        let width = if together { 2 * hidden } else { hidden };
        let k = numbers(32, mk * width, 1.0);
        let v = if together { Vec::new() } else { numbers(33, mk * hidden, 1.0) };
        let mut mask = numbers(34, mq * keys, 1.0);
        if masked {
            mask[..keys].fill(-1.0); // a query that sees nothing sees everything
            mask[(mq - 1) * keys..].fill(-1.0);
            mask[mq * keys - 1] = 0.0; // and one that sees a single key
        }
        let scale = 1.0 / (d as f32).sqrt();

        let mut expected = Reference::with_capacity(mq * hidden);
        for i in 0..mq {
            let first = i / queries * keys;
            let row = &mask[i * keys..][..keys];
            let blind = !masked || row.iter().all(|m| *m < 0.0);
            let seen: Vec<usize> = (0..keys).filter(|j| blind || row[*j] >= 0.0).collect();
            for head in 0..heads {
                let at = |x: &[f32], row: usize, width: usize, c: usize| {
                    f64::from(x[row * width + head * d + c])
                };
                let scores: Vec<(f64, f64)> = seen
                    .iter()
                    .map(|j| {
                        let key = |c| at(&k, first + j, width, c);
                        dot(f64::from(scale), d, |c| at(&q, i, hidden, c), key)
                    })
                    .collect();
                let row = attend(&scores, d, |j, c| match together {
                    true => at(&k, first + seen[j], width, hidden + c),
                    false => at(&v, first + seen[j], hidden, c),
                });
                expected.extend(row);
            }
        }

        let mut inputs = vec![(vec![mq, hidden], Input::F32(q)), (vec![mk, width], Input::F32(k))];
        if !together {
            inputs.push((vec![mk, hidden], Input::F32(v)));
        }
        if masked {
            inputs.push((vec![mq, keys], Input::F32(mask)));
        }
        cases.push(Case {
            op: "attention_kv",
            label: format!("{images} x {queries} over {keys}, {heads} heads of {d}, mask {masked}"),
            format: Format::F32,
            inputs,
            weights: Vec::new(),
            record: Box::new(move |g, t| {
                let v = match together {
                    true => Columns { of: t[1], first: hidden },
                    false => t[2].into(),
                };
                let mask = masked.then(|| t[3]);
                let options = AttentionKv { heads, hidden, scale, images, mask };
                g.attention_kv([t[0].into(), t[1].into(), v], options)
            }),
            expected: expected.expected,
            bound: expected.bound,
        });
    }
}

fn window_attentions(cases: &mut Vec<Case>) {
    // B, H, W, heads, D, side, shift
    for (b, h, w, heads, d, side, shift) in [
        (1, 2, 2, 1, 4, 2, 0),
        (1, 7, 7, 2, 32, 7, 0),
        (2, 8, 12, 2, 12, 4, 2),
        (1, 9, 17, 3, 6, 4, 1),
        (2, 15, 8, 1, 32, 7, 3),
        (1, 13, 14, 2, 20, 7, 3),
    ] {
        let c = heads * d;
        let qkv = numbers(35, b * h * w * 3 * c, 1.0);
        let padding = numbers(36, 3 * c, 1.0);
        let span = 2 * side - 1;
        let table = numbers(37, span * span * heads, 1.0);
        let scale = 1.0 / (d as f32).sqrt();

        let [ph, pw] = [h, w].map(|n: usize| n.div_ceil(side) * side);
        let mut expected = Reference::zeros(b * h * w * c);
        let at = |image: usize, y: usize, x: usize, part: usize, at: usize| -> f64 {
            let value = match y < h && x < w {
                true => qkv[(((image * h + y) * w + x) * 3 + part) * c + at],
                false => padding[part * c + at],
            };
            f64::from(value)
        };
        // region of a rolled coordinate, as the reference implementation slices it
        let region = |i: usize, n: usize| match shift {
            0 => 0,
            _ if i < n - side => 0,
            _ if i < n - shift => 1,
            _ => 2,
        };
        for image in 0..b {
            for (ry, rx) in (0..ph).flat_map(|y| (0..pw).map(move |x| (y, x))) {
                let (y, x) = ((ry + shift) % ph, (rx + shift) % pw);
                if y >= h || x >= w {
                    continue;
                }
                let (wy, wx) = (ry / side * side, rx / side * side);
                let keys: Vec<[usize; 2]> =
                    (0..side * side).map(|j| [wy + j / side, wx + j % side]).collect();
                for head in 0..heads {
                    let scores: Vec<(f64, f64)> = keys
                        .iter()
                        .map(|&[ky, kx]| {
                            let (sy, sx) = ((ky + shift) % ph, (kx + shift) % pw);
                            let (s, a) = dot(
                                f64::from(scale),
                                d,
                                |e| at(image, y, x, 0, head * d + e),
                                |e| at(image, sy, sx, 1, head * d + e),
                            );
                            let index = (ry + side - 1 - ky) * span + rx + side - 1 - kx;
                            let bias = f64::from(table[index * heads + head]);
                            let apart = region(ry, ph) != region(ky, ph)
                                || region(rx, pw) != region(kx, pw);
                            let mask = if apart { -100.0 } else { 0.0 };
                            (s + bias + mask, a + bias.abs())
                        })
                        .collect();
                    let row = attend(&scores, d, |j, e| {
                        let (sy, sx) = ((keys[j][0] + shift) % ph, (keys[j][1] + shift) % pw);
                        at(image, sy, sx, 2, head * d + e)
                    });
                    let first = ((image * h + y) * w + x) * c + head * d;
                    expected.expected[first..first + d].copy_from_slice(&row.expected);
                    expected.bound[first..first + d].copy_from_slice(&row.bound);
                }
            }
        }
        let mut bias = Matrix::zeros(Format::F32, span * span, heads);
        bias.set_rows(0, &table);
        cases.push(Case {
            op: "window_attention",
            label: format!("[{b}, {h}, {w}], {heads} heads of {d}, side {side}, shift {shift}"),
            format: Format::F32,
            inputs: vec![(vec![b, h, w, 3 * c], Input::F32(qkv))],
            weights: vec![Source::Vector(padding), Source::Matrix(bias)],
            record: Box::new(move |g, t| {
                let (padding, bias) = (WeightId(0), WeightId(1));
                let options = WindowAttention { heads, scale, side, shift, padding, bias };
                g.window_attention(t[0], options)
            }),
            expected: expected.expected,
            bound: expected.bound,
        });
    }
}

fn deformable_attentions(cases: &mut Vec<Case>) {
    for (levels, heads, d, points, reach) in [
        (vec![[1, 1]], 1, 4, 1, 0.5),
        (vec![[3, 5], [6, 10], [11, 19]], 2, 32, 4, 2.0),
        (vec![[4, 4], [7, 9]], 3, 6, 3, 9.0),
        (vec![[2, 3], [3, 4], [5, 6], [9, 8]], 1, 8, 2, 1.0),
    ] {
        let m: usize = levels.iter().map(|[h, w]| h * w).sum();
        let taps = levels.len() * points;
        let h = heads * d;
        let value = numbers(38, m * h, 1.0);
        let offsets = numbers(39, m * heads * taps * 2, reach);
        let scores = numbers(40, m * heads * taps, 1.0);

        let mut expected = Reference::with_capacity(m * h);
        let mut q = 0;
        for &[qh, qw] in &levels {
            for pixel in 0..qh * qw {
                let place = [(pixel as f64 % qw as f64).floor() + 0.5, (pixel / qw) as f64 + 0.5];
                let place = [place[0] / qw as f64, place[1] / qh as f64];
                for head in 0..heads {
                    let at = (q * heads + head) * taps;
                    let s: Vec<f64> = scores[at..at + taps].iter().map(|s| f64::from(*s)).collect();
                    let total: f64 = s.iter().map(|s| s.exp()).sum();
                    for c in 0..d {
                        let (mut sum, mut bound) = (0.0, 0.0);
                        for (tap, s) in s.iter().enumerate() {
                            let level = tap / points;
                            let [lh, lw] = levels[level];
                            let start: usize = levels[..level].iter().map(|[h, w]| h * w).sum();
                            let offset = |i| f64::from(offsets[(at + tap) * 2 + i]);
                            let x = place[0] * lw as f64 + offset(0) - 0.5;
                            let y = place[1] * lh as f64 + offset(1) - 0.5;
                            let pixel = |y: f64, x: f64| {
                                let inside = x >= 0.0 && y >= 0.0 && x < lw as f64 && y < lh as f64;
                                let row = start + y.max(0.0) as usize * lw + x.max(0.0) as usize;
                                match inside {
                                    true => f64::from(value[row * h + head * d + c]),
                                    false => 0.0,
                                }
                            };
                            let (left, top) = (x.floor(), y.floor());
                            let corners = [
                                pixel(top, left),
                                pixel(top, left + 1.0),
                                pixel(top + 1.0, left),
                                pixel(top + 1.0, left + 1.0),
                            ];
                            let (r, b) = (x - left, y - top);
                            let v = (1.0 - b) * ((1.0 - r) * corners[0] + r * corners[1])
                                + b * ((1.0 - r) * corners[2] + r * corners[3]);
                            let weight = s.exp() / total;
                            sum += weight * v;
                            // Positions of up to 20 pixels are off by a few roundings of
                            // themselves, and a value by that times its slope. On the edge
                            // between two pixels both sides agree: bilinear is continuous.
                            let slope: f64 = corners.iter().map(|c| c.abs()).sum();
                            let position = 8.0 * U * (x.abs() + y.abs() + 20.0);
                            bound += weight * slope * (position + 32.0 * U);
                        }
                        expected.push(sum, bound);
                    }
                }
                q += 1;
            }
        }
        cases.push(Case {
            op: "deformable_attention",
            label: format!("levels {levels:?}, {heads} heads of {d}, {points} points"),
            format: Format::F32,
            inputs: vec![
                (vec![m, h], Input::F32(value)),
                (vec![m, heads * taps * 2], Input::F32(offsets)),
                (vec![m, heads * taps], Input::F32(scores)),
            ],
            weights: Vec::new(),
            record: Box::new(move |g, t| {
                g.deformable_attention(t[0], t[1], t[2], &levels, [heads, points])
            }),
            expected: expected.expected,
            bound: expected.bound,
        });
    }
}

/// Weights of the source positions of target position `i`, with how far off a position may be.
fn taps(mode: Interpolation, i: usize, from: usize, to: usize) -> (Vec<(usize, f64)>, f64) {
    let (from_f, to_f) = (from as f64, to as f64);
    let x = match mode {
        Interpolation::Nearest => i as f64 * from_f / to_f,
        Interpolation::BilinearAligned => i as f64 * (from_f - 1.0) / (to_f - 1.0).max(1.0),
        Interpolation::Bilinear => ((i as f64 + 0.5) * from_f / to_f - 0.5).max(0.0),
        Interpolation::Bicubic => (i as f64 + 0.5) * from_f / to_f - 0.5,
    };
    let (first, t) = (x.floor(), x - x.floor());
    let clamp = |i: f64| i.clamp(0.0, from_f - 1.0) as usize;
    let weights = match mode {
        Interpolation::Nearest => vec![(clamp(first), 1.0)],
        Interpolation::Bicubic => {
            const A: f64 = -0.75;
            let kernel = |x: f64| match x.abs() {
                x if x <= 1.0 => (A + 2.0) * x.powi(3) - (A + 3.0) * x.powi(2) + 1.0,
                x => A * x.powi(3) - 5.0 * A * x.powi(2) + 8.0 * A * x - 4.0 * A,
            };
            (-1..3).map(|j| (clamp(first + f64::from(j)), kernel(t - f64::from(j)))).collect()
        }
        _ => vec![(clamp(first), 1.0 - t), (clamp(first + 1.0), t)],
    };
    (weights, 4.0 * U * (from_f + 1.0))
}

fn resizes(cases: &mut Vec<Case>) {
    use Interpolation::{Bicubic, Bilinear, BilinearAligned, Nearest};
    type Row = (&'static [[usize; 3]], usize, [usize; 2], Interpolation, bool);
    let rows: [Row; 11] = [
        (&[[1, 1, 1]], 1, [3, 2], Bilinear, false),
        (&[[5, 7, 8]], 2, [10, 14], Bilinear, true),
        (&[[9, 6, 5]], 1, [4, 3], Bilinear, false),
        (&[[9, 6, 4]], 1, [13, 11], BilinearAligned, true),
        (&[[4, 4, 3]], 2, [1, 9], BilinearAligned, false),
        (&[[8, 6, 4]], 1, [5, 12], Nearest, false),
        (&[[7, 5, 1]], 2, [19, 23], Bicubic, false),
        (&[[12, 10, 4]], 1, [5, 7], Bicubic, true),
        // several maps, one of which has the size already
        (&[[3, 4, 8], [6, 8, 4], [12, 16, 12]], 2, [12, 16], Bilinear, false),
        (&[[3, 4, 5], [6, 7, 2]], 1, [6, 7], Bilinear, false),
        (&[[3, 4, 4], [6, 7, 3]], 1, [8, 9], Nearest, false),
    ];
    for (maps, b, [height, width], mode, residual) in rows {
        let values: Vec<Vec<f32>> = maps
            .iter()
            .enumerate()
            .map(|(i, [h, w, c])| numbers(41 + i as u64, b * h * w * c, 1.0))
            .collect();
        let channels: usize = maps.iter().map(|m| m[2]).sum();
        let added = numbers(45, b * height * width * channels, 1.0);
        let mut expected = Reference::with_capacity(added.len());
        for (image, y, x) in
            (0..b).flat_map(|i| (0..height).flat_map(move |y| (0..width).map(move |x| (i, y, x))))
        {
            for (&[h, w, c], values) in maps.iter().zip(&values) {
                // a map of the right size is copied
                let copy = [h, w] == [height, width];
                let mode = if copy { Nearest } else { mode };
                let (down, off_y) = taps(mode, y, h, height);
                let (across, off_x) = taps(mode, x, w, width);
                for channel in 0..c {
                    let (mut sum, mut all, mut largest) = (0.0, 0.0, 0.0f64);
                    for (sy, wy) in &down {
                        for (sx, wx) in &across {
                            let v = f64::from(values[((image * h + sy) * w + sx) * c + channel]);
                            sum += wy * wx * v;
                            all += (wy * wx * v).abs();
                            largest = largest.max(v.abs());
                        }
                    }
                    let r = match residual {
                        true => f64::from(added[expected.expected.len()]),
                        false => 0.0,
                    };
                    // Weights follow their position with a slope of at most 2 per pixel.
                    let moved = match mode {
                        Nearest => 0.0,
                        _ => 8.0 * (off_y + off_x) * largest,
                    };
                    let rounded = if copy && !residual { 0.0 } else { 24.0 * U * (all + r.abs()) };
                    expected.push(sum + r, rounded + moved);
                }
            }
        }
        let mut inputs: Vec<(Vec<usize>, Input)> = maps
            .iter()
            .zip(values)
            .map(|([h, w, c], v)| (vec![b, *h, *w, *c], Input::F32(v)))
            .collect();
        if residual {
            inputs.push((vec![b, height, width, channels], Input::F32(added)));
        }
        let count = maps.len();
        cases.push(Case {
            op: "resize",
            label: format!("{b} x {maps:?} to {height} x {width}, {}", mode.name()),
            format: Format::F32,
            inputs,
            weights: Vec::new(),
            record: Box::new(move |g, t| match count {
                1 => g.resize(t[0], [height, width], mode, t.get(1).copied()),
                _ => g.resize_concat(t, [height, width], mode),
            }),
            expected: expected.expected,
            bound: expected.bound,
        });
    }
}

fn patch_merges(cases: &mut Vec<Case>) {
    for (b, h, w, c) in [(1, 1, 1, 1), (2, 4, 6, 8), (1, 5, 7, 3), (2, 3, 2, 20)] {
        let x = numbers(46, b * h * w * c, 1.0);
        let mut expected = Reference::with_capacity(4 * x.len());
        for image in 0..b {
            for y in 0..h.div_ceil(2) {
                for x_at in 0..w.div_ceil(2) {
                    for (dy, dx) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                        let (y, x_at) = (2 * y + dy, 2 * x_at + dx);
                        for channel in 0..c {
                            let value = match y < h && x_at < w {
                                true => x[((image * h + y) * w + x_at) * c + channel],
                                false => 0.0,
                            };
                            expected.push(f64::from(value), 0.0);
                        }
                    }
                }
            }
        }
        cases.push(Case {
            op: "patch_merge",
            label: format!("[{b}, {h}, {w}, {c}]"),
            format: Format::F32,
            inputs: vec![(vec![b, h, w, c], Input::F32(x))],
            weights: Vec::new(),
            record: Box::new(|g, t| g.patch_merge(t[0])),
            expected: expected.expected,
            bound: expected.bound,
        });
    }
}
