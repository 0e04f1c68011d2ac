//! The rows of the table. Shapes are chosen for their edges: one row, tiles that end early in
//! every direction, widths that are no multiple of 4 or 32, sequences that straddle tiles.

use tareas::cpu::Activation;
use tareas::ops::LinearOptions;
use tareas::plan::WeightId;
use tareas::tensor::{Format, Matrix};

use super::reference::{self, Arithmetic, Reference};
use super::{Case, Input, Source};

const FORMATS: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];

/// Every row, for a device that multiplies by `arithmetic`.
pub fn all(arithmetic: Arithmetic) -> Vec<Case> {
    let mut cases = Vec::new();
    linears(&mut cases, arithmetic);
    attentions(&mut cases);
    layer_norms(&mut cases);
    embeddings(&mut cases, arithmetic);
    gathers(&mut cases);
    segment_means(&mut cases);
    argmaxes(&mut cases);
    cases
}

/// Numbers that look like a model's: a bell curve from a seed.
fn numbers(seed: u64, n: usize, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..n).map(|_| scale * (uniform() + uniform() + uniform() + uniform()) * 1.73).collect()
}

fn matrix(seed: u64, format: Format, n: usize, k: usize) -> Matrix {
    let mut matrix = Matrix::zeros(format, n, k);
    matrix.set_rows(0, &numbers(seed, n * k, 1.0 / (k as f32).sqrt()));
    matrix
}

fn indices(seed: u64, n: usize, below: usize) -> Vec<u32> {
    let scale = below as f32;
    numbers(seed, n, scale).iter().map(|v| v.abs() as u32 % below as u32).collect()
}

/// First and end rows of consecutive sequences, once per sequence.
fn bounds(lengths: &[usize]) -> Vec<u32> {
    let mut start = 0;
    let mut bounds = Vec::new();
    for &length in lengths {
        bounds.extend([start as u32, (start + length) as u32]);
        start += length;
    }
    bounds
}

struct LinearCase {
    dims: [usize; 3],
    activation: Activation,
    bias: bool,
    residual: bool,
    /// Inputs of this standard deviation.
    scale: f32,
}

fn linears(cases: &mut Vec<Case>, arithmetic: Arithmetic) {
    use Activation::{Gelu, GeluNew, None, Relu, Tanh};
    let mut linear = |dims: [usize; 3], activation, bias, residual, scale| {
        let case = LinearCase { dims, activation, bias, residual, scale };
        cases.extend(FORMATS.map(|format| linear_case(&case, format, arithmetic)));
    };
    // m, k, n: few rows (the bandwidth-bound kernel)
    linear([1, 32, 1], None, false, false, 1.0);
    linear([1, 768, 9], None, true, false, 1.0);
    linear([3, 36, 70], Gelu, true, false, 1.0);
    linear([8, 100, 33], None, true, true, 1.0);
    // tiles that end early
    linear([9, 12, 5], None, false, true, 1.0);
    linear([33, 70, 45], Gelu, true, true, 1.0);
    linear([40, 96, 64], Gelu, true, true, 1.0);
    linear([65, 384, 130], Gelu, true, true, 1.0);
    // enough workgroups for the large tile
    linear([449, 40, 513], None, true, true, 1.0);
    linear([513, 33, 449], Gelu, true, true, 1.0);
    // activations far out, where exp overflows; what comes before them has its rows above
    for activation in [Gelu, GeluNew, Relu, Tanh] {
        let dims = [9, 32, 40];
        let case = LinearCase { dims, activation, bias: true, residual: false, scale: 60.0 };
        cases.push(linear_case(&case, Format::F32, arithmetic));
    }
}

fn linear_case(case: &LinearCase, format: Format, arithmetic: Arithmetic) -> Case {
    let [m, k, n] = case.dims;
    let x = numbers(1 + m as u64, m * k, case.scale);
    let w = matrix(2 + n as u64, format, n, k);
    let bias = case.bias.then(|| numbers(3, n, 0.5));
    let residual = case.residual.then(|| numbers(4, m * n, 1.0));
    let (b, r) = (bias.as_deref(), residual.as_deref());
    let Reference { expected, bound } =
        reference::linear(&x, &w, b, case.activation, r, arithmetic);

    let mut label = format!("[{m}, {k}] x [{n}, {k}] {}", case.activation.name());
    let mut inputs = vec![(vec![m, k], Input::F32(x))];
    let mut weights = vec![Source::Matrix(w)];
    let mut bias_id = None;
    if let Some(bias) = bias {
        label.push_str(" + bias");
        weights.push(Source::Vector(bias));
        bias_id = Some(WeightId(1));
    }
    if let Some(residual) = residual {
        label.push_str(" + residual");
        inputs.push((vec![m, n], Input::F32(residual)));
    }
    let activation = case.activation;
    Case {
        op: "linear",
        label,
        format,
        inputs,
        weights,
        record: Box::new(move |g, t| {
            let options = LinearOptions { activation, residual: t.get(1).copied() };
            g.linear(t[0], WeightId(0), bias_id, [n, k], options)
        }),
        expected,
        bound,
    }
}

fn attentions(cases: &mut Vec<Case>) {
    let mut attention = |lengths: &[usize], heads: usize, d: usize, sharpness: f32| {
        let m: usize = lengths.iter().sum();
        let qkv = numbers(5 + m as u64, m * 3 * heads * d, 1.0);
        let segments: Vec<u32> = bounds(lengths)
            .chunks_exact(2)
            .zip(lengths)
            .flat_map(|(bounds, &length)| bounds.repeat(length))
            .collect();
        let scale = sharpness / (d as f32).sqrt();
        let Reference { expected, bound } = reference::attention(&qkv, &segments, heads, scale);
        cases.push(Case {
            op: "attention",
            label: format!("{heads} heads of {d}, lengths {lengths:?}, sharpness {sharpness}"),
            format: Format::F32,
            inputs: vec![
                (vec![m, 3 * heads * d], Input::F32(qkv)),
                (vec![m, 2], Input::U32(segments)),
            ],
            weights: Vec::new(),
            record: Box::new(move |g, t| g.attention(t[0], t[1], heads, scale)),
            expected,
            bound,
        });
    };
    attention(&[1], 1, 4, 1.0);
    attention(&[5], 2, 12, 1.0);
    attention(&[7, 20, 33], 3, 20, 1.0);
    attention(&[40, 1, 17], 2, 36, 1.0);
    attention(&[130], 2, 64, 1.0);
    attention(&[16, 32, 1, 1, 64], 1, 32, 1.0);
    // a head that is no multiple of 4
    attention(&[9, 30], 2, 6, 1.0);
    // heads that shrink the tiles
    attention(&[33, 3], 1, 128, 1.0);
    attention(&[18], 1, 160, 1.0);
    attention(&[9], 1, 320, 1.0);
    // scores of which exp alone would overflow: the running maximum must hold them
    attention(&[70, 3], 2, 64, 60.0);
}

fn layer_norms(cases: &mut Vec<Case>) {
    for (m, h, offset) in
        [(1, 32, 0.0), (3, 36, 0.0), (5, 70, 1.0), (2, 768, 5.0), (9, 1024, 0.0), (2, 4100, 0.0)]
    {
        let mut x = numbers(6 + h as u64, m * h, 2.0);
        x.iter_mut().for_each(|v| *v += offset);
        let weight: Vec<f32> = numbers(7, h, 0.3).iter().map(|v| 1.0 + v).collect();
        let bias = numbers(8, h, 0.3);
        let eps = 1e-12;
        let Reference { expected, bound } = reference::layer_norm(&x, &weight, &bias, eps);
        cases.push(Case {
            op: "layer_norm",
            label: format!("[{m}, {h}], mean {offset}"),
            format: Format::F32,
            inputs: vec![(vec![m, h], Input::F32(x))],
            weights: vec![Source::Vector(weight), Source::Vector(bias)],
            record: Box::new(move |g, t| g.layer_norm(t[0], WeightId(0), WeightId(1), eps)),
            expected,
            bound,
        });
    }
}

fn embeddings(cases: &mut Vec<Case>, arithmetic: Arithmetic) {
    for (m, h, sizes) in
        [(1, 32, &[5][..]), (7, 36, &[50, 9, 2]), (33, 70, &[300, 40]), (20, 128, &[99, 64, 2])]
    {
        for format in FORMATS {
            // As in a model: words in the format asked for, the small tables in f32.
            let tables: Vec<Matrix> = sizes
                .iter()
                .enumerate()
                .map(|(t, &v)| {
                    matrix(9 + t as u64, if t == 0 { format } else { Format::F32 }, v, h)
                })
                .collect();
            let index: Vec<Vec<u32>> = sizes
                .iter()
                .enumerate()
                .map(|(t, &v)| {
                    let mut index = indices(20 + t as u64, m, v);
                    index[m - 1] = v as u32 - 1; // the last row is there
                    index
                })
                .collect();
            let lookups: Vec<(&[u32], &Matrix)> =
                index.iter().map(Vec::as_slice).zip(&tables).collect();
            let Reference { expected, bound } = reference::embedding(&lookups, arithmetic);
            let count = sizes.len();
            cases.push(Case {
                op: "embedding",
                label: format!("tables {sizes:?} of {h}, {m} rows"),
                format,
                inputs: index.into_iter().map(|i| (vec![m], Input::U32(i))).collect(),
                weights: tables.into_iter().map(Source::Matrix).collect(),
                record: Box::new(move |g, t| {
                    let ids = (0..count as u32).map(WeightId);
                    let lookups: Vec<_> = t.iter().copied().zip(ids).collect();
                    g.embedding(&lookups, h)
                }),
                expected,
                bound,
            });
        }
    }
}

fn gathers(cases: &mut Vec<Case>) {
    for (m, h, r) in [(1, 1, 1), (9, 36, 4), (40, 70, 40)] {
        let x = numbers(10, m * h, 1.0);
        let rows = indices(11, r, m);
        let Reference { expected, bound } = reference::gather_rows(&x, h, &rows);
        cases.push(Case {
            op: "gather_rows",
            label: format!("{r} of [{m}, {h}]"),
            format: Format::F32,
            inputs: vec![(vec![m, h], Input::F32(x)), (vec![r], Input::U32(rows))],
            weights: Vec::new(),
            record: Box::new(|g, t| g.gather_rows(t[0], t[1])),
            expected,
            bound,
        });
    }
}

fn segment_means(cases: &mut Vec<Case>) {
    for (lengths, h) in [(&[1][..], 3), (&[7, 1, 30], 70), (&[64, 65], 36)] {
        let m: usize = lengths.iter().sum();
        let x = numbers(12, m * h, 1.0);
        let bounds = bounds(lengths);
        let Reference { expected, bound } = reference::segment_mean(&x, h, &bounds);
        cases.push(Case {
            op: "segment_mean",
            label: format!("lengths {lengths:?} of {h}"),
            format: Format::F32,
            inputs: vec![(vec![m, h], Input::F32(x)), (vec![lengths.len(), 2], Input::U32(bounds))],
            weights: Vec::new(),
            record: Box::new(|g, t| g.segment_mean(t[0], t[1])),
            expected,
            bound,
        });
    }
}

fn argmaxes(cases: &mut Vec<Case>) {
    for (m, w) in [(1, 1), (3, 70), (2, 50257), (70, 5)] {
        let mut x = numbers(13, m * w, 1.0);
        if w > 5 {
            // equals: the first counts
            x[w / 3] = 9.0;
            x[w - 1] = 9.0;
        }
        let plain = reference::argmax(&x, w);
        push_argmax(cases, "", m, w, x, plain);
    }
    // all of one row blocked, as logits processors do; a NaN anywhere
    let mut x = numbers(14, 3 * 70, 1.0);
    x[70..140].fill(f32::NEG_INFINITY);
    x[170] = f32::NAN;
    let plain = reference::argmax(&x, 70);
    push_argmax(cases, ", infinite and NaN", 3, 70, x, plain);
}

fn push_argmax(
    cases: &mut Vec<Case>,
    label: &str,
    m: usize,
    w: usize,
    x: Vec<f32>,
    plain: Reference,
) {
    cases.push(Case {
        op: "argmax",
        label: format!("[{m}, {w}]{label}"),
        format: Format::F32,
        inputs: vec![(vec![m, w], Input::F32(x))],
        weights: Vec::new(),
        record: Box::new(|g, t| g.argmax(t[0])),
        expected: plain.expected,
        bound: plain.bound,
    });
}
