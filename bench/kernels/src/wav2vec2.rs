//! wav2vec2-base over some seconds of audio: what its parts take, and what chunks of time do.

use super::{cpu, matrix, FORMATS};
use cpu::{Activation, Epilogue, PackedMatrix, Scratch, TimeWindows};

const CONVS: [[usize; 2]; 7] = [[10, 5], [3, 2], [3, 2], [3, 2], [3, 2], [2, 2], [2, 2]];
const C: usize = 512;
const H: usize = 768;

pub struct Wav2Vec2 {
    wave: Vec<f32>,
    frames: usize,
    chunk: usize,
    first: PackedMatrix,
    convs: Vec<PackedMatrix>,
    positions: PackedMatrix,
    vectors: Vec<f32>,
    a: Vec<f32>,
    b: Vec<f32>,
    h: Vec<f32>,
    z: Vec<f32>,
}

impl Wav2Vec2 {
    pub fn new(format: u32, frames: usize, chunk: usize) -> Self {
        assert!((format as usize) < FORMATS.len());
        let rows = chunk.min(frames) * 64 + 200;
        Wav2Vec2 {
            wave: cpu::selftest::noise(400 + (frames - 1) * 320, 5),
            frames,
            chunk,
            first: matrix(0, C, 10),
            convs: CONVS[1..].iter().map(|[k, _]| matrix(format, C, k * C)).collect(),
            positions: matrix(format, H, 128 * 48),
            vectors: cpu::selftest::noise(4 * H, 2),
            a: vec![0.0; rows * C],
            b: vec![0.0; rows * C],
            h: cpu::selftest::noise(frames * H, 7),
            z: vec![0.0; frames * H],
        }
    }

    /// `part`: 0 the first convolution, 1 all of them, 2 positions, 3 statistics. Returns operations.
    pub fn run(&mut self, part: u32, s: &mut Scratch) -> f64 {
        let gelu = Epilogue { activation: Activation::Gelu, ..Epilogue::default() };
        let mut macs = 0u64;
        match part {
            0 | 1 => {
                let n = if part == 0 { 1 } else { 7 };
                for first in (0..self.frames).step_by(self.chunk) {
                    let mut ranges = vec![first..self.frames.min(first + self.chunk)];
                    for [k, stride] in CONVS[1..].iter().rev() {
                        let r = &ranges[ranges.len() - 1];
                        ranges.push(r.start * stride..(r.end - 1) * stride + k);
                    }
                    for (i, range) in ranges.into_iter().rev().enumerate().take(n) {
                        let [kernel, stride] = CONVS[i];
                        let windows = TimeWindows { kernel, stride, padding: 0, groups: 1 };
                        let m = range.len();
                        if i == 0 {
                            macs += (m * kernel * C) as u64;
                            let e = Epilogue {
                                scale: Some(&self.vectors[..C]),
                                shift: Some(&self.vectors[C..2 * C]),
                                ..gelu
                            };
                            let out = &mut self.a[..m * C];
                            cpu::conv1d(&self.wave, 1, &windows, range, &self.first, e, out, s);
                        } else {
                            macs += (m * kernel * C) as u64 * C as u64;
                            let rows = (m - 1) * stride + kernel;
                            let (x, out) = (&self.a[..rows * C], &mut self.b[..m * C]);
                            cpu::conv1d(x, C, &windows, 0..m, &self.convs[i - 1], gelu, out, s);
                            std::mem::swap(&mut self.a, &mut self.b);
                        }
                    }
                }
            }
            2 => {
                macs = (self.frames * H) as u64 * 128 * 48;
                let windows = TimeWindows { kernel: 128, stride: 1, padding: 64, groups: 16 };
                let e = Epilogue { bias: Some(&self.vectors), residual: Some(&self.h), ..gelu };
                let range = 0..self.frames;
                cpu::conv1d(&self.h, H, &windows, range, &self.positions, e, &mut self.z, s);
            }
            _ => {
                macs = (self.wave.len() / 5 * 55) as u64;
                let affine = [&self.vectors[..C], &self.vectors[C..2 * C]];
                let out = &mut self.z[..2 * C];
                cpu::conv1d_group_norm(&self.wave, 5, &self.first, affine, 1e-5, out);
            }
        }
        2.0 * macs as f64
    }
}
