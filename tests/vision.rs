//! Golden vision models: small seeded checkpoints made with `transformers`, layer by layer, on the
//! CPU and on the GPU, in every format. `tests/goldens/README.md` says how they were made.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{relative_error, runtimes};
use pollster::block_on;
use safetensors::SafeTensors;
use serde_json::Value;
use tareas::checkpoint::{Config, Reader};
use tareas::models::{Array, Pixels, VisionHead, VisionModel, VisionOutput};
use tareas::plan::Runtime;
use tareas::tensor::{Format, HostWeight, Matrix};

struct Golden {
    name: String,
    path: PathBuf,
    config: Config,
    head: VisionHead,
    images: usize,
    size: [usize; 2],
    values: BTreeMap<String, Vec<f32>>,
}

/// Every variant, in name order.
fn goldens() -> Vec<Golden> {
    let folder = common::root().join("vision");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.join("taps.safetensors").exists());
    paths.sort();
    let goldens: Vec<Golden> = paths.iter().filter_map(|path| Golden::open(path)).collect();
    assert!(goldens.len() >= 14, "goldens are missing: {paths:?}");
    goldens
}

impl Golden {
    /// None for a folder of another script's, which says no size.
    fn open(path: &Path) -> Option<Self> {
        let read = |name: &str| fs::read(path.join(name)).unwrap();
        let json: Value = serde_json::from_slice(&read("golden.json")).unwrap();
        json.get("size")?;
        let bytes = read("taps.safetensors");
        let floats = |data: &[u8]| {
            data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let values = SafeTensors::deserialize(&bytes)
            .unwrap()
            .iter()
            .map(|(name, t)| (name.to_string(), floats(t.data())))
            .collect();
        let size = |i: usize| json["size"][i].as_u64().unwrap() as usize;
        Some(Golden {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            path: path.to_path_buf(),
            config: Config::parse(&read("config.json")).unwrap(),
            head: match json["head"].as_str().unwrap() {
                "Encoder" => VisionHead::Encoder,
                "Classification" => VisionHead::Classification,
                "Detection" => VisionHead::Detection,
                "Panoptic" => VisionHead::Panoptic,
                "Universal" => VisionHead::Universal,
                "Semantic" => VisionHead::Semantic,
                "Depth" => VisionHead::Depth,
                other => panic!("{other}"),
            },
            images: size(0),
            size: [size(1), size(2)],
            values,
        })
    }

    /// Loads the checkpoint as the library does, in chunks of an odd size.
    fn load(
        &self,
        runtime: Runtime,
        format: Format,
        through: impl Fn(HostWeight) -> HostWeight,
    ) -> VisionModel {
        let (mut model, manifest) = VisionModel::new(&self.config, self.head, runtime).unwrap();
        let mut reader = Reader::new(manifest, Some(format), Format::F32);
        let bytes = fs::read(self.path.join("model.safetensors")).unwrap();
        reader.begin("model.safetensors", bytes.len() as u64).unwrap();
        for chunk in bytes.chunks(4099) {
            let sink = &mut |id, weight| model.runtime.set_weight(id, through(weight));
            reader.push(chunk, sink).unwrap();
        }
        reader.end().unwrap();
        reader.finish().unwrap();
        model
    }

    fn pixels(&self) -> Pixels<'_> {
        let (size, data) = (self.size, &self.values["pixels"]);
        Pixels { data, images: self.images, size, valid: size }
    }

    /// The outputs by the names that `VisionOutput::map` gives them.
    fn run(&self, model: &mut VisionModel) -> Vec<(&'static str, Array)> {
        let output: VisionOutput<Array> = block_on(model.run(self.pixels())).unwrap();
        let mut outputs = Vec::new();
        let _ = output.map(|name, array| {
            outputs.push((name, array));
            Ok(())
        });
        outputs
    }

    /// Largest difference at most `bound` times the largest magnitude.
    fn compare(&self, name: &str, got: &[f32], bound: f32) -> f32 {
        let want = self.values.get(name).unwrap_or_else(|| panic!("{}: {name}", self.name));
        assert_eq!(got.len(), want.len(), "{} {name}", self.name);
        let size = want.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let mut worst = 0.0f32;
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            let share = (g - w).abs() / size;
            assert!(share <= bound, "{} {name}[{i}]: {g}, transformers has {w}", self.name);
            worst = worst.max(share);
        }
        worst
    }
}

/// Weights rounded to a format, held in f32: what a kernel of that format computes with, without
/// that kernel.
fn rounded(weight: HostWeight) -> HostWeight {
    let HostWeight::Matrix(m) = weight else { return weight };
    let mut exact = Matrix::zeros(Format::F32, m.n, m.k);
    let mut row = vec![0.0; m.k];
    for r in 0..m.n {
        m.row(r, &mut row);
        exact.set_rows(r, &row);
    }
    HostWeight::Matrix(exact)
}

/// Every inner value that `transformers` has and we name too, and the head's outputs, f32 weights.
///
/// As in tests/models.rs: both sides compute in f32 and differ in the order of their sums, 1e-4 of
/// the value's largest magnitude is an order above what was seen and far below any mistake.
#[test]
fn layer_by_layer_in_fp32() {
    for runtime in runtimes() {
        let mut worst = (0.0, String::new());
        for golden in goldens() {
            let mut model = golden.load(runtime(), Format::F32, |weight| weight);
            let names: Vec<&str> = golden
                .values
                .keys()
                .map(String::as_str)
                .filter(|name| *name != "pixels" && !name.starts_with("output."))
                .collect();
            assert!(names.len() >= 2, "{}: {names:?}", golden.name);
            let got = block_on(model.run_tapped(golden.pixels(), &names)).unwrap();
            for (name, got) in got.0.iter().filter(|(name, _)| names.contains(&name.as_str())) {
                let share = golden.compare(name, got, 1e-4);
                if share > worst.0 {
                    worst = (share, format!("{} {name}", golden.name));
                }
            }
            for (name, array) in golden.run(&mut model) {
                golden.compare(&format!("output.{name}"), &array.data, 1e-4);
            }
        }
        println!("worst: {worst:?}");
    }
}

/// The head's outputs in the formats that round weights, against f32 kernels over the same rounded
/// weights: what is left is the kernels' own error. The bounds are those of tests/models.rs.
#[test]
fn outputs_in_every_format() {
    for runtime in runtimes() {
        for (format, bound) in [(Format::F16, 2e-3), (Format::Q8, 0.15), (Format::Q4, 0.15)] {
            for golden in goldens() {
                let mut reference = golden.load(Runtime::cpu(), format, rounded);
                let want = golden.run(&mut reference);
                let mut model = golden.load(runtime(), format, |weight| weight);
                for ((name, got), (_, want)) in golden.run(&mut model).iter().zip(&want) {
                    let error = relative_error(&got.data, &want.data);
                    let what = format!("{} {name} in {format:?}", golden.name);
                    assert!(error <= bound, "{what}: relative error {error}");
                }
            }
        }
    }
}
