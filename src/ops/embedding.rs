//! The sum of rows looked up in one to three tables (words, positions, token types).

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("embedding");

#[derive(Debug)]
struct Embedding {
    /// One table per index input.
    tables: Vec<WeightId>,
}

impl Recorder {
    /// `sum_i table_i[index_i]`: tables `[V_i, H]`, indices `[M]` -> `[M, H]`.
    pub fn embedding(&mut self, lookups: &[(Tensor, WeightId)], h: usize) -> Tensor {
        let m = lookups.first().map_or(0, |(i, _)| i.shape.len());
        for (index, _) in lookups {
            self.check(index.shape.len() == m, || {
                format!("embedding: indices {} for {m} rows", index.shape)
            });
        }
        let reads: Vec<Tensor> = lookups.iter().map(|(index, _)| *index).collect();
        let tables = lookups.iter().map(|(_, table)| *table).collect();
        self.push(Embedding { tables }, &reads, [m, h])
    }
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let h = io.matrix(self.tables[0]).k();
        let mut row = vec![0.0; h];
        for (t, &table) in self.tables.iter().enumerate() {
            let table = io.matrix(table);
            for (&index, out) in io.u32(t).iter().zip(io.out.chunks_exact_mut(h)) {
                if t == 0 {
                    table.row(index as usize, out);
                } else {
                    table.row(index as usize, &mut row);
                    out.iter_mut().zip(&row).for_each(|(o, r)| *o += r);
                }
            }
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let shape = io.out_shape();
        let (m, h) = (shape.rows(), shape.last());
        for (t, &table) in self.tables.iter().enumerate() {
            let table = io.matrix(table)?;
            for chunk in &table.chunks {
                let mut bindings = vec![(1, io.read(t)), (2, chunk.data()), (4, io.out())];
                bindings.extend(chunk.scales().map(|scales| (3, scales)));
                io.dispatch(gpu::Dispatch {
                    shader: &SHADER,
                    constants: gpu::Constants::new()
                        .set("FORMAT", table.format.name())
                        .flag("ADD", t > 0),
                    params: &[
                        m as u32,
                        h as u32,
                        table.k_padded as u32 / 4,
                        chunk.first as u32,
                        chunk.rows as u32,
                    ],
                    bindings: &bindings,
                    grid: gpu::rows_grid((m * h.div_ceil(4)).div_ceil(64)),
                    flops: gpu::flops([m, h]),
                })?;
            }
        }
        Ok(())
    }
}
