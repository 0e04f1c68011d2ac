//! The self-test: before a model trusts a device, the kernels it will use run once against plain
//! loops. Drivers do miscompile shaders, and a model on such a driver answers nonsense with no
//! error anywhere.
//!
//! One small encoder layer exercises every kernel: norm, tiled linear (both tiles), attention,
//! linear with residual, gather, small linear. Each step is judged from what the device itself
//! computed before it, so that a failure names the kernel. An acceleration that fails is switched
//! off and the test repeated; a device that fails without any is refused, and the caller falls
//! back to the CPU with the reason.

use super::{Acceleration, Device, DeviceOptions};
use crate::cpu::Activation;
use crate::error::Result;
use crate::ops::LinearOptions;
use crate::plan::{HostValue, Outputs, Recorder, WeightId, Weights};
use crate::tensor::{DType, Format, HostWeight, Matrix};
use crate::{err, Code};

/// Tokens: two sequences, more than one tile of 32, not a whole number of them.
const M: usize = 40;
const LENGTHS: [usize; 2] = [23, 17];
/// One head of the size most encoders have.
const H: usize = 64;
/// Enough output columns for the large tile (64 workgroups of 64).
const WIDE: usize = 64 * 64;
/// Rows gathered for the small kernel.
const ROWS: [u32; 2] = [0, LENGTHS[0] as u32];
const EPS: f32 = 1e-5;

const NORM: [WeightId; 2] = [WeightId(0), WeightId(1)];
const BIAS: WeightId = WeightId(2);
const QKV: WeightId = WeightId(3);
const OUT: WeightId = WeightId(4);
const UP: WeightId = WeightId(5);

impl Device {
    /// A device that has passed its self-test for weights of `formats`.
    pub async fn open(options: DeviceOptions, formats: &[Format]) -> Result<Device> {
        let device = Device::new(options).await?;
        device.self_test(formats).await?;
        Ok(device)
    }

    /// Tests the kernels for weights of `formats`. What was switched off, and why, is in
    /// [`Device::notes`]; an error means that the device is not to be used.
    pub async fn self_test(&self, formats: &[Format]) -> Result<()> {
        // The likeliest culprit first.
        const SUSPECTS: [Acceleration; 3] =
            [Acceleration::PackedDot, Acceleration::F16, Acceleration::Subgroups];
        loop {
            let mut result = Ok(());
            for format in formats {
                result = result.and(self.test_kernels(*format).await);
            }
            let Err(error) = result else {
                return Ok(());
            };
            let suspect = SUSPECTS.into_iter().find(|a| self.caps().has(*a));
            match suspect {
                Some(acceleration) if error.code == Code::Device => {
                    self.disable(acceleration);
                    self.note(format!("{} is not used: {}", acceleration.name(), error.message));
                }
                _ => return Err(error),
            }
        }
    }

    async fn test_kernels(&self, format: Format) -> Result<()> {
        let layer = Layer::new(format);
        let weights = layer
            .weights(self.corrupt())
            .into_iter()
            .map(|weight| self.upload(weight))
            .collect::<Result<Weights<_>>>()?;
        let mut recorder = Recorder::new();
        layer.record(&mut recorder);
        let compiled = self.compile(recorder.finish()?, &weights, &[])?;
        let segments = segments();
        let inputs = [
            ("x", HostValue::F32(&layer.x)),
            ("segments", HostValue::U32(&segments)),
            ("rows", HostValue::U32(&ROWS)),
        ];
        let outputs = self.run(&compiled, &inputs, None).await?;
        let caps = self.caps();
        let quantized = matches!(format, Format::Q8 | Format::Q4);
        // Relative errors: 8-bit activations come to 0.7 % of a bell curve, halves to 0.05 %.
        let tolerance = match format {
            _ if quantized && caps.packed_dot => 2e-2,
            Format::F32 => 1e-4,
            _ if caps.f16 => 2e-3,
            _ => 1e-4,
        };
        layer.judge(outputs, tolerance).map_err(|what| {
            err!(Code::Device, "the GPU ({}) computes wrong values: {what}", self.adapter())
                .remedy("use device 'wasm', or update the graphics driver")
        })
    }

    fn corrupt(&self) -> bool {
        let options = self.options();
        options.corrupt_self_test
            || options.corrupt_acceleration.is_some_and(|a| self.caps().has(a))
    }
}

/// A layer with made-up weights, the same on every device.
struct Layer {
    format: Format,
    x: Vec<f32>,
    norm: [Vec<f32>; 2],
    bias: Vec<f32>,
    qkv: Matrix,
    out: Matrix,
    up: Matrix,
}

impl Layer {
    fn new(format: Format) -> Self {
        let mut seed = 1u32;
        let mut numbers = |n: usize, scale: f32| -> Vec<f32> {
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
            };
            (0..n).map(|_| scale * next()).collect()
        };
        let x = numbers(M * H, 2.0);
        let norm = [numbers(H, 1.0).iter().map(|v| 1.5 + v).collect(), numbers(H, 0.5)];
        let bias = numbers(WIDE, 0.5);
        let mut matrix = |n: usize| {
            let mut matrix = Matrix::zeros(format, n, H);
            matrix.set_rows(0, &numbers(n * H, 0.2));
            matrix
        };
        let (qkv, out, up) = (matrix(3 * H), matrix(H), matrix(WIDE));
        Layer { format, x, norm, bias, qkv, out, up }
    }

    /// The weights in the order of their ids; `corrupt` ones disagree with what is judged by.
    fn weights(&self, corrupt: bool) -> Vec<HostWeight> {
        let mut qkv = self.qkv.clone();
        if corrupt {
            qkv.set_rows(0, &vec![1.0; H]);
        }
        let mut weights: Vec<HostWeight> =
            self.norm.iter().chain([&self.bias]).cloned().map(HostWeight::Vector).collect();
        let matrices = [qkv, self.out.clone(), self.up.clone()];
        weights.extend(matrices.into_iter().map(HostWeight::Matrix));
        weights
    }

    fn record(&self, g: &mut Recorder) {
        let x = g.input("x", [M, H], DType::F32);
        let segments = g.input("segments", [M, 2], DType::U32);
        let rows = g.input("rows", [ROWS.len()], DType::U32);
        let options = |activation, residual| LinearOptions {
            activation,
            residual,
            ..LinearOptions::default()
        };
        let plain = options(Activation::None, None);
        let norm = g.layer_norm(x, NORM[0], NORM[1], EPS);
        let qkv = g.linear(norm, QKV, Some(BIAS), [3 * H, H], plain);
        let attention = g.attention(qkv, segments, 1, 0.125);
        let out = g.linear(attention, OUT, Some(BIAS), [H, H], options(Activation::None, Some(x)));
        let up = g.linear(out, UP, Some(BIAS), [WIDE, H], options(Activation::Gelu, None));
        let first = g.gather_rows(out, rows);
        let pooled = g.linear(first, OUT, Some(BIAS), [H, H], options(Activation::Tanh, None));
        for (name, t) in [
            ("norm", norm),
            ("qkv", qkv),
            ("attention", attention),
            ("out", out),
            ("up", up),
            ("first", first),
            ("pooled", pooled),
        ] {
            g.output(name, t);
        }
    }

    /// Every step against plain loops, from what the device computed before it.
    fn judge(&self, mut outputs: Outputs, tolerance: f64) -> std::result::Result<(), String> {
        let mut take = |name: &str| outputs.take(name).map_err(|error| error.message);
        let (norm, qkv, attention) = (take("norm")?, take("qkv")?, take("attention")?);
        let (out, up) = (take("out")?, take("up")?);
        let (first, pooled) = (take("first")?, take("pooled")?);
        let format = self.format.name();
        let check = |kernel: &str, actual: &[f32], expected: &dyn Fn(usize) -> f64, tolerance| {
            // A few thousand values of the wide output tell as much as all of them.
            let every = (actual.len() / 8192) | 1;
            let places = (0..actual.len()).step_by(every);
            agree(actual, expected, places, tolerance)
                .map_err(|what| format!("{kernel} ({format}) {what}"))
        };

        let stats: Vec<(f64, f64)> =
            self.x.chunks_exact(H).map(mean_and_inverse_deviation).collect();
        let expected = |i: usize| {
            let (mean, inverse) = stats[i / H];
            (f64::from(self.x[i]) - mean) * inverse * f64::from(self.norm[0][i % H])
                + f64::from(self.norm[1][i % H])
        };
        check("layer_norm", &norm, &expected, 1e-4)?;

        let linear = |x: &[f32], w: &Matrix, n: usize, i: usize| {
            dot(&x[i / n * H..][..H], &row(w, i % n)) + f64::from(self.bias[i % n])
        };
        check("linear", &qkv, &|i| linear(&norm, &self.qkv, 3 * H, i), tolerance)?;
        check("attention", &attention, &|i| attend(&qkv, i / H, i % H), 1e-4)?;
        let expected = |i: usize| linear(&attention, &self.out, H, i) + f64::from(self.x[i]);
        check("linear with residual", &out, &expected, tolerance)?;
        let expected =
            |i: usize| f64::from(Activation::Gelu.apply(linear(&out, &self.up, WIDE, i) as f32));
        check("linear with large tiles", &up, &expected, tolerance)?;
        let expected = |i: usize| f64::from(out[ROWS[i / H] as usize * H + i % H]);
        check("gather_rows", &first, &expected, 1e-6)?;
        check("linear_small", &pooled, &|i| linear(&first, &self.out, H, i).tanh(), tolerance)
    }
}

/// First and end key of every token.
fn segments() -> Vec<u32> {
    let split = LENGTHS[0] as u32;
    (0..M as u32).flat_map(|i| if i < split { [0, split] } else { [split, M as u32] }).collect()
}

fn mean_and_inverse_deviation(x: &[f32]) -> (f64, f64) {
    let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len() as f64;
    let squares: f64 = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
    (mean, 1.0 / (squares / x.len() as f64 + f64::from(EPS)).sqrt())
}

fn row(w: &Matrix, r: usize) -> Vec<f32> {
    let mut row = vec![0.0; w.k];
    w.row(r, &mut row);
    row
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// Column `c` of the attention of token `i`.
fn attend(qkv: &[f32], i: usize, c: usize) -> f64 {
    let part = |j: usize, part: usize| &qkv[(j * 3 + part) * H..][..H];
    let keys = if i < LENGTHS[0] { 0..LENGTHS[0] } else { LENGTHS[0]..M };
    let scores: Vec<f64> = keys.clone().map(|j| 0.125 * dot(part(i, 0), part(j, 1))).collect();
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut total) = (0.0, 0.0);
    for (j, score) in keys.zip(scores) {
        let weight = (score - max).exp();
        total += weight;
        sum += weight * f64::from(part(j, 2)[c]);
    }
    sum / total
}

/// Root-mean-square error within `tolerance` of the root mean square, no single error beyond six
/// times that: a bad lane is as bad as a bad kernel.
fn agree(
    actual: &[f32],
    expected: &dyn Fn(usize) -> f64,
    places: impl Iterator<Item = usize>,
    tolerance: f64,
) -> std::result::Result<(), String> {
    let (mut squares, mut errors, mut count) = (0.0f64, 0.0f64, 0.0f64);
    let (mut worst, mut worst_at) = (0.0f64, 0);
    for i in places {
        let expected = expected(i);
        let error = (f64::from(actual[i]) - expected).abs();
        if !error.is_finite() {
            return Err(format!("gives {} where {expected:.4} is right", actual[i]));
        }
        squares += expected * expected;
        errors += error * error;
        count += 1.0;
        if error > worst {
            (worst, worst_at) = (error, i);
        }
    }
    let scale = (squares / count).sqrt();
    if (errors / count).sqrt() > tolerance * scale || worst > 6.0 * tolerance * scale {
        let right = expected(worst_at);
        return Err(format!("gives {} where {right:.4} is right", actual[worst_at]));
    }
    Ok(())
}
