//! Times the CPU kernels in a browser: `run.mjs` builds this for both wasm builds and prints a
//! table. The kernels are the engine's own files, compiled without the rest of the engine.

mod bare;
#[allow(dead_code, unused_imports)]
#[path = "../../../src/cpu/mod.rs"]
mod cpu;
#[allow(dead_code, unused_imports)]
#[path = "../../../src/tensor/mod.rs"]
mod tensor;
mod wav2vec2;

use std::cell::RefCell;

use cpu::{Activation, Dot, Epilogue, PackedMatrix, Scratch};
use tensor::{Format, Matrix};

const FORMATS: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];

/// One encoder layer's weights.
struct Layer {
    qkv: PackedMatrix,
    out: PackedMatrix,
    up: PackedMatrix,
    down: PackedMatrix,
}

#[derive(Default)]
struct State {
    bare: Vec<u32>,
    rows: Vec<f32>,
    cases: Vec<Case>,
    scratch: Scratch,
    speech: Vec<wav2vec2::Wav2Vec2>,
}

/// Linear layers, or the layers of an encoder, of one shape and format.
#[derive(Default)]
struct Case {
    shape: (usize, usize, usize),
    matrices: Vec<PackedMatrix>,
    layers: Vec<Layer>,
    x: Vec<f32>,
    y: Vec<f32>,
    z: Vec<f32>,
    vectors: Vec<f32>,
    segments: Vec<u32>,
    turn: usize,
}

thread_local!(static STATE: RefCell<State> = RefCell::default());

/// Quantizes and packs a 3072 x 768 matrix, as loading a model does; returns weights.
#[no_mangle]
pub extern "C" fn load(format: u32) -> f64 {
    let rows = STATE.with_borrow_mut(|s| {
        if s.rows.is_empty() {
            s.rows = cpu::selftest::noise(3072 * 768, 3);
        }
        std::mem::take(&mut s.rows)
    });
    let mut m = Matrix::zeros(FORMATS[format as usize], 3072, 768);
    m.set_rows(0, &rows);
    let packed = PackedMatrix::new(m);
    STATE.with_borrow_mut(|s| s.rows = rows);
    (packed.n() * packed.k()) as f64
}

fn matrix(format: u32, n: usize, k: usize) -> PackedMatrix {
    let mut m = Matrix::zeros(FORMATS[format as usize], n, k);
    let mut row = cpu::selftest::noise(k, (n + k) as u32);
    for r in 0..n {
        row.rotate_left(1);
        m.set_rows(r, &row);
    }
    PackedMatrix::new(m)
}

/// 0 exact unsigned, 1 exact signed, 2 pairs, 3 wide: what `Dot::detect` found.
#[no_mangle]
pub extern "C" fn dot() -> u32 {
    match Dot::detect() {
        Dot::Quads { signed: false } => 0,
        Dot::Quads { signed: true } => 1,
        Dot::Pairs => 2,
        Dot::Wide => 3,
    }
}

/// Failures of the self-tests.
#[no_mangle]
pub extern "C" fn selftest() -> u32 {
    (cpu::selftest::linear().len()
        + cpu::selftest::layer_norm().len()
        + cpu::selftest::attention().len()) as u32
}

#[no_mangle]
pub extern "C" fn bare_loop(id: u32) -> f64 {
    STATE.with_borrow_mut(|s| {
        if s.bare.is_empty() {
            // words that are small floats and small bytes alike
            s.bare = (0..12u32 << 20).map(|i| 0x3C00_3C00 | (i % 61) << 2).collect();
        }
        bare::run(id, &mut s.bare)
    })
}

/// Prepares linear layers of a shape: enough of them that weights of M = 1 come from memory.
/// Returns the case's number.
#[no_mangle]
pub extern "C" fn prepare_linear(format: u32, m: usize, k: usize, n: usize) -> usize {
    let count = if m == 1 { 24 } else { 1 };
    add(Case {
        shape: (m, k, n),
        matrices: (0..count).map(|_| matrix(format, n, k)).collect(),
        x: cpu::selftest::noise(m * k, 1),
        y: vec![0.0; m * n],
        ..Case::default()
    })
}

fn add(case: Case) -> usize {
    STATE.with_borrow_mut(|s| {
        s.cases.push(case);
        s.cases.len() - 1
    })
}

/// Runs one; returns operations.
#[no_mangle]
pub extern "C" fn linear(case: usize, gelu: bool) -> f64 {
    STATE.with_borrow_mut(|s| {
        let c = &mut s.cases[case];
        let (m, k, n) = c.shape;
        c.turn = (c.turn + 1) % c.matrices.len();
        let activation = if gelu { Activation::Gelu } else { Activation::None };
        let e = Epilogue { activation, ..Epilogue::default() };
        cpu::linear(&c.x, m, &c.matrices[c.turn], e, &mut c.y, &mut s.scratch);
        2.0 * (m * k * n) as f64
    })
}

/// Prepares the convolutions of wav2vec2-base for so many frames, `chunk` at a time.
#[no_mangle]
pub extern "C" fn prepare_wav2vec2(format: u32, frames: usize, chunk: usize) -> usize {
    STATE.with_borrow_mut(|s| {
        s.speech.push(wav2vec2::Wav2Vec2::new(format, frames, chunk));
        s.speech.len() - 1
    })
}

/// Runs a part of them; returns operations.
#[no_mangle]
pub extern "C" fn wav2vec2(case: usize, part: u32) -> f64 {
    STATE.with_borrow_mut(|s| {
        let State { speech, scratch, .. } = s;
        speech[case].run(part, scratch)
    })
}

/// Prepares a BERT-like encoder of 12 (hidden 768) or 6 (hidden 384) layers.
#[no_mangle]
pub extern "C" fn prepare_encoder(format: u32, hidden: usize, m: usize) -> usize {
    let layer = |_| Layer {
        qkv: matrix(format, 3 * hidden, hidden),
        out: matrix(format, hidden, hidden),
        up: matrix(format, 4 * hidden, hidden),
        down: matrix(format, hidden, 4 * hidden),
    };
    add(Case {
        shape: (m, hidden, hidden),
        layers: (0..hidden / 64).map(layer).collect(),
        x: cpu::selftest::noise(m * hidden, 1),
        y: vec![0.0; m * 4 * hidden],
        z: vec![0.0; m * hidden],
        vectors: cpu::selftest::noise(4 * hidden, 2),
        segments: (0..m).flat_map(|_| [0, m as u32]).collect(),
        ..Case::default()
    })
}

/// Runs the encoder; `parts` & 1 linear layers, & 2 attention, & 4 layer norms.
#[no_mangle]
pub extern "C" fn encoder(case: usize, parts: u32) -> f64 {
    STATE.with_borrow_mut(|s| {
        let (m, h, _) = s.cases[case].shape;
        let heads = 12;
        let State { cases, scratch, .. } = s;
        let Case { layers, x, y, z, vectors, segments, .. } = &mut cases[case];
        let (gamma, beta) = (&vectors[..h], &vectors[h..2 * h]);
        let plain = Epilogue { bias: Some(vectors), ..Epilogue::default() };
        for layer in layers.iter() {
            if parts & 1 != 0 {
                cpu::linear(x, m, &layer.qkv, plain, &mut y[..3 * m * h], scratch);
            }
            if parts & 2 != 0 {
                let scale = 1.0 / ((h / heads) as f32).sqrt();
                cpu::attention(&y[..3 * m * h], segments, heads, scale, z, scratch);
            }
            if parts & 1 != 0 {
                let e = Epilogue { residual: Some(x), ..plain };
                cpu::linear(z, m, &layer.out, e, &mut y[..m * h], scratch);
            }
            if parts & 4 != 0 {
                cpu::layer_norm(&y[..m * h], gamma, beta, 1e-12, Activation::None, z);
            }
            if parts & 1 != 0 {
                let e = Epilogue { activation: Activation::Gelu, ..plain };
                cpu::linear(z, m, &layer.up, e, y, scratch);
                let e = Epilogue { residual: Some(z), ..plain };
                let mut out = std::mem::take(x);
                cpu::linear(y, m, &layer.down, e, &mut out, scratch);
                *x = out;
            }
            if parts & 4 != 0 {
                cpu::layer_norm(x, gamma, beta, 1e-12, Activation::None, z);
                std::mem::swap(x, z);
            }
        }
        2.0 * layers.len() as f64 * (m * h * h * 12) as f64
    })
}
