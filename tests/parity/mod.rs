//! The op parity table: every op x shapes x formats on one device, against plain f64 loops.
//!
//! The table is plain data and one async function, so that `cargo test --test ops` runs it on the
//! CPU and on a native GPU, and the browser tests run the very same rows in wasm.
//!
//! | file | what it holds |
//! |---|---|
//! | `cases` | the rows: shapes, formats, options |
//! | `glue` | those of the ops between, with their loops |
//! | `images` | those of depthwise convolutions, pooling, class tokens |
//! | `maps` | those of the other ops over images, with their loops |
//! | `generation` | those of the ops of models that write, with their loops |
//! | `signals` | the same for the ops over signals |
//! | `reference` | the loops, and the error bound of each op with its reason |

mod cases;
mod generation;
mod glue;
mod images;
mod maps;
mod reference;
mod signals;

use std::collections::BTreeMap;
use std::fmt;

use tareas::gpu::Device;
use tareas::plan::{HostValue, Recorder, Runtime, Tensor, WeightId};
use tareas::tensor::{DType, Format, HostWeight, Matrix};
use tareas::Result;

use reference::Arithmetic;

/// An input of a case.
pub enum Input {
    F32(Vec<f32>),
    U32(Vec<u32>),
}

/// A weight of a case.
pub enum Source {
    Vector(Vec<f32>),
    Matrix(Matrix),
}

type Record = Box<dyn Fn(&mut Recorder, &[Tensor]) -> Tensor>;

/// One row of the table.
pub struct Case {
    pub op: &'static str,
    /// Shapes and options.
    pub label: String,
    /// The format of the weights; `F32` for ops without any.
    pub format: Format,
    /// Inputs, each with its shape.
    pub inputs: Vec<(Vec<usize>, Input)>,
    pub weights: Vec<Source>,
    /// Records the op on the inputs; weights have the ids 0, 1, ...
    pub record: Record,
    pub expected: Vec<f64>,
    /// How far each output may be off.
    pub bound: Vec<f64>,
}

/// What became of a row.
pub struct Row {
    pub op: &'static str,
    pub label: String,
    pub format: Format,
    /// The largest error as a share of its bound; at most 1 if the row is green.
    pub worst: f64,
    /// Why the row is red.
    pub failure: Option<String>,
}

/// The table, run on one device.
pub struct Report {
    pub device: String,
    pub rows: Vec<Row>,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Runs every row: on `gpu`, or on the CPU where that is `None`.
pub async fn run_all(gpu: Option<&Device>) -> Report {
    let device = match gpu {
        None => "CPU".to_string(),
        Some(gpu) => {
            let names: Vec<_> = gpu.caps().in_use().iter().map(|a| a.name()).collect();
            let names = if names.is_empty() { "baseline".into() } else { names.join(" + ") };
            format!("{}, {names}", gpu.adapter())
        }
    };
    let arithmetic = match gpu.map(Device::caps) {
        Some(caps) => Arithmetic { half: caps.f16, integer: caps.packed_dot.then_some(127.0) },
        // The relaxed dot product takes activations of 7 bits where it must.
        None if cfg!(target_feature = "relaxed-simd") => {
            Arithmetic { half: false, integer: Some(63.0) }
        }
        None => Arithmetic { half: false, integer: Some(127.0) },
    };
    let mut rows = Vec::new();
    for case in cases::all(arithmetic) {
        let runtime = match gpu {
            None => Runtime::cpu(),
            Some(gpu) => Runtime::gpu(gpu.clone()),
        };
        rows.push(match run(runtime, &case).await {
            Ok(actual) => judge(&case, &actual),
            Err(error) => red(&case, f64::INFINITY, error.to_string()),
        });
    }
    Report { device, rows }
}

async fn run(mut runtime: Runtime, case: &Case) -> Result<Vec<f32>> {
    for (id, weight) in case.weights.iter().enumerate() {
        let weight = match weight {
            Source::Vector(v) => HostWeight::Vector(v.clone()),
            Source::Matrix(m) => HostWeight::Matrix(m.clone()),
        };
        runtime.set_weight(WeightId(id as u32), weight)?;
    }
    let record = |g: &mut Recorder| {
        let mut tensors = Vec::new();
        for (name, (shape, input)) in NAMES.into_iter().zip(&case.inputs) {
            let dtype = match input {
                Input::F32(_) => DType::F32,
                Input::U32(_) => DType::U32,
            };
            tensors.push(match shape[..] {
                [n] => g.input(name, [n], dtype),
                [m, n] => g.input(name, [m, n], dtype),
                [l, m, n] => g.input(name, [l, m, n], dtype),
                [b, h, w, c] => g.input(name, [b, h, w, c], dtype),
                _ => unreachable!("a shape has at most four dimensions"),
            });
        }
        let out = (case.record)(g, &tensors);
        g.output("out", out);
    };
    let inputs: Vec<(&str, HostValue<'_>)> = NAMES
        .into_iter()
        .zip(&case.inputs)
        .map(|(name, (_, input))| match input {
            Input::F32(v) => (name, HostValue::F32(v)),
            Input::U32(v) => (name, HostValue::U32(v)),
        })
        .collect();
    let mut outputs = runtime.run([0; 4], record, &inputs).await?;
    match outputs.take_u32("out") {
        Ok(out) => Ok(out.into_iter().map(|v| v as f32).collect()),
        Err(_) => outputs.take("out"),
    }
}

fn judge(case: &Case, actual: &[f32]) -> Row {
    if actual.len() != case.expected.len() {
        let lengths = format!("{} values for {}", actual.len(), case.expected.len());
        return red(case, f64::INFINITY, lengths);
    }
    let mut worst = 0.0;
    let mut failure = None;
    for (i, ((&a, &e), &bound)) in actual.iter().zip(&case.expected).zip(&case.bound).enumerate() {
        let error = (f64::from(a) - e).abs();
        let fits = error <= bound; // false for a NaN
        let share = if fits && error == 0.0 { 0.0 } else { error / bound };
        if share > worst || share.is_nan() {
            worst = share;
            if !fits {
                failure = Some(format!("value {i}: {a}, expected {e} within {bound:.1e}"));
            }
        }
    }
    Row { op: case.op, label: case.label.clone(), format: case.format, worst, failure }
}

fn red(case: &Case, worst: f64, failure: String) -> Row {
    let label = case.label.clone();
    Row { op: case.op, label, format: case.format, worst, failure: Some(failure) }
}

impl Report {
    /// The rows that failed.
    pub fn failures(&self) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.failure.is_some()).collect()
    }
}

/// The support matrix: per op and format the rows that hold and the worst share of the bound.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FORMATS: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];
        let mut cells: BTreeMap<(&str, &str), (usize, usize, f64)> = BTreeMap::new();
        for row in &self.rows {
            let cell = cells.entry((row.op, row.format.name())).or_insert((0, 0, 0.0));
            cell.0 += usize::from(row.failure.is_none());
            cell.1 += 1;
            cell.2 = cell.2.max(row.worst);
        }
        writeln!(f, "{}", self.device)?;
        write!(f, "{:<22}", "op")?;
        for format in FORMATS {
            write!(f, "{:>16}", format.name())?;
        }
        writeln!(f, "   (rows that hold / rows, largest error as a share of its bound)")?;
        let mut ops: Vec<&str> = cells.keys().map(|(op, _)| *op).collect();
        ops.dedup();
        for op in ops {
            write!(f, "{op:<22}")?;
            for format in FORMATS {
                match cells.get(&(op, format.name())) {
                    Some((good, all, worst)) => {
                        write!(f, "{:>16}", format!("{good}/{all} {worst:.2}"))?;
                    }
                    None => write!(f, "{:>16}", "-")?,
                }
            }
            writeln!(f)?;
        }
        for row in self.failures() {
            let why = row.failure.as_deref().unwrap_or_default();
            writeln!(f, "RED {} {} {}: {why}", row.op, row.format.name(), row.label)?;
        }
        Ok(())
    }
}
