//! Rows for the ops over signals: convolution over time, the group norm of its first layer, what
//! joins chunks of time and sums layers; each with its plain loop in f64.

use tareas::cpu::{Activation, TimeWindows};
use tareas::ops::{Affine, GroupNormWeights, LinearOptions};
use tareas::plan::WeightId;
use tareas::tensor::{Format, Matrix};

use super::cases::{matrix, numbers, FORMATS};
use super::reference::{self, Arithmetic, Epilogue, Reference, U};
use super::{Case, Input, Source};

pub fn all(cases: &mut Vec<Case>, arithmetic: Arithmetic) {
    convolutions(cases, arithmetic);
    group_norms(cases);
    activated_layer_norms(cases);
    concatenations(cases);
    layer_sums(cases);
}

fn convolutions(cases: &mut Vec<Case>, arithmetic: Arithmetic) {
    let windows = |kernel, stride, padding, groups| TimeWindows { kernel, stride, padding, groups };
    let mut conv = |x: [usize; 2], n, windows: TimeWindows, range: std::ops::Range<usize>| {
        for format in FORMATS {
            cases.push(conv_case(x, n, windows, range.clone(), format, arithmetic));
        }
    };
    // a waveform: windows of a few samples
    conv([97, 1], 20, windows(10, 5, 0, 1), 0..18);
    conv([97, 1], 33, windows(10, 5, 0, 1), 3..11);
    // blocks of 32 channels: windows share their quantized values
    conv([41, 64], 45, windows(3, 2, 0, 1), 0..20);
    conv([41, 32], 20, windows(3, 1, 0, 1), 5..39);
    conv([22, 32], 64, windows(2, 2, 0, 1), 0..11);
    // channels that are no multiple of 32, or of 4
    conv([41, 36], 33, windows(3, 2, 0, 1), 0..20);
    conv([25, 10], 17, windows(3, 2, 0, 1), 1..9);
    // padding, and the frame that an even kernel has too many
    conv([30, 32], 40, windows(8, 1, 4, 1), 0..30);
    conv([5, 32], 24, windows(16, 1, 8, 1), 0..5);
    // groups: panels that two groups share; windows half a block apart, and a quarter
    conv([19, 48], 48, windows(16, 1, 8, 3), 0..19);
    conv([19, 96], 96, windows(8, 1, 4, 2), 0..19);
    conv([23, 64], 128, windows(4, 1, 2, 8), 0..23);
    conv([13, 40], 40, windows(19, 1, 9, 4), 0..13);
    conv([13, 30], 30, windows(5, 2, 2, 3), 0..7);
    // few rows, and enough workgroups for the large tile
    conv([3, 48], 48, windows(16, 1, 8, 4), 0..3);
    conv([260, 32], 520, windows(4, 1, 2, 1), 0..260);
}

fn conv_case(
    [frames, c]: [usize; 2],
    n: usize,
    windows: TimeWindows,
    range: std::ops::Range<usize>,
    format: Format,
    arithmetic: Arithmetic,
) -> Case {
    let TimeWindows { kernel, stride, padding, groups } = windows;
    let (m, cg, ng) = (range.len(), c / groups, n / groups);
    let k = kernel * cg;
    let x = numbers(40 + frames as u64, frames * c, 1.0);
    let w = matrix(41 + n as u64, format, n, k);
    // each of what may come after the sum, by turns
    let residual = (groups > 1).then(|| numbers(42, m * n, 1.0));
    let affine = (c == 1).then(|| numbers(43, 2 * n, 1.0));
    let bias = numbers(44, n, 0.5);
    let activation = if stride == 2 { Activation::None } else { Activation::Gelu };

    let (mut expected, mut bound) = (vec![0.0; m * n], vec![0.0; m * n]);
    for g in 0..groups {
        let mut rows = Vec::with_capacity(m * k);
        for i in range.clone() {
            for tap in 0..kernel {
                let frame = (i * stride + tap).checked_sub(padding).filter(|f| *f < frames);
                let channels = g * cg..(g + 1) * cg;
                rows.extend(channels.map(|ch| frame.map_or(0.0, |f| x[f * c + ch])));
            }
        }
        let part = |v: &[f32]| v[g * ng..(g + 1) * ng].to_vec();
        let (row_bytes, row_scales) = (w.data.len() / n, w.scales.len() / n);
        let group = Matrix {
            n: ng,
            data: w.data[g * ng * row_bytes..(g + 1) * ng * row_bytes].to_vec(),
            scales: w.scales[g * ng * row_scales..(g + 1) * ng * row_scales].to_vec(),
            ..w.clone()
        };
        let residual: Option<Vec<f32>> =
            residual.as_ref().map(|r| r.chunks_exact(n).flat_map(part).collect());
        let [scale, shift] = [0, 1].map(|i| affine.as_ref().map(|a| part(&a[i * n..])));
        let epilogue = Epilogue {
            bias: Some(&part(&bias)),
            scale: scale.as_deref(),
            shift: shift.as_deref(),
            activation,
            residual: residual.as_deref(),
            residual_first: false,
        };
        let out = reference::linear(&rows, &group, epilogue, arithmetic);
        for i in 0..m {
            let to = i * n + g * ng..i * n + (g + 1) * ng;
            expected[to.clone()].copy_from_slice(&out.expected[i * ng..(i + 1) * ng]);
            bound[to].copy_from_slice(&out.bound[i * ng..(i + 1) * ng]);
        }
    }

    let mut inputs = vec![(vec![frames, c], Input::F32(x))];
    let (has_residual, has_affine) = (residual.is_some(), affine.is_some());
    inputs.extend(residual.map(|r| (vec![m, n], Input::F32(r))));
    inputs.extend(affine.map(|a| (vec![2, n], Input::F32(a))));
    Case {
        op: "conv1d",
        label: format!("[{frames}, {c}] x {n}, {range:?} of {windows:?}"),
        format,
        inputs,
        weights: vec![Source::Matrix(w), Source::Vector(bias)],
        record: Box::new(move |g, t| {
            let options = LinearOptions {
                affine: if has_affine { Affine::Computed(t[1]) } else { Affine::None },
                activation,
                residual: has_residual.then(|| t[1]),
                residual_first: false,
            };
            let bias = Some(WeightId(1));
            g.conv1d(t[0], WeightId(0), bias, n, windows, range.clone(), options)
        }),
        expected,
        bound,
    }
}

fn group_norms(cases: &mut Vec<Case>) {
    for (samples, k, stride, n, offset) in
        [(10, 10, 5, 3, 0.0), (403, 10, 5, 37, 0.0), (3000, 10, 5, 16, 0.5), (801, 7, 3, 20, 0.0)]
    {
        let mut x = numbers(50, samples, 1.0);
        x.iter_mut().for_each(|v| *v += offset);
        let w = matrix(51, Format::F32, n, k);
        let gamma: Vec<f32> = numbers(52, n, 0.3).iter().map(|v| 1.0 + v).collect();
        let beta = numbers(53, n, 0.3);
        let eps = 1e-5f32;
        let mut row = vec![0.0; k];
        let (mut scales, mut shifts) = (Vec::new(), Vec::new());
        for o in 0..n {
            w.row(o, &mut row);
            let sum = |f: &dyn Fn(f32, f32) -> f64| -> Vec<f64> {
                let windows = x.windows(k).step_by(stride);
                windows.map(|x| x.iter().zip(&row).map(|(&x, &w)| f(x, w)).sum()).collect()
            };
            let y = sum(&|x, w| f64::from(x) * f64::from(w));
            let size = sum(&|x, w| f64::from(x.abs() * w.abs())).into_iter().fold(0.0, f64::max);
            let t = y.len() as f64;
            let mean = y.iter().sum::<f64>() / t;
            let var = y.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / t;
            let deviation = (var + f64::from(eps)).sqrt();
            let (gamma, beta) = (f64::from(gamma[o]), f64::from(beta[o]));
            let scale = gamma / deviation;
            // A sum of k products and the mean of T of them, as in layer_norm; the deviation is
            // off by as much as its terms are.
            let error = U * (k as f64 + 8.0 + t.sqrt()) * size;
            let scale_bound = scale.abs() * (2.0 * error / deviation + 8.0 * U);
            scales.push((scale, scale_bound));
            let product = (mean * scale).abs();
            let shift_bound =
                mean.abs() * scale_bound + error * scale.abs() + 4.0 * U * (beta.abs() + product);
            shifts.push((beta - mean * scale, shift_bound));
        }
        let (expected, bound) = scales.into_iter().chain(shifts).unzip();
        cases.push(Case {
            op: "conv1d_group_norm",
            label: format!("{samples} samples about {offset} by {k} / {stride}, {n} channels"),
            format: Format::F32,
            inputs: vec![(vec![samples, 1], Input::F32(x))],
            weights: vec![Source::Matrix(w), Source::Vector(gamma), Source::Vector(beta)],
            record: Box::new(move |g, t| {
                let norm = GroupNormWeights { weight: WeightId(1), bias: WeightId(2), eps };
                g.conv1d_group_norm(t[0], WeightId(0), [n, k], stride, norm)
            }),
            expected,
            bound,
        });
    }
}

fn activated_layer_norms(cases: &mut Vec<Case>) {
    for (m, h) in [(5, 70), (33, 512)] {
        let x = numbers(60, m * h, 2.0);
        let weight: Vec<f32> = numbers(61, h, 0.3).iter().map(|v| 1.0 + v).collect();
        let bias = numbers(62, h, 0.3);
        let eps = 1e-5;
        let Reference { expected, bound } = reference::layer_norm(&x, &weight, &bias, eps);
        // as in reference::linear
        let bound = bound.iter().zip(&expected).map(|(b, y)| 1.13 * b + 1e-6 * (1.0 + y.abs()));
        let bound = bound.collect();
        let expected = expected.iter().map(|y| reference::activate(Activation::Gelu, *y)).collect();
        cases.push(Case {
            op: "layer_norm",
            label: format!("[{m}, {h}], gelu"),
            format: Format::F32,
            inputs: vec![(vec![m, h], Input::F32(x))],
            weights: vec![Source::Vector(weight), Source::Vector(bias)],
            record: Box::new(move |g, t| {
                g.layer_norm_activate(t[0], WeightId(0), WeightId(1), eps, Activation::Gelu)
            }),
            expected,
            bound,
        });
    }
}

fn concatenations(cases: &mut Vec<Case>) {
    for (rows, h) in [(&[1, 2][..], 3), (&[30, 1, 77], 36), (&[5], 7)] {
        let parts: Vec<Vec<f32>> =
            rows.iter().enumerate().map(|(i, m)| numbers(70 + i as u64, m * h, 1.0)).collect();
        let expected: Vec<f64> = parts.iter().flatten().map(|&v| f64::from(v)).collect();
        cases.push(Case {
            op: "concat_rows",
            label: format!("{rows:?} of {h}"),
            format: Format::F32,
            inputs: rows.iter().zip(parts).map(|(m, p)| (vec![*m, h], Input::F32(p))).collect(),
            weights: Vec::new(),
            record: Box::new(|g, t| g.concat_rows(t)),
            bound: vec![0.0; expected.len()],
            expected,
        });
    }
}

fn layer_sums(cases: &mut Vec<Case>) {
    for (m, h, layers, index, with_sum) in
        [(1, 3, 1, 0, false), (9, 36, 13, 0, false), (20, 70, 13, 12, true)]
    {
        let x = numbers(80, m * h, 1.0);
        let sum = with_sum.then(|| numbers(81, m * h, 1.0));
        let weights = numbers(82, layers, 2.0);
        let total: f64 = weights.iter().map(|w| f64::from(*w).exp()).sum();
        let share = f64::from(weights[index]).exp() / total;
        let (expected, bound) = (0..m * h)
            .map(|i| {
                let term = share * f64::from(x[i]);
                let out = term + sum.as_ref().map_or(0.0, |s| f64::from(s[i]));
                // exp(w) is good to 3 + 2|w| units in the last place, |w| here below 8
                (out, 64.0 * U * term.abs() + 2.0 * U * out.abs())
            })
            .unzip();
        let mut inputs = vec![(vec![m, h], Input::F32(x))];
        inputs.extend(sum.map(|s| (vec![m, h], Input::F32(s))));
        cases.push(Case {
            op: "layer_sum",
            label: format!("[{m}, {h}], layer {index} of {layers}"),
            format: Format::F32,
            inputs,
            weights: vec![Source::Vector(weights)],
            record: Box::new(move |g, t| {
                g.layer_sum(t.get(1).copied(), t[0], WeightId(0), index, layers)
            }),
            expected,
            bound,
        });
    }
}
