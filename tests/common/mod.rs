//! What the native tests share: golden checkpoints, and the devices to run them on.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;
use tareas::checkpoint::{Config, Index, Manifest, Reader};
use tareas::gpu;
use tareas::models::{Head, Pooling, TextModel};
use tareas::plan::{Runtime, WeightId};
use tareas::preprocess::{Batch, Sequence};
use tareas::tensor::{Format, HostWeight, Matrix};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// A maker of runtimes per device: the CPU, and the GPU where there is an adapter. The runtimes
/// of a test share one GPU device, so that a shader is compiled once.
pub fn runtimes() -> Vec<Box<dyn Fn() -> Runtime>> {
    match pollster::block_on(gpu::Device::new(Default::default())) {
        Ok(device) => {
            vec![Box::new(Runtime::cpu), Box::new(move || Runtime::gpu(device.clone()))]
        }
        Err(error) if std::env::var_os("TAREAS_REQUIRE_GPU").is_some() => panic!("{error}"),
        Err(error) => {
            eprintln!("CPU only: {error}");
            vec![Box::new(Runtime::cpu)]
        }
    }
}

/// Reads a checkpoint as the library does, in chunks of an odd size; returns its format.
pub fn read_weights(
    path: &Path,
    manifest: Manifest,
    dtype: Option<Format>,
    sink: &mut dyn FnMut(WeightId, HostWeight) -> tareas::Result<()>,
) -> Format {
    let mut reader = Reader::new(manifest, dtype, Format::F32);
    let files = match fs::read(path.join("model.safetensors.index.json")) {
        Ok(bytes) => {
            let index = Index::parse(&bytes).unwrap();
            reader.check_index(&index).unwrap();
            index.files()
        }
        Err(_) => vec!["model.safetensors".into()],
    };
    for file in files {
        let bytes = fs::read(path.join(&file)).unwrap();
        reader.begin(&file, bytes.len() as u64).unwrap();
        for chunk in bytes.chunks(4099) {
            reader.push(chunk, sink).unwrap();
        }
        reader.end().unwrap();
    }
    reader.finish().unwrap()
}

/// A weight rounded to its format and held in f32: what a kernel of that format computes with,
/// without that kernel.
pub fn rounded(weight: HostWeight) -> HostWeight {
    match weight {
        HostWeight::Vector(v) => HostWeight::Vector(v),
        HostWeight::Matrix(m) => {
            let mut exact = Matrix::zeros(Format::F32, m.n, m.k);
            let mut row = vec![0.0; m.k];
            for r in 0..m.n {
                m.row(r, &mut row);
                exact.set_rows(r, &row);
            }
            HostWeight::Matrix(exact)
        }
    }
}

/// The tensors of a safetensors file, as f32.
pub fn read_tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |data: &[u8]| {
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    tensors.iter().map(|(name, t)| (name.to_string(), floats(t.data()))).collect()
}

/// A repository folder with reference results.
pub struct Golden {
    pub name: String,
    pub path: PathBuf,
    pub config: Config,
    pub json: Value,
    taps: BTreeMap<String, Vec<f32>>,
}

/// Every variant, in name order.
pub fn goldens() -> Vec<Golden> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("taps.safetensors").exists())
        .collect();
    paths.sort();
    assert!(paths.len() >= 20, "goldens are missing: {paths:?}");
    paths.iter().map(|path| Golden::open(path)).collect()
}

impl Golden {
    fn open(path: &Path) -> Self {
        let read = |name: &str| fs::read(path.join(name)).unwrap();
        Golden {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            path: path.to_path_buf(),
            config: Config::parse(&read("config.json")).unwrap(),
            json: serde_json::from_slice(&read("golden.json")).unwrap(),
            taps: read_tensors(&path.join("taps.safetensors")),
        }
    }

    pub fn head(&self) -> Head {
        let class = self.json["model_class"].as_str().unwrap();
        match class.split("For").nth(1) {
            None => Head::Encoder,
            Some("SequenceClassification") => Head::Sequence,
            Some("TokenClassification") => Head::Token,
            Some("QuestionAnswering") => Head::Question,
            Some("MaskedLM" | "PreTraining") => Head::Masked,
            Some("NextSentencePrediction") => Head::NextSentence,
            Some(other) => panic!("{}: {other}", self.name),
        }
    }

    /// Loads the checkpoint as the library does, in chunks of an odd size.
    pub fn load(&self, runtime: Runtime, dtype: Option<Format>) -> (TextModel, Format) {
        self.load_through(runtime, dtype, |weight| weight)
    }

    /// Loads the checkpoint with its weights rounded to `format`, held in f32: what a kernel of
    /// that format computes with, without that kernel.
    pub fn load_rounded(&self, runtime: Runtime, format: Format) -> TextModel {
        self.load_through(runtime, Some(format), rounded).0
    }

    fn load_through(
        &self,
        runtime: Runtime,
        dtype: Option<Format>,
        through: impl Fn(HostWeight) -> HostWeight,
    ) -> (TextModel, Format) {
        let (mut model, manifest) = TextModel::new(&self.config, self.head(), runtime).unwrap();
        let sink = &mut |id, weight| model.runtime.set_weight(id, through(weight));
        let format = read_weights(&self.path, manifest, dtype, sink);
        (model, format)
    }

    /// The recorded inputs as one ragged batch; heads on rows look at [CLS], masked heads at
    /// every token.
    pub fn batch(&self) -> Batch {
        let mut batch = Batch::new(Pooling::None);
        for input in self.json["inputs"].as_array().unwrap() {
            let numbers = |key: &str| -> Vec<u32> {
                let values = input[key].as_array().map(Vec::as_slice).unwrap_or_default();
                values.iter().map(|v| v.as_u64().unwrap() as u32).collect()
            };
            let ids = numbers("input_ids");
            let mut type_ids = numbers("token_type_ids");
            type_ids.resize(ids.len(), 0);
            let rows = match self.head() {
                Head::Masked => (0..ids.len() as u32).collect(),
                _ => vec![0],
            };
            batch.push(&Sequence { ids, type_ids, rows });
        }
        batch
    }

    /// The recorded values that this model can tap.
    pub fn tap_names(&self, _model: &TextModel) -> Vec<String> {
        let untapped = |name: &str| {
            // Other heads of the same run; DistilBERT's attention before its residual, which we
            // add in the projection's epilogue; the pooler where this head has none.
            name == "logits"
                || name == "seq_relationship"
                || (name.starts_with("transformer") && name.ends_with(".attention"))
                || (name == "pooler" && !matches!(self.head(), Head::Sequence | Head::NextSentence))
        };
        self.taps.keys().filter(|name| !untapped(name)).cloned().collect()
    }

    /// Largest difference at most `bound` times the largest magnitude.
    pub fn compare(&self, name: &str, got: &[f32], bound: f32) {
        let Some(want) = self.taps.get(name) else {
            assert_eq!((name, self.head()), ("logits", Head::Encoder), "{}", self.name);
            return; // the bare encoder has no logits; its last layer is among the taps
        };
        assert_eq!(got.len(), want.len(), "{} {name}", self.name);
        let size = want.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            let difference = (g - w).abs();
            assert!(
                difference <= bound * size,
                "{} {name}[{i}]: {g}, transformers has {w}",
                self.name
            );
        }
    }
}

/// Root mean square of the difference, relative to that of the reference.
pub fn relative_error(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |x: f32| f64::from(x) * f64::from(x);
    let error: f64 = got.iter().zip(want).map(|(g, w)| square(g - w)).sum();
    (error / want.iter().map(|&w| square(w)).sum::<f64>()).sqrt()
}
