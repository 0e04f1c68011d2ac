//! The k largest of each row, so that beams and candidates are read back as a few numbers.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("top_k");

/// The most that are looked for.
pub const MOST: usize = 256;

#[derive(Debug)]
struct TopK {
    width: usize,
    k: usize,
}

impl Recorder {
    /// x `[.., W]` -> u32 `[R, 2k + 1]`: the indices of the k largest values of each row (the
    /// largest first, then the lowest index; a NaN before all), the bits of those values, and the
    /// bits of `ln Σ e^(x - largest)` over the row, which keeps more digits than `ln Σ e^x` does.
    pub fn top_k(&mut self, x: Tensor, k: usize) -> Tensor {
        let width = x.shape.last();
        self.check(k > 0 && k <= width.min(MOST), || format!("top_k: {k} of {}", x.shape));
        self.push_u32(TopK { width, k }, &[x], [x.shape.rows(), 2 * k + 1])
    }
}

/// Unsigned integers in the order of the floats, NaN last.
fn key(x: f32) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() {
        u32::MAX
    } else if x.is_sign_negative() {
        !bits
    } else {
        bits | 0x8000_0000
    }
}

impl Op for TopK {
    fn name(&self) -> &'static str {
        "top_k"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let k = self.k;
        let mut best: Vec<(u32, u32)> = Vec::with_capacity(k + 1);
        let rows = io.f32(0).chunks_exact(self.width);
        for (row, out) in rows.zip(io.out_u32.chunks_exact_mut(2 * k + 1)) {
            best.clear();
            for (i, &x) in row.iter().enumerate() {
                let key = key(x);
                if best.len() < k || best[k - 1].0 < key {
                    let at = best.partition_point(|(other, _)| *other >= key);
                    best.insert(at, (key, i as u32));
                    best.truncate(k);
                }
            }
            let most = row[best[0].1 as usize];
            let total: f64 = row.iter().map(|x| f64::from((x - most).exp())).sum();
            for (j, (_, i)) in best.iter().enumerate() {
                out[j] = *i;
                out[k + j] = row[*i as usize].to_bits();
            }
            let sum = if most == f32::NEG_INFINITY { most } else { total.ln() as f32 };
            out[2 * k] = sum.to_bits();
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let rows = io.out_shape().rows();
        let threads = if self.width > 1024 { 256 } else { 64 };
        let digits = (usize::BITS - self.width.leading_zeros()).div_ceil(8);
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new().set("THREADS", threads).set("MOST", MOST as u32),
            params: &[rows as u32, self.width as u32, self.k as u32, digits],
            bindings: &[(1, io.read(0)), (2, io.out())],
            grid: gpu::rows_grid(rows),
            flops: gpu::flops([rows, self.width, 8]),
        })
    }
}
