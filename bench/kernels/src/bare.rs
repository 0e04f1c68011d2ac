//! Bare loops: the register tiles with nothing around them, at 132x768x3072. They are what the
//! browser makes of the machine, and what the engine's GEMMs are measured against.

use core::arch::wasm32::*;

const M: usize = 132; // a multiple of every tile's rows
const N: usize = 3072;
const K: usize = 768;

/// `steps` steps of 4 bytes along K, `MR` rows `lda` bytes apart, 12 columns.
type Loop = unsafe fn(*const u8, usize, *const u8, usize, *mut v128);

macro_rules! bare {
    ($name:ident, $mr:literal, |$sum:ident, $b:ident, $a:ident| $op:expr) => {
        #[inline(never)]
        unsafe fn $name(a: *const u8, lda: usize, b: *const u8, steps: usize, out: *mut v128) {
            let mut sums = [[i32x4_splat(0); 3]; $mr];
            let (mut a, mut b) = (a, b.cast::<v128>());
            for _ in 0..steps {
                let mut columns = [i32x4_splat(0); 3];
                for (j, c) in columns.iter_mut().enumerate() {
                    *c = v128_load(b.add(j));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let $a = v128_load32_splat(a.add(i * lda).cast());
                    for (s, c) in sums.iter_mut().zip(columns) {
                        let ($sum, $b) = (*s, c);
                        *s = $op;
                    }
                }
                a = a.add(4);
                b = b.add(3);
            }
            // no iterator over all of `sums`: it would move them from registers to memory
            for i in 0..$mr {
                for j in 0..3 {
                    v128_store(out.add(3 * i + j), sums[i][j]);
                }
            }
        }
    };
}

bare!(mul_add, 2, |s, b, a| f32x4_add(s, f32x4_mul(a, b)));
bare!(dot_i16, 2, |s, b, a| i32x4_add(s, i32x4_dot_i16x8(a, b)));
#[cfg(target_feature = "relaxed-simd")]
bare!(madd, 3, |s, b, a| f32x4_relaxed_madd(a, b, s));
#[cfg(target_feature = "relaxed-simd")]
bare!(quads, 3, |s, b, a| i32x4_relaxed_dot_i8x16_i7x16_add(b, a, s));
#[cfg(target_feature = "relaxed-simd")]
bare!(pairs, 2, |s, b, a| i16x8_add(s, i16x8_relaxed_dot_i8x16_i7x16(b, a)));

/// Runs loop `id` once over the matrix; returns operations (2 per multiply-add), 0 if this build
/// has no such loop.
pub fn run(id: u32, memory: &mut [u32]) -> f64 {
    let (f, rows, k_per_step): (Loop, usize, usize) = match id {
        0 => (mul_add, 2, 1),
        1 => (dot_i16, 2, 2),
        #[cfg(target_feature = "relaxed-simd")]
        2 => (madd, 3, 1),
        #[cfg(target_feature = "relaxed-simd")]
        3 => (quads, 3, 4),
        #[cfg(target_feature = "relaxed-simd")]
        4 => (pairs, 2, 4),
        _ => return 0.0,
    };
    let steps = K / k_per_step;
    let words = M * steps + N * steps + 64;
    let (out, operands) = memory[..words].split_at_mut(64);
    for p in 0..N / 12 {
        for i in 0..M / rows {
            // SAFETY: M rows of `steps` words, then N / 12 panels of 12 `steps` words.
            unsafe {
                let a = operands.as_ptr().add(i * rows * steps);
                let b = operands.as_ptr().add(M * steps + p * 12 * steps);
                f(a.cast(), steps * 4, b.cast(), steps, out.as_mut_ptr().cast());
            }
        }
    }
    2.0 * (M * N * steps * k_per_step) as f64
}
