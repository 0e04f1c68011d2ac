//! Multi-head self-attention over ragged segments.

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
    let mut i = 0;
    while i < m {
        let bounds = &segments[2 * i..2 * i + 2];
        let rows = segments[2 * i..].chunks_exact(2).take_while(|b| *b == bounds).count();
        let (start, end) = (bounds[0] as usize, bounds[1] as usize);
        assert!(start < end && end <= m, "attention: segment {start}..{end} of {m} tokens");
        for head in 0..heads {
            let part = Head { qkv, h, d: h / heads, at: head * (h / heads), scale };
            part.run(i..i + rows, start..end, out, &mut scratch.panel);
        }
        i += rows;
    }
}

/// One head: its queries, keys and values stand at `at` in each third of a token.
struct Head<'a> {
    qkv: &'a [f32],
    h: usize,
    d: usize,
    at: usize,
    scale: f32,
}

impl Head<'_> {
    /// Queries, keys or values (0, 1, 2) of one token, `[D]`.
    fn token(&self, which: usize, i: usize) -> &[f32] {
        &self.qkv[(3 * i + which) * self.h + self.at..][..self.d]
    }

    fn run(
        &self,
        queries: std::ops::Range<usize>,
        keys: std::ops::Range<usize>,
        out: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        let (d, length) = (self.d, keys.len());
        let key_panels = length.div_ceil(NR);
        let value_panels = d.div_ceil(VALUES);
        let width = key_panels * NR;
        let sizes = [width * d, value_panels * VALUES * length, ROWS * width];
        grow(scratch, sizes.iter().sum());
        let (packed_keys, rest) = scratch.split_at_mut(sizes[0]);
        let (packed_values, rest) = rest.split_at_mut(sizes[1]);
        let scores = &mut rest[..sizes[2]];

        // keys `[panel][D][NR]`, values `[panel][length][VALUES]`
        for (j, token) in keys.clone().enumerate() {
            let panel = &mut packed_keys[j / NR * d * NR + j % NR..];
            for (to, from) in panel.iter_mut().step_by(NR).zip(self.token(1, token)) {
                *to = *from;
            }
            for (p, from) in self.token(2, token).chunks(VALUES).enumerate() {
                let to = &mut packed_values[(p * length + j) * VALUES..][..VALUES];
                to[..from.len()].copy_from_slice(from);
                to[from.len()..].fill(0.0);
            }
        }
        for c in length..width {
            let panel = &mut packed_keys[c / NR * d * NR + c % NR..];
            panel.iter_mut().step_by(NR).take(d).for_each(|to| *to = 0.0);
        }

        let mut first = queries.start;
        while first < queries.end {
            let rows = ROWS.min(queries.end - first);
            // scores[r][j] = q_r · k_j
            for p in 0..key_panels {
                let panel = &packed_keys[p * d * NR..(p + 1) * d * NR];
                let mut r = 0;
                while r < rows {
                    let tall = if rows - r >= 3 { 3 } else { 1 };
                    let to = &mut scores[r * width + p * NR..];
                    // SAFETY: `tall` query rows of D values 3 h apart lie within qkv (its length
                    // was checked against M), the panel holds D rows of NR.
                    unsafe {
                        let q = self.token(0, first + r).as_ptr();
                        let (lda, k, b) = (3 * self.h, d, panel.as_ptr());
                        if tall == 3 {
                            put(&f32_tile::<3, 3>(q, lda, b, k), to, width);
                        } else {
                            put(&f32_tile::<1, 3>(q, lda, b, k), to, width);
                        }
                    }
                    r += tall;
                }
            }
            let mut inverse = [0.0; ROWS];
            for (row, inverse) in scores.chunks_exact_mut(width).take(rows).zip(&mut inverse) {
                *inverse = 1.0 / exp_row(row, length, self.scale);
            }
            // out[r] = Σ_j p[r][j] v_j
            for p in 0..value_panels {
                let panel = &packed_values[p * length * VALUES..(p + 1) * length * VALUES];
                let columns = VALUES.min(d - p * VALUES);
                let mut r = 0;
                while r < rows {
                    let tall = if rows - r >= 4 { 4 } else { 1 };
                    let at = (first + r) * self.h + self.at + p * VALUES;
                    let scale = &inverse[r..r + tall];
                    let (a, b) = (scores[r * width..].as_ptr(), panel.as_ptr());
                    // SAFETY: `tall` rows of at least `length` probabilities, `width` apart; the
                    // panel holds `length` rows of VALUES.
                    unsafe {
                        if tall == 4 {
                            let tile = f32_tile::<4, 2>(a, width, b, length);
                            put_scaled(&tile, scale, &mut out[at..], self.h, columns);
                        } else {
                            let tile = f32_tile::<1, 2>(a, width, b, length);
                            put_scaled(&tile, scale, &mut out[at..], self.h, columns);
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
fn exp_row(row: &mut [f32], length: usize, scale: f32) -> f32 {
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
