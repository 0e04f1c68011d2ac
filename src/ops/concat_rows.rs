//! Values put end to end along their rows: what was computed in pieces becomes one again.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("concat_rows");

#[derive(Debug)]
struct ConcatRows {
    parts: usize,
}

impl Recorder {
    /// parts `[M_i, H]` -> `[sum of M_i, H]`. One part is returned as it is.
    pub fn concat_rows(&mut self, parts: &[Tensor]) -> Tensor {
        if let [only] = parts {
            return *only;
        }
        let h = parts.first().map_or(0, |p| p.shape.last());
        self.check(!parts.is_empty() && parts.iter().all(|p| p.shape.last() == h), || {
            let shapes: Vec<_> = parts.iter().map(|p| p.shape).collect();
            format!("concat_rows: {shapes:?}")
        });
        let rows = parts.iter().map(|p| p.shape.rows()).sum();
        self.push(ConcatRows { parts: parts.len() }, parts, [rows, h])
    }
}

impl Op for ConcatRows {
    fn name(&self) -> &'static str {
        "concat_rows"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let mut at = 0;
        for i in 0..self.parts {
            let part = io.f32(i);
            io.out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let mut at = 0;
        for i in 0..self.parts {
            let count = io.shape(i).len();
            io.dispatch(gpu::Dispatch {
                shader: &SHADER,
                constants: gpu::Constants::new(),
                params: &[count as u32, at as u32],
                bindings: &[(1, io.read(i)), (2, io.out())],
                grid: gpu::rows_grid(count.div_ceil(64)),
                flops: 0,
            })?;
            at += count;
        }
        Ok(())
    }
}
