//! The 128-bit vectors the kernels are written in.
//!
//! On wasm32 every function is one instruction of `core::arch::wasm32`; elsewhere the same lanes
//! are computed from arrays, so that `cargo test` runs the kernels that the browser runs. `f32`
//! arguments are lanes of four, `i16` of eight, `i8` of sixteen; names follow the instruction set.
//!
//! Memory goes through raw pointers: a bounds check in an inner loop would cost as much as its
//! arithmetic. Callers check slice lengths once, at the kernel's entry.

#[cfg(target_arch = "wasm32")]
pub use wasm::*;

#[cfg(not(target_arch = "wasm32"))]
pub use portable::*;

/// Four lanes of one value.
#[inline(always)]
pub fn splat(x: f32) -> V {
    splat_i32(x.to_bits() as i32)
}

/// `a * b + c`: one rounding where relaxed SIMD has a fused instruction, two elsewhere.
#[inline(always)]
pub fn madd(a: V, b: V, c: V) -> V {
    #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
    return core::arch::wasm32::f32x4_relaxed_madd(a, b, c);
    #[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
    add(mul(a, b), c)
}

/// The four lanes as an array.
#[inline(always)]
pub fn lanes(v: V) -> [f32; 4] {
    let mut out = [0.0; 4];
    // SAFETY: `out` is 16 bytes.
    unsafe { store(out.as_mut_ptr(), v) };
    out
}

/// The sum of the four lanes.
#[inline(always)]
pub fn sum(v: V) -> f32 {
    let [a, b, c, d] = lanes(v);
    (a + b) + (c + d)
}

/// Up to four values of a slice, the rest of the lanes `fill`.
#[inline(always)]
pub fn load_partial(from: &[f32], fill: f32) -> V {
    let mut four = [fill; 4];
    let n = from.len().min(4);
    four[..n].copy_from_slice(&from[..n]);
    // SAFETY: `four` is 16 bytes.
    unsafe { load(four.as_ptr()) }
}

/// The first lanes of `v` into a slice of at most four.
#[inline(always)]
pub fn store_partial(to: &mut [f32], v: V) {
    let n = to.len().min(4);
    to[..n].copy_from_slice(&lanes(v)[..n]);
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    use core::arch::wasm32::*;

    pub type V = v128;

    macro_rules! binary {
        ($($name:ident = $op:ident),*) => {
            $(#[inline(always)] pub fn $name(a: V, b: V) -> V { $op(a, b) })*
        };
    }
    macro_rules! unary {
        ($($name:ident = $op:ident),*) => {
            $(#[inline(always)] pub fn $name(a: V) -> V { $op(a) })*
        };
    }

    binary!(
        add = f32x4_add,
        sub = f32x4_sub,
        mul = f32x4_mul,
        div = f32x4_div,
        min = f32x4_pmin,
        max = f32x4_pmax,
        less = f32x4_lt,
        add_i32 = i32x4_add,
        add_i16 = i16x8_add,
        sub_i16 = i16x8_sub,
        dot_i16 = i32x4_dot_i16x8,
        and = v128_and,
        or = v128_or,
        narrow_i16 = i16x8_narrow_i32x4,
        narrow_i8 = i8x16_narrow_i16x8,
        narrow_u8 = u8x16_narrow_i16x8
    );
    unary!(
        abs = f32x4_abs,
        to_f32 = f32x4_convert_i32x4,
        widen_low_i8 = i16x8_extend_low_i8x16,
        widen_high_i8 = i16x8_extend_high_i8x16,
        widen_low_u16 = u32x4_extend_low_u16x8,
        widen_high_u16 = u32x4_extend_high_u16x8
    );

    /// `i16x8` sums of pairs of products: `a` signed, `b` at most 7 bits (0..=127).
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    pub fn dot_pairs(a: V, b: V) -> V {
        i16x8_relaxed_dot_i8x16_i7x16(a, b)
    }

    /// `c` + sums of four products, see [`dot_pairs`]; a `b` of 8 bits means what `Dot::detect` finds.
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    pub fn dot_quads(a: V, b: V, c: V) -> V {
        i32x4_relaxed_dot_i8x16_i7x16_add(a, b, c)
    }

    #[inline(always)]
    pub fn splat_i32(x: i32) -> V {
        i32x4_splat(x)
    }
    #[inline(always)]
    pub fn shl_i32<const N: u32>(a: V) -> V {
        i32x4_shl(a, N)
    }
    #[inline(always)]
    pub fn shr_u16<const N: u32>(a: V) -> V {
        u16x8_shr(a, N)
    }
    /// Lanes of `a` where `mask` is set, of `b` elsewhere.
    #[inline(always)]
    pub fn select(mask: V, a: V, b: V) -> V {
        v128_bitselect(a, b, mask)
    }
    /// The even bytes, sign-extended in place to 16 bits.
    #[inline(always)]
    pub fn even_bytes(a: V) -> V {
        i16x8_shr(i16x8_shl(a, 8), 8)
    }
    /// The odd bytes, sign-extended in place to 16 bits.
    #[inline(always)]
    pub fn odd_bytes(a: V) -> V {
        i16x8_shr(a, 8)
    }
    /// Of four quads of bytes, the first halves, then the second halves.
    #[inline(always)]
    pub fn split_quads(a: V) -> V {
        i8x16_shuffle::<0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15>(a, a)
    }

    /// # Safety
    /// 16 readable bytes at `p`, of any alignment.
    #[inline(always)]
    pub unsafe fn load<T>(p: *const T) -> V {
        v128_load(p.cast())
    }
    /// The 4 bytes at `p` in every lane.
    /// # Safety
    /// 4 readable bytes at `p`, of any alignment.
    #[inline(always)]
    pub unsafe fn load_splat<T>(p: *const T) -> V {
        v128_load32_splat(p.cast())
    }
    /// # Safety
    /// 16 writable bytes at `p`, of any alignment.
    #[inline(always)]
    pub unsafe fn store<T>(p: *mut T, v: V) {
        v128_store(p.cast(), v)
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod portable {
    use bytemuck::cast;

    #[derive(Debug, Clone, Copy)]
    #[repr(C, align(16))]
    pub struct V([u8; 16]);

    impl V {
        #[inline(always)]
        fn f32(self) -> [f32; 4] {
            cast(self.0)
        }
        #[inline(always)]
        fn u32(self) -> [u32; 4] {
            cast(self.0)
        }
        #[inline(always)]
        fn i32(self) -> [i32; 4] {
            cast(self.0)
        }
        #[inline(always)]
        fn i16(self) -> [i16; 8] {
            cast(self.0)
        }
        #[inline(always)]
        fn u16(self) -> [u16; 8] {
            cast(self.0)
        }
    }

    macro_rules! binary {
        ($($name:ident($of:ident, $n:literal) = |$a:ident, $b:ident| $op:expr;)*) => {
            $(
                #[inline(always)]
                pub fn $name(a: V, b: V) -> V {
                    let (a, b) = (a.$of(), b.$of());
                    V(cast::<[_; $n], _>(std::array::from_fn(|i| {
                        let ($a, $b) = (a[i], b[i]);
                        $op
                    })))
                }
            )*
        };
    }

    binary! {
        add(f32, 4) = |a, b| a + b;
        sub(f32, 4) = |a, b| a - b;
        mul(f32, 4) = |a, b| a * b;
        div(f32, 4) = |a, b| a / b;
        min(f32, 4) = |a, b| if b < a { b } else { a };
        max(f32, 4) = |a, b| if a < b { b } else { a };
        less(f32, 4) = |a, b| if a < b { u32::MAX } else { 0 };
        add_i32(i32, 4) = |a, b| a.wrapping_add(b);
        add_i16(i16, 8) = |a, b| a.wrapping_add(b);
        sub_i16(i16, 8) = |a, b| a.wrapping_sub(b);
        and(u32, 4) = |a, b| a & b;
        or(u32, 4) = |a, b| a | b;
    }

    #[inline(always)]
    pub fn dot_i16(a: V, b: V) -> V {
        let (a, b) = (a.i16().map(i32::from), b.i16().map(i32::from));
        V(cast::<[i32; 4], _>(std::array::from_fn(|i| {
            (a[2 * i] * b[2 * i]).wrapping_add(a[2 * i + 1] * b[2 * i + 1])
        })))
    }

    fn narrow<const A: usize, const B: usize, T, U>(
        a: [T; A],
        b: [T; A],
        f: impl Fn(T) -> U,
    ) -> [U; B]
    where
        T: Copy,
    {
        std::array::from_fn(|i| f(if i < A { a[i] } else { b[i - A] }))
    }
    #[inline(always)]
    pub fn narrow_i16(a: V, b: V) -> V {
        V(cast(narrow::<4, 8, _, _>(a.i32(), b.i32(), |x| x.clamp(-32768, 32767) as i16)))
    }
    #[inline(always)]
    pub fn narrow_i8(a: V, b: V) -> V {
        V(cast(narrow::<8, 16, _, _>(a.i16(), b.i16(), |x| x.clamp(-128, 127) as i8)))
    }
    #[inline(always)]
    pub fn narrow_u8(a: V, b: V) -> V {
        V(narrow::<8, 16, _, _>(a.i16(), b.i16(), |x| x.clamp(0, 255) as u8))
    }

    #[inline(always)]
    pub fn abs(a: V) -> V {
        V(cast(a.f32().map(f32::abs)))
    }
    #[inline(always)]
    pub fn to_f32(a: V) -> V {
        V(cast(a.i32().map(|x| x as f32)))
    }
    #[inline(always)]
    pub fn widen_low_i8(a: V) -> V {
        V(cast::<[i16; 8], _>(std::array::from_fn(|i| i16::from(a.0[i] as i8))))
    }
    #[inline(always)]
    pub fn widen_high_i8(a: V) -> V {
        V(cast::<[i16; 8], _>(std::array::from_fn(|i| i16::from(a.0[8 + i] as i8))))
    }
    #[inline(always)]
    pub fn widen_low_u16(a: V) -> V {
        V(cast::<[u32; 4], _>(std::array::from_fn(|i| u32::from(a.u16()[i]))))
    }
    #[inline(always)]
    pub fn widen_high_u16(a: V) -> V {
        V(cast::<[u32; 4], _>(std::array::from_fn(|i| u32::from(a.u16()[4 + i]))))
    }

    /// As x86 computes it (`pmaddubsw`): saturating, so that a test sees what must not saturate.
    #[inline(always)]
    pub fn dot_pairs(a: V, b: V) -> V {
        let p: [i32; 16] = std::array::from_fn(|i| i32::from(a.0[i] as i8) * i32::from(b.0[i]));
        V(cast::<[i16; 8], _>(std::array::from_fn(|i| {
            (p[2 * i] + p[2 * i + 1]).clamp(-32768, 32767) as i16
        })))
    }

    /// As x86's VNNI computes it (`vpdpbusd`): `b` is exact in 8 bits, unsigned.
    #[inline(always)]
    pub fn dot_quads(a: V, b: V, c: V) -> V {
        let p: [i32; 16] = std::array::from_fn(|i| i32::from(a.0[i] as i8) * i32::from(b.0[i]));
        V(cast::<[i32; 4], _>(std::array::from_fn(|i| {
            p[4 * i..4 * i + 4].iter().fold(c.i32()[i], |s, p| s.wrapping_add(*p))
        })))
    }

    #[inline(always)]
    pub fn splat_i32(x: i32) -> V {
        V(cast([x; 4]))
    }
    #[inline(always)]
    pub fn shl_i32<const N: u32>(a: V) -> V {
        V(cast(a.u32().map(|x| x << N)))
    }
    #[inline(always)]
    pub fn shr_u16<const N: u32>(a: V) -> V {
        V(cast(a.u16().map(|x| x >> N)))
    }
    #[inline(always)]
    pub fn select(mask: V, a: V, b: V) -> V {
        let (m, a, b) = (mask.u32(), a.u32(), b.u32());
        V(cast::<[u32; 4], _>(std::array::from_fn(|i| a[i] & m[i] | b[i] & !m[i])))
    }
    #[inline(always)]
    pub fn even_bytes(a: V) -> V {
        V(cast(a.i16().map(|x| x << 8 >> 8)))
    }
    #[inline(always)]
    pub fn odd_bytes(a: V) -> V {
        V(cast(a.i16().map(|x| x >> 8)))
    }
    #[inline(always)]
    pub fn split_quads(a: V) -> V {
        const FROM: [usize; 16] = [0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15];
        V(FROM.map(|i| a.0[i]))
    }

    /// # Safety
    /// 16 readable bytes at `p`, of any alignment.
    #[inline(always)]
    pub unsafe fn load<T>(p: *const T) -> V {
        V(p.cast::<[u8; 16]>().read_unaligned())
    }
    /// The 4 bytes at `p` in every lane.
    /// # Safety
    /// 4 readable bytes at `p`, of any alignment.
    #[inline(always)]
    pub unsafe fn load_splat<T>(p: *const T) -> V {
        splat_i32(p.cast::<i32>().read_unaligned())
    }
    /// # Safety
    /// 16 writable bytes at `p`, of any alignment.
    #[inline(always)]
    pub unsafe fn store<T>(p: *mut T, v: V) {
        p.cast::<[u8; 16]>().write_unaligned(v.0)
    }
}
