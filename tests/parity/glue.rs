//! Rows for the ops between the large ones: sums, slices, tables, positions, products of values.

use tareas::cpu::Activation;
use tareas::plan::WeightId;
use tareas::tensor::{Format, Matrix};

use super::cases::{matrix, numbers, FORMATS};
use super::reference::{Arithmetic, Reference, U};
use super::{Case, Input, Record, Source};

pub fn all(cases: &mut Vec<Case>, arithmetic: Arithmetic) {
    adds(cases);
    gated_sums_and_scales(cases);
    group_norms(cases);
    products(cases);
    sine_positions(cases);
    slices(cases);
    tables(cases, arithmetic);
}

/// A row whose weights, where there are any, are f32.
fn row(
    op: &'static str,
    label: String,
    inputs: Vec<(Vec<usize>, Input)>,
    weights: Vec<Source>,
    record: Record,
    expected: Reference,
) -> Case {
    let Reference { expected, bound } = expected;
    Case { op, label, format: Format::F32, inputs, weights, record, expected, bound }
}

fn adds(cases: &mut Vec<Case>) {
    for (m, r, h) in [(1, 1, 1), (6, 6, 12), (12, 4, 7), (70, 1, 36)] {
        let (x, y) = (numbers(50, m * h, 1.0), numbers(51, r * h, 1.0));
        let mut expected = Reference::with_capacity(m * h);
        for (i, x) in x.iter().enumerate() {
            let sum = f64::from(*x) + f64::from(y[i % (r * h)]);
            expected.push(sum, U * sum.abs());
        }
        let inputs = vec![(vec![m, h], Input::F32(x)), (vec![r, h], Input::F32(y))];
        let record: Record = Box::new(|g, t| g.add(t[0], t[1]));
        cases.push(row(
            "add",
            format!("[{m}, {h}] + [{r}, {h}]"),
            inputs,
            vec![],
            record,
            expected,
        ));
    }
}

fn gated_sums_and_scales(cases: &mut Vec<Case>) {
    for (rows, c) in [(1, 1), (7, 12), (65, 3)] {
        let [a, b] = [47, 48].map(|seed| numbers(seed, rows * c, 1.0));
        let gates = numbers(49, rows * 2, 1.0);
        let mut sum = Reference::with_capacity(rows * c);
        let mut scaled = Reference::with_capacity(rows * c);
        for i in 0..rows * c {
            let gate = |j| f64::from(gates[i / c * 2 + j]);
            let terms = [f64::from(a[i]) * gate(0), f64::from(b[i]) * gate(1)];
            let all = terms[0].abs() + terms[1].abs();
            sum.push(terms[0] + terms[1], 3.0 * U * all);
            scaled.push(10.5 * f64::from(a[i]), 10.5 * U * f64::from(a[i].abs()));
        }
        let label = format!("[{rows}, {c}]");
        let inputs = vec![(vec![rows, c], Input::F32(a.clone()))];
        let record: Record = Box::new(move |g, t| g.scale(t[0], 10.5, [rows * c]));
        cases.push(row("scale", label.clone(), inputs, vec![], record, scaled));
        let inputs = vec![
            (vec![rows, c], Input::F32(a)),
            (vec![rows, c], Input::F32(b)),
            (vec![rows, 2], Input::F32(gates)),
        ];
        let record: Record = Box::new(|g, t| g.gated_sum([t[0], t[1]], t[2]));
        cases.push(row("gated_sum", label, inputs, vec![], record, sum));
    }
}

fn group_norms(cases: &mut Vec<Case>) {
    use Activation::{None, Relu};
    for (b, h, w, c, groups, offset, activation) in [
        (1, 1, 2, 4, 1, 0.0, None),
        (2, 5, 7, 12, 4, 0.0, Relu),
        (1, 30, 41, 64, 32, 3.0, None),
        (2, 9, 3, 6, 2, 1.0, Relu),
    ] {
        let rows = h * w;
        let mut x = numbers(57, b * rows * c, 2.0);
        x.iter_mut().for_each(|v| *v += offset);
        let weight: Vec<f32> = numbers(58, c, 0.3).iter().map(|v| 1.0 + v).collect();
        let bias = numbers(59, c, 0.3);
        let (width, eps) = (c / groups, 1e-5);
        let mut expected = Reference::zeros(x.len());
        for (image, group) in (0..b).flat_map(|i| (0..groups).map(move |g| (i, g))) {
            let at = |i: usize| (image * rows + i / width) * c + group * width + i % width;
            let count = rows * width;
            let values: Vec<f64> = (0..count).map(|i| f64::from(x[at(i)])).collect();
            let mean = values.iter().sum::<f64>() / count as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count as f64;
            let r = 1.0 / (variance + f64::from(eps)).sqrt();
            let largest = values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
            // as in `reference::layer_norm`
            let roundings = U * (8.0 + (count as f64).sqrt());
            for (i, v) in values.iter().enumerate() {
                let channel = group * width + i % width;
                let (w, b) = (f64::from(weight[channel]), f64::from(bias[channel]));
                let y = (v - mean) * r;
                let z = y * w + b;
                expected.expected[at(i)] = if activation == Relu { z.max(0.0) } else { z };
                expected.bound[at(i)] =
                    roundings * (largest * r + y.abs()) * w.abs() + 2.0 * U * b.abs();
            }
        }
        let inputs = vec![(vec![b, h, w, c], Input::F32(x))];
        let weights = vec![Source::Vector(weight), Source::Vector(bias)];
        let record: Record = Box::new(move |g, t| {
            g.group_norm(t[0], WeightId(0), WeightId(1), groups, eps, activation)
        });
        let label =
            format!("[{b}, {h}, {w}, {c}] in {groups}, mean {offset}, {}", activation.name());
        cases.push(row("group_norm", label, inputs, weights, record, expected));
    }
}

fn products(cases: &mut Vec<Case>) {
    for (m, n, k) in [(1, 1, 1), (5, 40, 32), (33, 13, 70), (100, 49, 256), (7, 65, 18)] {
        let (a, b) = (numbers(52, m * k, 1.0), numbers(53, n * k, 1.0));
        let mut expected = Reference::with_capacity(m * n);
        for a in a.chunks_exact(k) {
            for b in b.chunks_exact(k) {
                let terms = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
                let (sum, all) = terms.fold((0.0, 0.0), |(s, all), p| (s + p, all + p.abs()));
                expected.push(sum, (k as f64 + 1.0) * U * all);
            }
        }
        let inputs = vec![(vec![m, k], Input::F32(a)), (vec![n, k], Input::F32(b))];
        let record: Record = Box::new(|g, t| g.product(t[0], t[1]));
        let label = format!("[{m}, {k}] x [{n}, {k}]");
        cases.push(row("product", label, inputs, vec![], record, expected));
    }
}

fn sine_positions(cases: &mut Vec<Case>) {
    for (levels, c, added) in [
        (vec![[1, 1]], 4, false),
        (vec![[5, 7]], 36, false),
        (vec![[2, 3], [4, 5], [40, 9]], 20, true),
    ] {
        let table = numbers(54, levels.len() * c, 1.0);
        let mut expected = Reference::with_capacity(0);
        for (level, &[h, w]) in levels.iter().enumerate() {
            for (pixel, column) in (0..h * w).flat_map(|p| (0..c).map(move |c| (p, c))) {
                let half = c / 2;
                let (n, i) = if column < half { (h, pixel / w) } else { (w, pixel % w) };
                let column_of = column % half;
                let position = (i + 1) as f64 / (n as f64 + 1e-6) * std::f64::consts::TAU;
                let share = (column_of / 2 * 2) as f64 / half as f64;
                let angle = position / 10_000f64.powf(share);
                let v = if column % 2 == 0 { angle.sin() } else { angle.cos() };
                let t = if added { f64::from(table[level * c + column]) } else { 0.0 };
                // The shading language promises sin and cos to 2^-11 within ±π and nothing
                // beyond; angles here reach 2 π.
                expected.push(v + t, 1e-3);
            }
        }
        let mut matrix = Matrix::zeros(Format::F32, levels.len(), c);
        matrix.set_rows(0, &table);
        let label = format!("{levels:?} of {c}, table {added}");
        let record: Record =
            Box::new(move |g, _| g.sine_positions(&levels, c, added.then_some(WeightId(0))));
        let weights = vec![Source::Matrix(matrix)];
        cases.push(row("sine_positions", label, vec![], weights, record, expected));
    }
}

fn slices(cases: &mut Vec<Case>) {
    for (m, h, first, rows) in [(1, 1, 0, 1), (9, 5, 3, 6), (40, 12, 7, 20)] {
        let x = numbers(55, m * h, 1.0);
        let mut expected = Reference::with_capacity(rows * h);
        x[first * h..][..rows * h].iter().for_each(|v| expected.push(f64::from(*v), 0.0));
        let inputs = vec![(vec![m, h], Input::F32(x))];
        let record: Record = Box::new(move |g, t| g.slice_rows(t[0], first, [1, rows, h]));
        let label = format!("{rows} from {first} of [{m}, {h}]");
        cases.push(row("slice_rows", label, inputs, vec![], record, expected));
    }
}

fn tables(cases: &mut Vec<Case>, arithmetic: Arithmetic) {
    for (n, h, first, rows) in [(1, 4, 0, 1), (20, 36, 3, 9), (13, 70, 12, 1)] {
        for format in FORMATS {
            let table = matrix(56, format, n, h);
            // as an embedding of those rows
            let ids: Vec<u32> = (first as u32..(first + rows) as u32).collect();
            let expected = super::reference::embedding(&[(&ids, &table)], arithmetic);
            let record: Record = Box::new(move |g, _| g.table(WeightId(0), first, [rows, h]));
            let label = format!("{rows} from {first} of [{n}, {h}]");
            let weights = vec![Source::Matrix(table)];
            cases.push(Case { format, ..row("table", label, vec![], weights, record, expected) });
        }
    }
}
