//! `model.safetensors.index.json`: which shard holds which tensor.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::{err, Code};

/// The index of a sharded checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Parses an index. Shards must be plain names in the same folder.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        const FILE: &str = "model.safetensors.index.json";
        let index: Index =
            serde_json::from_slice(bytes).map_err(|e| super::header::broken(FILE, e))?;
        if index.weight_map.is_empty() {
            return Err(super::header::broken(FILE, "its weight_map is empty"));
        }
        for shard in index.weight_map.values() {
            if !is_plain(shard) {
                let shard: String = shard.chars().take(100).collect();
                let error = err!(Code::Checkpoint, "{FILE} names the shard {shard:?}");
                return Err(error.remedy("shards are .safetensors files beside the index"));
            }
        }
        Ok(index)
    }

    /// The shards, each once, in name order.
    pub fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = self.weight_map.values().cloned().collect();
        files.sort();
        files.dedup();
        files
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.weight_map.keys().map(String::as_str)
    }
}

/// Whether `shard` is the name of a file and nothing more: it is joined to an address or a folder,
/// and must not leave it, escaped or not.
fn is_plain(shard: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+@ ".contains(c);
    shard.ends_with(".safetensors") && !shard.starts_with('.') && shard.chars().all(plain)
}
