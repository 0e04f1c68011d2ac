//! Reading a checkpoint as its bytes arrive.
//!
//! Chunks of any size go in, in file order, shard after shard. Rows are converted as soon as they
//! are complete, a weight leaves for its device as soon as all its parts are; what is held is the
//! weights under way and about one megabyte of raw bytes.

use std::collections::HashSet;

use super::header::{broken, Entry, Header};
use super::names::{listed, Names, Role, SCALE};
use super::part::{Assembly, Encoding, Part};
use super::{Declared, Index, Kind, Manifest};
use crate::error::Result;
use crate::plan::WeightId;
use crate::tensor::{Format, HostWeight, Matrix};
use crate::{err, Code};

/// Takes a weight that is complete.
pub type Sink<'a> = dyn FnMut(WeightId, HostWeight) -> Result<()> + 'a;

/// A tensor outside the manifest, as its file holds it.
#[derive(Debug)]
pub struct Other {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<u64>,
    pub bytes: Vec<u8>,
}

/// Reads one checkpoint.
#[derive(Debug)]
pub struct Reader {
    manifest: Manifest,
    names: Names,
    /// The format asked for, if any, and the one for checkpoints that are not packs.
    dtype: Option<Format>,
    default: Format,
    /// Known once the first header has been read.
    format: Option<Format>,
    weights: Vec<Option<Assembly>>,
    /// All names have been checked: by the index, or by the only header.
    checked: bool,
    file: Option<File>,
    /// Tensors outside the manifest, where they are to be kept.
    others: Option<Vec<Other>>,
}

/// The file whose bytes are arriving.
#[derive(Debug)]
struct File {
    name: String,
    /// Bytes of the file; 0 where unknown.
    total: u64,
    /// The length prefix and the header, until they are complete.
    head: Vec<u8>,
    /// The header, the tensor at hand and how many bytes of the data section have arrived.
    data: Option<(Header, usize, u64)>,
    /// It is a pack of ours: integers are quantized matrices.
    pack: bool,
    /// What the bytes of the tensor at hand go through.
    part: Option<Part>,
}

impl Reader {
    /// A reader for the weights of `manifest`. `dtype` is the format asked for; without one a
    /// pack keeps its own and any other checkpoint gets `default`.
    pub fn new(manifest: Manifest, dtype: Option<Format>, default: Format) -> Self {
        let weights = manifest.weights.iter().map(|_| None).collect();
        let names = Names::new(&manifest);
        Reader {
            manifest,
            names,
            dtype,
            default,
            format: None,
            weights,
            checked: false,
            file: None,
            others: None,
        }
    }

    /// Keeps the tensors that are outside the manifest, for a pack.
    pub fn keep_others(&mut self) {
        self.others = Some(Vec::new());
    }

    /// The format and shape `[n, k]` that each weight will have, in the order of their ids (no
    /// format: a vector). Known once the first header has been read.
    pub fn shapes(&self) -> Option<Vec<(Option<Format>, [usize; 2])>> {
        let format = self.format?;
        let shape = |w: &Declared| (format_of(w, format), w.shape());
        Some(self.manifest.weights.iter().map(shape).collect())
    }

    /// Takes files whose names nobody can check together, such as shards without their index;
    /// [`Reader::finish`] says what is missing.
    pub fn skip_name_check(&mut self) {
        self.checked = true;
    }

    /// Checks a sharded checkpoint's names before any byte of it is fetched.
    pub fn check_index(&mut self, index: &Index) -> Result<()> {
        self.names.choose(index.names());
        self.names.check(index.names())?;
        self.checked = true;
        Ok(())
    }

    /// The next bytes are those of the file `name`, of `total` bytes (0: unknown).
    pub fn begin(&mut self, name: &str, total: u64) -> Result<()> {
        if let Some(file) = &self.file {
            return Err(err!(Code::Internal, "{name} begins before {} has ended", file.name));
        }
        self.file = Some(File {
            name: name.into(),
            total,
            head: Vec::new(),
            data: None,
            pack: false,
            part: None,
        });
        Ok(())
    }

    /// The next bytes of the file, in chunks of any size.
    pub fn push(&mut self, chunk: &[u8], sink: &mut Sink<'_>) -> Result<()> {
        let Some(mut file) = self.file.take() else {
            return Err(err!(Code::Internal, "bytes of a checkpoint before its name"));
        };
        let rest = match file.data {
            None => self.head(&mut file, chunk)?,
            Some(_) => chunk,
        };
        self.data(&mut file, rest, sink)?;
        self.file = Some(file);
        Ok(())
    }

    /// Collects the header; returns what comes after it in `chunk`.
    fn head<'c>(&mut self, file: &mut File, mut chunk: &'c [u8]) -> Result<&'c [u8]> {
        let mut take = |file: &mut File, until: usize| {
            let (now, rest) = chunk.split_at(chunk.len().min(until - file.head.len()));
            if file.head.try_reserve(now.len()).is_err() {
                return Err(err!(Code::OutOfMemory, "no memory for a header of {until} bytes"));
            }
            file.head.extend_from_slice(now);
            chunk = rest;
            Ok(file.head.len() == until)
        };
        if file.head.len() < 8 && !take(file, 8)? {
            return Ok(&[]);
        }
        let mut length = [0; 8];
        length.copy_from_slice(&file.head[..8]);
        let total = (file.total > 0).then_some(file.total);
        let length = Header::length(&file.name, length, total)?;
        if !take(file, 8 + length as usize)? {
            return Ok(&[]);
        }
        let data = total.map(|total| total - 8 - length);
        let header = Header::parse(&file.name, &file.head[8..], data)?;
        file.head = Vec::new();
        self.names.alias(&header);
        self.names.choose(header.tensors.iter().map(|t| t.name.as_str()));
        if !self.checked {
            // Not sharded: this header names everything there is.
            self.names.check(header.tensors.iter().map(|t| t.name.as_str()))?;
            self.checked = true;
        }
        file.pack = is_pack(&file.name, &header)?;
        if self.format.is_none() {
            let own = header.metadata.get("dtype").filter(|_| file.pack);
            self.format =
                Some(self.dtype.or(own.and_then(|own| pack_format(own))).unwrap_or(self.default));
        }
        let names: HashSet<&str> = header.tensors.iter().map(|t| t.name.as_str()).collect();
        for entry in &header.tensors {
            self.inspect(file, entry, &names)?;
        }
        file.data = Some((header, 0, 0));
        Ok(chunk)
    }

    fn data(&mut self, file: &mut File, mut chunk: &[u8], sink: &mut Sink<'_>) -> Result<()> {
        let Some((header, at, arrived)) = &mut file.data else { return Ok(()) };
        // Tensors of no bytes end where they begin: they must not wait for a next chunk.
        while let Some(entry) = header.tensors.get(*at) {
            if file.part.is_none() {
                file.part = Some(self.part(&file.name, entry, file.pack)?);
            }
            let Some(part) = &mut file.part else { return Ok(()) };
            let left = (entry.end - *arrived).min(chunk.len() as u64) as usize;
            let (now, rest) = chunk.split_at(left);
            chunk = rest;
            *arrived += left as u64;
            part.push(now, &mut self.weights)?;
            if *arrived < entry.end {
                return Ok(());
            }
            if let Some(part) = file.part.take() {
                let others = self.others.as_mut();
                let packing = others.is_some();
                if let Some(weight) = part.finish(entry, &mut self.weights, others)? {
                    let id = WeightId(weight as u32);
                    let assembly = self.weights[weight].as_mut();
                    if let Some(complete) = assembly.map_or(Ok(None), |a| a.take(packing))? {
                        match self.manifest.weights[weight].slices {
                            count if count > 1 && !packing => {
                                for (i, slice) in slices(complete, count).into_iter().enumerate() {
                                    sink(WeightId((weight + i) as u32), slice)?;
                                }
                            }
                            _ => sink(id, complete)?,
                        }
                    }
                }
            }
            *at += 1;
        }
        if !chunk.is_empty() {
            let (name, more) = (&file.name, chunk.len());
            return Err(broken(name, format!("at least {more} bytes follow its last tensor")));
        }
        Ok(())
    }

    /// Whether `entry` is what the manifest says, before any byte of it has arrived.
    fn inspect(&self, file: &File, entry: &Entry, names: &HashSet<&str>) -> Result<()> {
        let Role::Part { weight, piece, .. } = self.place(&file.name, entry)? else {
            return Ok(());
        };
        let declared = &self.manifest.weights[weight];
        let encoding = Encoding::of(&file.name, entry, declared, piece, file.pack)?;
        if let Encoding::Data(_) = encoding {
            let scales = format!("{}{SCALE}", entry.name);
            if !names.contains(scales.as_str()) {
                let error = err!(Code::Tensor, "{} lacks {scales}", file.name);
                return Err(error.remedy("the pack is damaged: make it again"));
            }
        }
        Ok(())
    }

    /// What `entry` is to the model.
    fn place(&self, file: &str, entry: &Entry) -> Result<Role> {
        self.names.role(&entry.name).ok_or_else(|| {
            let name = &entry.name;
            err!(Code::Tensor, "{file} holds {name}, which no head of the family knows")
                .remedy("it was saved from another architecture than config.json says")
        })
    }

    /// What the bytes of `entry` go through.
    fn part(&mut self, file: &str, entry: &Entry, pack: bool) -> Result<Part> {
        let (weight, part, piece) = match self.place(file, entry)? {
            Role::Part { weight, part, piece } => (weight, part, piece),
            Role::Again => return Ok(Part::skipped(false)),
            Role::Skipped => return Ok(Part::skipped(self.others.is_some())),
        };
        let declared = &self.manifest.weights[weight];
        let encoding = Encoding::of(file, entry, declared, piece, pack)?;
        let format = format_of(declared, self.format.unwrap_or(self.default));
        let assembly = self.weights[weight].get_or_insert_with(|| Assembly::new(declared, format));
        assembly.begin(file, &entry.name, part, piece)?;
        Part::new(entry, encoding, assembly, weight, part)
    }

    /// The file ends here.
    pub fn end(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else {
            return Err(err!(Code::Internal, "the end of a checkpoint before its name"));
        };
        let short = match &file.data {
            None => Some(format!("it ends within its header, after {} bytes", file.head.len())),
            Some((header, _, arrived)) if *arrived < header.data_bytes() => {
                let all = header.data_bytes();
                Some(format!("it is cut short: {arrived} of {all} bytes of tensors"))
            }
            Some(_) => None,
        };
        match short {
            Some(what) => Err(broken(&file.name, what)),
            None => Ok(()),
        }
    }

    /// Checks that every weight has gone to the sink; returns the format they came to.
    pub fn finish(self) -> Result<Format> {
        self.finish_with_others().map(|(format, _)| format)
    }

    /// Like [`Reader::finish`], with the tensors outside the manifest.
    pub fn finish_with_others(self) -> Result<(Format, Vec<Other>)> {
        let complete = |w: &Option<Assembly>| w.as_ref().is_some_and(Assembly::is_taken);
        let weights = self.weights.iter().zip(&self.manifest.weights);
        let incomplete =
            weights.filter(|(w, d)| !complete(w) && !d.optional).flat_map(|(_, d)| &d.names);
        let names: Vec<&str> = incomplete.map(String::as_str).collect();
        if !names.is_empty() {
            let names = listed(&names);
            let error = err!(Code::Tensor, "no file of the checkpoint held all of {names}");
            return Err(error.remedy("feed every shard that the index names"));
        }
        Ok((self.format.unwrap_or(self.default), self.others.unwrap_or_default()))
    }
}

/// The rows of a weight dealt out to `count` weights.
fn slices(weight: HostWeight, count: usize) -> Vec<HostWeight> {
    let slice = |i: usize| match &weight {
        HostWeight::Vector(v) => {
            let n = v.len() / count;
            HostWeight::Vector(v[i * n..(i + 1) * n].to_vec())
        }
        HostWeight::Matrix(m) => {
            let (data, scales) = (m.data.len() / count, m.scales.len() / count);
            HostWeight::Matrix(Matrix {
                n: m.n / count,
                data: m.data[i * data..(i + 1) * data].to_vec(),
                scales: m.scales[i * scales..(i + 1) * scales].to_vec(),
                ..*m
            })
        }
    };
    (0..count).map(slice).collect()
}

/// Whether the header says that the file is a pack of ours, of the one version there is.
fn is_pack(file: &str, header: &Header) -> Result<bool> {
    match header.metadata.get("tareas").map(String::as_str) {
        None => Ok(false),
        Some("1") => Ok(true),
        Some(other) => Err(err!(Code::Unsupported, "{file} is a pack of version {other:?}")
            .remedy("make it again with this version, or use a newer version of tareas")),
    }
}

/// How a declared weight is held in a model of `format`; `None` for a vector.
fn format_of(declared: &Declared, format: Format) -> Option<Format> {
    match (declared.kind, format) {
        (Kind::Vector, _) => None,
        (Kind::Exact, _) => Some(Format::F32),
        (Kind::Sensitive, Format::Q4) => Some(Format::Q8),
        (_, format) => Some(format),
    }
}

/// The format that a pack's metadata names.
fn pack_format(dtype: &str) -> Option<Format> {
    match dtype {
        "fp16" => Some(Format::F16),
        "q8" => Some(Format::Q8),
        "q4" => Some(Format::Q4),
        _ => None,
    }
}
