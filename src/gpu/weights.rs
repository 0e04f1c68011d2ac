//! Weights in GPU buffers.
//!
//! A matrix keeps its canonical layout (`tensor::Matrix`) but for two things: K is padded to a
//! multiple of 32 with zeros, so that kernels never branch on the end of K; and its rows are split
//! over several buffers where one binding could not span them (128 MiB by default: the word
//! embeddings of a multilingual model in f32 take 370 MB). A chunk's scales follow its data in the
//! same buffer.

use std::rc::Rc;

use super::device::{Buffer, Device};
use crate::error::Result;
use crate::tensor::{Format, HostWeight, Matrix};
use crate::{err, Code};

/// K is padded to a multiple of this: a q4 block, and the depth of a GEMM tile.
pub const K_STEP: usize = 32;

/// Offsets of storage bindings are multiples of this (the default and largest
/// `minStorageBufferOffsetAlignment`).
const OFFSET_ALIGNMENT: usize = 256;

/// A weight on a GPU.
#[derive(Debug)]
pub struct Weight(pub(super) Stored);

#[derive(Debug)]
pub(super) enum Stored {
    /// Biases, norm parameters: f32.
    Vector(Buffer),
    Matrix(Rc<MatrixBuffers>),
}

/// What a weight will be, before it has arrived.
#[derive(Debug, Clone, Copy)]
pub enum WeightShape {
    Vector,
    Matrix { format: Format, n: usize, k: usize },
}

/// A matrix `[n, k]` on a GPU.
#[derive(Debug)]
pub struct MatrixBuffers {
    pub format: Format,
    pub n: usize,
    pub k: usize,
    /// K padded to a multiple of 32.
    pub k_padded: usize,
    /// Consecutive rows, in order.
    pub chunks: Vec<Chunk>,
}

/// Some consecutive rows of a matrix in one buffer: data `[rows, k_padded]`, then scales.
#[derive(Debug)]
pub struct Chunk {
    pub first: usize,
    pub rows: usize,
    pub(super) buffer: Buffer,
    pub(super) data_bytes: u64,
    /// Offset and bytes of the scales; formats without scales have none.
    pub(super) scales: Option<(u64, u64)>,
}

impl Weight {
    /// Bytes held on the device.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Stored::Vector(buffer) => buffer.size() as usize,
            Stored::Matrix(m) => m.chunks.iter().map(|c| c.buffer.size() as usize).sum(),
        }
    }
}

impl Device {
    /// Moves a weight to the device.
    pub fn upload(&self, weight: HostWeight) -> Result<Weight> {
        self.check()?;
        let weight = match weight {
            HostWeight::Vector(values) => {
                let bytes: &[u8] = bytemuck::cast_slice(&values);
                let buffer = self.weight_buffer(bytes.len())?;
                self.write(&buffer, 0, bytes);
                Stored::Vector(buffer)
            }
            HostWeight::Matrix(matrix) => Stored::Matrix(Rc::new(self.upload_matrix(&matrix)?)),
        };
        self.check()?;
        Ok(Weight(weight))
    }

    fn upload_matrix(&self, matrix: &Matrix) -> Result<MatrixBuffers> {
        let (k, format) = (matrix.k, matrix.format);
        let buffers = self.matrix_buffers(format, matrix.n, k, true)?;
        let row_bytes = format.row_bytes(k);
        let padded_bytes = format.row_bytes(buffers.k_padded);
        let row_scales = format.row_scales(k);
        for chunk in &buffers.chunks {
            let rows = chunk.first..chunk.first + chunk.rows;
            let data = &matrix.data[rows.start * row_bytes..rows.end * row_bytes];
            if row_bytes == padded_bytes {
                self.write(&chunk.buffer, 0, data);
            } else {
                let mut padded = vec![0u8; chunk.rows * padded_bytes];
                let to = padded.chunks_exact_mut(padded_bytes);
                for (to, from) in to.zip(data.chunks_exact(row_bytes)) {
                    to[..row_bytes].copy_from_slice(from);
                }
                self.write(&chunk.buffer, 0, &padded);
            }
            if let Some((at, _)) = chunk.scales {
                let scales = &matrix.scales[rows.start * row_scales..rows.end * row_scales];
                self.write(&chunk.buffer, at, bytemuck::cast_slice(scales));
            }
        }
        Ok(buffers)
    }

    /// The chunks of a matrix; without `memory` their buffers are placeholders.
    fn matrix_buffers(
        &self,
        format: Format,
        n: usize,
        k: usize,
        memory: bool,
    ) -> Result<MatrixBuffers> {
        let k_padded = k.next_multiple_of(K_STEP);
        let row_bytes = format.row_bytes(k_padded);
        let row_scales = 4 * format.row_scales(k);
        let limit = self.caps().max_binding as usize;
        let rows_per_chunk = limit / row_bytes.max(row_scales).max(1);
        if rows_per_chunk == 0 {
            return Err(err!(
                Code::Unsupported,
                "one row of a [{n}, {k}] weight takes {row_bytes} bytes, more than the {limit} \
                 bytes that this GPU binds at once"
            )
            .remedy("use a smaller dtype (q8, q4), or device 'wasm'"));
        }
        let mut chunks = Vec::new();
        let mut first = 0;
        while first < n {
            let rows = rows_per_chunk.min(n - first);
            let data_bytes = rows * row_bytes;
            let scales_at = data_bytes.next_multiple_of(OFFSET_ALIGNMENT);
            let scales = (row_scales > 0).then_some((scales_at as u64, (rows * row_scales) as u64));
            let total = scales.map_or(data_bytes, |(at, bytes)| (at + bytes) as usize);
            let buffer = self.weight_buffer(if memory { total } else { 0 })?;
            chunks.push(Chunk { first, rows, buffer, data_bytes: data_bytes as u64, scales });
            first += rows;
        }
        Ok(MatrixBuffers { format, n, k, k_padded, chunks })
    }

    /// A weight that has not arrived: its shape, and no memory.
    pub(super) fn placeholder(&self, shape: WeightShape) -> Result<Weight> {
        Ok(Weight(match shape {
            WeightShape::Vector => Stored::Vector(self.weight_buffer(0)?),
            WeightShape::Matrix { format, n, k } => {
                Stored::Matrix(Rc::new(self.matrix_buffers(format, n, k, false)?))
            }
        }))
    }

    fn weight_buffer(&self, bytes: usize) -> Result<Buffer> {
        self.buffer(bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST)
    }
}
