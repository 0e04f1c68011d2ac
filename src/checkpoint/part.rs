//! One tensor on its way from raw bytes into the weight that it is part of.

use half::{bf16, f16};

use super::header::{broken, Entry};
use super::layout::{self, misfit, Route};
use super::reader::Other;
use super::{Declared, Fold, Kind, Piece};
use crate::error::Result;
use crate::tensor::{Format, HostWeight, Matrix, BLOCK};
use crate::{err, Code, Error};

/// Raw bytes converted at a time, rounded to whole rows.
const GROUP: usize = 1 << 20;

/// A declared weight that is filling up.
#[derive(Debug)]
pub struct Assembly {
    declared: Declared,
    /// `None` for a vector.
    format: Option<Format>,
    weight: Weight,
    /// One per tensor that the weight is stacked from.
    parts: Vec<Arrived>,
}

#[derive(Debug)]
enum Weight {
    /// No value has arrived: no memory is held.
    Empty,
    Filling(HostWeight),
    /// It has gone to its device.
    Taken,
}

/// What has arrived of a part.
#[derive(Debug, Default, Clone)]
struct Arrived {
    /// Each of its pieces has begun; a second one is a mistake.
    begun: [bool; 4],
    complete: bool,
    /// A quantized tensor and its scales wait for each other.
    data: Option<(Format, Vec<u8>)>,
    scales: Option<Vec<f32>>,
    /// As do the two halves of a weight norm.
    gain: Option<Vec<f32>>,
    direction: Option<Vec<f32>>,
}

fn reserve<T>(len: usize, what: &str) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len).map_err(|_| too_large(len.checked_mul(size_of::<T>()), what))?;
    Ok(vec)
}

fn filled<T: Clone>(len: Option<usize>, value: T, what: &str) -> Result<Vec<T>> {
    let len = len.ok_or_else(|| too_large(None, what))?;
    let mut vec = reserve(len, what)?;
    vec.resize(len, value);
    Ok(vec)
}

fn too_large(bytes: Option<usize>, what: &str) -> Error {
    let bytes = bytes.map_or("more than the address space".into(), |b| format!("{b} bytes"));
    err!(Code::OutOfMemory, "no memory for {what}: {bytes}")
        .remedy("use a smaller dtype (q8, q4) or a smaller model")
}

impl Assembly {
    /// A declared weight of which nothing has arrived; `format` is `None` for a vector.
    pub fn new(declared: &Declared, format: Option<Format>) -> Self {
        Assembly {
            declared: declared.clone(),
            format,
            weight: Weight::Empty,
            parts: vec![Arrived::default(); declared.names.len()],
        }
    }

    fn name(&self) -> &str {
        &self.declared.names[0]
    }

    /// Notes that the tensor `name`, a piece of a part, begins: each may come once, under one of
    /// its names, from one shard.
    pub fn begin(&mut self, file: &str, name: &str, part: usize, piece: Piece) -> Result<()> {
        let begun = &mut self.parts[part].begun;
        let again = std::mem::replace(&mut begun[piece as usize], true);
        let [whole, _, gain, direction] = *begun;
        if again || whole && (gain || direction) {
            return Err(broken(file, format!("{name} has been read before, from here or a shard")));
        }
        Ok(())
    }

    /// The weight, once all its parts are there; only the first call gets it. `raw` leaves a batch
    /// norm as the four vectors that it is, for a pack.
    pub fn take(&mut self, raw: bool) -> Result<Option<HostWeight>> {
        if !self.parts.iter().all(|part| part.complete) {
            return Ok(None);
        }
        let Weight::Filling(weight) = std::mem::replace(&mut self.weight, Weight::Taken) else {
            return Ok(None);
        };
        Ok(Some(match (weight, self.declared.fold) {
            (HostWeight::Vector(v), Fold::BatchNorm { eps }) => {
                // Into a pack goes nothing that could not be read from it.
                let folded = layout::batch_norm(self.name(), &v, eps)?;
                HostWeight::Vector(if raw { v } else { folded })
            }
            (weight, _) => weight,
        }))
    }

    /// The weight was complete and has been taken.
    pub fn is_taken(&self) -> bool {
        matches!(self.weight, Weight::Taken)
    }

    /// The weight's memory, reserved when its first values arrive.
    fn memory(&mut self) -> Result<&mut HostWeight> {
        if matches!(self.weight, Weight::Empty) {
            let n = self.parts.len() * self.declared.rows;
            let (k, what) = (self.declared.cols, self.declared.names[0].as_str());
            self.weight = Weight::Filling(match self.format {
                None => HostWeight::Vector(filled(Some(n), 0.0, what)?),
                Some(format) => HostWeight::Matrix(Matrix {
                    format,
                    n,
                    k,
                    data: filled(n.checked_mul(format.row_bytes(k)), 0, what)?,
                    scales: filled(n.checked_mul(format.row_scales(k)), 0.0, what)?,
                }),
            });
        }
        match &mut self.weight {
            Weight::Filling(weight) => Ok(weight),
            _ => Err(err!(Code::Internal, "{} has been taken", self.declared.names[0])),
        }
    }

    /// Writes f32 values from row `row` of `part` on.
    fn set(&mut self, part: usize, row: usize, values: &[f32]) -> Result<()> {
        let first = part * self.declared.rows + row;
        match self.memory()? {
            HostWeight::Vector(v) => v[first..first + values.len()].copy_from_slice(values),
            HostWeight::Matrix(m) => m.set_rows(first, values),
        }
        Ok(())
    }

    /// Moves a quantized part in, once its data and its scales are both there: bit by bit where
    /// the weight has the same format, else through f32. False while one of them is missing.
    fn merge(&mut self, part: usize) -> Result<bool> {
        let held = &mut self.parts[part];
        if held.data.is_none() || held.scales.is_none() {
            return Ok(false);
        }
        let (Some((format, data)), Some(scales)) = (held.data.take(), held.scales.take()) else {
            return Ok(false);
        };
        let (rows, k) = (self.declared.rows, self.declared.cols);
        let source = Matrix { format, n: rows, k, data, scales };
        if self.format == Some(format) && self.parts.len() == 1 {
            self.weight = Weight::Filling(HostWeight::Matrix(source));
        } else if self.format == Some(format) {
            let HostWeight::Matrix(m) = self.memory()? else { return Ok(false) };
            let (data, scales) = (source.data.len(), source.scales.len());
            m.data[part * data..][..data].copy_from_slice(&source.data);
            m.scales[part * scales..][..scales].copy_from_slice(&source.scales);
        } else {
            let mut row = filled(Some(k), 0.0, self.name())?;
            for r in 0..rows {
                source.row(r, &mut row);
                // Levels times scales reach beyond f16, and a scale's last step beyond its own.
                check_values(self.name(), r * k, &row, limit(self.format))?;
                self.set(part, r, &row)?;
            }
        }
        Ok(true)
    }

    /// Writes a part whose values (`[cols, rows]`) lie the other way round, a few rows at a time.
    fn set_turned(&mut self, part: usize, values: &[f32]) -> Result<()> {
        // One pass over the values for 16 rows: a cache line of f32.
        const ROWS: usize = 16;
        let (rows, cols) = (self.declared.rows, self.declared.cols);
        let mut turned = reserve(ROWS.min(rows) * cols, self.name())?;
        for first in (0..if cols == 0 { 0 } else { rows }).step_by(ROWS) {
            layout::turned(values, rows, first, ROWS.min(rows - first), &mut turned);
            self.set(part, first, &turned)?;
        }
        Ok(())
    }

    /// Folds a weight norm, once both its halves are there. False while one is missing.
    fn fold(&mut self, part: usize) -> Result<bool> {
        let held = &mut self.parts[part];
        if held.gain.is_none() || held.direction.is_none() {
            return Ok(false);
        }
        let (Some(g), Some(mut v)) = (held.gain.take(), held.direction.take()) else {
            return Ok(false);
        };
        let cols = self.declared.cols;
        self.declared.weight_norm(self.name(), &mut v, &g)?;
        check_values(self.name(), 0, &v, limit(self.format))?;
        let taps = self.declared.taps();
        let mut row = reserve(cols, self.name())?;
        for (r, values) in v.chunks_exact(cols.max(1)).enumerate() {
            layout::channels_last(values, cols, taps, &mut row);
            self.set(part, r, &row)?;
        }
        Ok(true)
    }

    /// A part without rows or columns brings no values, and is complete all the same.
    fn complete(&mut self, part: usize) -> Result<()> {
        self.memory()?;
        self.parts[part].complete = true;
        Ok(())
    }
}

/// How a tensor's bytes are to be read.
#[derive(Debug, Clone, Copy)]
pub enum Encoding {
    /// Bytes of an element, the conversion of whole elements to f32, and where they go.
    Floats(usize, fn(&[u8], &mut Vec<f32>), Route),
    /// Data of a quantized matrix.
    Data(Format),
    /// Scales of a quantized matrix, f16.
    Scales,
}

impl Encoding {
    /// The encoding of `entry`, a piece of a part of `declared`, after a look at its dtype and
    /// its shape. Integers mean something only in a `pack`.
    pub fn of(
        file: &str,
        entry: &Entry,
        declared: &Declared,
        piece: Piece,
        pack: bool,
    ) -> Result<Self> {
        let packed = pack && declared.kind != Kind::Vector;
        let blocks = |n: usize, encoding| {
            let shape = [declared.rows, n];
            layout::same(&entry.shape, &shape)
                .then_some(encoding)
                .ok_or_else(|| misfit(file, entry, &shape))
        };
        let floats = |size, read| {
            Ok(Encoding::Floats(size, read, declared.route(file, entry, piece, pack)?))
        };
        let k = declared.cols;
        match (entry.dtype.as_str(), piece) {
            ("F16", Piece::Scale) if packed => blocks(Format::Q8.row_scales(k), Encoding::Scales),
            ("I8", Piece::Whole) if packed => {
                blocks(Format::Q8.row_bytes(k), Encoding::Data(Format::Q8))
            }
            ("U8", Piece::Whole) if packed => {
                blocks(Format::Q4.row_bytes(k), Encoding::Data(Format::Q4))
            }
            ("F32", Piece::Whole | Piece::Gain | Piece::Direction) => floats(4, read_f32),
            ("F16", Piece::Whole | Piece::Gain | Piece::Direction) => floats(2, read_f16),
            ("BF16", Piece::Whole | Piece::Gain | Piece::Direction) => floats(2, read_bf16),
            (dtype, _) => {
                let error = err!(Code::Unsupported, "{file}: {} is stored as {dtype}", entry.name);
                Err(error.remedy("weights are read from F32, F16 and BF16, and packs of ours"))
            }
        }
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
    route: Route,
    /// Bytes and elements of a row (of an element, in a vector and in what is held whole).
    unit: usize,
    cols: usize,
    /// Rows done.
    row: usize,
    /// What has arrived of the row after them.
    raw: Vec<u8>,
    /// The rows at hand, or all that there is where the whole is held.
    values: Vec<f32>,
    /// A group of rows with the channels last.
    turned: Vec<f32>,
    /// The largest magnitude that the weight's format can hold.
    limit: f32,
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

    /// The part (or its scales) of `weight` that `entry` is.
    pub fn new(
        entry: &Entry,
        encoding: Encoding,
        assembly: &Assembly,
        weight: usize,
        part: usize,
    ) -> Result<Self> {
        let name = entry.name.clone();
        let collected = || {
            let bytes = usize::try_from(entry.end - entry.begin);
            reserve(bytes.map_err(|_| too_large(None, &entry.name))?, &entry.name)
        };
        Ok(match encoding {
            Encoding::Floats(size, read, route) => {
                let streams = matches!(route, Route::Rows | Route::Taps(_));
                let row = assembly.format.map_or(1, |_| assembly.declared.cols);
                let cols = if streams { row } else { 1 };
                let unit = size * cols;
                let values = if streams {
                    Vec::new()
                } else {
                    let count = usize::try_from((entry.end - entry.begin) / size as u64);
                    reserve(count.map_err(|_| too_large(None, &name))?, &name)?
                };
                let (raw, turned) = (reserve(unit, &name)?, Vec::new());
                // What a weight norm is folded to is checked then.
                let limit = match route {
                    Route::Gain | Route::Direction => f32::MAX,
                    _ => limit(assembly.format),
                };
                Part::Floats(Floats {
                    weight,
                    part,
                    name,
                    read,
                    route,
                    unit,
                    cols,
                    row: 0,
                    raw,
                    values,
                    turned,
                    limit,
                })
            }
            Encoding::Data(format) => {
                Part::Quantized { weight, part, format: Some(format), bytes: collected()? }
            }
            Encoding::Scales => Part::Quantized { weight, part, format: None, bytes: collected()? },
        })
    }

    /// The next bytes of the tensor.
    pub fn push(&mut self, bytes: &[u8], weights: &mut [Option<Assembly>]) -> Result<()> {
        match self {
            Part::Skipped => Ok(()),
            Part::Kept(kept) => {
                kept.try_reserve(bytes.len())
                    .map_err(|_| too_large(Some(bytes.len()), "a tensor that is kept as it is"))?;
                kept.extend_from_slice(bytes);
                Ok(())
            }
            Part::Quantized { bytes: collected, .. } => {
                collected.extend_from_slice(bytes);
                Ok(())
            }
            Part::Floats(floats) => floats.push(bytes, weights),
        }
    }

    /// The tensor ends; returns the weight whose part is now complete.
    pub fn finish(
        self,
        entry: &Entry,
        weights: &mut [Option<Assembly>],
        others: Option<&mut Vec<Other>>,
    ) -> Result<Option<usize>> {
        let (weight, part, complete) = match self {
            Part::Skipped => return Ok(None),
            Part::Kept(bytes) => {
                let Entry { name, dtype, shape, .. } = entry.clone();
                if let Some(others) = others {
                    others.push(Other { name, dtype, shape, bytes });
                }
                return Ok(None);
            }
            Part::Floats(floats) => {
                let Floats { weight, part, route, values, .. } = floats;
                let Some(assembly) = &mut weights[weight] else { return Ok(None) };
                let complete = match route {
                    Route::Rows | Route::Taps(_) => true,
                    Route::Transposed => {
                        assembly.set_turned(part, &values)?;
                        true
                    }
                    Route::Gain => {
                        assembly.parts[part].gain = Some(values);
                        assembly.fold(part)?
                    }
                    Route::Direction => {
                        assembly.parts[part].direction = Some(values);
                        assembly.fold(part)?
                    }
                };
                (weight, part, complete)
            }
            Part::Quantized { weight, part, format, mut bytes } => {
                let Some(assembly) = &mut weights[weight] else { return Ok(None) };
                match format {
                    Some(format) => {
                        check_levels(&entry.name, format, assembly.declared.cols, &mut bytes)?;
                        assembly.parts[part].data = Some((format, bytes));
                    }
                    None => {
                        let mut scales = reserve(bytes.len() / 2, &entry.name)?;
                        read_f16(&bytes, &mut scales);
                        check_values(&entry.name, 0, &scales, f32::MAX)?;
                        assembly.parts[part].scales = Some(scales);
                    }
                }
                (weight, part, assembly.merge(part)?)
            }
        };
        if let Some(assembly) = weights[weight].as_mut().filter(|_| complete) {
            assembly.complete(part)?;
        }
        Ok(complete.then_some(weight))
    }
}

impl Floats {
    /// Converts the rows that `bytes` completes, straight from the chunk but for the row that a
    /// chunk's end cuts.
    fn push(&mut self, mut bytes: &[u8], weights: &mut [Option<Assembly>]) -> Result<()> {
        if self.unit == 0 {
            return Ok(());
        }
        if !self.raw.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(self.unit - self.raw.len()));
            self.raw.extend_from_slice(now);
            bytes = rest;
            if self.raw.len() < self.unit {
                return Ok(());
            }
            let mut raw = std::mem::take(&mut self.raw);
            self.convert(&raw, weights)?;
            raw.clear();
            self.raw = raw;
        }
        let (rows, cut) = bytes.split_at(bytes.len() / self.unit * self.unit);
        for group in rows.chunks((GROUP / self.unit).max(1) * self.unit) {
            self.convert(group, weights)?;
        }
        self.raw.extend_from_slice(cut);
        Ok(())
    }

    /// Converts whole rows.
    fn convert(&mut self, raw: &[u8], weights: &mut [Option<Assembly>]) -> Result<()> {
        let rows = raw.len() / self.unit;
        let streams = matches!(self.route, Route::Rows | Route::Taps(_));
        if streams {
            self.values.clear();
        }
        let at = self.values.len();
        let out_of_memory = |_| too_large(Some(4 * rows * self.cols), &self.name);
        self.values.try_reserve(rows * self.cols).map_err(out_of_memory)?;
        (self.read)(raw, &mut self.values);
        check_values(&self.name, self.row * self.cols, &self.values[at..], self.limit)?;
        if let Some(assembly) = weights[self.weight].as_mut().filter(|_| streams) {
            let mut values = &self.values;
            if let Route::Taps(taps) = self.route {
                self.turned.try_reserve(values.len()).map_err(out_of_memory)?;
                layout::channels_last(values, self.cols, taps, &mut self.turned);
                values = &self.turned;
            }
            assembly.set(self.part, self.row, values)?;
        }
        self.row += rows;
        Ok(())
    }
}

/// The largest magnitude that `format` holds: what rounds to the largest f16, times the steps
/// that its f16 scale counts.
fn limit(format: Option<Format>) -> f32 {
    const F16: f32 = 65_504.0;
    match format {
        None | Some(Format::F32) => f32::MAX,
        Some(Format::F16) => F16,
        Some(Format::Q8) => F16 * 127.0,
        Some(Format::Q4) => F16 * 7.0,
    }
}

/// One NaN in a query weight gives confident, finite, wrong answers: none gets in, nor a value
/// that its new format would turn into infinity.
fn check_values(name: &str, first: usize, values: &[f32], limit: f32) -> Result<()> {
    // NaN > infinity > any number when their bits are compared; this loop becomes vectors.
    let magnitude = |x: &f32| x.to_bits() & 0x7FFF_FFFF;
    if values.iter().map(magnitude).fold(0, u32::max) <= limit.to_bits() {
        return Ok(());
    }
    let at = values.iter().position(|x| magnitude(x) > limit.to_bits()).unwrap_or(0);
    let (value, at) = (values.get(at).copied().unwrap_or(f32::NAN), first + at);
    let error = err!(Code::NonFinite, "{name} holds {value} at element {at}");
    Err(if value.is_finite() {
        error.remedy(format!("its format ends at {limit}: load it with dtype fp32"))
    } else {
        error.remedy("the checkpoint is damaged or diverged in training: use another revision")
    })
}

/// Quantized data is in canonical form: q8 without -128, which integer dot products may not
/// negate, and both formats with zeros past the last column.
fn check_levels(name: &str, format: Format, k: usize, data: &mut [u8]) -> Result<()> {
    if format == Format::Q8 && data.contains(&0x80) {
        return Err(err!(Code::Checkpoint, "{name} holds the level -128, outside -127..127")
            .remedy("the pack is damaged: make it again"));
    }
    let width = format.row_bytes(k);
    if k % BLOCK != 0 {
        for row in data.chunks_exact_mut(width) {
            for k in k..k.next_multiple_of(BLOCK) {
                if format == Format::Q8 {
                    row[k] = 0;
                } else {
                    // tensor/matrix.rs: four low nibbles, then the four high ones of the same bytes
                    let shift = if k % 8 < 4 { 0 } else { 4 };
                    let byte = &mut row[k / 8 * 4 + k % 4];
                    *byte = *byte & !(0x0F << shift) | 8 << shift;
                }
            }
        }
    }
    Ok(())
}
