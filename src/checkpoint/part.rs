//! One tensor on its way from raw bytes into the weight that it is part of.

use half::{bf16, f16};

use super::header::Entry;
use super::reader::Other;
use super::{Declared, Kind};
use crate::error::Result;
use crate::tensor::{Format, HostWeight, Matrix};
use crate::{err, Code};

/// Raw bytes converted at a time, rounded to whole rows.
const GROUP: usize = 1 << 20;

/// A declared weight that is filling up.
#[derive(Debug)]
pub struct Assembly {
    /// `None` once it has gone to its device.
    weight: Option<HostWeight>,
    /// Rows of each part.
    rows: usize,
    /// Parts that are not complete yet.
    missing: usize,
    /// Per part, what has arrived of a quantized tensor and its scales.
    quantized: Vec<Quantized>,
}

#[derive(Debug, Default, Clone)]
struct Quantized {
    data: Option<(Format, Vec<u8>)>,
    scales: Option<Vec<f32>>,
}

fn reserve<T>(len: usize, what: &str) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len).map_err(|_| {
        let bytes = len.saturating_mul(size_of::<T>());
        err!(Code::OutOfMemory, "no memory for {what}: {bytes} bytes")
            .remedy("use a smaller dtype (q8, q4) or a smaller model")
    })?;
    Ok(vec)
}

/// Zeros `[n, k]`.
fn filled<T: Clone + Default>(n: usize, k: usize, what: &str) -> Result<Vec<T>> {
    // 32 bits overflow on wasm where 64 would only fail to allocate.
    let len = n.checked_mul(k).unwrap_or(usize::MAX);
    let mut vec = reserve(len, what)?;
    vec.resize(len, T::default());
    Ok(vec)
}

impl Assembly {
    /// Memory for a declared weight; `format` is `None` for a vector.
    pub fn new(declared: &Declared, format: Option<Format>) -> Result<Self> {
        let parts = declared.names.len();
        let (n, k) = (parts * declared.rows, declared.cols);
        let name = &declared.names[0];
        let weight = match format {
            None => HostWeight::Vector(filled(n, 1, name)?),
            Some(format) => HostWeight::Matrix(Matrix {
                format,
                n,
                k,
                data: filled(n, format.row_bytes(k), name)?,
                scales: filled(n, format.row_scales(k), name)?,
            }),
        };
        let quantized = vec![Quantized::default(); parts];
        Ok(Assembly { weight: Some(weight), rows: declared.rows, missing: parts, quantized })
    }

    /// The weight, once all its parts are there; only the first call gets it.
    pub fn take(&mut self) -> Option<HostWeight> {
        if self.missing > 0 {
            return None;
        }
        self.weight.take()
    }

    /// The weight was complete and has been taken.
    pub fn is_taken(&self) -> bool {
        self.weight.is_none()
    }

    /// Writes f32 values from row `row` of `part` on.
    fn set(&mut self, part: usize, row: usize, values: &[f32]) {
        let first = part * self.rows + row;
        match &mut self.weight {
            Some(HostWeight::Vector(v)) => v[first..first + values.len()].copy_from_slice(values),
            Some(HostWeight::Matrix(m)) => m.set_rows(first, values),
            None => {}
        }
    }

    /// Moves a quantized part in, once its data and its scales are both there: bit by bit where
    /// the weight has the same format, else through f32.
    fn merge(&mut self, part: usize) -> bool {
        let Some(HostWeight::Matrix(m)) = &mut self.weight else { return false };
        let held = &mut self.quantized[part];
        let (Some((format, data)), Some(scales)) = (held.data.take(), held.scales.take()) else {
            return false;
        };
        let (rows, k) = (self.rows, m.k);
        if format == m.format {
            let (bytes, count) = (format.row_bytes(k), format.row_scales(k));
            m.data[part * rows * bytes..][..data.len()].copy_from_slice(&data);
            m.scales[part * rows * count..][..scales.len()].copy_from_slice(&scales);
        } else {
            let source = Matrix { format, n: rows, k, data, scales };
            let mut row = vec![0.0; k];
            for r in 0..rows {
                source.row(r, &mut row);
                m.set_rows(part * rows + r, &row);
            }
        }
        true
    }
}

/// What the bytes of the tensor at hand go through.
#[derive(Debug)]
pub enum Part {
    Skipped,
    Kept(Vec<u8>),
    Floats(Floats),
    /// Data or scales of a quantized tensor, collected whole.
    Quantized {
        weight: usize,
        part: usize,
        format: Option<Format>,
        bytes: Vec<u8>,
    },
}

/// f32, f16 or bf16 on their way to rows of f32.
#[derive(Debug)]
pub struct Floats {
    weight: usize,
    part: usize,
    name: String,
    read: fn(&[u8], &mut Vec<f32>),
    /// Bytes of a row, or of an element of a vector.
    unit: usize,
    /// Rows done.
    row: usize,
    raw: Vec<u8>,
    values: Vec<f32>,
}

fn read_f32(raw: &[u8], values: &mut Vec<f32>) {
    values.extend(raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
}

fn read_f16(raw: &[u8], values: &mut Vec<f32>) {
    values.extend(raw.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()));
}

fn read_bf16(raw: &[u8], values: &mut Vec<f32>) {
    values.extend(raw.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()));
}

impl Part {
    /// A tensor that the model does not use.
    pub fn skipped(keep: bool) -> Self {
        if keep {
            Part::Kept(Vec::new())
        } else {
            Part::Skipped
        }
    }

    /// The part (or its scales) that `entry` is, after a look at its dtype and shape.
    pub fn new(
        file: &str,
        entry: &Entry,
        declared: &Declared,
        weight: usize,
        part: usize,
        scale: bool,
    ) -> Result<Self> {
        let (rows, cols) = (declared.rows as u64, declared.cols);
        let vector = declared.kind == Kind::Vector;
        let dense = if vector { vec![rows] } else { vec![rows, cols as u64] };
        let blocks = |n: usize| vec![rows, n as u64];
        type Read = fn(&[u8], &mut Vec<f32>);
        let (shape, size, read): (_, usize, Option<Read>) = match (entry.dtype.as_str(), scale) {
            ("F16", true) => (blocks(Format::Q8.row_scales(cols)), 2, None),
            ("F32", false) => (dense, 4, Some(read_f32)),
            ("F16", false) => (dense, 2, Some(read_f16)),
            ("BF16", false) => (dense, 2, Some(read_bf16)),
            ("I8", false) if !vector => (blocks(Format::Q8.row_bytes(cols)), 1, None),
            ("U8", false) if !vector => (blocks(Format::Q4.row_bytes(cols)), 1, None),
            (dtype, _) => {
                let error = err!(Code::Unsupported, "{file}: {} is stored as {dtype}", entry.name);
                return Err(
                    error.remedy("weights are read from F32, F16 and BF16, and packs of ours")
                );
            }
        };
        if entry.shape != shape {
            let (name, has) = (&entry.name, &entry.shape);
            let error = err!(
                Code::Tensor,
                "{file}: {name} has the shape {has:?}, config.json asks for {shape:?}"
            );
            return Err(error.remedy("config.json and the weights are of different models"));
        }
        Ok(match read {
            Some(read) => Part::Floats(Floats {
                weight,
                part,
                name: entry.name.clone(),
                read,
                unit: if vector { size } else { size * cols },
                row: 0,
                raw: Vec::new(),
                values: Vec::new(),
            }),
            None => {
                let format = match (scale, entry.dtype.as_str()) {
                    (true, _) => None,
                    (_, "I8") => Some(Format::Q8),
                    _ => Some(Format::Q4),
                };
                let bytes = reserve((entry.end - entry.begin) as usize, &entry.name)?;
                Part::Quantized { weight, part, format, bytes }
            }
        })
    }

    /// The next bytes of the tensor.
    pub fn push(&mut self, bytes: &[u8], weights: &mut [Option<Assembly>]) -> Result<()> {
        match self {
            Part::Skipped => {}
            Part::Kept(kept) => kept.extend_from_slice(bytes),
            Part::Quantized { bytes: collected, .. } => collected.extend_from_slice(bytes),
            Part::Floats(floats) => {
                for piece in bytes.chunks(GROUP) {
                    floats.raw.extend_from_slice(piece);
                    floats.convert(weights)?;
                }
            }
        }
        Ok(())
    }

    /// The tensor ends; returns the weight whose part is now complete.
    pub fn finish(
        self,
        entry: &Entry,
        weights: &mut [Option<Assembly>],
        others: Option<&mut Vec<Other>>,
    ) -> Result<Option<usize>> {
        let (weight, complete) = match self {
            Part::Skipped => return Ok(None),
            Part::Kept(bytes) => {
                let Entry { name, dtype, shape, .. } = entry.clone();
                others.into_iter().for_each(|o| {
                    o.push(Other {
                        name: name.clone(),
                        dtype: dtype.clone(),
                        shape: shape.clone(),
                        bytes: bytes.clone(),
                    });
                });
                return Ok(None);
            }
            Part::Floats(floats) => (floats.weight, true),
            Part::Quantized { weight, part, format, bytes } => {
                let Some(assembly) = &mut weights[weight] else { return Ok(None) };
                match format {
                    Some(format) => assembly.quantized[part].data = Some((format, bytes)),
                    None => {
                        let mut scales = reserve(bytes.len() / 2, &entry.name)?;
                        read_f16(&bytes, &mut scales);
                        finite(&entry.name, 0, &scales)?;
                        assembly.quantized[part].scales = Some(scales);
                    }
                }
                let held = &assembly.quantized[part];
                let both = held.data.is_some() && held.scales.is_some();
                (weight, both && assembly.merge(part))
            }
        };
        if complete {
            if let Some(assembly) = &mut weights[weight] {
                assembly.missing = assembly.missing.saturating_sub(1);
            }
        }
        Ok(complete.then_some(weight))
    }
}

impl Floats {
    /// Converts the rows that are complete.
    fn convert(&mut self, weights: &mut [Option<Assembly>]) -> Result<()> {
        let rows = self.raw.len() / self.unit.max(1);
        if rows == 0 {
            return Ok(());
        }
        self.values.clear();
        (self.read)(&self.raw[..rows * self.unit], &mut self.values);
        finite(&self.name, self.row * (self.values.len() / rows), &self.values)?;
        if let Some(assembly) = &mut weights[self.weight] {
            assembly.set(self.part, self.row, &self.values);
        }
        self.row += rows;
        self.raw.drain(..rows * self.unit);
        Ok(())
    }
}

/// One NaN in a query weight gives confident, finite, wrong answers: none gets in.
fn finite(name: &str, first: usize, values: &[f32]) -> Result<()> {
    match values.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => {
            Err(err!(Code::NonFinite, "{name} holds {} at element {}", values[at], first + at)
                .remedy("the checkpoint is damaged or diverged in training: use another revision"))
        }
    }
}
