//! The product of two values, where neither is a weight.

use super::pack::NR;
use super::quantize::grow;
use super::simd::*;
use super::tiles::f32_tile;
use super::Scratch;

/// `out[i][j] = a[i] · b[j]`; a `[M, K]`, b `[N, K]`, out `[M, N]`. Twelve rows of b at a time
/// become a panel that every row of a passes by.
pub fn product(a: &[f32], b: &[f32], k: usize, out: &mut [f32], scratch: &mut Scratch) {
    if k == 0 {
        return out.fill(0.0);
    }
    let (m, n) = (a.len() / k, b.len() / k);
    assert!(a.len() == m * k && b.len() == n * k && out.len() >= m * n, "product: {m} by {n}");
    grow(&mut scratch.panel, NR * k);
    let panel = &mut scratch.panel[..NR * k];
    for (p, rows) in b.chunks(NR * k).enumerate() {
        panel.fill(0.0);
        for (c, row) in rows.chunks_exact(k).enumerate() {
            panel[c..].iter_mut().step_by(NR).zip(row).for_each(|(to, from)| *to = *from);
        }
        let columns = NR.min(n - p * NR);
        let mut i = 0;
        while i < m {
            let rows = if m - i >= 3 { 3 } else { 1 };
            let mut put = |tile: &[[V; 3]]| {
                for (r, sums) in tile.iter().enumerate() {
                    let to = &mut out[(i + r) * n + p * NR..][..columns];
                    for (four, s) in to.chunks_mut(4).zip(sums) {
                        store_partial(four, *s);
                    }
                }
            };
            // SAFETY: `rows` rows of K from row i of a; the panel holds K rows of NR.
            unsafe {
                let row = a.as_ptr().add(i * k);
                match rows {
                    3 => put(&f32_tile::<3, 3>(row, k, panel.as_ptr(), k)),
                    _ => put(&f32_tile::<1, 3>(row, k, panel.as_ptr(), k)),
                }
            }
            i += rows;
        }
    }
}
