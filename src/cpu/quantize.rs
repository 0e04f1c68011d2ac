//! Activations to integers, once per row and block of a linear call.

use super::dot::Dot;
use super::gemm::Rows;
use super::math::ROUND;
use super::simd::*;
use crate::tensor::BLOCK;

/// The quantized left operand of an integer GEMM. Buffers grow and stay.
#[derive(Debug, Default)]
pub(super) struct Activations {
    /// `[M][Kp]` bytes, or i16 for [`Dot::Wide`].
    pub values: Vec<u8>,
    /// `[M][Kp / 32]`; for [`Dot::Wide`] `[M]`.
    pub scales: Vec<f32>,
    /// q4: what a block's sums start from, `[M][Kp / 32]`.
    pub first: Vec<i32>,
}

/// Makes room for `len` elements; what is there already stays allocated.
pub(super) fn grow<T: Copy + Default>(v: &mut Vec<T>, len: usize) {
    if v.len() < len {
        v.resize(len, T::default());
    }
}

impl Activations {
    /// Quantizes `x` `[M, K]` for a product with q8 weights: symmetric around the byte that
    /// stands for zero, one scale per block.
    pub fn for_q8(&mut self, x: Rows<'_>, dot: Dot) {
        let (zero, levels) = dot.activation_range();
        match dot {
            Dot::Wide => self.wide(x),
            Dot::Quads { signed: true } => self.blocks::<true>(x, zero, levels),
            _ => self.blocks::<false>(x, zero, levels),
        }
    }

    /// Quantizes `x` `[M, K]` for a product with q4 weights, which are the 7-bit operand
    /// themselves: signed bytes, one scale per block, and the sums that stand for the weights'
    /// zero point 8.
    pub fn for_q4(&mut self, x: Rows<'_>, dot: Dot) {
        if dot == Dot::Wide {
            return self.wide(x);
        }
        self.blocks::<true>(x, 0, 127);
        let blocks = x.m * x.k.div_ceil(BLOCK);
        grow(&mut self.first, blocks);
        for (first, block) in self.first[..blocks].iter_mut().zip(self.values.chunks_exact(BLOCK)) {
            // k mod 4 in 0..2 and in 2..4: the two 16-bit lanes of a column under `Dot::Pairs`
            let [low, high] = half_sums(block);
            *first = match dot {
                Dot::Pairs => (-8 * low) & 0xFFFF | (-8 * high) << 16,
                _ => -8 * (low + high),
            };
        }
    }

    fn blocks<const SIGNED: bool>(&mut self, x: Rows<'_>, zero: i32, levels: i32) {
        let blocks = x.m * x.k.div_ceil(BLOCK);
        grow(&mut self.scales, blocks);
        grow(&mut self.values, blocks * BLOCK);
        let mut to = self.scales.iter_mut().zip(self.values.chunks_exact_mut(BLOCK));
        for i in 0..x.m {
            for (block, (scale, values)) in x.row(i).chunks(BLOCK).zip(&mut to) {
                if block.len() == BLOCK {
                    *scale = quantize_block::<SIGNED>(block, zero, levels, values);
                } else {
                    let mut padded = [0.0; BLOCK];
                    padded[..block.len()].copy_from_slice(block);
                    *scale = quantize_block::<SIGNED>(&padded, zero, levels, values);
                }
            }
        }
    }

    /// 16-bit activations, one scale per row: as good as f32 for the product.
    fn wide(&mut self, x: Rows<'_>) {
        let (m, k) = (x.m, x.k);
        let padded = k.div_ceil(BLOCK) * BLOCK;
        grow(&mut self.scales, m);
        grow(&mut self.values, m * padded * 2);
        let to = self.values.chunks_exact_mut(padded.max(1) * 2).zip(&mut self.scales);
        for (i, (values, scale)) in (0..m).zip(to) {
            let row = x.row(i);
            let (fours, rest) = row.split_at(k / 4 * 4);
            let mut most = abs(load_partial(rest, 0.0));
            for four in fours.chunks_exact(4) {
                // SAFETY: four f32 are 16 bytes.
                most = max(most, abs(unsafe { load(four.as_ptr()) }));
            }
            let largest = lanes(most).into_iter().fold(0.0, f32::max);
            *scale = largest / 32767.0;
            let inverse = splat(if largest > 0.0 { 32767.0 / largest } else { 0.0 });
            let integer = |v| {
                let bits = add(mul(v, inverse), splat(ROUND));
                add_i32(bits, splat_i32(-(ROUND.to_bits() as i32)))
            };
            values[k / 8 * 16..].fill(0);
            for (eight, to) in row.chunks(8).zip(values.chunks_exact_mut(16)) {
                let (low, high) = eight.split_at(eight.len().min(4));
                let (low, high) = (load_partial(low, 0.0), load_partial(high, 0.0));
                // SAFETY: `to` is 16 bytes.
                unsafe { store(to.as_mut_ptr(), narrow_i16(integer(low), integer(high))) };
            }
        }
    }
}

/// Quantizes 32 values to `zero` ± `levels`; returns the scale.
#[inline(always)]
fn quantize_block<const SIGNED: bool>(x: &[f32], zero: i32, levels: i32, to: &mut [u8]) -> f32 {
    assert!(x.len() == BLOCK && to.len() == BLOCK);
    // SAFETY: 32 f32 are read and 32 bytes written, as asserted.
    unsafe {
        let x: [V; BLOCK / 4] = std::array::from_fn(|i| load(x.as_ptr().add(4 * i)));
        let a = |i: usize| max(abs(x[i]), abs(x[i + 4]));
        let most = max(max(a(0), a(1)), max(a(2), a(3)));
        let [p, q, r, s] = lanes(most);
        let largest = p.max(q).max(r.max(s));
        let inverse = splat(if largest > 0.0 { levels as f32 / largest } else { 0.0 });
        let offset = splat_i32(zero - ROUND.to_bits() as i32);
        let integer = |i: usize| add_i32(add(mul(x[i], inverse), splat(ROUND)), offset);
        for h in 0..2 {
            let low = narrow_i16(integer(4 * h), integer(4 * h + 1));
            let high = narrow_i16(integer(4 * h + 2), integer(4 * h + 3));
            let bytes = if SIGNED { narrow_i8(low, high) } else { narrow_u8(low, high) };
            store(to.as_mut_ptr().add(16 * h), bytes);
        }
        largest / levels as f32
    }
}

/// Of 32 signed bytes, the sum of those at k mod 4 in 0..2 and of those in 2..4.
#[inline(always)]
fn half_sums(block: &[u8]) -> [i32; 2] {
    assert!(block.len() == BLOCK);
    // SAFETY: 32 bytes are read, as asserted.
    let [a, b] = unsafe { [load(block.as_ptr()), load(block.as_ptr().add(16))] };
    // a bytewise sum of pairs lands in 16 bits: even lanes the first halves, odd lanes the others
    let ones = splat_i32(0x0001_0001);
    let quads = add_i16(add_i16(even_bytes(a), odd_bytes(a)), add_i16(even_bytes(b), odd_bytes(b)));
    // each 32-bit lane holds two 16-bit sums: keep one, widen, add the four lanes
    let low = dot_i16(and(quads, splat_i32(0xFFFF)), ones);
    let high = dot_i16(and(quads, splat_i32(0xFFFF_0000u32 as i32)), ones);
    [low, high].map(|v| lanes(v).iter().map(|x| x.to_bits() as i32).sum())
}
