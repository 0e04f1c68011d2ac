//! Weight matrices in the order the GEMM micro-kernels read them.
//!
//! Output channels are packed in panels of [`NR`]: one register tile's columns. Within a panel,
//! with `c` the column (N padded to panels with zeros) and Kp = K padded to blocks of 32:
//!
//! | format | values | per block and column |
//! |---|---|---|
//! | `F32`, `F16` | `[K][c]` | |
//! | `Q8` | i8 `[Kp / 4][c][4]` | scale f32 `[Kp / 32][c]`, first sum i32 `[Kp / 32][c]` |
//! | `Q4` | `[Kp / 8][c][4]` bytes, two nibbles each | scale f32 `[Kp / 32][c]` |
//!
//! So one vector holds four columns times four consecutive k, its product with four splatted
//! activation bytes sums into one lane per column, and no kernel ever adds across lanes. A q4 byte
//! holds k and k + 4, as in the canonical layout: its low nibbles are one step, its high ones the
//! next.

use half::f16;

use super::dot::Dot;
use crate::tensor::{Format, Matrix, BLOCK};

/// Columns of a panel.
pub(super) const NR: usize = 12;

/// The largest sum of weights of one sign that two steps of [`Dot::Pairs`] may bring into one
/// 16-bit lane: times an activation of 127 it stays below 32768.
const PAIR_LIMIT: i32 = 32767 / 127;

/// A weight matrix packed for this build's micro-kernels.
#[derive(Debug)]
pub struct PackedMatrix {
    n: usize,
    k: usize,
    pub(super) values: Values,
}

/// What the panels hold, panel after panel.
#[derive(Debug)]
pub(super) enum Values {
    F32(Vec<f32>),
    F16(Vec<u16>),
    Q8 { dot: Dot, values: Vec<i8>, scales: Vec<f32>, first: Vec<i32> },
    Q4 { dot: Dot, values: Vec<u8>, scales: Vec<f32> },
}

impl PackedMatrix {
    /// Packs `matrix`; the canonical copy is consumed, so at most one copy of one matrix is held
    /// beside the packed weights while a model loads.
    pub fn new(matrix: Matrix) -> Self {
        Self::for_dot(matrix, Dot::detect())
    }

    /// Packs `matrix` for one kind of dot product: what tests choose, and what [`Dot::detect`]
    /// chooses for everybody else.
    pub fn for_dot(matrix: Matrix, dot: Dot) -> Self {
        let Matrix { format, n, k, data, scales } = matrix;
        let values = match format {
            Format::F32 => Values::F32(panels(n, k, |r, i| {
                let at = 4 * (r * k + i);
                f32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
            })),
            Format::F16 => Values::F16(panels(n, k, |r, i| {
                let at = 2 * (r * k + i);
                u16::from_le_bytes([data[at], data[at + 1]])
            })),
            Format::Q8 => pack_q8(n, k, data, scales, dot),
            Format::Q4 => Values::Q4 {
                dot,
                values: quads(n, k.div_ceil(BLOCK) * BLOCK / 2, &data),
                scales: panels(n, k.div_ceil(BLOCK), |r, b| scales[r * k.div_ceil(BLOCK) + b]),
            },
        };
        PackedMatrix { n, k, values }
    }

    /// Output channels.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Input channels.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Panels of output channels, the unit in which a call can be split over workers.
    pub fn panels(&self) -> usize {
        self.n.div_ceil(NR)
    }

    /// Blocks of 32 along K.
    pub(super) fn blocks(&self) -> usize {
        self.k.div_ceil(BLOCK)
    }

    /// Dequantizes row `r` (`[K]`): an embedding lookup.
    pub fn row(&self, r: usize, out: &mut [f32]) {
        let (panel, c) = (r / NR, r % NR);
        let scale_at = |i: usize| (panel * self.blocks() + i / BLOCK) * NR + c;
        let out = out[..self.k].iter_mut().enumerate();
        match &self.values {
            Values::F32(v) => {
                for (i, o) in out {
                    *o = v[(panel * self.k + i) * NR + c];
                }
            }
            Values::F16(v) => {
                for (i, o) in out {
                    *o = f16::from_bits(v[(panel * self.k + i) * NR + c]).to_f32();
                }
            }
            Values::Q8 { values, scales, .. } => {
                let steps = panel * self.blocks() * (BLOCK / 4);
                for (i, o) in out {
                    let q = values[((steps + i / 4) * NR + c) * 4 + i % 4];
                    *o = scales[scale_at(i)] * f32::from(q);
                }
            }
            Values::Q4 { values, scales, .. } => {
                let steps = panel * self.blocks() * (BLOCK / 8);
                for (i, o) in out {
                    let byte = values[((steps + i / 8) * NR + c) * 4 + i % 4];
                    let q = (byte >> (i / 4 % 2 * 4)) & 0x0F;
                    *o = scales[scale_at(i)] * (f32::from(q) - 8.0);
                }
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::F32(v) => 4 * v.len(),
            Values::F16(v) => 2 * v.len(),
            Values::Q8 { values, scales, first, .. } => {
                values.len() + 4 * (scales.len() + first.len())
            }
            Values::Q4 { values, scales, .. } => values.len() + 4 * scales.len(),
        }
    }
}

/// `[N, K]` to panels `[K][NR]`, zeros past N.
fn panels<T: Copy + Default>(n: usize, k: usize, at: impl Fn(usize, usize) -> T) -> Vec<T> {
    let mut out = vec![T::default(); n.div_ceil(NR) * k * NR];
    for r in 0..n {
        let column = &mut out[r / NR * k * NR + r % NR..];
        for (i, o) in column.iter_mut().step_by(NR).take(k).enumerate() {
            *o = at(r, i);
        }
    }
    out
}

/// Rows of `row` bytes (a multiple of 4) to panels `[row / 4][NR][4]`, zeros past N.
fn quads<T: bytemuck::Pod + Default>(n: usize, row: usize, data: &[T]) -> Vec<T> {
    let mut out = vec![T::default(); n.div_ceil(NR) * row * NR];
    if row == 0 {
        return out;
    }
    for (r, from) in data.chunks_exact(row).take(n).enumerate() {
        let column = &mut out[(r / NR * row / 4 * NR + r % NR) * 4..];
        for (to, from) in column.chunks_mut(4 * NR).zip(from.chunks_exact(4)) {
            to[..4].copy_from_slice(from);
        }
    }
    out
}

fn pack_q8(n: usize, k: usize, mut data: Vec<u8>, mut scales: Vec<f32>, dot: Dot) -> Values {
    let data: &mut [i8] = bytemuck::cast_slice_mut(&mut data);
    let zero = dot.activation_range().0;
    let blocks = k.div_ceil(BLOCK);
    let mut first = vec![0; n * blocks];
    for ((block, scale), first) in data.chunks_exact_mut(BLOCK).zip(&mut scales).zip(&mut first) {
        if dot == Dot::Pairs {
            fit_pairs(block, scale);
        }
        *first = -zero * block.iter().map(|&w| i32::from(w)).sum::<i32>();
    }
    Values::Q8 {
        dot,
        values: quads(n, blocks * BLOCK, data),
        scales: panels(n, blocks, |r, b| scales[r * blocks + b]),
        first: panels(n, blocks, |r, b| first[r * blocks + b]),
    }
}

/// Rescales a block that could saturate the 16-bit sums of [`Dot::Pairs`], so that none can,
/// whatever the activations. About one block in five of normally distributed weights needs it, and
/// then by 15 % on average: its step is that much coarser.
fn fit_pairs(block: &mut [i8], scale: &mut f32) {
    let mut worst = worst_pair_sum(block);
    if worst <= PAIR_LIMIT {
        return;
    }
    let mut factor = 1.0;
    let original: Vec<f32> = block.iter().map(|&w| f32::from(w)).collect();
    while worst > PAIR_LIMIT {
        // rounding may bring a sum back over the limit by a little: the next turn takes that away
        factor *= (PAIR_LIMIT as f32 / worst as f32).min(0.998);
        for (w, o) in block.iter_mut().zip(&original) {
            *w = (o * factor).round() as i8;
        }
        worst = worst_pair_sum(block);
    }
    *scale /= factor;
}

/// The largest sum of same-signed weights that meet in one lane of two steps of four k.
fn worst_pair_sum(block: &[i8]) -> i32 {
    let mut worst = 0;
    for eight in block.chunks_exact(8) {
        for half in [[0, 1, 4, 5], [2, 3, 6, 7]] {
            let w = half.map(|i| i32::from(eight[i]));
            let sum = |sign: i32| w.iter().map(|w| (sign * w).max(0)).sum::<i32>();
            worst = worst.max(sum(1)).max(sum(-1));
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_every_format() {
        for (n, k) in [(1, 1), (7, 4), (12, 32), (13, 70), (30, 100)] {
            let x: Vec<f32> = (0..n * k).map(|i| ((i * 7919) as f32 * 0.01).sin()).collect();
            for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
                let mut m = Matrix::zeros(format, n, k);
                m.set_rows(0, &x);
                for &dot in Dot::available() {
                    let packed = PackedMatrix::for_dot(m.clone(), dot);
                    let (mut a, mut b) = (vec![0.0; k], vec![0.0; k]);
                    for r in 0..n {
                        m.row(r, &mut a);
                        packed.row(r, &mut b);
                        let requantized = format == Format::Q8 && dot == Dot::Pairs;
                        let bound = if requantized { 1.0 / 127.0 } else { 0.0 };
                        for (a, b) in a.iter().zip(&b) {
                            assert!((a - b).abs() <= bound, "{format:?} {dot:?} {n}x{k}: {a} {b}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_block_can_saturate_pairs() {
        for block in [[127i8; BLOCK], [-127; BLOCK], std::array::from_fn(|i| (i * 37 % 255) as i8)]
        {
            let (mut fitted, mut scale) = (block, 1.0f32);
            fit_pairs(&mut fitted, &mut scale);
            assert!(worst_pair_sum(&fitted) <= PAIR_LIMIT);
            for (a, b) in block.iter().zip(fitted) {
                assert!((f32::from(*a) - scale * f32::from(b)).abs() <= 0.5001 * scale);
            }
        }
    }
}
