//! The sum of rows looked up in one to three tables (words, positions, token types).

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("embedding");

/// Rows of a table: `scale * table[index + offset]`.
#[derive(Debug, Clone, Copy)]
pub struct Lookup {
    pub index: Tensor,
    pub table: WeightId,
    pub offset: u32,
    pub scale: f32,
}

impl Lookup {
    pub fn new(index: Tensor, table: WeightId) -> Self {
        Lookup { index, table, offset: 0, scale: 1.0 }
    }
}

#[derive(Debug)]
struct Embedding {
    /// One per index input.
    lookups: Vec<Lookup>,
}

impl Recorder {
    /// `sum_i table_i[index_i]`: tables `[V_i, H]`, indices `[M]` -> `[M, H]`.
    pub fn embedding(&mut self, lookups: &[(Tensor, WeightId)], h: usize) -> Tensor {
        let lookups: Vec<Lookup> =
            lookups.iter().map(|(index, table)| Lookup::new(*index, *table)).collect();
        self.embedding_sum(&lookups, h)
    }

    /// The sum of `lookups`, each with an offset and a scale of its own. A row beyond the table
    /// is not a number.
    pub fn embedding_sum(&mut self, lookups: &[Lookup], h: usize) -> Tensor {
        let m = lookups.first().map_or(0, |l| l.index.shape.len());
        for Lookup { index, .. } in lookups {
            self.check(index.shape.len() == m, || {
                format!("embedding: indices {} for {m} rows", index.shape)
            });
        }
        let reads: Vec<Tensor> = lookups.iter().map(|l| l.index).collect();
        self.push(Embedding { lookups: lookups.to_vec() }, &reads, [m, h])
    }
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let h = io.matrix(self.lookups[0].table).k();
        let mut row = vec![0.0; h];
        for (t, lookup) in self.lookups.iter().enumerate() {
            let table = io.matrix(lookup.table);
            for (&index, out) in io.u32(t).iter().zip(io.out.chunks_exact_mut(h)) {
                let index = index.saturating_add(lookup.offset) as usize;
                if index >= table.n() {
                    row.fill(f32::NAN);
                } else {
                    table.row(index, &mut row);
                }
                if t == 0 {
                    out.iter_mut().zip(&row).for_each(|(o, r)| *o = r * lookup.scale);
                } else {
                    out.iter_mut().zip(&row).for_each(|(o, r)| *o += r * lookup.scale);
                }
            }
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let shape = io.out_shape();
        let (m, h) = (shape.rows(), shape.last());
        for (t, lookup) in self.lookups.iter().enumerate() {
            let table = io.matrix(lookup.table)?;
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
                        lookup.offset,
                        lookup.scale.to_bits(),
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
