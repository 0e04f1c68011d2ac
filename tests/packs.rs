//! What the command line does with a repository: its small files, then its weights, to a pack that
//! loads; a golden of every architecture of every family.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tareas::checkpoint::{Config, Index, Reader};
use tareas::tasks::{packer, task_of, AnyFamily, Files};
use tareas::tensor::{Format, HostWeight};

/// Where the families' goldens lie.
const FAMILIES: &[&str] = &["."];

/// A repository's small files, and the bytes of its weight files.
fn repository(path: &Path) -> (Files, Vec<Vec<u8>>) {
    let mut files = Files::default();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let ends = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let name = path.file_name().unwrap().to_str().unwrap();
        if ["json", "txt", "model"].contains(&ends) && !name.starts_with("golden") {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    let index = fs::read(path.join("model.safetensors.index.json"));
    let shards = match index {
        Ok(index) => Index::parse(&index).unwrap().files(),
        Err(_) => vec!["model.safetensors".into()],
    };
    (files, shards.iter().map(|shard| fs::read(path.join(shard)).unwrap()).collect())
}

fn read(files: &Files, shards: &[Vec<u8>], dtype: Option<Format>) -> BTreeMap<u32, HostWeight> {
    let config = Config::parse(files.get("config.json").unwrap()).unwrap();
    let task = task_of(config.architecture().unwrap_or_default());
    let (_, manifest) = AnyFamily::open(task.kind(), task, &config, files).unwrap();
    let mut reader = Reader::new(manifest, dtype, Format::F32);
    if shards.len() > 1 {
        reader.skip_name_check();
    }
    let mut weights = BTreeMap::new();
    for shard in shards {
        reader.begin("model.safetensors", shard.len() as u64).unwrap();
        let mut sink = |id: tareas::plan::WeightId, weight| {
            weights.insert(id.0, weight);
            Ok(())
        };
        reader.push(shard, &mut sink).unwrap();
        reader.end().unwrap();
    }
    assert_eq!(reader.finish().unwrap(), Format::Q8);
    weights
}

#[test]
fn every_architecture_packs_and_loads() {
    for family in FAMILIES {
        let mut paths: Vec<PathBuf> = fs::read_dir(common::root().join(family))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("taps.safetensors").exists())
            .collect();
        paths.sort();
        assert!(!paths.is_empty(), "no goldens of {family}");
        for path in paths {
            let (files, shards) = repository(&path);
            let mut packer = packer(&files, Format::Q8)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            for shard in &shards {
                packer.begin("model.safetensors", shard.len() as u64).unwrap();
                packer.push(shard).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                packer.end().unwrap();
            }
            let mut pack = Vec::new();
            packer
                .finish(|chunk| {
                    pack.extend_from_slice(chunk);
                    Ok(())
                })
                .unwrap();
            let packed = read(&files, &[pack], None);
            let direct = read(&files, &shards, Some(Format::Q8));
            assert_eq!(packed.len(), direct.len());
            for (id, weight) in packed {
                let same = match (&weight, &direct[&id]) {
                    (HostWeight::Vector(a), HostWeight::Vector(b)) => a == b,
                    (HostWeight::Matrix(a), HostWeight::Matrix(b)) => a == b,
                    _ => false,
                };
                assert!(same, "{}: weight {id}", path.display());
            }
        }
    }
}
