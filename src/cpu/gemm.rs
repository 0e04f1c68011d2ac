//! `y = activation(x Wᵀ + b) + residual`.

use std::hint::black_box;
use std::ops::Range;

use half::f16;

use super::dot::Dot;
use super::pack::{Values, NR};
use super::quantize::{grow, Activations};
use super::simd::*;
use super::tiles::{f16_tile, f32_tile, nibbles, widen_f16, Quantized, Tile, NV};
use super::PackedMatrix;
use crate::tensor::BLOCK;

/// The activation of a linear layer's epilogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Activation {
    #[default]
    None,
    /// `x Φ(x)` with the exact error function: Hugging Face's `gelu`.
    Gelu,
    /// The tanh approximation: Hugging Face's `gelu_new` and `gelu_pytorch_tanh`.
    GeluNew,
    Relu,
    /// `x / (1 + e^-x)`: Hugging Face's `silu` and `swish`.
    Silu,
    Tanh,
    Sigmoid,
}

impl Activation {
    /// The name in shaders.
    pub fn name(self) -> &'static str {
        match self {
            Activation::None => "none",
            Activation::Gelu => "gelu",
            Activation::GeluNew => "gelu_new",
            Activation::Relu => "relu",
            Activation::Silu => "silu",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
        }
    }
}

/// What happens to an output tile before it is stored:
/// `activation((sum + bias) * scale + shift) + residual`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// `[N]`
    pub bias: Option<&'a [f32]>,
    /// `[N]` each: a layer scale, or a batch norm in inference.
    pub scale: Option<&'a [f32]>,
    pub shift: Option<&'a [f32]>,
    pub activation: Activation,
    /// `[M, N]`
    pub residual: Option<&'a [f32]>,
    /// The residual is added before the activation, as in a ResNet, and not after it.
    pub residual_first: bool,
}

impl<'a> Epilogue<'a> {
    /// The same without the first rows.
    pub(super) fn after_rows(self, first: usize, n: usize) -> Self {
        Epilogue { residual: self.residual.map(|r: &'a [f32]| &r[first * n..]), ..self }
    }
}

/// Rows of an f32 tile. Without a fused multiply-add every product needs a register of its own, and
/// three rows spill: 27 GFLOP/s where two reach 44.
const F32_ROWS: usize =
    if cfg!(all(target_arch = "wasm32", not(target_feature = "relaxed-simd"))) { 2 } else { 3 };

/// Bytes of input and output rows at a time: half of a small core's second-level cache.
const ROWS_BYTES: usize = 256 << 10;
const FEWEST_ROWS: usize = 192;

/// Up to this many rows a weight is read as it is packed: unpacking a panel for so few costs more
/// than it saves.
const DIRECT: usize = 2;

/// Buffers that kernels reuse between calls: they grow to the largest call and stay.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) activations: Activations,
    /// An image that a convolution has quantized once, before its patches are gathered.
    pub(super) image: Activations,
    /// Gathered patches, or a padded block of channels.
    pub(super) patches: Vec<f32>,
    /// One panel, unpacked for the tiles; and attention's keys, values and scores.
    pub(super) panel: Vec<f32>,
    /// Where the rows of a cache are.
    pub(crate) rows: Vec<u32>,
}

/// The left operand of a GEMM: `m` rows of `k` values, row `i` from `i * stride` on. Rows overlap
/// where `stride < k`: the windows of a convolution over time.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub x: &'a [f32],
    pub m: usize,
    pub stride: usize,
    pub k: usize,
}

impl<'a> Rows<'a> {
    /// Rows that lie end to end.
    pub(super) fn dense(x: &'a [f32], k: usize) -> Self {
        Rows { x, m: x.len() / k.max(1), stride: k, k }
    }

    pub(super) fn row(&self, i: usize) -> &'a [f32] {
        &self.x[i * self.stride..][..self.k]
    }

    /// Every `step`-th row, from `first` on.
    fn every(&self, first: usize, step: usize) -> Rows<'a> {
        let m = self.m.saturating_sub(first).div_ceil(step);
        let x = if m > 0 { &self.x[first * self.stride..] } else { &[] };
        Rows { x, m, stride: step * self.stride, k: self.k }
    }

    /// Values from the beginning of the first row to the end of the last.
    fn span(&self) -> usize {
        if self.m == 0 {
            0
        } else {
            (self.m - 1) * self.stride + self.k
        }
    }
}

/// Where windows begin on a grid finer than blocks, they share their quantized values with
/// every so-manyth neighbour only: up to so many copies of the input are made.
const MAX_PHASES: usize = 4;

/// `out = activation(x Wᵀ + b) + residual`, x `[M, K]`, W `[N, K]`, out `[M, N]`.
pub fn linear(
    x: &[f32],
    m: usize,
    w: &PackedMatrix,
    e: Epilogue<'_>,
    out: &mut [f32],
    s: &mut Scratch,
) {
    gemm(Rows { x, m, stride: w.k(), k: w.k() }, w, 0..w.n(), e, out, s);
}

/// [`linear`] over rows that may overlap, for a range of output columns: `out` is `[M, N]`, and
/// what lies outside `columns` is left alone.
pub fn gemm(
    rows: Rows<'_>,
    w: &PackedMatrix,
    columns: Range<usize>,
    e: Epilogue<'_>,
    out: &mut [f32],
    s: &mut Scratch,
) {
    let Rows { x, m, k, .. } = rows;
    assert!(
        k == w.k() && x.len() >= rows.span(),
        "linear: {m} rows of {k} by {:?}",
        [w.n(), w.k()]
    );
    let dot = match &w.values {
        Values::Q8 { dot, .. } | Values::Q4 { dot, .. } => Some(*dot),
        Values::F32(_) | Values::F16(_) => None,
    };
    // Windows whose blocks fall on each other's are quantized once and not once each. In every
    // `phases`-th row they do: 768 channels in 16 groups are windows 48 apart, two phases.
    let phases = BLOCK / gcd(rows.stride, BLOCK);
    let shared = dot.is_some_and(|d| d != Dot::Wide)
        && rows.stride < k
        && k % BLOCK == 0
        && phases <= MAX_PHASES;
    let step = if shared { m } else { rows_at_a_time(m, k, w.n()) };
    if step < m {
        for first in (0..m).step_by(step) {
            let some = Rows { x: &x[first * rows.stride..], m: step.min(m - first), ..rows };
            let (e, out) = (e.after_rows(first, w.n()), &mut out[first * w.n()..]);
            gemm(some, w, columns.clone(), e, out, s);
        }
        return;
    }
    let phases = if shared { phases } else { 1 };
    for phase in 0..phases.min(m) {
        let rows = rows.every(phase, phases);
        let quantized = match shared {
            true => Rows { x: rows.x, m: 1, stride: 0, k: rows.span() },
            false => rows,
        };
        match (&w.values, dot) {
            (Values::Q8 { .. }, Some(dot)) => s.activations.for_q8(quantized, dot),
            (Values::Q4 { .. }, Some(dot)) => s.activations.for_q4(quantized, dot),
            _ => {}
        }
        let row_blocks = if shared { rows.stride / BLOCK } else { w.blocks() };
        call(rows, row_blocks, [phase, phases], w, columns.clone(), e, out, s);
    }
}

/// Rows that pass by all the panels before the next ones do. A panel writes 48 bytes of every output
/// row: with all pixels of a large map at once these lines have left the cache before the next
/// panel comes to them. Weights are read again for every so many rows, hence at least
/// [`FEWEST_ROWS`].
fn rows_at_a_time(m: usize, k: usize, n: usize) -> usize {
    let most = (ROWS_BYTES / (4 * (k + n)).max(1)).max(FEWEST_ROWS);
    // parts of equal size, whole tiles of two and three rows
    m.div_ceil((m / most).max(1)).next_multiple_of(6)
}

/// [`linear`] for rows that are in `s.activations` already where `w` is quantized (`x` is then
/// empty).
pub(super) fn product(
    x: &[f32],
    m: usize,
    w: &PackedMatrix,
    e: Epilogue<'_>,
    out: &mut [f32],
    s: &mut Scratch,
) {
    let rows = Rows { x, m, stride: w.k(), k: w.k() };
    call(rows, w.blocks(), [0, 1], w, 0..w.n(), e, out, s);
}

#[allow(clippy::too_many_arguments)] // the operands of a product, and where they lie
fn call(
    rows: Rows<'_>,
    row_blocks: usize,
    [first, step]: [usize; 2],
    w: &PackedMatrix,
    columns: Range<usize>,
    e: Epilogue<'_>,
    out: &mut [f32],
    s: &mut Scratch,
) {
    let n = w.n();
    let end = if rows.m == 0 { 0 } else { (first + (rows.m - 1) * step + 1) * n };
    assert!(out.len() >= end && columns.end <= n, "linear: {} rows of {n}", rows.m);
    let fits = |v: Option<&[f32]>, len: usize| v.is_none_or(|v| v.len() >= len);
    assert!(fits(e.bias, n) && fits(e.scale, n) && fits(e.shift, n) && fits(e.residual, end));
    let panels = columns.start / NR..columns.end.div_ceil(NR);
    let activations = &s.activations;
    let out = out.as_mut_ptr();
    let call = Call { rows, row_blocks, first, step, columns, w, e, activations, out };
    // SAFETY: `out` holds the rows and nobody else writes it; all panels are in range.
    unsafe { call.panels(panels, &mut s.panel) };
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        gcd(b, a % b)
    }
}

/// One linear call, its activations quantized: work that can be split by panels.
struct Call<'a> {
    rows: Rows<'a>,
    /// Blocks of quantized activations from one row to the next.
    row_blocks: usize,
    /// Row `i` is row `first + i * step` of the output.
    first: usize,
    step: usize,
    columns: Range<usize>,
    w: &'a PackedMatrix,
    e: Epilogue<'a>,
    activations: &'a Activations,
    out: *mut f32,
}

impl Call<'_> {
    /// Computes the output columns of a range of panels. A threaded build calls it once per
    /// worker, with ranges that do not overlap and an `unpacked` of the worker's own.
    ///
    /// # Safety
    /// `out` is valid for M x N writes, and no one else touches these panels' columns.
    unsafe fn panels(&self, panels: Range<usize>, unpacked: &mut Vec<f32>) {
        let (k, blocks) = (self.w.k(), self.w.blocks());
        let lda = self.rows.stride;
        let of_f32 = |b: *const f32| {
            move |i: usize, rows: usize, to: *mut V| {
                let a = self.rows.x.as_ptr().add(i * lda);
                match rows {
                    3 => floats::<3>(a, lda, b, k, to),
                    2 => floats::<2>(a, lda, b, k, to),
                    _ => floats::<1>(a, lda, b, k, to),
                }
            }
        };
        match &self.w.values {
            Values::F32(values) => {
                for p in panels {
                    let tile = of_f32(values.as_ptr().add(p * k * NR));
                    self.rows(p, F32_ROWS, tile);
                }
            }
            Values::F16(values) => {
                if self.rows.m <= DIRECT {
                    for p in panels {
                        let b = values.as_ptr().add(p * k * NR);
                        self.rows(p, DIRECT, |i, rows, to| {
                            let a = self.rows.x.as_ptr().add(i * lda);
                            match rows {
                                2 => halves::<2>(a, lda, b, k, to),
                                _ => halves::<1>(a, lda, b, k, to),
                            }
                        });
                    }
                    return;
                }
                grow(unpacked, k * NR);
                for p in panels {
                    unpack_f16(&values[p * k * NR..(p + 1) * k * NR], unpacked);
                    let tile = of_f32(unpacked.as_ptr());
                    self.rows(p, F32_ROWS, tile);
                }
            }
            Values::Q8 { dot, values, scales, first } => {
                let size = blocks * BLOCK * NR;
                for p in panels {
                    let mut b = values.as_ptr().add(p * size).cast::<u8>();
                    if *dot == Dot::Wide {
                        grow(unpacked, size / 2);
                        widen_q8(&values[p * size..(p + 1) * size], unpacked);
                        b = unpacked.as_ptr().cast();
                    }
                    let first = first.as_ptr().add(p * blocks * NR);
                    self.quantized::<false, false>(p, *dot, b, scales, first);
                }
            }
            Values::Q4 { dot, values, scales } => {
                let size = blocks * BLOCK / 2 * NR;
                if self.rows.m <= DIRECT && *dot != Dot::Wide {
                    for p in panels {
                        let b = values.as_ptr().add(p * size);
                        self.quantized::<true, true>(p, *dot, b, scales, std::ptr::null());
                    }
                    return;
                }
                grow(unpacked, size);
                for p in panels {
                    let panel = &values[p * size..(p + 1) * size];
                    match dot {
                        Dot::Wide => widen_q4(panel, unpacked),
                        _ => unpack_q4(panel, unpacked),
                    }
                    let b = unpacked.as_ptr().cast();
                    self.quantized::<true, false>(p, *dot, b, scales, std::ptr::null());
                }
            }
        }
    }

    /// Runs `tile(first row, rows, to)` over all rows, at most `most` at a time, and finishes the
    /// sums that it writes to `to`, `[rows][NV]`.
    #[inline(always)]
    unsafe fn rows(&self, panel: usize, most: usize, tile: impl Fn(usize, usize, *mut V)) {
        let mut sums = [splat(0.0); 3 * NV];
        let columns = self.affine(panel);
        let mut i = 0;
        while i < self.rows.m {
            let rows = most.min(self.rows.m - i);
            tile(i, rows, sums.as_mut_ptr());
            self.finish(&sums[..rows * NV], i, &columns);
            i += rows;
        }
    }

    #[inline(always)]
    unsafe fn quantized<const Q4: bool, const PACKED: bool>(
        &self,
        panel: usize,
        dot: Dot,
        b: *const u8,
        scales: &[f32],
        b_first: *const i32,
    ) {
        let blocks = self.w.blocks();
        let per_row = dot == Dot::Wide; // one scale per row, 16-bit activations
        let block = if per_row { 2 * BLOCK } else { BLOCK };
        let q = &Quantized {
            a: self.activations.values.as_ptr(),
            lda: self.row_blocks * block,
            a_blocks: if per_row { 1 } else { self.row_blocks },
            a_scales: self.activations.scales.as_ptr(),
            a_first: self.activations.first.as_ptr(),
            b,
            b_scales: scales.as_ptr().add(panel * blocks * NR),
            b_first,
            blocks,
            block: black_box(block),
            ones: splat_i32(black_box(0x0001_0001)),
        };
        match dot {
            #[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
            Dot::Quads { .. } if PACKED => self.rows(panel, DIRECT, |i, rows, to| match rows {
                2 => nibbled::<2, true>(q, i, to),
                _ => nibbled::<1, true>(q, i, to),
            }),
            #[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
            Dot::Pairs if PACKED => self.rows(panel, DIRECT, |i, rows, to| match rows {
                2 => nibbled::<2, false>(q, i, to),
                _ => nibbled::<1, false>(q, i, to),
            }),
            #[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
            Dot::Quads { .. } => self.rows(panel, 3, |i, rows, to| match rows {
                3 => quads::<3, Q4>(q, i, to),
                2 => quads::<2, Q4>(q, i, to),
                _ => quads::<1, Q4>(q, i, to),
            }),
            #[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
            Dot::Pairs => self.rows(panel, 2, |i, rows, to| match rows {
                2 => pairs::<2, Q4>(q, i, to),
                _ => pairs::<1, Q4>(q, i, to),
            }),
            #[cfg(any(not(target_arch = "wasm32"), not(target_feature = "relaxed-simd")))]
            Dot::Wide => self.rows(panel, 2, |i, rows, to| match rows {
                2 => wide::<2>(q, i, to),
                _ => wide::<1>(q, i, to),
            }),
            // `Dot::detect` never names what a build has no instructions for
            #[allow(unreachable_patterns)]
            _ => {}
        }
    }

    /// Bias, scale and shift of a panel's columns as one factor and one term.
    #[inline(never)]
    unsafe fn affine(&self, panel: usize) -> Columns {
        let (n, first) = (self.w.n(), panel * NR);
        // a panel may reach into the next group's columns, and beyond the last one
        let whole = if self.columns.start <= first { self.columns.end - first } else { 0 };
        let mut columns = Columns {
            first,
            whole: (whole / 4).min(NV),
            scale: [splat(1.0); NV],
            shift: [splat(0.0); NV],
        };
        for j in 0..NV {
            let column = first + 4 * j;
            let four = |v: &[f32]| load_partial(&v[column.min(n)..n], 0.0);
            if let Some(bias) = self.e.bias {
                columns.shift[j] = four(bias);
            }
            if let Some(scale) = self.e.scale {
                columns.scale[j] = four(scale);
                columns.shift[j] = mul(columns.shift[j], columns.scale[j]);
            }
            if let Some(shift) = self.e.shift {
                columns.shift[j] = add(columns.shift[j], four(shift));
            }
        }
        columns
    }

    /// Bias, scale, shift, activation, residual, store.
    #[inline(never)]
    unsafe fn finish(&self, tile: &[V], row: usize, columns: &Columns) {
        match self.e.activation {
            Activation::None => self.store(tile, row, columns, |v| v),
            Activation::Gelu => self.store(tile, row, columns, |v| Activation::Gelu.vector(v)),
            Activation::GeluNew => {
                self.store(tile, row, columns, |v| Activation::GeluNew.vector(v))
            }
            Activation::Relu => self.store(tile, row, columns, |v| Activation::Relu.vector(v)),
            Activation::Silu => self.store(tile, row, columns, |v| Activation::Silu.vector(v)),
            Activation::Tanh => self.store(tile, row, columns, |v| Activation::Tanh.vector(v)),
            Activation::Sigmoid => {
                self.store(tile, row, columns, |v| Activation::Sigmoid.vector(v))
            }
        }
    }

    #[inline(always)]
    unsafe fn store(&self, tile: &[V], row: usize, columns: &Columns, f: impl Fn(V) -> V) {
        let n = self.w.n();
        let residual_first = self.e.residual_first;
        let finish = |sum: V, j: usize, residual: Option<V>| {
            let y = madd(sum, columns.scale[j], columns.shift[j]);
            match residual {
                Some(r) if residual_first => f(add(y, r)),
                Some(r) => add(f(y), r),
                None => f(y),
            }
        };
        for (i, sums) in tile.chunks_exact(NV).enumerate() {
            let first = (self.first + (row + i) * self.step) * n + columns.first;
            for (j, sum) in sums.iter().enumerate().take(columns.whole) {
                let at = first + 4 * j;
                let residual = self.e.residual.map(|r| load(r.as_ptr().add(at)));
                store(self.out.add(at), finish(*sum, j, residual));
            }
            for (j, sum) in sums.iter().enumerate().skip(columns.whole) {
                let column = columns.first + 4 * j;
                let inside = column.max(self.columns.start)..(column + 4).min(self.columns.end);
                if inside.is_empty() {
                    continue;
                }
                let at = first + 4 * j;
                let end = at + n.min(column + 4) - column;
                let residual = self.e.residual.map(|r| load_partial(&r[at..end], 0.0));
                let y = lanes(finish(*sum, j, residual));
                for c in inside {
                    self.out.add(at + c - column).write(y[c - column]);
                }
            }
        }
    }
}

/// What a panel's columns are multiplied by and what is added: the same for all rows.
struct Columns {
    /// The panel's first column.
    first: usize,
    /// Vectors that are written whole.
    whole: usize,
    scale: [V; NV],
    shift: [V; NV],
}

// One function per tile, so that V8 allocates registers for nothing else.

#[inline(never)]
unsafe fn floats<const MR: usize>(a: *const f32, lda: usize, b: *const f32, k: usize, to: *mut V) {
    to.cast::<Tile<MR, NV>>().write(f32_tile::<MR, NV>(a, lda, b, k));
}

#[inline(never)]
unsafe fn halves<const MR: usize>(a: *const f32, lda: usize, b: *const u16, k: usize, to: *mut V) {
    to.cast::<Tile<MR, NV>>().write(f16_tile::<MR>(a, lda, b, k));
}

#[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
#[inline(never)]
unsafe fn nibbled<const MR: usize, const QUADS: bool>(q: &Quantized, i: usize, to: *mut V) {
    to.cast::<Tile<MR, NV>>().write(q.at(i).nibbles::<MR, QUADS>());
}

#[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
#[inline(never)]
unsafe fn quads<const MR: usize, const Q4: bool>(q: &Quantized, i: usize, to: *mut V) {
    to.cast::<Tile<MR, NV>>().write(q.at(i).quads::<MR, Q4>());
}

#[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
#[inline(never)]
unsafe fn pairs<const MR: usize, const Q4: bool>(q: &Quantized, i: usize, to: *mut V) {
    let q = q.at(i);
    to.cast::<Tile<MR, NV>>().write(if Q4 { q.pairs_q4::<MR>() } else { q.pairs_q8::<MR>() });
}

#[cfg(any(not(target_arch = "wasm32"), not(target_feature = "relaxed-simd")))]
#[inline(never)]
unsafe fn wide<const MR: usize>(q: &Quantized, i: usize, to: *mut V) {
    to.cast::<Tile<MR, NV>>().write(q.at(i).wide::<MR>());
}

/// A panel of f16 to f32.
fn unpack_f16(panel: &[u16], to: &mut [f32]) {
    let fours = panel.chunks_exact(8);
    let rest = fours.remainder();
    let (bulk, tail) = to[..panel.len()].split_at_mut(panel.len() - rest.len());
    for (from, to) in fours.zip(bulk.chunks_exact_mut(8)) {
        // SAFETY: eight u16 are read, eight f32 written.
        unsafe {
            let h = load(from.as_ptr());
            store(to.as_mut_ptr(), widen_f16(widen_low_u16(h)));
            store(to.as_mut_ptr().add(4), widen_f16(widen_high_u16(h)));
        }
    }
    for (from, to) in rest.iter().zip(tail) {
        *to = f16::from_bits(*from).to_f32();
    }
}

/// A panel of nibbles `[Kp / 8][NR][4]` to bytes `[Kp / 4][NR][4]`.
fn unpack_q4(panel: &[u8], to: &mut [f32]) {
    let to: &mut [u8] = bytemuck::cast_slice_mut(to);
    for (from, to) in panel.chunks_exact(4 * NR).zip(to.chunks_exact_mut(8 * NR)) {
        for j in 0..NV {
            // SAFETY: vector j of NV in chunks of NV and 2 NV vectors.
            unsafe {
                let [low, high] = nibbles(load(from.as_ptr().add(16 * j)));
                store(to.as_mut_ptr().add(16 * j), low);
                store(to.as_mut_ptr().add(4 * NR + 16 * j), high);
            }
        }
    }
}

/// A panel of bytes `[Kp / 4][NR][4]` to i16 `[Kp / 2][NR][2]`.
fn widen_q8(panel: &[i8], to: &mut [f32]) {
    let to: &mut [u8] = bytemuck::cast_slice_mut(to);
    for (from, to) in panel.chunks_exact(4 * NR).zip(to.chunks_exact_mut(8 * NR)) {
        for j in 0..NV {
            // SAFETY: vector j of NV in chunks of NV and 2 NV vectors.
            unsafe { store_wide(load(from.as_ptr().add(16 * j)), j, to.as_mut_ptr(), 0) };
        }
    }
}

/// A panel of nibbles `[Kp / 8][NR][4]` to i16 `[Kp / 2][NR][2]`, the zero point taken off.
fn widen_q4(panel: &[u8], to: &mut [f32]) {
    let to: &mut [u8] = bytemuck::cast_slice_mut(to);
    for (from, to) in panel.chunks_exact(4 * NR).zip(to.chunks_exact_mut(16 * NR)) {
        for j in 0..NV {
            // SAFETY: vector j of NV in chunks of NV and 4 NV vectors.
            unsafe {
                let [low, high] = nibbles(load(from.as_ptr().add(16 * j)));
                store_wide(low, j, to.as_mut_ptr(), 8);
                store_wide(high, j, to.as_mut_ptr().add(8 * NR), 8);
            }
        }
    }
}

/// Four columns of four bytes as two steps of four columns of two i16.
#[inline(always)]
unsafe fn store_wide(bytes: V, j: usize, to: *mut u8, zero: i32) {
    let halves = split_quads(bytes);
    let zero = splat_i32(zero << 16 | zero);
    store(to.add(16 * j), sub_i16(widen_low_i8(halves), zero));
    store(to.add(4 * NR + 16 * j), sub_i16(widen_high_i8(halves), zero));
}
