//! The register tiles: MR rows times a panel of columns, all of K, in registers.
//!
//! Loops over k are rolled on purpose: unrolled by hand V8 schedules the loads early and spills
//! (3x12 f32 falls from 60 to 45 GFLOP/s). Sizes that fit its 15 vector registers: 3x12 and 4x8
//! where the product and the sum are one instruction, 2x12 where products need registers.
//!
//! Every tile starts from pointers that its caller has checked: rows of `a` of at least K
//! elements, a whole panel of `b`.

use super::pack::NR;
use super::simd::*;

/// Vectors in a panel's row.
pub(super) const NV: usize = NR / 4;

/// A tile of sums.
pub(super) type Tile<const MR: usize, const COLUMNS: usize> = [[V; COLUMNS]; MR];

/// `tile[i][j] = Σ_k a[i][k] b[k][j]`; a `[MR]` rows `lda` apart, b `[K][4 COLUMNS]`.
///
/// # Safety
/// `k` readable f32 in each row of `a`, `k * 4 * COLUMNS` at `b`.
#[inline(always)]
pub(super) unsafe fn f32_tile<const MR: usize, const COLUMNS: usize>(
    a: *const f32,
    lda: usize,
    mut b: *const f32,
    k: usize,
) -> Tile<MR, COLUMNS> {
    let mut sums = [[splat(0.0); COLUMNS]; MR];
    let mut a = a;
    let end = a.add(k);
    while a < end {
        let mut columns = [splat(0.0); COLUMNS];
        for (j, c) in columns.iter_mut().enumerate() {
            *c = load(b.add(4 * j));
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            let x = load_splat(a.add(i * lda));
            for (s, c) in sums.iter_mut().zip(columns) {
                *s = madd(x, c, *s);
            }
        }
        a = a.add(1);
        b = b.add(4 * COLUMNS);
    }
    sums
}

/// [`f32_tile`] over a panel of f16, `[K][NR]`.
///
/// # Safety
/// `k` readable f32 in each row of `a`, `k * NR` u16 at `b`.
#[inline(always)]
pub(super) unsafe fn f16_tile<const MR: usize>(
    a: *const f32,
    lda: usize,
    mut b: *const u16,
    k: usize,
) -> Tile<MR, NV> {
    let mut sums = [[splat(0.0); NV]; MR];
    let mut a = a;
    let end = a.add(k);
    while a < end {
        // twelve halves by two loads of eight
        let (first, last) = (load(b), load(b.add(4)));
        let columns = [
            widen_f16(widen_low_u16(first)),
            widen_f16(widen_high_u16(first)),
            widen_f16(widen_high_u16(last)),
        ];
        for (i, sums) in sums.iter_mut().enumerate() {
            let x = load_splat(a.add(i * lda));
            for (s, c) in sums.iter_mut().zip(columns) {
                *s = madd(x, c, *s);
            }
        }
        a = a.add(1);
        b = b.add(NR);
    }
    sums
}

/// Four f16 in the low halves of four lanes to f32: exponents move from 5 bits to 8 by a
/// multiplication that also makes subnormals right.
#[inline(always)]
pub(super) fn widen_f16(h: V) -> V {
    let scale = splat(f32::from_bits((127 + 127 - 15) << 23));
    let magnitude = shl_i32::<13>(and(h, splat_i32(0x7FFF)));
    let sign = shl_i32::<16>(and(h, splat_i32(0x8000)));
    or(mul(magnitude, scale), sign)
}

/// The low and the high nibble of each byte.
#[inline(always)]
pub(super) fn nibbles(bytes: V) -> [V; 2] {
    let mask = splat_i32(0x0F0F_0F0F);
    [and(bytes, mask), and(shr_u16::<4>(bytes), mask)]
}

/// The quantized operands of a tile.
#[derive(Clone, Copy)]
pub(super) struct Quantized {
    /// Rows of activations, `lda` bytes apart.
    pub a: *const u8,
    pub lda: usize,
    /// From one row to the next in `a_scales` and `a_first`.
    pub a_blocks: usize,
    /// One per row and block.
    pub a_scales: *const f32,
    /// q4: per row and block, the start of its sums (see `Activations::for_q4`).
    pub a_first: *const i32,
    /// A panel: `[Kp / 4][NR][4]`, or for 16 bits `[Kp / 2][NR][2]`.
    pub b: *const u8,
    /// `[blocks][NR]`
    pub b_scales: *const f32,
    /// q8: `[blocks][NR]`, the start of a block's sums.
    pub b_first: *const i32,
    pub blocks: usize,
    /// Bytes of `a` per block. A run-time value, or else the compiler would unroll the block.
    pub block: usize,
    /// i16 ones: what widens pair sums. A run-time value: LLVM 22 crashes folding the constant.
    pub ones: V,
}

impl Quantized {
    /// The same from row `i` on. Done within a tile's function: copying these fields for every tile
    /// took longer than a short tile's sums.
    #[inline(always)]
    pub unsafe fn at(&self, i: usize) -> Quantized {
        Quantized {
            a: self.a.add(i * self.lda),
            a_scales: self.a_scales.add(i * self.a_blocks),
            // q8 has no such table
            a_first: self.a_first.wrapping_add(i * self.a_blocks),
            ..*self
        }
    }

    /// Adds one block's integer sums, scaled, to the tile.
    #[inline(always)]
    unsafe fn scale<const MR: usize>(
        &self,
        block: usize,
        sums: &Tile<MR, NV>,
        tile: &mut Tile<MR, NV>,
    ) {
        let mut columns = [splat(0.0); NV];
        for (j, c) in columns.iter_mut().enumerate() {
            *c = load(self.b_scales.add(block * NR + 4 * j));
        }
        for i in 0..MR {
            let row = load_splat(self.a_scales.add(i * self.a_blocks + block));
            for j in 0..NV {
                tile[i][j] = madd(to_f32(sums[i][j]), mul(row, columns[j]), tile[i][j]);
            }
        }
    }

    #[inline(always)]
    unsafe fn b_first(&self, block: usize) -> [V; NV] {
        let mut first = [splat_i32(0); NV];
        for (j, f) in first.iter_mut().enumerate() {
            *f = load(self.b_first.add(block * NR + 4 * j));
        }
        first
    }

    #[inline(always)]
    unsafe fn a_first<const MR: usize>(&self, block: usize) -> Tile<MR, NV> {
        let mut first = [[splat_i32(0); NV]; MR];
        for (i, f) in first.iter_mut().enumerate() {
            *f = [load_splat(self.a_first.add(i * self.a_blocks + block)); NV];
        }
        first
    }

    /// q8 or q4 by sums of four products.
    ///
    /// # Safety
    /// The fields point to what they say, for `MR` rows.
    #[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
    #[inline(always)]
    pub unsafe fn quads<const MR: usize, const Q4: bool>(&self) -> Tile<MR, NV> {
        let mut tile = [[splat(0.0); NV]; MR];
        let (mut a, mut b) = (self.a, self.b);
        for block in 0..self.blocks {
            let mut sums = if Q4 { self.a_first(block) } else { [self.b_first(block); MR] };
            let end = a.add(self.block);
            while a < end {
                let mut columns = [splat_i32(0); NV];
                for (j, c) in columns.iter_mut().enumerate() {
                    *c = load(b.add(16 * j));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let x = load_splat(a.add(i * self.lda));
                    for (s, c) in sums.iter_mut().zip(columns) {
                        // the operand that is 0..=127, or whatever `Dot` allows, comes second
                        *s = if Q4 { dot_quads(x, c, *s) } else { dot_quads(c, x, *s) };
                    }
                }
                a = a.add(4);
                b = b.add(4 * NR);
            }
            self.scale(block, &sums, &mut tile);
        }
        tile
    }

    /// q8 by pair sums: two steps share a 16-bit sum (which `fit_pairs` keeps from overflowing).
    ///
    /// # Safety
    /// The fields point to what they say, for `MR` rows.
    #[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
    #[inline(always)]
    pub unsafe fn pairs_q8<const MR: usize>(&self) -> Tile<MR, NV> {
        let mut tile = [[splat(0.0); NV]; MR];
        let (mut a, mut b) = (self.a, self.b);
        for block in 0..self.blocks {
            let mut sums = [self.b_first(block); MR];
            let end = a.add(self.block);
            while a < end {
                let mut x = [[splat_i32(0); 2]; MR];
                for (i, x) in x.iter_mut().enumerate() {
                    let row = a.add(i * self.lda);
                    *x = [load_splat(row), load_splat(row.add(4))];
                }
                for j in 0..NV {
                    let (low, high) = (load(b.add(16 * j)), load(b.add(4 * NR + 16 * j)));
                    for (sums, x) in sums.iter_mut().zip(&x) {
                        let pairs = add_i16(dot_pairs(low, x[0]), dot_pairs(high, x[1]));
                        sums[j] = add_i32(sums[j], dot_i16(pairs, self.ones));
                    }
                }
                a = a.add(8);
                b = b.add(8 * NR);
            }
            self.scale(block, &sums, &mut tile);
        }
        tile
    }

    /// q4 straight from its nibbles, `b` `[Kp / 8][NR][4]`, by sums of four products or of two.
    ///
    /// # Safety
    /// The fields point to what they say, for `MR` rows.
    #[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
    #[inline(always)]
    pub unsafe fn nibbles<const MR: usize, const QUADS: bool>(&self) -> Tile<MR, NV> {
        let mut tile = [[splat(0.0); NV]; MR];
        let (mut a, mut b) = (self.a, self.b);
        for block in 0..self.blocks {
            let mut sums = self.a_first::<MR>(block);
            let end = a.add(self.block);
            while a < end {
                for j in 0..NV {
                    let [low, high] = nibbles(load(b.add(16 * j)));
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let x = a.add(i * self.lda);
                        let (x, y) = (load_splat(x), load_splat(x.add(4)));
                        sums[j] = if QUADS {
                            dot_quads(y, high, dot_quads(x, low, sums[j]))
                        } else {
                            add_i16(sums[j], add_i16(dot_pairs(x, low), dot_pairs(y, high)))
                        };
                    }
                }
                a = a.add(8);
                b = b.add(4 * NR);
            }
            if !QUADS {
                // no iterator over all of `sums`: it would move them from registers to memory
                for row in &mut sums {
                    *row = row.map(|s| dot_i16(s, self.ones));
                }
            }
            self.scale(block, &sums, &mut tile);
        }
        tile
    }

    /// q4 by pair sums: a whole block fits 16 bits, |Σ a (w - 8)| <= 16 * 127 * 8.
    ///
    /// # Safety
    /// The fields point to what they say, for `MR` rows.
    #[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
    #[inline(always)]
    pub unsafe fn pairs_q4<const MR: usize>(&self) -> Tile<MR, NV> {
        let mut tile = [[splat(0.0); NV]; MR];
        let (mut a, mut b) = (self.a, self.b);
        for block in 0..self.blocks {
            let mut pairs = self.a_first::<MR>(block);
            let end = a.add(self.block);
            while a < end {
                let mut columns = [splat_i32(0); NV];
                for (j, c) in columns.iter_mut().enumerate() {
                    *c = load(b.add(16 * j));
                }
                for (i, pairs) in pairs.iter_mut().enumerate() {
                    let x = load_splat(a.add(i * self.lda));
                    for (p, c) in pairs.iter_mut().zip(columns) {
                        *p = add_i16(*p, dot_pairs(x, c));
                    }
                }
                a = a.add(4);
                b = b.add(4 * NR);
            }
            let mut sums = [[splat_i32(0); NV]; MR];
            for i in 0..MR {
                for j in 0..NV {
                    sums[i][j] = dot_i16(pairs[i][j], self.ones);
                }
            }
            self.scale(block, &sums, &mut tile);
        }
        tile
    }

    /// q8 or q4 by 16-bit products; `a` and `b` are i16, and `a_scales` one per row.
    ///
    /// # Safety
    /// The fields point to what they say, for `MR` rows.
    #[cfg(any(not(target_arch = "wasm32"), not(target_feature = "relaxed-simd")))]
    #[inline(always)]
    pub unsafe fn wide<const MR: usize>(&self) -> Tile<MR, NV> {
        let mut tile = [[splat(0.0); NV]; MR];
        let (mut a, mut b) = (self.a, self.b);
        for block in 0..self.blocks {
            let mut sums = [[splat_i32(0); NV]; MR];
            let end = a.add(self.block);
            while a < end {
                let mut columns = [splat_i32(0); NV];
                for (j, c) in columns.iter_mut().enumerate() {
                    *c = load(b.add(16 * j));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let x = load_splat(a.add(i * self.lda));
                    for (s, c) in sums.iter_mut().zip(columns) {
                        *s = add_i32(*s, dot_i16(x, c));
                    }
                }
                a = a.add(4);
                b = b.add(4 * NR);
            }
            for j in 0..NV {
                let column = load(self.b_scales.add(block * NR + 4 * j));
                for i in 0..MR {
                    tile[i][j] = madd(to_f32(sums[i][j]), column, tile[i][j]);
                }
            }
        }
        for (i, sums) in tile.iter_mut().enumerate() {
            let row = load_splat(self.a_scales.add(i));
            for s in sums {
                *s = mul(*s, row);
            }
        }
        tile
    }
}
