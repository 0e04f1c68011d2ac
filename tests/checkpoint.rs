//! Checkpoints: what is read, what is refused and in which words, and packs.

mod common;

use std::collections::HashMap;
use std::fs;

use common::goldens;
use safetensors::tensor::{serialize, Dtype, TensorView};
use tareas::checkpoint::{Index, Manifest, Packer, Reader, Scope};
use tareas::error::{Code, Error, Result};
use tareas::models::text_manifest;
use tareas::plan::WeightId;
use tareas::tensor::{Format, HostWeight};

/// A model of one stacked projection, one table, one norm.
fn manifest() -> Manifest {
    let root = Scope::root("net", &["head.", "buffer"]);
    let net = root.pp("net");
    net.stacked(&["q.weight", "k.weight"], 2, 3);
    net.exact("table.weight", 4, 3);
    net.vector("norm.weight", 3);
    root.manifest()
}

fn floats(n: usize, seed: f32) -> Vec<u8> {
    (0..n).flat_map(|i| ((i as f32 * 0.7 + seed).sin()).to_le_bytes()).collect()
}

type Tensors = Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>;

fn tensors() -> Tensors {
    vec![
        ("net.q.weight", Dtype::F32, vec![2, 3], floats(6, 1.0)),
        ("net.k.weight", Dtype::F32, vec![2, 3], floats(6, 2.0)),
        ("net.table.weight", Dtype::F32, vec![4, 3], floats(12, 3.0)),
        ("net.norm.weight", Dtype::F32, vec![3], floats(3, 4.0)),
    ]
}

fn file(tensors: &Tensors) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (*name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    serialize(views, None).unwrap()
}

/// Header JSON and data as they are, however wrong.
fn raw(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

type Weights = HashMap<u32, HostWeight>;

fn read_with(manifest: Manifest, bytes: &[u8], chunk: usize, known: bool) -> Result<Weights> {
    let mut weights = Weights::new();
    let mut reader = Reader::new(manifest, Some(Format::F32), Format::F32);
    reader.begin("model.safetensors", if known { bytes.len() as u64 } else { 0 })?;
    for chunk in bytes.chunks(chunk) {
        reader.push(chunk, &mut |WeightId(id), weight| {
            assert!(weights.insert(id, weight).is_none(), "weight {id} came twice");
            Ok(())
        })?;
    }
    reader.end()?;
    reader.finish()?;
    Ok(weights)
}

fn read(bytes: &[u8]) -> Result<Weights> {
    read_with(manifest(), bytes, 5, true)
}

fn rows(weight: &HostWeight) -> Vec<f32> {
    match weight {
        HostWeight::Vector(v) => v.clone(),
        HostWeight::Matrix(m) => {
            let mut out = vec![0.0; m.n * m.k];
            out.chunks_exact_mut(m.k).enumerate().for_each(|(r, row)| m.row(r, row));
            out
        }
    }
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The error has this code, and its text holds each of these.
fn refused(result: Result<Weights>, code: Code, holds: &[&str]) {
    let error: Error = result.map(|_| ()).expect_err("was accepted");
    let text = error.to_string();
    assert_eq!(error.code, code, "{text}");
    assert!(!error.remedy.is_empty(), "no remedy: {text}");
    for part in holds {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn chunks_of_any_size_give_the_same_weights() {
    let tensors = tensors();
    let bytes = file(&tensors);
    for chunk in [1, 7, 64, bytes.len()] {
        for known in [true, false] {
            let weights = read_with(manifest(), &bytes, chunk, known).unwrap();
            assert_eq!(weights.len(), 3);
            let stacked: Vec<u8> = [&tensors[0].3[..], &tensors[1].3[..]].concat();
            assert_eq!(rows(&weights[&0]), numbers(&stacked));
            assert_eq!(rows(&weights[&1]), numbers(&tensors[2].3));
            assert_eq!(rows(&weights[&2]), numbers(&tensors[3].3));
        }
    }
}

#[test]
fn halves_become_floats() {
    for (dtype, bits) in
        [(Dtype::F16, [0x3C00u16, 0xC000, 0x0001]), (Dtype::BF16, [0x3F80, 0xC000, 0x0080])]
    {
        let mut tensors = tensors();
        tensors[3] = (
            "net.norm.weight",
            dtype,
            vec![3],
            bits.iter().flat_map(|b| b.to_le_bytes()).collect(),
        );
        let weights = read(&file(&tensors)).unwrap();
        let smallest = if dtype == Dtype::F16 { 5.960_464_5e-8 } else { f32::MIN_POSITIVE };
        assert_eq!(rows(&weights[&2]), [1.0, -2.0, smallest]);
    }
}

#[test]
fn old_names_lost_prefixes_and_other_heads_are_understood() {
    let mut tensors = tensors();
    tensors[0].0 = "q.weight";
    tensors[3].0 = "norm.gamma";
    tensors.push(("head.weight", Dtype::F32, vec![1], floats(1, 0.0)));
    tensors.push(("net.buffer", Dtype::I64, vec![1], vec![0; 8]));
    assert_eq!(read(&file(&tensors)).unwrap().len(), 3);
}

#[test]
fn shards_come_one_after_another_and_parts_in_any_order() {
    let tensors = tensors();
    let shards = [
        vec![tensors[1].clone(), tensors[3].clone()],
        vec![tensors[2].clone(), tensors[0].clone()],
    ];
    let map: Vec<String> = shards
        .iter()
        .enumerate()
        .flat_map(|(i, shard)| {
            shard.iter().map(move |t| format!("\"{}\": \"{i}.safetensors\"", t.0))
        })
        .collect();
    let index =
        Index::parse(format!("{{\"weight_map\": {{{}}}}}", map.join(",")).as_bytes()).unwrap();
    assert_eq!(index.files(), ["0.safetensors", "1.safetensors"]);
    let mut reader = Reader::new(manifest(), None, Format::F32);
    reader.check_index(&index).unwrap();
    let mut order = Vec::new();
    for (name, shard) in index.files().iter().zip(&shards) {
        reader.begin(name, 0).unwrap();
        reader
            .push(&file(shard), &mut |WeightId(id), _| {
                order.push(id);
                Ok(())
            })
            .unwrap();
        reader.end().unwrap();
    }
    reader.finish().unwrap();
    assert_eq!(order.len(), 3);
    assert_eq!(order[0], 2, "the norm is complete before the projection: {order:?}");
}

#[test]
fn a_shard_that_never_comes_is_missed() {
    let mut reader = Reader::new(manifest(), None, Format::F32);
    let all: Vec<String> =
        tensors().iter().map(|t| format!("\"{}\": \"a.safetensors\"", t.0)).collect();
    let index = format!("{{\"weight_map\": {{{}}}}}", all.join(","));
    reader.check_index(&Index::parse(index.as_bytes()).unwrap()).unwrap();
    let error = reader.finish().unwrap_err();
    assert_eq!(error.code, Code::Tensor);
    assert!(error.message.contains("net.q.weight"), "{error}");
}

#[test]
fn every_cut_is_noticed() {
    let bytes = file(&tensors());
    for at in 0..bytes.len() {
        for known in [true, false] {
            let cut = read_with(manifest(), &bytes[..at], 16, known);
            let error = cut.expect_err("a cut file was accepted");
            assert_eq!(error.code, Code::Checkpoint, "{at}: {error}");
            assert!(error.message.contains("model.safetensors"), "{at}: {error}");
        }
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let header = |tensors: &str| format!("{{{tensors}}}");
    let one = |name: &str, dtype: &str, shape: &str, offsets: &str| {
        format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}")
    };
    let check = |tensors: String, data: usize, code, holds: &[&str]| {
        refused(read(&raw(&header(&tensors), data)), code, holds);
    };
    let norm = one("net.norm.weight", "F32", "[3]", "[0,12]");
    check(
        one("net.norm.weight", "F32", "[3]", "[0,8]"),
        8,
        Code::Checkpoint,
        &["net.norm.weight", "12 bytes", "0..8"],
    );
    check(
        one("net.norm.weight", "F32", "[3]", "[12,0]"),
        12,
        Code::Checkpoint,
        &["net.norm.weight", "12..0"],
    );
    check(
        one("a", "F32", "[4294967296,4294967296,4]", "[0,12]"),
        12,
        Code::Checkpoint,
        &["a F32", "more bytes"],
    );
    check(norm.clone(), 4, Code::Checkpoint, &["12 bytes of tensors", "there are 4"]);
    check(norm.clone(), 40, Code::Checkpoint, &["there are 40"]);
    check(format!("{norm},{norm}"), 12, Code::Checkpoint, &["net.norm.weight", "twice"]);
    let overlap = format!("{norm},{}", one("b", "F32", "[3]", "[4,16]"));
    check(overlap, 16, Code::Checkpoint, &["b at 4..16", "overlaps"]);
    let hole = format!("{norm},{}", one("b", "F32", "[3]", "[16,28]"));
    check(hole, 28, Code::Checkpoint, &["b at 16..28", "hole"]);
    check(
        one("net.norm.weight", "Q7", "[3]", "[0,12]"),
        12,
        Code::Unsupported,
        &["net.norm.weight", "Q7"],
    );
    check(one("net.norm.weight", "F64", "[3]", "[0,24]"), 24, Code::Tensor, &["lacks"]);
    check(
        "\"net.norm.weight\":{\"dtype\":\"F32\"}".into(),
        0,
        Code::Checkpoint,
        &["header", "shape"],
    );
    check("\"net.norm.weight\":[]".into(), 0, Code::Checkpoint, &["header"]);
    refused(read(&raw("{", 0)), Code::Checkpoint, &["header"]);
    refused(read(&raw(&"[".repeat(100_000), 0)), Code::Checkpoint, &["header"]);
    let mut absurd = u64::MAX.to_le_bytes().to_vec();
    absurd.resize(64, b' ');
    refused(read(&absurd), Code::Checkpoint, &["18446744073709551615 bytes"]);
    refused(
        read(b"<!doctype html><html>not a model</html>"),
        Code::Checkpoint,
        &["an HTML or XML page"],
    );
    refused(read(b""), Code::Checkpoint, &["ends within its header"]);
}

#[test]
fn models_and_checkpoints_that_do_not_fit_are_told_apart() {
    let change = |at: usize, tensor: (&'static str, Dtype, Vec<usize>, Vec<u8>)| {
        let mut tensors = tensors();
        tensors[at] = tensor;
        read(&file(&tensors))
    };
    refused(
        change(2, ("net.table.weight", Dtype::F32, vec![3, 4], floats(12, 0.0))),
        Code::Tensor,
        &["net.table.weight", "[3, 4]", "[4, 3]"],
    );
    refused(
        change(3, ("net.norm.weight", Dtype::F64, vec![3], vec![0; 24])),
        Code::Unsupported,
        &["net.norm.weight", "F64"],
    );
    refused(
        change(3, ("net.other.weight", Dtype::F32, vec![3], floats(3, 0.0))),
        Code::Tensor,
        &["lacks net.norm.weight"],
    );
    let mut unknown = tensors();
    unknown.push(("net.extra.weight", Dtype::F32, vec![3], floats(3, 0.0)));
    refused(read(&file(&unknown)), Code::Tensor, &["unknown tensors: net.extra.weight"]);
    let mut twice = tensors();
    twice.push(("net.norm.gamma", Dtype::F32, vec![3], floats(3, 0.0)));
    refused(read(&file(&twice)), Code::Tensor, &["two tensors for", "norm"]);
    for (bad, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let mut data = floats(6, 0.0);
        data[16..20].copy_from_slice(&bad.to_le_bytes());
        refused(
            change(1, ("net.k.weight", Dtype::F32, vec![2, 3], data)),
            Code::NonFinite,
            &["net.k.weight", shown, "element 4"],
        );
    }
}

#[test]
fn indexes_stay_in_their_folder() {
    for shard in [
        "../model.safetensors",
        "a/b.safetensors",
        "c:\\x.safetensors",
        "model.bin",
        "%2e%2e%2fmodel.safetensors",
        "x?y=.safetensors",
        "#.safetensors",
    ] {
        let json = serde_json::json!({ "weight_map": { "a": shard } }).to_string();
        let error = Index::parse(json.as_bytes()).unwrap_err();
        assert_eq!(error.code, Code::Checkpoint);
    }
    assert!(Index::parse(b"{}").is_err());
    assert!(Index::parse(b"<html>").is_err());
}

/// A pack of every golden in every format: the same bits as quantizing while loading.
#[test]
fn packs_hold_what_loading_makes() {
    for golden in goldens() {
        let index = fs::read(golden.path.join("model.safetensors.index.json"));
        let files = match index {
            Ok(index) => Index::parse(&index).unwrap().files(),
            Err(_) => vec!["model.safetensors".to_string()],
        };
        let files: Vec<Vec<u8>> =
            files.iter().map(|file| fs::read(golden.path.join(file)).unwrap()).collect();
        let manifest = || text_manifest(&golden.config, golden.head()).unwrap();
        for format in [Format::F16, Format::Q8, Format::Q4] {
            let mut packer = Packer::new(manifest(), format);
            for bytes in &files {
                packer.begin("model.safetensors", bytes.len() as u64).unwrap();
                packer.push(bytes).unwrap();
                packer.end().unwrap();
            }
            let mut pack = Vec::new();
            packer
                .finish(|chunk| {
                    pack.extend_from_slice(chunk);
                    Ok(())
                })
                .unwrap();
            safetensors::SafeTensors::deserialize(&pack).expect("a pack is a safetensors file");

            let read = |files: &[Vec<u8>], dtype| {
                let mut weights = Vec::new();
                let mut reader = Reader::new(manifest(), dtype, Format::F32);
                if files.len() > 1 {
                    reader.skip_name_check();
                }
                for bytes in files {
                    reader.begin("model.safetensors", bytes.len() as u64).unwrap();
                    reader
                        .push(bytes, &mut |WeightId(id), w| {
                            weights.push((id, w));
                            Ok(())
                        })
                        .unwrap();
                    reader.end().unwrap();
                }
                let format = reader.finish().unwrap();
                weights.sort_by_key(|(id, _)| *id);
                (format, weights)
            };
            let pack = [pack];
            let (own, packed) = read(&pack, None);
            let (_, direct) = read(&files, Some(format));
            assert_eq!(own, format);
            assert_eq!(packed.len(), direct.len());
            for ((_, a), (_, b)) in packed.iter().zip(&direct) {
                match (a, b) {
                    (HostWeight::Matrix(a), HostWeight::Matrix(b)) => {
                        assert_eq!(a, b, "{}", golden.name)
                    }
                    _ => assert_eq!(rows(a), rows(b)),
                }
            }
            // Asked for in another format, a pack is rounded a second time, not refused.
            let (_, wide) = read(&pack, Some(Format::F32));
            for ((_, a), (_, b)) in packed.iter().zip(&wide) {
                assert_eq!(rows(a), rows(b), "{}", golden.name);
            }
        }
    }
}

/// Pushes only the header: nothing of the data has to arrive for these.
fn announce(bytes: &[u8]) -> Result<()> {
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut reader = Reader::new(manifest(), None, Format::F32);
    reader.begin("model.safetensors", bytes.len() as u64)?;
    reader.push(&bytes[..end], &mut |_, _| panic!("a weight before its data"))
}

#[test]
fn the_header_alone_tells_what_does_not_fit() {
    announce(&file(&tensors())).unwrap();
    let mut shape = tensors();
    shape[2] = ("net.table.weight", Dtype::F32, vec![3, 4], floats(12, 0.0));
    assert_eq!(announce(&file(&shape)).unwrap_err().code, Code::Tensor);
    let mut dtype = tensors();
    dtype[1] = ("net.k.weight", Dtype::I8, vec![2, 32], vec![0; 64]);
    let error = announce(&file(&dtype)).unwrap_err();
    assert_eq!(error.code, Code::Unsupported, "integers are weights only in a pack: {error}");
    assert!(error.message.contains("net.k.weight is stored as I8"), "{error}");
}

#[test]
fn other_files_are_recognised() {
    for (begin, what) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0"[..], "Git LFS pointer"),
        (b"PK\x03\x04\x00\x00\x08\x08\x00\x00", "PyTorch archive"),
        (b"<!doctype html><title>404</title>", "HTML"),
        (b"GGUF\x03\x00\x00\x00\x00\x00", "GGUF"),
    ] {
        refused(read(begin), Code::Checkpoint, &[what, "model.safetensors"]);
    }
}

#[test]
fn tied_tensors_are_found_under_the_name_that_was_kept() {
    let mut tensors = tensors();
    tensors[2].0 = "head.decoder.weight";
    let table = tensors[2].3.clone();
    let with = |metadata: &[(&str, &str)]| {
        let metadata = metadata.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        let views = tensors.iter().map(|(name, dtype, shape, data)| {
            (*name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        read(&serialize(views, Some(metadata)).unwrap())
    };
    let tied = with(&[("format", "pt"), ("net.table.weight", "head.decoder.weight")]).unwrap();
    assert_eq!(rows(&tied[&1]), numbers(&table));
    refused(with(&[("format", "pt")]), Code::Tensor, &["lacks net.table.weight"]);
    refused(with(&[("net.table.weight", "absent")]), Code::Tensor, &["lacks net.table.weight"]);
}

#[test]
fn a_head_that_was_never_trained_is_told_from_another_model() {
    let root = Scope::root("net", &[]);
    root.pp("net").vector("norm.weight", 3);
    root.vector("classifier.bias", 2);
    let bytes = file(&vec![("norm.weight", Dtype::F32, vec![3], floats(3, 0.0))]);
    let headless = read_with(root.manifest(), &bytes, 64, true);
    refused(headless, Code::Tensor, &["lacks classifier.bias", "no head for this task"]);
}

#[test]
fn skip_patterns_match_scopes_and_last_components() {
    let skipped = |name: &'static str| {
        let mut tensors = tensors();
        tensors.push((name, Dtype::I64, vec![1], vec![0; 8]));
        read(&file(&tensors)).is_ok()
    };
    for name in ["head.x", "net.head.x", "buffer", "net.layer.3.buffer"] {
        assert!(skipped(name), "{name}");
    }
    for name in ["header.x", "net.layer.head.x", "net.rebuffer", "buffer.weight"] {
        assert!(!skipped(name), "{name}");
    }
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    let mut reader = Reader::new(manifest(), None, Format::F32);
    reader.skip_name_check();
    let q = file(&vec![("net.q.weight", Dtype::F32, vec![2, 3], floats(6, 1.0))]);
    let mut weights = 0;
    let mut feed = |name: &str| {
        reader.begin(name, 0)?;
        reader.push(&q, &mut |_, _| {
            weights += 1;
            Ok(())
        })?;
        reader.end()
    };
    feed("a.safetensors").unwrap();
    let error = feed("b.safetensors").unwrap_err();
    assert_eq!(error.code, Code::Checkpoint);
    assert!(error.message.contains("net.q.weight"), "{error}");
    assert_eq!(weights, 0, "half a stacked weight was handed on");
}

#[test]
fn values_that_a_format_cannot_hold_are_refused_by_name() {
    let root = Scope::root("net", &[]);
    root.matrix("up.weight", 1, 3);
    let manifest = root.manifest();
    let data: Vec<u8> = [1.0f32, -70_000.0, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = file(&vec![("up.weight", Dtype::F32, vec![1, 3], data)]);
    let mut reader = Reader::new(manifest, Some(Format::F16), Format::F32);
    reader.begin("model.safetensors", 0).unwrap();
    let error = reader.push(&bytes, &mut |_, _| Ok(())).unwrap_err();
    assert_eq!(error.code, Code::NonFinite);
    assert!(error.message.contains("up.weight holds -70000 at element 1"), "{error}");
    assert!(error.remedy.contains("fp32"), "{error}");
}

#[test]
fn a_reader_that_failed_stays_polite() {
    let mut reader = Reader::new(manifest(), None, Format::F32);
    reader.begin("a.safetensors", 0).unwrap();
    assert!(reader.push(b"not a checkpoint", &mut |_, _| Ok(())).is_err());
    assert!(reader.push(b"more of it", &mut |_, _| Ok(())).is_err());
    assert!(reader.end().is_err());
    assert_eq!(reader.finish().unwrap_err().code, Code::Tensor);
}

/// A q8 or q4 pack by hand: `up.weight` `[1, 3]` and its scale.
fn tiny_pack(dtype: Dtype, data: &[u8], scale: Option<&[u8]>, version: &str) -> Vec<u8> {
    let mut views = vec![("up.weight", TensorView::new(dtype, vec![1, data.len()], data).unwrap())];
    if let Some(scale) = scale {
        let shape = vec![1, scale.len() / 2];
        views.push(("up.weight.scale", TensorView::new(Dtype::F16, shape, scale).unwrap()));
    }
    let metadata = [("tareas", version), ("dtype", "q8")];
    let metadata = metadata.map(|(a, b)| (a.to_string(), b.to_string())).into_iter().collect();
    serialize(views, Some(metadata)).unwrap()
}

fn read_tiny(bytes: &[u8], format: Option<Format>) -> Result<HostWeight> {
    let root = Scope::root("net", &[]);
    root.matrix("up.weight", 1, 3);
    let mut reader = Reader::new(root.manifest(), format, Format::F32);
    let mut weight = None;
    reader.begin("pack.safetensors", bytes.len() as u64)?;
    reader.push(bytes, &mut |_, w| {
        weight = Some(w);
        Ok(())
    })?;
    reader.end()?;
    reader.finish()?;
    Ok(weight.expect("finish found every weight"))
}

#[test]
fn damaged_packs_are_refused_and_padding_is_cleaned() {
    const ONE: &[u8] = &[0x00, 0x3C]; // 1.0 in f16
    let mut levels = [77u8; 32]; // 77 past the third column is what no packer writes
    levels[..3].copy_from_slice(&[1, 0xFF, 127]);
    for format in [Some(Format::Q8), None, Some(Format::F32)] {
        let weight = read_tiny(&tiny_pack(Dtype::I8, &levels, Some(ONE), "1"), format).unwrap();
        assert_eq!(rows(&weight), [1.0, -1.0, 127.0]);
        if let HostWeight::Matrix(m) = &weight {
            let clean = m.format != Format::Q8 || m.data[3..].iter().all(|&x| x == 0);
            assert!(clean, "padding was kept: {:?}", m.data);
        }
    }
    // The largest scale there is: a fine q8 matrix, but no f16.
    let large = tiny_pack(Dtype::I8, &levels, Some(&[0xFF, 0x7B]), "1");
    read_tiny(&large, None).unwrap();
    let error = read_tiny(&large, Some(Format::F16)).unwrap_err();
    assert_eq!(error.code, Code::NonFinite, "{error}");
    assert!(error.message.contains("up.weight holds 8319008 at element 2"), "{error}");

    let nibbles = [0x39u8; 16]; // low 9 is 1, high 3 is -5
    let weight = read_tiny(&tiny_pack(Dtype::U8, &nibbles, Some(ONE), "1"), Some(Format::Q4));
    let HostWeight::Matrix(m) = weight.unwrap() else { panic!("a matrix became a vector") };
    assert_eq!(&m.data[..5], &[0x89, 0x89, 0x89, 0x88, 0x88], "zeros past the third column");

    let check = |bytes: Vec<u8>, code, holds: &str| {
        let error = read_tiny(&bytes, None).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(holds), "{holds:?} is not in: {error}");
    };
    levels[1] = 0x80;
    check(tiny_pack(Dtype::I8, &levels, Some(ONE), "1"), Code::Checkpoint, "-128");
    levels[1] = 0;
    check(tiny_pack(Dtype::I8, &levels, None, "1"), Code::Tensor, "lacks up.weight.scale");
    check(tiny_pack(Dtype::I8, &levels, Some(ONE), "2"), Code::Unsupported, "version \"2\"");
    check(tiny_pack(Dtype::I8, &levels[..31], Some(ONE), "1"), Code::Tensor, "[1, 31]");
    let infinite = [0x00, 0x7C];
    check(tiny_pack(Dtype::I8, &levels, Some(&infinite), "1"), Code::NonFinite, "scale");
}
