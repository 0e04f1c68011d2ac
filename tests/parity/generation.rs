//! The rows of the ops that models which write need, and their loops.

use tareas::ops::{Lookup, RelativeBias};
use tareas::plan::{Recorder, WeightId};
use tareas::tensor::{Format, Matrix};

use super::cases::{indices, matrix, numbers};
use super::reference::{Reference, U};
use super::{Case, Input, Record, Source};

/// Every row of this file.
pub fn all(cases: &mut Vec<Case>) {
    for shape in [[1, 1, 4], [2, 6, 6], [3, 70, 20], [12, 130, 64], [1, 9, 160]] {
        cached(cases, shape, None);
    }
    cached(cases, [2, 40, 10], Some(8));
    over(cases);
    relative(cases);
    rms_norms(cases);
    multiplies(cases);
    top_ks(cases);
    lookups(cases);
}

fn case(
    op: &'static str,
    label: String,
    inputs: Vec<(Vec<usize>, Input)>,
    weights: Vec<Source>,
    record: Record,
    Reference { expected, bound }: Reference,
) -> Case {
    Case { op, label, format: Format::F32, inputs, weights, record, expected, bound }
}

/// One attention: a query, its keys and values, what is added to the scores; `[D]` numbers and how
/// far they may be off (see `reference::attention`).
fn attend(
    out: &mut Reference,
    q: &[f32],
    keys: &[(&[f32], &[f32])],
    bias: impl Fn(usize) -> f32,
    scale: f32,
) {
    let dot = |a: &[f32], b: &[f32]| -> (f64, f64) {
        let products = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y));
        products.fold((0.0, 0.0), |(s, all), p| (s + p, all + p.abs()))
    };
    let scale = f64::from(scale);
    let dots: Vec<(f64, f64)> = keys.iter().map(|(k, _)| dot(q, k)).collect();
    let scores: Vec<f64> =
        dots.iter().enumerate().map(|(j, (s, _))| s * scale + f64::from(bias(j))).collect();
    let magnitude = dots.iter().map(|(_, all)| all * scale).fold(0.0, f64::max);
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let min = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
    let total: f64 = weights.iter().sum();
    let exp_bound = 2.0 * U * (4.0 + 2.0 * (max - min).min(30.0));
    let added = (0..keys.len()).map(|j| f64::from(bias(j).abs())).fold(0.0, f64::max);
    let weight_bound =
        (q.len() as f64 + 8.0) * U * 2.0 * (magnitude + added) + exp_bound + keys.len() as f64 * U;
    for c in 0..q.len() {
        let value = |j: usize| f64::from(keys[j].1[c]);
        let sum: f64 = weights.iter().enumerate().map(|(j, w)| w * value(j)).sum();
        let all: f64 = weights.iter().enumerate().map(|(j, w)| w * value(j).abs()).sum();
        let (expected, all) = (sum / total, all / total);
        out.push(expected, 2.0 * weight_bound * all + 4.0 * U * expected.abs());
    }
}

fn head(row: &[f32], part: usize, h: usize, head: usize, d: usize) -> &[f32] {
    &row[part * h + head * d..][..d]
}

/// Two texts share a cache: the first has much behind it and reads a few tokens, the second reads
/// its first ones.
fn cached(cases: &mut Vec<Case>, [heads, past, d]: [usize; 3], reach: Option<usize>) {
    let h = heads * d;
    let fresh = [3, 5];
    let m = 8;
    let pasts = [past, 0];
    let rows = past + m + 4;
    let qkv = numbers(31 + past as u64, m * 3 * h, 1.0);
    let root = numbers(32, rows * 2 * h, 1.2);
    let cache: Vec<f32> = root.iter().map(|x| x * x).collect(); // as the case makes it
                                                                // rows in no order, and each once
    let mut order: Vec<u32> = (1..rows as u32).collect();
    order.sort_by_key(|i| i.wrapping_mul(2_654_435_761));
    let starts = [2, 2 + past + fresh[0]];
    let mut table = vec![0; 2];
    table.extend(&order[..past + m]);
    let mut spans = Vec::new();
    for s in 0..2 {
        for f in 0..fresh[s] {
            spans.extend([starts[s] as u32, pasts[s] as u32, f as u32 + 1]);
        }
    }
    let buckets: Option<Vec<u32>> =
        reach.map(|r| (0..2 * r + 1).map(|i| (i * 5 % 7) as u32).collect());
    let weights = numbers(33, 7 * heads, 1.0);
    let scale = if reach.is_some() { 1.0 } else { 1.0 / (d as f32).sqrt() };

    let mut plain = Reference::with_capacity(m * h);
    for i in 0..m {
        let s = usize::from(i >= fresh[0]);
        let first = s * fresh[0];
        for n in 0..heads {
            let row = |i: usize| &qkv[i * 3 * h..(i + 1) * 3 * h];
            let mut keys: Vec<(&[f32], &[f32])> = (0..pasts[s])
                .map(|j| {
                    let at = table[starts[s] + j] as usize * 2 * h;
                    (head(&cache[at..], 0, h, n, d), head(&cache[at..], 1, h, n, d))
                })
                .collect();
            keys.extend((first..=i).map(|t| (head(row(t), 1, h, n, d), head(row(t), 2, h, n, d))));
            let here = keys.len() - 1;
            let bias = |j: usize| match (&buckets, reach) {
                (Some(buckets), Some(reach)) => {
                    let r = reach as i64;
                    let bucket = buckets[((j as i64 - here as i64).clamp(-r, r) + r) as usize];
                    weights[bucket as usize * heads + n]
                }
                _ => 0.0,
            };
            attend(&mut plain, head(row(i), 0, h, n, d), &keys, bias, scale);
        }
    }
    let mut bias_table = Matrix::zeros(Format::F32, 7, heads);
    bias_table.set_rows(0, &weights);
    let inputs = vec![
        (vec![m, 3 * h], Input::F32(qkv)),
        (vec![rows, 2 * h], Input::F32(root)),
        (vec![m, 3], Input::U32(spans)),
        (vec![table.len()], Input::U32(table)),
    ];
    let record: Record = Box::new(move |g, t| {
        let cache = g.multiply(t[1], t[1]);
        let cache = g.keep("kv", cache);
        let bias = buckets
            .clone()
            .map(|b| (b.len(), b))
            .map(|(n, b)| RelativeBias { table: WeightId(0), buckets: g.constant_u32(b, [n]) });
        g.attention_cached(t[0], [cache, t[3]], t[2], heads, scale, bias)
    });
    let label = format!("{heads} heads of {d}, {past} behind, bias {}", reach.is_some());
    let weights = vec![Source::Matrix(bias_table)];
    cases.push(case("attention_cached", label, inputs, weights, record, plain));
}

fn over(cases: &mut Vec<Case>) {
    for (heads, d, sources) in [(1, 4, [1, 2]), (3, 20, [70, 9]), (2, 64, [5, 130])] {
        let (h, m) = (heads * d, 7);
        let rows = sources[0] + sources[1];
        let q = numbers(34, m * h, 1.0);
        let cache = numbers(35, rows * 2 * h, 1.0);
        let spans: Vec<u32> = (0..m)
            .flat_map(
                |i| if i < 5 { [0, sources[0] as u32] } else { [sources[0] as u32, rows as u32] },
            )
            .collect();
        let scale = 0.3;
        let mut plain = Reference::with_capacity(m * h);
        for i in 0..m {
            for n in 0..heads {
                let keys: Vec<(&[f32], &[f32])> = (spans[2 * i] as usize
                    ..spans[2 * i + 1] as usize)
                    .map(|j| {
                        let row = &cache[j * 2 * h..];
                        (head(row, 0, h, n, d), head(row, 1, h, n, d))
                    })
                    .collect();
                attend(&mut plain, &q[i * h + n * d..][..d], &keys, |_| 0.0, scale);
            }
        }
        let inputs = vec![
            (vec![m, h], Input::F32(q)),
            (vec![rows, 2 * h], Input::F32(cache)),
            (vec![m, 2], Input::U32(spans)),
        ];
        let record: Record = Box::new(move |g, t| g.attention_over(t[0], t[1], t[2], heads, scale));
        let label = format!("{heads} heads of {d}, sources of {sources:?}");
        cases.push(case("attention_over", label, inputs, Vec::new(), record, plain));
    }
}

fn relative(cases: &mut Vec<Case>) {
    for (heads, d, lengths, causal) in [
        (1, 4, [1, 3], false),
        (3, 10, [40, 17], false),
        (2, 64, [2, 70], false),
        (2, 20, [3, 70], true),
    ] {
        let (h, reach) = (heads * d, 6i64);
        let m: usize = lengths.iter().sum();
        let qkv = numbers(36, m * 3 * h, 0.6);
        let buckets: Vec<u32> = (0..2 * reach as u32 + 1).map(|i| i * 3 % 5).collect();
        let weights = numbers(37, 5 * heads, 1.0);
        let bounds = |i: usize| if i < lengths[0] { (0, lengths[0]) } else { (lengths[0], m) };
        let segments: Vec<u32> =
            (0..m).flat_map(|i| [bounds(i).0 as u32, bounds(i).1 as u32]).collect();
        let mut plain = Reference::with_capacity(m * h);
        for i in 0..m {
            for n in 0..heads {
                let row = |i: usize| &qkv[i * 3 * h..(i + 1) * 3 * h];
                let (first, end) = bounds(i);
                let end = if causal { i + 1 } else { end };
                let keys: Vec<(&[f32], &[f32])> = (first..end)
                    .map(|t| (head(row(t), 1, h, n, d), head(row(t), 2, h, n, d)))
                    .collect();
                let bias = |j: usize| {
                    if causal {
                        return 0.0;
                    }
                    let distance = (first + j) as i64 - i as i64;
                    let bucket = buckets[(distance.clamp(-reach, reach) + reach) as usize];
                    weights[bucket as usize * heads + n]
                };
                attend(&mut plain, head(row(i), 0, h, n, d), &keys, bias, 1.0);
            }
        }
        let mut table = Matrix::zeros(Format::F32, 5, heads);
        table.set_rows(0, &weights);
        let inputs = vec![(vec![m, 3 * h], Input::F32(qkv)), (vec![m, 2], Input::U32(segments))];
        let record: Record = Box::new(move |g, t| {
            if causal {
                return g.attention_causal(t[0], t[1], heads, 1.0);
            }
            let buckets = g.constant_u32(buckets.clone(), [buckets.len()]);
            let bias = RelativeBias { table: WeightId(0), buckets };
            g.attention_relative(t[0], t[1], heads, 1.0, bias)
        });
        let label = format!("{heads} heads of {d}, lengths {lengths:?}");
        let weights = vec![Source::Matrix(table)];
        let name = if causal { "attention_causal" } else { "attention_relative" };
        cases.push(case(name, label, inputs, weights, record, plain));
    }
}

fn rms_norms(cases: &mut Vec<Case>) {
    for (m, h, scale) in [(1, 32, 1.0), (5, 70, 0.125), (3, 768, 1.0)] {
        let x = numbers(38, m * h, 2.0);
        let weight: Vec<f32> = numbers(39, h, 0.3).iter().map(|v| 1.0 + v).collect();
        let eps = 1e-6f32;
        let mut plain = Reference::with_capacity(m * h);
        for x in x.chunks_exact(h) {
            let squares: f64 = x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
            let r = f64::from(scale) / (squares / h as f64 + f64::from(eps)).sqrt();
            for (v, w) in x.iter().zip(&weight) {
                let y = f64::from(*v) * r * f64::from(*w);
                plain.push(y, U * (8.0 + (h as f64).sqrt()) * y.abs());
            }
        }
        let inputs = vec![(vec![m, h], Input::F32(x))];
        let record: Record = Box::new(move |g, t| g.rms_norm(t[0], WeightId(0), eps, scale));
        let label = format!("[{m}, {h}] times {scale}");
        cases.push(case("rms_norm", label, inputs, vec![Source::Vector(weight)], record, plain));
    }
}

fn multiplies(cases: &mut Vec<Case>) {
    for (m, h) in [(1, 3), (9, 70)] {
        let (a, b) = (numbers(40, m * h, 1.0), numbers(41, m * h, 1.0));
        let mut plain = Reference::with_capacity(m * h);
        for (a, b) in a.iter().zip(&b) {
            let y = f64::from(*a) * f64::from(*b);
            plain.push(y, U * y.abs());
        }
        let inputs = vec![(vec![m, h], Input::F32(a)), (vec![m, h], Input::F32(b))];
        let record: Record = Box::new(|g, t| g.multiply(t[0], t[1]));
        cases.push(case("multiply", format!("[{m}, {h}]"), inputs, Vec::new(), record, plain));
    }
}

/// Indices alone, as numbers: a case has one output, and the bits of floats are no numbers.
fn top_ks(cases: &mut Vec<Case>) {
    for (m, w, k) in [(1, 5, 5), (3, 70, 4), (2, 5000, 9), (1, 300, 256), (2, 3000, 60)] {
        let mut x = numbers(42, m * w, 1.0);
        if w == 3000 {
            x.iter_mut().for_each(|x| *x = (*x * 4.0).round() / 4.0); // many are equal
        }
        if w > 5 {
            (x[2], x[w - 1], x[w / 2]) = (7.0, 7.0, f32::INFINITY);
        }
        let mut plain = Reference::with_capacity(m * (2 * k + 1));
        for row in x.chunks_exact(w) {
            let mut order: Vec<usize> = (0..w).collect();
            order.sort_by(|a, b| row[*b].total_cmp(&row[*a]).then(a.cmp(b)));
            order[..k].iter().for_each(|i| plain.push(*i as f64, 0.0));
            for i in &order[..k] {
                plain.push(f64::from(row[*i].to_bits() as f32), 0.0);
            }
            let max = f64::from(row[order[0]]);
            let sum: f64 = row.iter().map(|v| (f64::from(*v) - max).exp()).sum();
            let log = if max.is_finite() { sum.ln() } else { f64::NAN };
            // bits: neighbours in f32 are neighbours there; exp and ln are good to 16 or so
            let bound = if log.is_finite() { 64.0 + 256.0 } else { f64::INFINITY };
            plain.push(f64::from((log as f32).to_bits()), bound);
        }
        let inputs = vec![(vec![m, w], Input::F32(x))];
        let record: Record = Box::new(move |g, t| g.top_k(t[0], k));
        cases.push(case("top_k", format!("{k} of [{m}, {w}]"), inputs, Vec::new(), record, plain));
    }
}

fn lookups(cases: &mut Vec<Case>) {
    let (m, h, v) = (9, 36, 20);
    let (words, places) = (matrix(43, Format::F32, v, h), matrix(44, Format::F32, v + 2, h));
    let (ids, positions) = (indices(45, m, v), indices(46, m, v));
    let mut plain = Reference::with_capacity(m * h);
    let (mut a, mut b) = (vec![0.0; h], vec![0.0; h]);
    for (id, position) in ids.iter().zip(&positions) {
        words.row(*id as usize, &mut a);
        places.row(*position as usize + 2, &mut b);
        for (a, b) in a.iter().zip(&b) {
            let y = 3.0 * f64::from(*a) + f64::from(*b);
            plain.push(y, 4.0 * U * (3.0 * a.abs() + b.abs()) as f64);
        }
    }
    let inputs = vec![(vec![m], Input::U32(ids)), (vec![m], Input::U32(positions))];
    let record: Record = Box::new(move |g: &mut Recorder, t| {
        let word = Lookup { scale: 3.0, ..Lookup::new(t[0], WeightId(0)) };
        let place = Lookup { offset: 2, ..Lookup::new(t[1], WeightId(1)) };
        g.embedding_sum(&[word, place], h)
    });
    let weights = vec![Source::Matrix(words), Source::Matrix(places)];
    cases.push(case("embedding", "scaled and shifted".into(), inputs, weights, record, plain));
}
