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
        let (n, k, format) = (matrix.n, matrix.k, matrix.format);
        let k_padded = k.next_multiple_of(K_STEP);
        let (row_bytes, padded_bytes) = (format.row_bytes(k), format.row_bytes(k_padded));
        let row_scales = format.row_scales(k);
        let limit = self.caps().max_binding as usize;
        let rows_per_chunk = limit / padded_bytes.max(4 * row_scales).max(1);
        if rows_per_chunk == 0 {
            return Err(err!(
                Code::Unsupported,
                "one row of a [{n}, {k}] weight takes {padded_bytes} bytes, more than the \
                 {limit} bytes that this GPU binds at once"
            )
            .remedy("use a smaller dtype (q8, q4), or device 'wasm'"));
        }

        let mut chunks = Vec::new();
        let mut first = 0;
        while first < n {
            let rows = rows_per_chunk.min(n - first);
            let data_bytes = rows * padded_bytes;
            let scales = &matrix.scales[first * row_scales..(first + rows) * row_scales];
            let scales_at = data_bytes.next_multiple_of(OFFSET_ALIGNMENT);
            let total = if scales.is_empty() { data_bytes } else { scales_at + 4 * scales.len() };
            let buffer = self.weight_buffer(total)?;
            let data = &matrix.data[first * row_bytes..(first + rows) * row_bytes];
            if row_bytes == padded_bytes {
                self.write(&buffer, 0, data);
            } else {
                let mut padded = vec![0u8; data_bytes];
                for (to, from) in
                    padded.chunks_exact_mut(padded_bytes).zip(data.chunks_exact(row_bytes))
                {
                    to[..row_bytes].copy_from_slice(from);
                }
                self.write(&buffer, 0, &padded);
            }
            if !scales.is_empty() {
                self.write(&buffer, scales_at as u64, bytemuck::cast_slice(scales));
            }
            let scales =
                (!scales.is_empty()).then_some((scales_at as u64, 4 * scales.len() as u64));
            chunks.push(Chunk { first, rows, buffer, data_bytes: data_bytes as u64, scales });
            first += rows;
        }
        Ok(MatrixBuffers { format, n, k, k_padded, chunks })
    }

    fn weight_buffer(&self, bytes: usize) -> Result<Buffer> {
        self.buffer(bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST)
    }
}
