//! Attention of a few queries over keys that lie row by row in a cache, in the tokens at hand, or
//! in both.

use std::ops::Range;

use super::attention::{exp_row, Columns, Core};
use super::quantize::grow;
use super::simd::*;
use super::Scratch;

/// From this many queries on it pays to pack keys and values into panels.
const PACK: usize = 4;

/// Keys and values of one sequence, each `[heads, D]`: the first `past` in `cache`, the others in
/// `fresh`.
pub struct Keys<'a> {
    pub cache: &'a [f32],
    pub fresh: &'a [f32],
    pub past: usize,
    /// Where each key's row begins; its value begins `apart` after that.
    pub at: &'a [u32],
    pub apart: usize,
}

impl Keys<'_> {
    fn key(&self, j: usize, head: usize, d: usize) -> &[f32] {
        self.row(j, head * d, d)
    }

    fn value(&self, j: usize, head: usize, d: usize) -> &[f32] {
        self.row(j, self.apart + head * d, d)
    }

    fn row(&self, j: usize, offset: usize, d: usize) -> &[f32] {
        let from = if j < self.past { self.cache } else { self.fresh };
        &from[self.at[j] as usize + offset..][..d]
    }
}

/// The shape of an attention.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    pub heads: usize,
    /// D
    pub d: usize,
    /// Multiplies the scores.
    pub scale: f32,
}

/// What is added to the scaled scores.
#[derive(Clone, Copy)]
pub struct Bias<'a> {
    /// By head, and by how far the key stands after the query.
    pub of: &'a dyn Fn(usize, i64) -> f32,
    /// The place among the keys of the first query; the others follow it.
    pub first: usize,
}

/// Softmax attention of the queries `rows` of `q` (rows `stride` apart, each `[heads, D]` first)
/// over `keys`; row i sees `sees(i)` keys from the first on. `out` `[M, heads, D]`.
#[allow(clippy::too_many_arguments)]
pub fn attend(
    q: &[f32],
    stride: usize,
    rows: Range<usize>,
    keys: &Keys<'_>,
    sees: impl Fn(usize) -> usize,
    bias: Option<Bias<'_>>,
    shape: Heads,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let Heads { heads, d, scale } = shape;
    let length = keys.at.len();
    assert!(rows.clone().all(|i| (1..=length).contains(&sees(i))), "attend: rows without keys");
    // A head's bias by distance, the least first: a query's is a piece of it. (Asked for score by
    // score it took longer than the scores.)
    let first_row = rows.start;
    let last = bias.map_or(0, |bias| bias.first + rows.len().saturating_sub(1));
    let mut line = std::mem::take(&mut scratch.patches);
    if bias.is_some() {
        grow(&mut line, last + length);
    }
    let draw = |head: usize, line: &mut [f32]| {
        if let Some(bias) = bias {
            for (x, b) in line[..last + length].iter_mut().enumerate() {
                *b = (bias.of)(head, x as i64 - last as i64) / scale;
            }
        }
    };
    // of the products of row i; those of keys that it does not see become weights of nothing
    let adjust = |i: usize, line: &[f32], scores: &mut [f32]| {
        let n = sees(i);
        if let Some(bias) = bias {
            let line = &line[last - (bias.first + i - first_row)..][..n];
            scores[..n].iter_mut().zip(line).for_each(|(s, b)| *s += b);
        }
        scores[n..].fill(f32::MIN);
    };
    if rows.len() >= PACK {
        let (first, h) = (rows.start, heads * d);
        for head in 0..heads {
            let mut core = Core::new(d, length, scale, &mut scratch.panel);
            core.pack((0..length).map(|j| (keys.key(j, head, d), keys.value(j, head, d))));
            let q = Columns { values: q, first: first * stride + head * d, stride, d };
            let to = &mut out[first * h + head * d..];
            draw(head, &mut line);
            core.run(q, rows.len(), to, h, &mut |r, scores| adjust(first + r, &line, scores));
        }
        scratch.patches = line;
        return;
    }
    let width = length.next_multiple_of(4);
    grow(&mut scratch.panel, width);
    let scores = &mut scratch.panel[..width];
    for head in 0..heads {
        draw(head, &mut line);
        for i in rows.clone() {
            let n = sees(i);
            let query = &q[i * stride + head * d..][..d];
            for (j, s) in scores[..n].iter_mut().enumerate() {
                *s = dot(query, keys.key(j, head, d));
            }
            adjust(i, &line, &mut scores[..n]);
            let inverse = 1.0 / exp_row(scores, n, scale);
            let out = &mut out[(i * heads + head) * d..][..d];
            out.fill(0.0);
            for (j, p) in scores[..n].iter().enumerate() {
                add_scaled(out, p * inverse, keys.value(j, head, d));
            }
        }
    }
    scratch.patches = line;
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (fours, others) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f32 = fours.remainder().iter().zip(others.remainder()).map(|(x, y)| x * y).sum();
    let mut total = splat(0.0);
    for (x, y) in fours.zip(others) {
        // SAFETY: four f32 are 16 bytes.
        total = unsafe { madd(load(x.as_ptr()), load(y.as_ptr()), total) };
    }
    sum(total) + rest
}

fn add_scaled(to: &mut [f32], scale: f32, from: &[f32]) {
    let s = splat(scale);
    let mut fours = to.chunks_exact_mut(4);
    let others = from.chunks_exact(4);
    let rest = others.remainder();
    for (x, y) in (&mut fours).zip(others) {
        // SAFETY: four f32 are 16 bytes.
        unsafe { store(x.as_mut_ptr(), madd(s, load(y.as_ptr()), load(x.as_ptr()))) };
    }
    for (x, y) in fours.into_remainder().iter_mut().zip(rest) {
        *x += scale * y;
    }
}
