//! The header of a safetensors file: `u64` length, JSON, then the tensors' bytes.
//!
//! A header is checked whole before anything is allocated for the tensors it describes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::error::{Error, Result};
use crate::{err, Code};

/// The longest header that is read: the reference implementation's own limit.
pub const MAX_HEADER: u64 = 100_000_000;

/// More dimensions than any tensor has; it bounds what a message prints.
const MAX_RANK: usize = 16;

/// The types that safetensors knows and their bits per element. Most can only be skipped.
const TYPES: &[(&str, u64)] = &[
    ("F64", 64),
    ("F32", 32),
    ("F16", 16),
    ("BF16", 16),
    ("F8_E4M3", 8),
    ("F8_E5M2", 8),
    ("F8_E8M0", 8),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("F4", 4),
    ("C64", 64),
    ("I64", 64),
    ("U64", 64),
    ("I32", 32),
    ("U32", 32),
    ("I16", 16),
    ("U16", 16),
    ("I8", 8),
    ("U8", 8),
    ("BOOL", 8),
];

/// What arrives in place of a checkpoint: its beginning, its name and the remedy.
const IMPOSTORS: &[(&[u8], &str, &str)] = &[
    (b"<", "an HTML or XML page", "check the address: the server answered with a page"),
    (b"version ", "a Git LFS pointer", "fetch the file that it stands for: git lfs pull"),
    (
        b"PK\x03\x04",
        "a PyTorch archive",
        "in Python: save_pretrained(..., safe_serialization=True)",
    ),
    (b"\x80\x02", "a Python pickle", "in Python: save_pretrained(..., safe_serialization=True)"),
    (b"GGUF", "a GGUF file", "use the repository's safetensors"),
    (b"\x89HDF", "an HDF5 file", "use the repository's safetensors"),
];

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// One of safetensors' names: `F32`, `BF16`, ...
    pub dtype: String,
    pub shape: Vec<u64>,
    /// Bytes within the data section.
    pub begin: u64,
    pub end: u64,
}

/// A validated header: the tensors in the order of their bytes, without holes or overlaps.
#[derive(Debug, Clone, Default)]
pub struct Header {
    pub tensors: Vec<Entry>,
    pub metadata: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The JSON object with its keys in file order: a map would drop duplicate names silently.
struct Raw {
    tensors: Vec<(String, RawEntry)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut raw = Raw { tensors: Vec::new(), metadata: BTreeMap::new() };
                while let Some(key) = map.next_key::<String>()? {
                    if key == "__metadata__" {
                        raw.metadata = map.next_value::<Option<_>>()?.unwrap_or_default();
                    } else {
                        raw.tensors.push((key, map.next_value()?));
                    }
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// An error about `file`, which another download may mend.
pub(super) fn broken(file: &str, what: impl fmt::Display) -> Error {
    err!(Code::Checkpoint, "{file}: {what}")
        .remedy("the file is damaged or not a safetensors file: download it again")
}

impl Header {
    /// The length of the JSON, from the first eight bytes of `file`, which has `total` bytes where
    /// that is known.
    pub fn length(file: &str, prefix: [u8; 8], total: Option<u64>) -> Result<u64> {
        let length = u64::from_le_bytes(prefix);
        let most = total.map_or(MAX_HEADER, |total| MAX_HEADER.min(total.saturating_sub(8)));
        if (2..=most).contains(&length) {
            return Ok(length);
        }
        if let Some((_, what, remedy)) = IMPOSTORS.iter().find(|(m, ..)| prefix.starts_with(m)) {
            let error = err!(Code::Checkpoint, "{file} is {what}, not a safetensors file");
            return Err(error.remedy(*remedy));
        }
        let what =
            format!("its first eight bytes promise a header of {length} bytes, 2 to {most} can be");
        Err(broken(file, what))
    }

    /// Parses the JSON of a header. `data` is the size of the data section where it is known.
    pub fn parse(file: &str, json: &[u8], data: Option<u64>) -> Result<Self> {
        let raw: Raw =
            serde_json::from_slice(json).map_err(|e| broken(file, format!("its header: {e}")))?;
        let mut names = BTreeSet::new();
        if let Some((name, _)) = raw.tensors.iter().find(|(name, _)| !names.insert(name.as_str())) {
            return Err(broken(file, format!("the tensor {name} is described twice")));
        }
        let mut tensors = Vec::with_capacity(raw.tensors.len());
        for (name, RawEntry { dtype, shape, data_offsets: [begin, end] }) in raw.tensors {
            let known = TYPES.iter().find(|(known, _)| *known == dtype);
            let Some((_, bits)) = known else {
                let error = err!(Code::Unsupported, "{file}: {name} has the dtype {dtype:?}");
                return Err(error.remedy("weights are read from F32, F16 and BF16"));
            };
            if shape.len() > MAX_RANK {
                let rank = shape.len();
                return Err(broken(file, format!("{name} has {rank} dimensions")));
            }
            let bits = shape.iter().try_fold(*bits, |product, &d| product.checked_mul(d));
            let bytes = bits.map(|bits| bits.div_ceil(8));
            if end < begin || bytes != Some(end - begin) {
                let wanted =
                    bytes.map_or("more bytes than fit in 64 bits".into(), |b| format!("{b} bytes"));
                return Err(broken(
                    file,
                    format!(
                        "{name} {dtype} {shape:?} takes {wanted}, its offsets are {begin}..{end}"
                    ),
                ));
            }
            tensors.push(Entry { name, dtype, shape, begin, end });
        }
        tensors.sort_by_key(|t| (t.begin, t.end));
        let mut at = 0;
        let mut before = "its header";
        for t in &tensors {
            if t.begin != at {
                let what = if t.begin < at { "overlaps" } else { "leaves a hole after" };
                let Entry { name, begin, end, .. } = t;
                let what = format!("{name} at {begin}..{end} {what} {before}, which ends at {at}");
                return Err(broken(file, what));
            }
            (at, before) = (t.end, &t.name);
        }
        if let Some(data) = data.filter(|&data| data != at) {
            return Err(broken(
                file,
                format!("its header describes {at} bytes of tensors, there are {data}"),
            ));
        }
        Ok(Header { tensors, metadata: raw.metadata })
    }

    /// Bytes of the data section.
    pub fn data_bytes(&self) -> u64 {
        self.tensors.last().map_or(0, |t| t.end)
    }
}
