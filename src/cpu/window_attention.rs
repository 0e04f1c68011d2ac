//! Attention within the shifted windows of a channels-last map.

use super::attention::{Columns, Core};
use super::Scratch;

/// How a map `[B, H, W]` falls into windows: padded at its right and bottom to whole windows,
/// then rolled by `shift` towards the top left.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    pub images: usize,
    /// H and W
    pub size: [usize; 2],
    /// Side of a window.
    pub side: usize,
    pub shift: usize,
}

/// Added to the scores of pixels that only the roll brought into one window.
const APART: f32 = -100.0;

impl Windows {
    /// Windows down and across.
    pub fn grid(&self) -> [usize; 2] {
        self.size.map(|n| n.div_ceil(self.side))
    }

    /// Along one axis (0 down, 1 across): where row or column `i` of the rolled, padded map came
    /// from, and which of the three regions that may see each other it belongs to.
    fn source(&self, axis: usize, i: usize) -> (usize, usize) {
        let padded = self.grid()[axis] * self.side;
        let region = match self.shift {
            0 => 0,
            shift => usize::from(i >= padded - self.side) + usize::from(i >= padded - shift),
        };
        ((i + self.shift) % padded, region)
    }
}

/// `qkv` `[B, H, W, 3, heads, D]`; `padding` `[3, heads, D]`: what pixels of the padding hold;
/// `bias(i)` `[heads]`: relative position `i = (dy + side - 1) * (2 side - 1) + dx + side - 1`
/// of query minus key; `out` `[B, H, W, heads, D]`.
#[allow(clippy::too_many_arguments)]
pub fn window_attention(
    qkv: &[f32],
    padding: &[f32],
    windows: Windows,
    heads: usize,
    scale: f32,
    bias: &dyn Fn(usize, &mut [f32]),
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let ([height, width], side) = (windows.size, windows.side);
    let pixels = windows.images * height * width;
    if pixels == 0 || heads == 0 {
        return;
    }
    let h = out.len() / pixels; // heads * D
    let (d, n) = (h / heads, side * side);
    assert!(qkv.len() >= pixels * 3 * h && padding.len() >= 3 * h, "window_attention: {h}");

    // relative position biases in units of products, `[heads][n][n]`
    let span = 2 * side - 1;
    let mut table = vec![0.0; span * span * heads];
    table.chunks_exact_mut(heads).enumerate().for_each(|(i, row)| bias(i, row));
    let mut biases = vec![0.0; heads * n * n];
    for (at, to) in biases.iter_mut().enumerate() {
        let (head, i, j) = (at / (n * n), at / n % n, at % n);
        let dy = i / side + side - 1 - j / side;
        let dx = i % side + side - 1 - j % side;
        *to = table[(dy * span + dx) * heads + head] / scale;
    }
    let apart = APART / scale;

    let mut held = vec![0.0; 2 * n * d]; // a head's queries, and what comes out
    let (queries, results) = held.split_at_mut(n * d);
    let [down, across] = windows.grid();
    for window in 0..windows.images * down * across {
        let image = window / (down * across);
        let [y0, x0] = [window / across % down * side, window % across * side];
        // the pixel of each token, none for padding, and its region
        let tokens: Vec<(Option<usize>, usize)> = (0..n)
            .map(|i| {
                let (y, down) = windows.source(0, y0 + i / side);
                let (x, right) = windows.source(1, x0 + i % side);
                let inside = y < height && x < width;
                (inside.then(|| (image * height + y) * width + x), 3 * down + right)
            })
            .collect();
        let mixed = tokens.iter().any(|t| t.1 != tokens[0].1);
        for head in 0..heads {
            let part = |token: usize, which: usize| match tokens[token].0 {
                Some(pixel) => &qkv[(3 * pixel + which) * h + head * d..][..d],
                None => &padding[which * h + head * d..][..d],
            };
            for (i, to) in queries.chunks_exact_mut(d).enumerate() {
                to.copy_from_slice(part(i, 0));
            }
            let mut core = Core::new(d, n, scale, &mut scratch.panel);
            core.pack((0..n).map(|j| (part(j, 1), part(j, 2))));
            let q = Columns { values: queries, first: 0, stride: d, d };
            core.run(q, n, results, d, &mut |i, scores| {
                let biases = &biases[(head * n + i) * n..][..n];
                scores.iter_mut().zip(biases).for_each(|(s, b)| *s += b);
                if mixed {
                    for (s, token) in scores.iter_mut().zip(&tokens) {
                        *s += if token.1 == tokens[i].1 { 0.0 } else { apart };
                    }
                }
            });
            for (token, from) in tokens.iter().zip(results.chunks_exact(d)) {
                if let Some(pixel) = token.0 {
                    out[pixel * h + head * d..][..d].copy_from_slice(from);
                }
            }
        }
    }
}
