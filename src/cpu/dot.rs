//! Which integer dot product this engine is best at.

/// How products of 8-bit integers are summed: a property of the build and the machine.
///
/// `i32x4.relaxed_dot_i8x16_i7x16_add` leaves open what a second operand above 127 means and
/// whether sums of pairs saturate, so [`Dot::detect`] asks. Measured in Chromium on a Zen 4 (no
/// AVX-VNNI): the four-product instruction 90 GOP/s (V8 spends five instructions on it), two
/// pair products, one 16-bit addition and one widening 138 GOP/s, 16-bit integers 93 GOP/s. On a
/// machine with AVX-VNNI the four-product instruction is one instruction: 212 GOP/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dot {
    /// Four-product sums, exact for a second operand of 8 bits, `signed` or unsigned (VNNI, SDOT).
    Quads { signed: bool },
    /// Sums of pairs in 16 bits that saturate (`pmaddubsw`); the second operand keeps to 7 bits.
    Pairs,
    /// Both operands widened to 16 bits: simd128 without relaxed instructions.
    Wide,
}

impl Dot {
    /// Every kind this build can run.
    pub fn available() -> &'static [Dot] {
        if cfg!(not(target_arch = "wasm32")) {
            &[Dot::Quads { signed: false }, Dot::Pairs, Dot::Wide]
        } else if cfg!(target_feature = "relaxed-simd") {
            &[Dot::Pairs] // and quads where `detect` finds them
        } else {
            &[Dot::Wide]
        }
    }

    /// The kind to pack weights for.
    pub fn detect() -> Dot {
        #[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
        {
            use super::simd::{dot_quads, lanes, splat_i32};
            use std::hint::black_box;
            // black_box: a compiler must not answer for the machine that will run this
            let quad = |a: i8, b: u8| {
                let a = splat_i32(black_box(i32::from_ne_bytes([a as u8; 4])));
                let b = splat_i32(black_box(i32::from_ne_bytes([b; 4])));
                lanes(dot_quads(a, b, splat_i32(black_box(0))))[0].to_bits() as i32
            };
            let probes = [(127i8, 255u8), (-128, 255), (127, 128), (-127, 200), (1, 127)];
            let exact = |b: fn(u8) -> i32| {
                probes.iter().all(|&(x, y)| quad(x, y) == 4 * i32::from(x) * b(y))
            };
            if exact(i32::from) {
                Dot::Quads { signed: false }
            } else if exact(|b| i32::from(b as i8)) {
                Dot::Quads { signed: true }
            } else {
                Dot::Pairs
            }
        }
        #[cfg(not(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd")))]
        Dot::Wide
    }

    /// For q8: the byte that stands for an activation of 0, and the largest distance from it.
    pub(super) fn activation_range(self) -> (i32, i32) {
        match self {
            Dot::Quads { signed: false } => (128, 127),
            Dot::Quads { signed: true } => (0, 127),
            Dot::Pairs => (64, 63),
            Dot::Wide => (0, 32767),
        }
    }
}
