//! The rows of the table. Shapes are chosen for their edges: one row, tiles that end early in
//! every direction, widths that are no multiple of 4 or 32, sequences that straddle tiles.

use tareas::cpu::{Activation, Window};
use tareas::ops::{Affine, LinearOptions};
use tareas::plan::{Recorder, Tensor, WeightId};
use tareas::tensor::{Format, Matrix};

use super::reference::{self, Arithmetic, Reference};
use super::{Case, Input, Source};

pub(super) const FORMATS: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];

/// Every row, for a device that multiplies by `arithmetic`.
pub fn all(arithmetic: Arithmetic) -> Vec<Case> {
    let mut cases = Vec::new();
    linears(&mut cases, arithmetic);
    convolutions(&mut cases, arithmetic);
    attentions(&mut cases);
    layer_norms(&mut cases);
    embeddings(&mut cases, arithmetic);
    gathers(&mut cases);
    segment_means(&mut cases);
    argmaxes(&mut cases);
    super::maps::all(&mut cases);
    super::glue::all(&mut cases, arithmetic);
    cases.extend(super::images::all());
    super::generation::all(&mut cases);
    super::signals::all(&mut cases, arithmetic);
    cases
}

/// Numbers that look like a model's: a bell curve from a seed.
pub(super) fn numbers(seed: u64, n: usize, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..n).map(|_| scale * (uniform() + uniform() + uniform() + uniform()) * 1.73).collect()
}

pub(super) fn matrix(seed: u64, format: Format, n: usize, k: usize) -> Matrix {
    let mut matrix = Matrix::zeros(format, n, k);
    matrix.set_rows(0, &numbers(seed, n * k, 1.0 / (k as f32).sqrt()));
    matrix
}

pub(super) fn indices(seed: u64, n: usize, below: usize) -> Vec<u32> {
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

#[derive(Clone, Copy)]
enum Affined {
    No,
    Gain,
    Norm,
}

#[derive(Clone, Copy)]
enum Residual {
    No,
    First,
    Last,
}

/// An epilogue, and inputs of a standard deviation.
#[derive(Clone, Copy)]
struct Ending {
    activation: Activation,
    bias: bool,
    affine: Affined,
    residual: Residual,
    scale: f32,
}

const PLAIN: Ending = Ending {
    activation: Activation::None,
    bias: false,
    affine: Affined::No,
    residual: Residual::No,
    scale: 1.0,
};
const BIASED: Ending = Ending { bias: true, ..PLAIN };
/// What a transformer's block ends with, and more.
const FULL: Ending = Ending { activation: Activation::Gelu, residual: Residual::Last, ..BIASED };
/// A ConvNeXT block's end: a layer scale before the residual.
const SCALED: Ending = Ending { affine: Affined::Gain, residual: Residual::Last, ..BIASED };
/// A ResNet block's end.
const NORMED: Ending = Ending {
    activation: Activation::Relu,
    bias: false,
    affine: Affined::Norm,
    residual: Residual::First,
    scale: 1.0,
};

fn linears(cases: &mut Vec<Case>, arithmetic: Arithmetic) {
    use Activation::{Gelu, GeluNew, Relu, Sigmoid, Silu, Tanh};
    let mut linear = |dims: [usize; 3], ending| {
        cases.extend(FORMATS.map(|format| linear_case(dims, ending, format, arithmetic)));
    };
    // m, k, n: few rows (the bandwidth-bound kernel)
    linear([1, 32, 1], PLAIN);
    linear([1, 768, 9], BIASED);
    linear([1, 100, 40], BIASED);
    linear([2, 70, 25], Ending { activation: Activation::None, ..FULL });
    linear([3, 36, 70], Ending { activation: Gelu, ..BIASED });
    linear([8, 100, 33], Ending { activation: Activation::None, ..FULL });
    linear([5, 40, 30], SCALED);
    // tiles that end early
    linear([9, 12, 5], Ending { residual: Residual::Last, ..PLAIN });
    linear([33, 70, 45], FULL);
    linear([40, 96, 64], FULL);
    linear([65, 384, 130], FULL);
    linear([35, 64, 45], SCALED);
    linear([35, 64, 45], Ending { bias: true, ..NORMED });
    // enough workgroups for the large tile
    linear([449, 40, 513], Ending { activation: Activation::None, ..FULL });
    linear([513, 33, 449], FULL);
    // activations far out, where exp overflows; what comes before them has its rows above
    for activation in [Gelu, GeluNew, Relu, Silu, Tanh, Sigmoid] {
        let ending = Ending { activation, scale: 60.0, ..BIASED };
        cases.push(linear_case([9, 32, 40], ending, Format::F32, arithmetic));
    }
}

fn linear_case(
    [m, k, n]: [usize; 3],
    ending: Ending,
    format: Format,
    arithmetic: Arithmetic,
) -> Case {
    let x = numbers(1 + m as u64, m * k, ending.scale);
    let record =
        move |g: &mut Recorder, x, bias, options| g.linear(x, WeightId(0), bias, [n, k], options);
    let input = (vec![m, k], x.clone());
    gemm_case(
        "linear",
        format!("[{m}, {k}]"),
        input,
        &x,
        [n, k],
        ending,
        format,
        arithmetic,
        record,
    )
}

fn convolutions(cases: &mut Vec<Case>, arithmetic: Arithmetic) {
    let mut conv = |x: [usize; 4], o: usize, window: Window, ending| {
        cases.extend(FORMATS.map(|format| conv_case(x, o, window, ending, format, arithmetic)));
    };
    // a few channels of colour: taps and channels share words
    conv([1, 13, 11, 3], 20, Window::square(7, 2, 3), NORMED);
    conv([2, 16, 24, 3], 36, Window::square(8, 8, 0), BIASED);
    // blocks of 32 channels: the image is quantized once; more pixels than a chunk of rows holds
    conv([2, 9, 10, 64], 45, Window::square(3, 1, 1), NORMED);
    conv([1, 40, 40, 32], 20, Window::square(3, 1, 1), NORMED);
    conv([1, 11, 9, 32], 64, Window::square(3, 2, 1), FULL);
    conv([1, 12, 13, 32], 24, Window::square(3, 1, 2).dilated(2), BIASED);
    // channels that are no multiple of 32, or of 4
    conv([3, 7, 5, 36], 33, Window::square(3, 1, 1), FULL);
    conv([2, 5, 6, 10], 17, Window::square(2, 2, 0), BIASED);
    // 1x1: a linear layer, and one over every other pixel
    conv([2, 5, 7, 40], 30, Window::square(1, 1, 0), NORMED);
    conv([2, 5, 7, 64], 30, Window::square(1, 2, 0), NORMED);
    // a signal, padded unevenly, and one output pixel
    conv([2, 1, 50, 32], 40, Window::line(10, 5, [3, 2]), FULL);
    conv([1, 4, 4, 32], 40, Window::square(4, 1, 0), BIASED);
    // enough workgroups for the large tile
    conv([1, 47, 45, 8], 150, Window::square(3, 1, 1), NORMED);
}

fn conv_case(
    shape: [usize; 4],
    n: usize,
    window: Window,
    ending: Ending,
    format: Format,
    arithmetic: Arithmetic,
) -> Case {
    let x = numbers(1 + shape[1] as u64, shape.iter().product(), ending.scale);
    let patches = reference::patches(&x, shape, &window);
    let k = window.taps() * shape[3];
    let record = move |g: &mut Recorder, x, bias, options| {
        g.conv2d(x, WeightId(0), bias, n, window, options)
    };
    let Window { kernel, stride, padding, dilation } = window;
    let label = format!("{shape:?} by {kernel:?} / {stride:?} + {padding:?}, step {dilation:?}");
    let input = (shape.to_vec(), x);
    gemm_case("conv2d", label, input, &patches, [n, k], ending, format, arithmetic, record)
}

/// A row whose left operand, as a matrix, is `rows`.
#[allow(clippy::too_many_arguments)]
fn gemm_case(
    op: &'static str,
    label: String,
    (shape, x): (Vec<usize>, Vec<f32>),
    rows: &[f32],
    [n, k]: [usize; 2],
    ending: Ending,
    format: Format,
    arithmetic: Arithmetic,
    record: impl Fn(&mut Recorder, Tensor, Option<WeightId>, LinearOptions) -> Tensor + 'static,
) -> Case {
    let Ending { activation, bias, affine, residual, .. } = ending;
    let m = rows.len() / k;
    let w = matrix(2 + n as u64, format, n, k);
    let bias = bias.then(|| numbers(3, n, 0.5));
    let scale: Vec<f32> = numbers(30, n, 0.3).iter().map(|v| 1.0 + v).collect();
    let shift = numbers(31, n, 0.5);
    let residual_first = matches!(residual, Residual::First);
    let residual = match residual {
        Residual::No => None,
        _ => Some(numbers(4, m * n, 1.0)),
    };
    let epilogue = reference::Epilogue {
        bias: bias.as_deref(),
        scale: (!matches!(affine, Affined::No)).then_some(&scale),
        shift: matches!(affine, Affined::Norm).then_some(&shift),
        activation,
        residual: residual.as_deref(),
        residual_first,
    };
    let Reference { expected, bound } = reference::linear(rows, &w, epilogue, arithmetic);

    let mut label = format!("{label} x [{n}, {k}] {}", activation.name());
    let mut inputs = vec![(shape, Input::F32(x))];
    let mut weights = vec![Source::Matrix(w)];
    let mut bias_id = None;
    if let Some(bias) = bias {
        label.push_str(" + bias");
        bias_id = Some(WeightId(weights.len() as u32));
        weights.push(Source::Vector(bias));
    }
    let id = WeightId(weights.len() as u32);
    let affine = match affine {
        Affined::No => Affine::None,
        Affined::Gain => {
            weights.push(Source::Vector(scale));
            Affine::Gain(id)
        }
        Affined::Norm => {
            weights.push(Source::Vector([scale, shift].concat()));
            Affine::Norm(id)
        }
    };
    if let Some(residual) = residual {
        label.push_str(if residual_first { " residual first" } else { " + residual" });
        inputs.push((vec![m, n], Input::F32(residual)));
    }
    Case {
        op,
        label,
        format,
        inputs,
        weights,
        record: Box::new(move |g, t| {
            let residual = t.get(1).copied();
            let options = LinearOptions { affine, activation, residual, residual_first };
            record(g, t[0], bias_id, options)
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
