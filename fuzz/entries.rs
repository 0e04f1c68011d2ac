//! What untrusted files reach first. Each entry takes any bytes, must return, and says whether
//! they were accepted; what is accepted must keep the promises asserted here.

use tareas::checkpoint::{Config, Header, Index, Manifest, Packer, Reader, Scope};
use tareas::tensor::{Format, HostWeight};

pub type Entry = (&'static str, fn(&[u8]) -> bool);

pub const ALL: &[Entry] = &[
    ("config", config),
    ("header", header),
    ("index", index),
    ("checkpoint", checkpoint),
    ("repack", repack),
    ("convert", convert),
];

/// A model of each kind of weight, in each layout: stacked, table, matrix with a short last block,
/// exact, vector, turned, convolutions, folded norms, tied.
pub fn manifest() -> Manifest {
    let root = Scope::root("net", &["head.", "buffer"]);
    let net = root.pp("net");
    net.stacked(&["q.weight", "k.weight"], 2, 3);
    net.sensitive("table.weight", 4, 3);
    net.matrix("up.weight", 2, 40);
    net.exact("position.weight", 2, 3);
    net.vector("norm.weight", 3);
    net.transposed("turned.weight", 3, 2);
    net.conv("conv.weight", 2, 3, &[2]);
    net.depthwise("depthwise.weight", 3, &[2]);
    net.pp("bn").batch_norm(2, 1e-5);
    net.weight_norm("pos.weight", 2, 2, &[2], 2);
    net.tied(&["shared.weight", "lm_head.weight"], 2, 3);
    root.manifest()
}

/// `config.json`: sizes that come out are in bounds, every label has an id.
pub fn config(data: &[u8]) -> bool {
    let Ok(config) = Config::parse(data) else { return false };
    if let Ok(hidden) = config.usize("hidden_size", Some(1)) {
        assert!((1..=65_536).contains(&hidden));
    }
    if let Ok(labels) = config.labels() {
        assert!(!labels.is_empty());
    }
    drop((config.model_type(), config.architecture(), config.problem_type()));
    drop((config.f32("layer_norm_eps", Some(1e-12)), config.bool("tie_word_embeddings", None)));
    true
}

/// The JSON of a safetensors header: the tensors cover the data, whatever was written.
pub fn header(data: &[u8]) -> bool {
    let Ok(header) = Header::parse("fuzz", data, None) else { return false };
    let mut at = 0;
    for t in &header.tensors {
        assert_eq!(t.begin, at);
        assert!(t.end >= t.begin);
        at = t.end;
    }
    assert_eq!(header.data_bytes(), at);
    true
}

/// An index: every shard is the plain name of a file.
pub fn index(data: &[u8]) -> bool {
    let Ok(index) = Index::parse(data) else { return false };
    for file in index.files() {
        assert!(file.ends_with(".safetensors") && !file.contains(['/', '\\', ':', '%', '?', '#']));
    }
    true
}

/// A whole file, in chunks and at once: both ways the same weights or no weights, complete and
/// finite.
pub fn checkpoint(data: &[u8]) -> bool {
    let cut = read(data, 13, 0);
    let whole = read(data, data.len().max(1), data.len() as u64);
    assert_eq!(cut.is_some(), whole.is_some());
    let (Some(cut), Some(whole)) = (cut, whole) else { return false };
    assert_eq!(cut.len(), manifest().weights.len());
    for (a, b) in cut.iter().zip(&whole) {
        match (a, b) {
            (HostWeight::Matrix(a), HostWeight::Matrix(b)) => assert_eq!(a, b),
            (HostWeight::Vector(a), HostWeight::Vector(b)) => {
                assert_eq!(a, b);
                assert!(a.iter().all(|x| x.is_finite()));
            }
            _ => panic!("a vector became a matrix"),
        }
    }
    true
}

/// The weights in the order of their ids, in the file's own format or in q4.
pub fn read(data: &[u8], chunk: usize, total: u64) -> Option<Vec<HostWeight>> {
    read_as(None, data, chunk, total)
}

fn read_as(
    dtype: Option<Format>,
    data: &[u8],
    chunk: usize,
    total: u64,
) -> Option<Vec<HostWeight>> {
    let mut weights = Vec::new();
    let mut reader = Reader::new(manifest(), dtype, Format::Q4);
    let mut sink = |id, weight| {
        weights.push((id, weight));
        Ok(())
    };
    reader.begin("fuzz", total).ok()?;
    for chunk in data.chunks(chunk) {
        reader.push(chunk, &mut sink).ok()?;
    }
    reader.end().ok()?;
    reader.finish().ok()?;
    weights.sort_by_key(|(id, _)| id.0);
    Some(weights.into_iter().map(|(_, weight)| weight).collect())
}

/// A whole file in every format: what is accepted is finite in it.
pub fn convert(data: &[u8]) -> bool {
    let mut accepted = false;
    for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
        for weight in read_as(Some(format), data, 64, 0).unwrap_or_default() {
            accepted = true;
            let HostWeight::Matrix(m) = weight else { continue };
            let mut row = vec![0.0; m.k];
            for r in 0..m.n {
                m.row(r, &mut row);
                assert!(row.iter().all(|x| x.is_finite()), "{format:?}: {m:?}");
            }
        }
    }
    accepted
}

/// A whole file into a pack: what is written is read again.
pub fn repack(data: &[u8]) -> bool {
    let Some(pack) = pack(data, Format::Q8) else { return false };
    assert!(read(&pack, 64, pack.len() as u64).is_some(), "a pack of ours was refused");
    true
}

/// The pack of a whole file.
pub fn pack(data: &[u8], format: Format) -> Option<Vec<u8>> {
    let mut packer = Packer::new(manifest(), format);
    packer.begin("fuzz", 0).ok()?;
    packer.push(data).ok()?;
    packer.end().ok()?;
    let mut pack = Vec::new();
    let write = |chunk: &[u8]| {
        pack.extend_from_slice(chunk);
        Ok(())
    };
    packer.finish(write).ok()?;
    Some(pack)
}
