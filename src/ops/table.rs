//! Rows of a table in the checkpoint as a value: learned queries and their positions.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("table");

#[derive(Debug)]
struct Table {
    table: WeightId,
    first: usize,
}

impl Recorder {
    /// Rows `first..first + rows` of `table`, a matrix of `h` columns -> `[rows, h]`.
    pub fn table(&mut self, table: WeightId, first: usize, [rows, h]: [usize; 2]) -> Tensor {
        self.push(Table { table, first }, &[], [rows, h])
    }
}

impl Op for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let table = io.matrix(self.table);
        for (row, out) in io.out.chunks_exact_mut(table.k().max(1)).enumerate() {
            table.row(self.first + row, out);
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let (rows, h) = (io.out_shape().rows(), io.out_shape().last());
        let table = io.matrix(self.table)?;
        for chunk in &table.chunks {
            // the rows that this chunk holds
            let from = self.first.max(chunk.first);
            let to = (self.first + rows).min(chunk.first + chunk.rows);
            if from >= to {
                continue;
            }
            let mut bindings = vec![(2, chunk.data()), (4, io.out())];
            bindings.extend(chunk.scales().map(|scales| (3, scales)));
            io.dispatch(gpu::Dispatch {
                shader: &SHADER,
                constants: gpu::Constants::new().set("FORMAT", table.format.name()),
                params: &[
                    (to - from) as u32,
                    h as u32,
                    table.k_padded as u32 / 4,
                    (from - chunk.first) as u32,
                    (from - self.first) as u32,
                ],
                bindings: &bindings,
                grid: gpu::rows_grid(((to - from) * h.div_ceil(4)).div_ceil(64)),
                flops: 0,
            })?;
        }
        Ok(())
    }
}
