//! STOPGAP: whole-file reader until the streaming one lands.
use super::{Declared, Kind, Manifest};
use crate::error::Result;
use crate::plan::WeightId;
use crate::tensor::{Format, HostWeight, Matrix};
use crate::{err, Code};
use std::collections::BTreeMap;

#[derive(Debug)]
pub struct Index(Vec<String>);
impl Index {
    pub fn parse(b: &[u8]) -> Result<Self> {
        let v: serde_json::Value =
            serde_json::from_slice(b).map_err(|e| err!(Code::Checkpoint, "{e}"))?;
        let mut f: Vec<String> = v["weight_map"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(_, v)| v.as_str().map(str::to_string))
            .collect();
        f.sort();
        f.dedup();
        Ok(Index(f))
    }
    pub fn files(&self) -> Vec<String> {
        self.0.clone()
    }
}
#[derive(Debug)]
pub struct Reader {
    manifest: Manifest,
    format: Format,
    buf: Vec<u8>,
    parts: BTreeMap<String, Vec<f32>>,
}
impl Reader {
    pub fn new(manifest: Manifest, dtype: Option<Format>, default: Format) -> Self {
        Reader { manifest, format: dtype.unwrap_or(default), buf: vec![], parts: BTreeMap::new() }
    }
    pub fn begin(&mut self, _n: &str, _b: u64) -> Result<()> {
        self.buf.clear();
        Ok(())
    }
    pub fn push(
        &mut self,
        chunk: &[u8],
        sink: &mut dyn FnMut(WeightId, HostWeight) -> Result<()>,
    ) -> Result<()> {
        self.buf.extend_from_slice(chunk);
        if self.buf.len() < 8 {
            return Ok(());
        }
        let n = u64::from_le_bytes(self.buf[..8].try_into().unwrap()) as usize;
        if self.buf.len() < 8 + n {
            return Ok(());
        }
        let h: serde_json::Value = serde_json::from_slice(&self.buf[8..8 + n]).unwrap();
        let end = h
            .as_object()
            .unwrap()
            .values()
            .filter_map(|t| t["data_offsets"][1].as_u64())
            .max()
            .unwrap_or(0) as usize;
        if self.buf.len() < 8 + n + end {
            return Ok(());
        }
        for (name, t) in h.as_object().unwrap() {
            if name == "__metadata__" {
                continue;
            }
            let (a, b) = (
                t["data_offsets"][0].as_u64().unwrap() as usize,
                t["data_offsets"][1].as_u64().unwrap() as usize,
            );
            let d = &self.buf[8 + n + a..8 + n + b];
            let v: Vec<f32> = match t["dtype"].as_str().unwrap() {
                "F32" => {
                    d.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
                }
                "F16" => d
                    .chunks_exact(2)
                    .map(|b| half::f16::from_le_bytes(b.try_into().unwrap()).to_f32())
                    .collect(),
                "BF16" => d
                    .chunks_exact(2)
                    .map(|b| half::bf16::from_le_bytes(b.try_into().unwrap()).to_f32())
                    .collect(),
                _ => continue,
            };
            let mut name = name.replace(".gamma", ".weight").replace(".beta", ".bias");
            if !self.manifest.weights.iter().any(|w| w.names.contains(&name)) {
                name = format!("{}.{name}", self.manifest.base);
            }
            self.parts.insert(name, v);
        }
        self.buf.clear();
        for (i, Declared { names, rows, cols, kind }) in self.manifest.weights.iter().enumerate() {
            if !names.iter().all(|n| self.parts.contains_key(n)) {
                continue;
            }
            let all: Vec<f32> = names.iter().flat_map(|n| self.parts.remove(n).unwrap()).collect();
            let w = match kind {
                Kind::Vector => HostWeight::Vector(all),
                k => {
                    let f = match (k, self.format) {
                        (Kind::Exact, _) => Format::F32,
                        (Kind::Sensitive, Format::Q4) => Format::Q8,
                        (_, f) => f,
                    };
                    let mut m = Matrix::zeros(f, names.len() * rows, *cols);
                    m.set_rows(0, &all);
                    HostWeight::Matrix(m)
                }
            };
            sink(WeightId(i as u32), w)?;
        }
        Ok(())
    }
    pub fn end(&mut self) -> Result<()> {
        Ok(())
    }
    pub fn finish(self) -> Result<Format> {
        Ok(self.format)
    }
}
