//! Quantized packs: a checkpoint whose matrices are already in the format that a device holds.
//!
//! A pack is an ordinary safetensors file. A q8 matrix keeps its name and becomes I8
//! `[N, ceil(K/32) * 32]`, a q4 one U8 `[N, ceil(K/32) * 16]`, in the layout of
//! `tensor/matrix.rs`; beside each stands `NAME.scale`, F16 `[N, ceil(K/32)]`. Everything else is
//! F16 or F32 under its own name. `__metadata__` says `tareas` and the dtype, so that a pack is
//! loaded in its own format, bit by bit, unless another is asked for.

use std::collections::BTreeMap;

use half::f16;
use serde_json::json;

use super::{Declared, Manifest, Other, Reader};
use crate::error::Result;
use crate::plan::WeightId;
use crate::tensor::{Format, HostWeight, Matrix};
use crate::{err, Code};

/// Types whose tensors survive outside the manifest; the others are buffers.
const FLOATS: &[&str] = &["F64", "F32", "F16", "BF16"];

/// Turns the stream of a checkpoint into a pack.
///
/// The weights are held until the end, in their new format: a safetensors header comes first and
/// needs every size.
#[derive(Debug)]
pub struct Packer {
    declared: Vec<Declared>,
    reader: Reader,
    weights: BTreeMap<u32, HostWeight>,
    format: Format,
}

/// A tensor of the pack.
struct Tensor {
    name: String,
    dtype: &'static str,
    /// Bytes of an element: files are written largest first, so that all are aligned.
    size: usize,
    shape: Vec<u64>,
    bytes: Vec<u8>,
}

impl Packer {
    /// A packer for the model that declared `manifest`; its matrices become `format`.
    pub fn new(manifest: Manifest, format: Format) -> Self {
        let declared = manifest.weights.clone();
        let mut reader = Reader::new(manifest, Some(format), format);
        reader.keep_others();
        Packer { declared, reader, weights: BTreeMap::new(), format }
    }

    /// See [`Reader::begin`].
    pub fn begin(&mut self, name: &str, total: u64) -> Result<()> {
        // A shard lacks what the other shards hold: names are checked by `finish`.
        self.reader.skip_name_check();
        self.reader.begin(name, total)
    }

    /// See [`Reader::push`].
    pub fn push(&mut self, chunk: &[u8]) -> Result<()> {
        let weights = &mut self.weights;
        self.reader.push(chunk, &mut |WeightId(id), weight| {
            weights.insert(id, weight);
            Ok(())
        })
    }

    /// See [`Reader::end`].
    pub fn end(&mut self) -> Result<()> {
        self.reader.end()
    }

    /// Writes the pack's `model.safetensors`, front to back.
    pub fn finish(self, mut write: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let Packer { declared, reader, weights, format } = self;
        let (_, others) = reader.finish_with_others()?;
        let mut tensors = Vec::new();
        for (id, weight) in weights {
            split(&declared[id as usize], weight, &mut tensors);
        }
        tensors.extend(others.into_iter().filter_map(kept));
        tensors.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));

        let mut header = serde_json::Map::new();
        let metadata = json!({ "format": "pt", "tareas": "1", "dtype": dtype_name(format) });
        header.insert("__metadata__".into(), metadata);
        let mut at = 0;
        for t in &tensors {
            let end = at + t.bytes.len();
            let entry = json!({ "dtype": t.dtype, "shape": t.shape, "data_offsets": [at, end] });
            if header.insert(t.name.clone(), entry).is_some() {
                return Err(err!(Code::Tensor, "two tensors of the pack are called {}", t.name));
            }
            at = end;
        }
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        write(&(header.len() as u64).to_le_bytes())?;
        write(&header)?;
        tensors.iter().try_for_each(|t| write(&t.bytes))
    }
}

/// The option that names a format.
pub fn dtype_name(format: Format) -> &'static str {
    match format {
        Format::F32 => "fp32",
        Format::F16 => "fp16",
        Format::Q8 => "q8",
        Format::Q4 => "q4",
    }
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A weight as the tensors that it was stacked from, under the names it was declared by.
fn split(declared: &Declared, weight: HostWeight, tensors: &mut Vec<Tensor>) {
    let rows = declared.rows;
    for (part, name) in declared.names.iter().enumerate() {
        let mut push = |name: String, dtype, size, shape: [usize; 2], rank: usize, bytes| {
            let shape = shape[..rank].iter().map(|&d| d as u64).collect();
            tensors.push(Tensor { name, dtype, size, shape, bytes });
        };
        match &weight {
            HostWeight::Vector(v) => {
                let values = &v[part * rows..(part + 1) * rows];
                push(name.clone(), "F32", 4, [rows, 1], 1, f32_bytes(values));
            }
            HostWeight::Matrix(Matrix { format, k, data, scales, .. }) => {
                let (width, count) = (format.row_bytes(*k), format.row_scales(*k));
                let bytes = data[part * rows * width..(part + 1) * rows * width].to_vec();
                let (dtype, size) = match format {
                    Format::F32 => ("F32", 4),
                    Format::F16 => ("F16", 2),
                    Format::Q8 => ("I8", 1),
                    Format::Q4 => ("U8", 1),
                };
                push(name.clone(), dtype, size, [rows, width / size], 2, bytes);
                if count > 0 {
                    let scales = &scales[part * rows * count..(part + 1) * rows * count];
                    let halves = scales.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes());
                    let bytes = halves.collect();
                    push(
                        format!("{name}{}", super::names::SCALE),
                        "F16",
                        2,
                        [rows, count],
                        2,
                        bytes,
                    );
                }
            }
        }
    }
}

/// A tensor outside the manifest, unless it is a buffer.
fn kept(other: Other) -> Option<Tensor> {
    let dtype = FLOATS.iter().find(|known| **known == other.dtype)?;
    let elements: u64 = other.shape.iter().product();
    let size = other.bytes.len() / (elements.max(1) as usize);
    Some(Tensor { name: other.name, dtype, size, shape: other.shape, bytes: other.bytes })
}
