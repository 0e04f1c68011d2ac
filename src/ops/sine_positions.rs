//! The sine position embedding of maps (DETR, Mask2Former).

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("sine_positions");

#[derive(Debug)]
struct SinePositions {
    levels: Vec<[usize; 2]>,
    /// Columns.
    c: usize,
    table: Option<WeightId>,
}

/// The last row or column of a map is at 2 π.
const TURN: f32 = std::f32::consts::TAU;
/// As the reference implementation has it.
const EPS: f32 = 1e-6;
const TEMPERATURE: f32 = 10_000.0;

impl Recorder {
    /// The positions of the pixels of `levels` (height, width), one after the other -> `[M, c]`:
    /// the first half of the columns for y, the other for x, sines and cosines by turns. Row l of
    /// `table` `[L, c]`, where there is one, is added to the pixels of level l.
    pub fn sine_positions(
        &mut self,
        levels: &[[usize; 2]],
        c: usize,
        table: Option<WeightId>,
    ) -> Tensor {
        self.check(c % 4 == 0 && c > 0, || format!("sine_positions: {c} columns"));
        let m = levels.iter().map(|[h, w]| h * w).sum::<usize>();
        self.push(SinePositions { levels: levels.to_vec(), c, table }, &[], [m, c])
    }
}

impl Op for SinePositions {
    fn name(&self) -> &'static str {
        "sine_positions"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let half = self.c / 2;
        let table = self.table.map(|t| io.matrix(t));
        // sines and cosines of `n` positions along one axis, `[n][half]`
        let axis = |n: usize| -> Vec<f32> {
            let at = |i: usize| {
                let position = ((i / half + 1) as f32) / (n as f32 + EPS) * TURN;
                let angle = position / TEMPERATURE.powf((i % half / 2 * 2) as f32 / half as f32);
                if i % 2 == 0 {
                    angle.sin()
                } else {
                    angle.cos()
                }
            };
            (0..n * half).map(at).collect()
        };
        let mut out = io.out.chunks_exact_mut(self.c);
        let mut added = vec![0.0; self.c];
        for (level, &[h, w]) in self.levels.iter().enumerate() {
            if let Some(table) = table {
                table.row(level, &mut added);
            }
            let (down, across) = (axis(h), axis(w));
            for (pixel, out) in out.by_ref().take(h * w).enumerate() {
                let y = &down[pixel / w * half..][..half];
                let x = &across[pixel % w * half..][..half];
                for ((out, sine), added) in out.iter_mut().zip(y.iter().chain(x)).zip(&added) {
                    *out = sine + added;
                }
            }
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let mut first = 0;
        for (level, &[h, w]) in self.levels.iter().enumerate() {
            let count = h * w * self.c;
            let mut bindings = vec![(2, io.out())];
            let mut row = 0;
            if let Some(id) = self.table {
                let table = io.matrix(id)?;
                row = level * table.k_padded;
                bindings.extend(table.chunks.first().map(|chunk| (1, chunk.data())));
            }
            io.dispatch(gpu::Dispatch {
                shader: &SHADER,
                constants: gpu::Constants::new().flag("TABLE", self.table.is_some()),
                params: &[
                    count as u32,
                    h as u32,
                    w as u32,
                    self.c as u32,
                    first as u32,
                    row as u32,
                ],
                bindings: &bindings,
                grid: gpu::rows_grid(count.div_ceil(64)),
                flops: gpu::flops([8, count]),
            })?;
            first += count;
        }
        Ok(())
    }
}
