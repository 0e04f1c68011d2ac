//! Softmax attention: over ragged segments, over keys of another sequence, over windows of a map.
//!
//! All three are the same two products per head. Keys and values are packed once into the panels
//! of the GEMM tiles; queries pass by in groups of rows whose scores stay in scratch memory.

use super::math::exp;
use super::pack::NR;
use super::quantize::grow;
use super::simd::*;
use super::tiles::f32_tile;
use super::Scratch;

/// Query rows whose scores are held at once: a multiple of both tiles' rows.
const ROWS: usize = 12;
/// Columns of a panel of values: every common head size (32, 64, 80, 96, 128) is a multiple.
const VALUES: usize = 8;

/// Softmax attention of every token over the tokens of its own segment.
///
/// `qkv` `[M, 3, heads, D]`; `segments` `[M, 2]`: token i attends to keys `segments[i][0]..segments[i][1]`
/// (tokens of one sequence are consecutive and share their bounds); `out` `[M, heads, D]`;
/// `scale` multiplies the scores and is positive.
pub fn attention(
    qkv: &[f32],
    segments: &[u32],
    heads: usize,
    scale: f32,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let m = segments.len() / 2;
    if m == 0 || heads == 0 {
        return;
    }
    let h = out.len() / m; // heads * D
    assert!(h % heads == 0 && qkv.len() >= m * 3 * h, "attention: {m} tokens of {h}");
    let d = h / heads;
    let mut i = 0;
    while i < m {
        let bounds = &segments[2 * i..2 * i + 2];
        let rows = segments[2 * i..].chunks_exact(2).take_while(|b| *b == bounds).count();
        let (start, end) = (bounds[0] as usize, bounds[1] as usize);
        assert!(start < end && end <= m, "attention: segment {start}..{end} of {m} tokens");
        let part = |which: usize, token: usize, head: usize| Columns {
            values: qkv,
            first: (3 * token + which) * h + head * d,
            stride: 3 * h,
            d,
        };
        for head in 0..heads {
            let (k, v) = (part(1, start, head), part(2, start, head));
            let mut core = Core::new(d, end - start, scale, &mut scratch.panel);
            core.pack((0..end - start).map(|j| (k.row(j), v.row(j))));
            let to = &mut out[i * h + head * d..];
            core.run(part(0, i, head), rows, to, h, &mut |_, _| {});
        }
        i += rows;
    }
}

/// Rows of D values within a larger value: row i starts at `first + i * stride`.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    pub values: &'a [f32],
    pub first: usize,
    pub stride: usize,
    pub d: usize,
}

impl<'a> Columns<'a> {
    fn row(&self, i: usize) -> &'a [f32] {
        &self.values[self.first + i * self.stride..][..self.d]
    }

    fn head(self, head: usize) -> Self {
        Columns { first: self.first + head * self.d, ..self }
    }
}

/// Softmax attention of `queries` rows over `keys` rows, `q`, `k` and `v` being those of head 0
/// (head i stands `i * D` further); `out` `[queries, heads * D]`. `mask` `[queries, keys]`: a key
/// is hidden where it is negative, and a query whose keys are all hidden sees them all.
#[allow(clippy::too_many_arguments)]
pub fn attention_kv(
    [q, k, v]: [Columns<'_>; 3],
    [queries, keys]: [usize; 2],
    heads: usize,
    scale: f32,
    mask: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let h = heads * q.d;
    assert!(out.len() >= queries * h, "attention_kv: {queries} queries of {h}");
    let sees = |row: &[f32]| row.iter().any(|m| *m >= 0.0);
    let masked: Vec<Option<&[f32]>> = match mask {
        Some(mask) => mask.chunks_exact(keys).map(|row| sees(row).then_some(row)).collect(),
        None => Vec::new(),
    };
    for head in 0..heads {
        let (k, v) = (k.head(head), v.head(head));
        let mut core = Core::new(q.d, keys, scale, &mut scratch.panel);
        core.pack((0..keys).map(|j| (k.row(j), v.row(j))));
        let to = &mut out[head * q.d..];
        core.run(q.head(head), queries, to, h, &mut |i, scores| {
            if let Some(Some(mask)) = masked.get(i) {
                for (s, m) in scores.iter_mut().zip(*mask) {
                    *s = if *m < 0.0 { f32::MIN } else { *s };
                }
            }
        });
    }
}

/// One head over one set of keys: packed keys and values, and room for scores.
pub(super) struct Core<'a> {
    d: usize,
    length: usize,
    scale: f32,
    keys: &'a mut [f32],
    values: &'a mut [f32],
    scores: &'a mut [f32],
}

impl<'a> Core<'a> {
    pub fn new(d: usize, length: usize, scale: f32, scratch: &'a mut Vec<f32>) -> Self {
        let width = length.div_ceil(NR) * NR;
        let sizes = [width * d, d.div_ceil(VALUES) * VALUES * length, ROWS * width];
        grow(scratch, sizes.iter().sum());
        let (keys, rest) = scratch.split_at_mut(sizes[0]);
        let (values, rest) = rest.split_at_mut(sizes[1]);
        Core { d, length, scale, keys, values, scores: &mut rest[..sizes[2]] }
    }

    /// Keys become `[panel][D][NR]`, values `[panel][length][VALUES]`.
    pub fn pack<'t>(&mut self, tokens: impl Iterator<Item = (&'t [f32], &'t [f32])>) {
        let (d, length) = (self.d, self.length);
        for (j, (key, value)) in tokens.enumerate() {
            let panel = &mut self.keys[j / NR * d * NR + j % NR..];
            for (to, from) in panel.iter_mut().step_by(NR).zip(key) {
                *to = *from;
            }
            for (p, from) in value.chunks(VALUES).enumerate() {
                let to = &mut self.values[(p * length + j) * VALUES..][..VALUES];
                to[..from.len()].copy_from_slice(from);
                to[from.len()..].fill(0.0);
            }
        }
        for c in length..length.div_ceil(NR) * NR {
            let panel = &mut self.keys[c / NR * d * NR + c % NR..];
            panel.iter_mut().step_by(NR).take(d).for_each(|to| *to = 0.0);
        }
    }

    /// Attention of `queries` rows, row i to `out[i * stride..][..D]`. `adjust(i, scores)` sees a
    /// row's products before they are scaled.
    pub fn run(
        &mut self,
        q: Columns<'_>,
        queries: usize,
        out: &mut [f32],
        stride: usize,
        adjust: &mut dyn FnMut(usize, &mut [f32]),
    ) {
        let (d, length) = (self.d, self.length);
        let (key_panels, value_panels) = (length.div_ceil(NR), d.div_ceil(VALUES));
        let width = key_panels * NR;
        let scores = &mut *self.scores;
        assert!(queries == 0 || q.row(queries - 1).len() == d && length > 0);
        let mut first = 0;
        while first < queries {
            let rows = ROWS.min(queries - first);
            // scores[r][j] = q_r · k_j
            for p in 0..key_panels {
                let panel = &self.keys[p * d * NR..(p + 1) * d * NR];
                let mut r = 0;
                while r < rows {
                    let tall = if rows - r >= 3 { 3 } else { 1 };
                    let to = &mut scores[r * width + p * NR..];
                    // SAFETY: `tall` query rows of D values, `q.stride` apart, lie within q (its
                    // last row was looked at), the panel holds D rows of NR.
                    unsafe {
                        let a = q.row(first + r).as_ptr();
                        let (lda, k, b) = (q.stride, d, panel.as_ptr());
                        if tall == 3 {
                            put(&f32_tile::<3, 3>(a, lda, b, k), to, width);
                        } else {
                            put(&f32_tile::<1, 3>(a, lda, b, k), to, width);
                        }
                    }
                    r += tall;
                }
            }
            let mut inverse = [0.0; ROWS];
            for (r, row) in scores.chunks_exact_mut(width).take(rows).enumerate() {
                adjust(first + r, &mut row[..length]);
                inverse[r] = 1.0 / exp_row(row, length, self.scale);
            }
            // out[r] = Σ_j p[r][j] v_j
            for p in 0..value_panels {
                let panel = &self.values[p * length * VALUES..(p + 1) * length * VALUES];
                let columns = VALUES.min(d - p * VALUES);
                let mut r = 0;
                while r < rows {
                    let tall = if rows - r >= 4 { 4 } else { 1 };
                    let to = &mut out[(first + r) * stride + p * VALUES..];
                    let scale = &inverse[r..r + tall];
                    let (a, b) = (scores[r * width..].as_ptr(), panel.as_ptr());
                    // SAFETY: `tall` rows of at least `length` probabilities, `width` apart; the
                    // panel holds `length` rows of VALUES.
                    unsafe {
                        if tall == 4 {
                            let tile = f32_tile::<4, 2>(a, width, b, length);
                            put_scaled(&tile, scale, to, stride, columns);
                        } else {
                            let tile = f32_tile::<1, 2>(a, width, b, length);
                            put_scaled(&tile, scale, to, stride, columns);
                        }
                    }
                    r += tall;
                }
            }
            first += rows;
        }
    }
}

/// A row of scores to `e^(scale (s - max))` in place; returns their sum. Lanes past `length` are
/// overwritten and count for nothing.
pub(super) fn exp_row(row: &mut [f32], length: usize, scale: f32) -> f32 {
    row[length..].fill(f32::MIN);
    let mut most = splat(f32::MIN);
    for four in row.chunks_exact(4) {
        // SAFETY: four f32 are 16 bytes.
        most = max(most, unsafe { load(four.as_ptr()) });
    }
    let most = splat(lanes(most).into_iter().fold(f32::MIN, f32::max));
    let (mut total, scale) = (splat(0.0), splat(scale));
    for four in row.chunks_exact_mut(4) {
        // SAFETY: four f32 are 16 bytes.
        unsafe {
            let p = exp(mul(sub(load(four.as_ptr()), most), scale));
            store(four.as_mut_ptr(), p);
            total = add(total, p);
        }
    }
    sum(total)
}

fn put<const MR: usize>(tile: &[[V; 3]; MR], to: &mut [f32], stride: usize) {
    for (i, sums) in tile.iter().enumerate() {
        let to = &mut to[i * stride..][..NR];
        for (four, s) in to.chunks_exact_mut(4).zip(sums) {
            // SAFETY: four f32 are 16 bytes.
            unsafe { store(four.as_mut_ptr(), *s) };
        }
    }
}

fn put_scaled<const MR: usize>(
    tile: &[[V; 2]; MR],
    scale: &[f32],
    to: &mut [f32],
    stride: usize,
    columns: usize,
) {
    for (i, (sums, scale)) in tile.iter().zip(scale).enumerate() {
        let to = &mut to[i * stride..][..columns];
        for (four, s) in to.chunks_mut(4).zip(sums) {
            let y = mul(*s, splat(*scale));
            if four.len() == 4 {
                // SAFETY: four f32 are 16 bytes.
                unsafe { store(four.as_mut_ptr(), y) };
            } else {
                store_partial(four, y);
            }
        }
    }
}
