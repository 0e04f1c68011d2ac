//! A weight matrix on the host in its canonical layout: what a quantized pack stores and what
//! each device repacks from. Rows are output channels (or vocabulary entries): `[N, K]`.
//!
//! | format | data | scales |
//! |---|---|---|
//! | `F32` | f32 `[N, K]` | none |
//! | `F16` | f16 `[N, K]` | none |
//! | `Q8` | i8 `[N, K]`, symmetric | f32 `[N]`, one per row |
//! | `Q4` | `[N, ceil(K/32)]` blocks of 16 bytes; nibbles are 0..15 with zero 8 | f32 `[N, ceil(K/32)]`, representable in f16 |
//!
//! In a q4 block byte `4j + b` holds k = `8j + b` in its low nibble and k = `8j + 4 + b` in its
//! high one: in a little-endian word `w`, `w & 0x0F0F0F0F` and `(w >> 4) & 0x0F0F0F0F` are four
//! consecutive k each. A last block past K is padded with zero (nibble 8).

use half::f16;

/// Elements along K that share one q4 scale.
pub const Q4_BLOCK: usize = 32;

/// How a weight matrix is stored. Vectors (biases, norms) are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    F32,
    F16,
    Q8,
    Q4,
}

impl Format {
    /// The name in shaders, options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Format::F32 => "f32",
            Format::F16 => "f16",
            Format::Q8 => "q8",
            Format::Q4 => "q4",
        }
    }

    /// Bytes of data (without scales) that one row of `k` elements takes.
    pub fn row_bytes(self, k: usize) -> usize {
        match self {
            Format::F32 => 4 * k,
            Format::F16 => 2 * k,
            Format::Q8 => k,
            Format::Q4 => k.div_ceil(Q4_BLOCK) * (Q4_BLOCK / 2),
        }
    }

    /// Scales that one row of `k` elements has.
    pub fn row_scales(self, k: usize) -> usize {
        match self {
            Format::F32 | Format::F16 => 0,
            Format::Q8 => 1,
            Format::Q4 => k.div_ceil(Q4_BLOCK),
        }
    }
}

/// A weight matrix `[n, k]` in canonical layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub format: Format,
    /// Rows: output channels.
    pub n: usize,
    /// Columns: input channels.
    pub k: usize,
    pub data: Vec<u8>,
    pub scales: Vec<f32>,
}

impl Matrix {
    /// A matrix whose rows are still to be written by [`Matrix::set_rows`].
    pub fn zeros(format: Format, n: usize, k: usize) -> Self {
        Matrix {
            format,
            n,
            k,
            data: vec![0; n * format.row_bytes(k)],
            scales: vec![0.0; n * format.row_scales(k)],
        }
    }

    /// Quantizes `rows` (f32 `[R, k]`) into rows `first..first + R`.
    pub fn set_rows(&mut self, first: usize, rows: &[f32]) {
        let (bytes, scales) = (self.format.row_bytes(self.k), self.format.row_scales(self.k));
        for (i, row) in rows.chunks_exact(self.k).enumerate() {
            let r = first + i;
            let data = &mut self.data[r * bytes..(r + 1) * bytes];
            let scales = &mut self.scales[r * scales..(r + 1) * scales];
            match self.format {
                Format::F32 => data.copy_from_slice(bytemuck::cast_slice(row)),
                Format::F16 => {
                    for (d, &x) in data.chunks_exact_mut(2).zip(row) {
                        d.copy_from_slice(&f16::from_f32(x).to_le_bytes());
                    }
                }
                Format::Q8 => scales[0] = quantize_row_q8(row, data),
                Format::Q4 => quantize_row_q4(row, data, scales),
            }
        }
    }

    /// Dequantizes row `r` into `out` (`[k]`).
    pub fn row(&self, r: usize, out: &mut [f32]) {
        let (bytes, scales) = (self.format.row_bytes(self.k), self.format.row_scales(self.k));
        let data = &self.data[r * bytes..(r + 1) * bytes];
        let scales = &self.scales[r * scales..(r + 1) * scales];
        match self.format {
            Format::F32 => {
                for (o, d) in out.iter_mut().zip(data.chunks_exact(4)) {
                    *o = f32::from_le_bytes([d[0], d[1], d[2], d[3]]);
                }
            }
            Format::F16 => {
                for (o, d) in out.iter_mut().zip(data.chunks_exact(2)) {
                    *o = f16::from_le_bytes([d[0], d[1]]).to_f32();
                }
            }
            Format::Q8 => {
                for (o, &d) in out.iter_mut().zip(data) {
                    *o = scales[0] * f32::from(d as i8);
                }
            }
            Format::Q4 => {
                for (k, o) in out[..self.k].iter_mut().enumerate() {
                    *o = scales[k / Q4_BLOCK] * (f32::from(q4_nibble(data, k)) - 8.0);
                }
            }
        }
    }

    /// Bytes the matrix takes on the host.
    pub fn bytes(&self) -> usize {
        self.data.len() + 4 * self.scales.len()
    }
}

fn absmax(row: &[f32]) -> f32 {
    row.iter().fold(0.0, |m, x| x.abs().max(m))
}

fn quantize_row_q8(row: &[f32], data: &mut [u8]) -> f32 {
    let scale = absmax(row) / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    for (d, &x) in data.iter_mut().zip(row) {
        *d = (x * inverse).round().clamp(-127.0, 127.0) as i8 as u8;
    }
    scale
}

fn quantize_row_q4(row: &[f32], data: &mut [u8], scales: &mut [f32]) {
    for ((block, data), scale) in
        row.chunks(Q4_BLOCK).zip(data.chunks_exact_mut(Q4_BLOCK / 2)).zip(scales)
    {
        // The element of largest magnitude maps to -8, the end of the range with one more level.
        let extreme = block.iter().fold(0.0f32, |m, &x| if x.abs() > m.abs() { x } else { m });
        *scale = f16::from_f32(extreme / -8.0).to_f32();
        let inverse = if *scale != 0.0 { 1.0 / *scale } else { 0.0 };
        data.fill(0x88);
        for (k, &x) in block.iter().enumerate() {
            let q = ((x * inverse).round() + 8.0).clamp(0.0, 15.0) as u8;
            let (byte, shift) = q4_place(k);
            data[byte] = (data[byte] & !(0x0F << shift)) | (q << shift);
        }
    }
}

/// Byte and shift of element `k` within its row's q4 data.
fn q4_place(k: usize) -> (usize, u32) {
    (k / 8 * 4 + k % 4, if k % 8 < 4 { 0 } else { 4 })
}

fn q4_nibble(data: &[u8], k: usize) -> u8 {
    let (byte, shift) = q4_place(k);
    (data[byte] >> shift) & 0x0F
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * i) as f32 * 0.37).sin() * (1.0 + (i % 7) as f32)).collect()
    }

    #[test]
    fn formats_round_trip_within_half_a_step() {
        let (n, k) = (3, 70); // 70: two full q4 blocks and a short one
        let values = wave(n * k);
        for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
            let mut m = Matrix::zeros(format, n, k);
            m.set_rows(0, &values);
            let mut back = vec![0.0; k];
            for r in 0..n {
                m.row(r, &mut back);
                let row = &values[r * k..(r + 1) * k];
                for (block, (a, b)) in
                    row.chunks(Q4_BLOCK).zip(back.chunks(Q4_BLOCK)).enumerate().map(|(i, x)| (i, x))
                {
                    let step = match format {
                        Format::F32 => 0.0,
                        Format::F16 => absmax(a) / 1024.0,
                        Format::Q8 => absmax(row) / 127.0,
                        // the far end of the range is clamped at 7 steps: one whole step off
                        Format::Q4 => absmax(a) / 8.0 * 2.001,
                    };
                    for (x, y) in a.iter().zip(b) {
                        assert!(
                            (x - y).abs() <= 0.5001 * step,
                            "{format:?} row {r} block {block}: {x} {y}"
                        );
                    }
                }
            }
        }
    }
}
