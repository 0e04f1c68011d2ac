//! Rows of the ops that see images and are no products: depthwise convolutions, pooling, class
//! tokens. Channels are a multiple of 8, of 4, of neither; windows hang over every edge.

use tareas::cpu::{Activation, Window};
use tareas::plan::{Recorder, Tensor, WeightId};
use tareas::tensor::{Format, Matrix};

use super::cases::numbers;
use super::reference::{activate, Reference, U};
use super::{Case, Input, Source};

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let rows = [
        ([1, 14, 14, 16], Window::square(7, 1, 3)),
        ([2, 9, 11, 36], Window::square(3, 1, 1)),
        ([1, 7, 6, 10], Window::square(3, 2, 1)),
        ([3, 5, 4, 3], Window::square(7, 1, 3)),
        ([1, 12, 13, 8], Window::square(3, 1, 2).dilated(2)),
        ([2, 1, 30, 20], Window::line(5, 3, [2, 0])),
        ([1, 8, 8, 12], Window::square(2, 2, 0)),
        ([1, 1, 1, 5], Window::square(3, 1, 1)),
    ];
    for (i, (size, window)) in rows.into_iter().enumerate() {
        let activation = if i % 2 == 0 { Activation::None } else { Activation::Gelu };
        cases.push(depthwise(size, window, i % 3 != 2, activation));
        cases.push(max_pool(size, window));
    }
    for (b, n, h, tokens) in [(1, 4, 8, 1), (2, 9, 37, 2), (3, 16, 12, 1)] {
        cases.push(class_tokens(b, n, h, tokens));
    }
    for shape in [[1, 1, 1, 5], [2, 7, 5, 30], [1, 9, 17, 64]] {
        cases.push(mean_rows(shape));
        cases.push(response_norm(shape));
    }
    for (q, size, heads, d) in [(1, [1, 1], 1, 4), (5, [3, 4], 2, 6), (9, [11, 13], 4, 8)] {
        cases.push(attention_map(q, size, heads, d));
    }
    cases.extend(copies());
    cases.push(average());
    cases.push(constant());
    cases
}

fn case(
    op: &'static str,
    label: String,
    inputs: Vec<(Vec<usize>, Input)>,
    weights: Vec<Source>,
    Reference { expected, bound }: Reference,
    record: impl Fn(&mut Recorder, &[Tensor]) -> Tensor + 'static,
) -> Case {
    let (format, record) = (Format::F32, Box::new(record));
    Case { op, label, format, inputs, weights, record, expected, bound }
}

/// Every output pixel's taps: the index of an image's pixel, or none beside the image.
fn taps([b, h, w, _]: [usize; 4], window: &Window) -> Vec<Vec<Option<usize>>> {
    let [out_h, out_w] = window.output([h, w]).unwrap();
    let mut pixels = Vec::new();
    for image in 0..b {
        for (oy, ox) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
            let mut taps = Vec::new();
            for ky in 0..window.kernel[0] {
                for kx in 0..window.kernel[1] {
                    let y = (oy * window.stride[0] + ky * window.dilation[0]) as i64
                        - window.padding[0][0] as i64;
                    let x = (ox * window.stride[1] + kx * window.dilation[1]) as i64
                        - window.padding[1][0] as i64;
                    let inside = (0..h as i64).contains(&y) && (0..w as i64).contains(&x);
                    taps.push(inside.then(|| (image * h + y as usize) * w + x as usize));
                }
            }
            pixels.push(taps);
        }
    }
    pixels
}

fn named(size: [usize; 4], window: &Window) -> String {
    let Window { kernel, stride, padding, dilation } = window;
    format!("{size:?} by {kernel:?} / {stride:?} + {padding:?}, step {dilation:?}")
}

fn depthwise(size: [usize; 4], window: Window, biased: bool, activation: Activation) -> Case {
    let c = size[3];
    let x = numbers(40, size.iter().product(), 1.0);
    let w = numbers(41, window.taps() * c, 0.3);
    let bias = biased.then(|| numbers(42, c, 0.5));
    let mut reference = Reference::default();
    for taps in taps(size, &window) {
        for ch in 0..c {
            let b = bias.as_ref().map_or(0.0, |b| f64::from(b[ch]));
            let (mut sum, mut magnitude) = (b, b.abs());
            for (t, at) in taps.iter().enumerate() {
                let Some(at) = at else { continue };
                let product = f64::from(x[at * c + ch]) * f64::from(w[t * c + ch]);
                sum += product;
                magnitude += product.abs();
            }
            let y = activate(activation, sum);
            // as in a linear layer: a sum of so many terms, then the activation
            let shading = if activation == Activation::None { 0.0 } else { 1e-6 };
            let bound = 1.13 * (taps.len() as f64 + 4.0) * U * magnitude
                + shading * (1.0 + sum.abs())
                + 2.0 * U * y.abs();
            reference.push(y, bound);
        }
    }
    let mut matrix = Matrix::zeros(Format::F32, window.taps(), c);
    matrix.set_rows(0, &w);
    let mut weights = vec![Source::Matrix(matrix)];
    weights.extend(bias.map(Source::Vector));
    let id = biased.then_some(WeightId(1));
    let inputs = vec![(size.to_vec(), Input::F32(x))];
    let label = format!("{} {}", named(size, &window), activation.name());
    case("depthwise_conv2d", label, inputs, weights, reference, move |g, t| {
        g.depthwise_conv2d(t[0], WeightId(0), id, window, activation)
    })
}

fn max_pool(size: [usize; 4], window: Window) -> Case {
    let c = size[3];
    // all negative: a zero beyond the edge would win
    let x: Vec<f32> = numbers(43, size.iter().product(), 1.0).iter().map(|v| v - 9.0).collect();
    let mut reference = Reference::default();
    for taps in taps(size, &window) {
        for ch in 0..c {
            let seen = taps.iter().flatten().map(|at| f64::from(x[at * c + ch]));
            let none = f64::from(f32::MIN);
            reference.push(seen.fold(none, f64::max), 0.0);
        }
    }
    let inputs = vec![(size.to_vec(), Input::F32(x))];
    case("max_pool2d", named(size, &window), inputs, vec![], reference, move |g, t| {
        g.max_pool2d(t[0], window)
    })
}

fn class_tokens(b: usize, n: usize, h: usize, count: usize) -> Case {
    let x = numbers(44, b * n * h, 1.0);
    let tokens: Vec<Vec<f32>> = (0..count).map(|i| numbers(45 + i as u64, h, 1.0)).collect();
    let places = n + count;
    let table = numbers(47, places * h, 1.0);
    let mut reference = Reference::default();
    for (image, place, ch) in (0..b * places * h).map(|i| (i / h / places, i / h % places, i % h)) {
        let value = match tokens.get(place) {
            Some(token) => token[ch],
            None => x[(image * n + place - count) * h + ch],
        };
        let y = f64::from(value) + f64::from(table[place * h + ch]);
        reference.push(y, U * y.abs());
    }
    let mut positions = Matrix::zeros(Format::F32, places, h);
    positions.set_rows(0, &table);
    let mut weights = vec![Source::Matrix(positions)];
    weights.extend(tokens.into_iter().map(Source::Vector));
    let inputs = vec![(vec![b, n, h], Input::F32(x))];
    let label = format!("{count} before {b} x {n} patches of {h}");
    case("class_tokens", label, inputs, weights, reference, move |g, t| {
        let ids: Vec<WeightId> = (1..=count as u32).map(WeightId).collect();
        g.class_tokens(t[0], &ids, WeightId(0), places)
    })
}

/// The values of a channel of an image.
fn column(x: &[f32], rows: usize, c: usize, image: usize, ch: usize) -> Vec<f64> {
    (0..rows).map(|i| f64::from(x[(image * rows + i) * c + ch])).collect()
}

fn mean_rows(shape: [usize; 4]) -> Case {
    let [b, h, w, c] = shape;
    let x = numbers(48, b * h * w * c, 1.0);
    let mut reference = Reference::default();
    for (image, ch) in (0..b * c).map(|i| (i / c, i % c)) {
        let column = column(&x, h * w, c, image, ch);
        let n = column.len() as f64;
        let magnitude: f64 = column.iter().map(|v| v.abs()).sum();
        reference.push(column.iter().sum::<f64>() / n, (n + 2.0) * U * magnitude / n);
    }
    let inputs = vec![(shape.to_vec(), Input::F32(x))];
    case("pool_rows", format!("{shape:?}"), inputs, vec![], reference, |g, t| g.mean_rows(t[0]))
}

fn response_norm(shape: [usize; 4]) -> Case {
    let [b, h, w, c] = shape;
    let x = numbers(49, b * h * w * c, 1.0);
    let (weight, bias) = (numbers(50, c, 1.0), numbers(51, c, 0.5));
    let norm =
        |image, ch| column(&x, h * w, c, image, ch).iter().map(|v| v * v).sum::<f64>().sqrt();
    let norms: Vec<f64> = (0..b * c).map(|i| norm(i / c, i % c)).collect();
    let mut reference = Reference::default();
    for (i, v) in x.iter().enumerate() {
        let (image, ch) = (i / (h * w * c), i % c);
        let mean = norms[image * c..][..c].iter().sum::<f64>() / c as f64;
        let response = f64::from(weight[ch]) * norms[image * c + ch] / (mean + 1e-6);
        let v = f64::from(*v);
        // sums of h * w squares and of c norms, all positive: relative errors
        let bound = ((h * w + c) as f64 + 8.0) * U * (v * response).abs()
            + 4.0 * U * (v.abs() + f64::from(bias[ch]).abs());
        reference.push(v * (1.0 + response) + f64::from(bias[ch]), bound);
    }
    let inputs = vec![(shape.to_vec(), Input::F32(x))];
    let weights = vec![Source::Vector(weight), Source::Vector(bias)];
    case("response_norm", format!("{shape:?}"), inputs, weights, reference, |g, t| {
        g.response_norm(t[0], WeightId(0), WeightId(1))
    })
}

fn average() -> Case {
    let (x, y) = (numbers(52, 77, 1.0), numbers(53, 77, 1.0));
    let mut reference = Reference::default();
    for (x, y) in x.iter().zip(&y) {
        let mean = (f64::from(*x) + f64::from(*y)) / 2.0;
        reference.push(mean, U * mean.abs());
    }
    let inputs = vec![(vec![7, 11], Input::F32(x)), (vec![7, 11], Input::F32(y))];
    case("average", "[7, 11]".into(), inputs, vec![], reference, |g, t| g.average(t[0], t[1]))
}

/// Rows that the plan knows, floats and indices.
fn constant() -> Case {
    let values = numbers(54, 6 * 13, 1.0);
    let rows = vec![5, 0, 3];
    let mut reference = Reference::default();
    for row in &rows {
        for v in &values[*row as usize * 13..][..13] {
            reference.push(f64::from(*v), 0.0);
        }
    }
    case("constant", "3 of [6, 13]".into(), vec![], vec![], reference, move |g, _| {
        let x = g.constant(&values, [6, 13]);
        let rows = g.constant_u32(rows.clone(), [3]);
        g.gather_rows(x, rows)
    })
}

fn attention_map(queries: usize, [h, w]: [usize; 2], heads: usize, d: usize) -> Case {
    let hidden = heads * d;
    let (q, k) = (numbers(58, queries * hidden, 2.0), numbers(59, h * w * hidden, 2.0));
    let scale = 1.0 / (d as f32).sqrt();
    let mut reference = Reference::default();
    for q in q.chunks_exact(hidden) {
        let (mut scores, mut magnitude) = (Vec::new(), 0.0f64);
        for k in k.chunks_exact(hidden) {
            for (q, k) in q.chunks_exact(d).zip(k.chunks_exact(d)) {
                let products = q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k));
                let (sum, all) = products.fold((0.0, 0.0), |(s, a), p: f64| (s + p, a + p.abs()));
                scores.push(f64::from(scale) * sum);
                magnitude = magnitude.max(f64::from(scale) * all);
            }
        }
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let total: f64 = scores.iter().map(|s| (s - most).exp()).sum();
        for s in &scores {
            let p = (s - most).exp() / total;
            // an error in a score is a relative error of its weight; exp and the sum add theirs
            let relative = 2.0 * (d as f64 + 8.0) * U * magnitude
                + 2.0 * U * (4.0 + 2.0 * (most - least).min(30.0))
                + scores.len() as f64 * U;
            reference.push(p, 2.0 * relative * p + 1e-38);
        }
    }
    let inputs = vec![(vec![queries, hidden], Input::F32(q)), (vec![h * w, hidden], Input::F32(k))];
    let label = format!("{queries} queries, {h} x {w}, {heads} heads of {d}");
    case("attention_map", label, inputs, vec![], reference, move |g, t| {
        g.attention_map(t[0], t[1], [h, w], heads, scale)
    })
}

/// Rows that only move values.
fn copies() -> Vec<Case> {
    let exact = |values: Vec<f32>| {
        let mut reference = Reference::default();
        values.iter().for_each(|v| reference.push(f64::from(*v), 0.0));
        reference
    };
    let (x, y) = (numbers(60, 3 * 5, 1.0), numbers(61, 9 * 4, 1.0));
    let rows = |values: &[f32], n: usize| values.chunks_exact(n).map(<[f32]>::to_vec).collect();
    let (left, right): (Vec<Vec<f32>>, Vec<Vec<f32>>) = (rows(&x, 5), rows(&y, 4));
    let beside = (0..9).flat_map(|i| [left[i % 3].clone(), right[i].clone()].concat()).collect();
    let image = numbers(62, 2 * 4 * 5 * 3, 1.0);
    let at = |b: usize, h: usize, w: usize, c: usize| image[((b * 4 + h) * 5 + w) * 3 + c];
    let mut cropped = Vec::new();
    for (b, h, w, c) in (0..2 * 3 * 2 * 3).map(|i| (i / 18, i / 6 % 3, i / 3 % 2, i % 3)) {
        cropped.push(at(b, h, w, c));
    }
    let two = || vec![(vec![3, 5], Input::F32(x.clone())), (vec![9, 4], Input::F32(y.clone()))];
    vec![
        case("concat", "channels".into(), two(), vec![], exact(beside), |g, t| {
            g.concat_channels(t[0], t[1])
        }),
        case(
            "crop",
            "[2, 4, 5, 3] to 3 x 2".into(),
            vec![(vec![2, 4, 5, 3], Input::F32(image.clone()))],
            vec![],
            exact(cropped),
            |g, t| g.crop(t[0], [3, 2]),
        ),
    ]
}
