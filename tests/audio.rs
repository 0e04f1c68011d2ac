//! Golden speech models: small seeded checkpoints made with `transformers`, layer by layer, on the
//! CPU and on the GPU, in every format. `tests/goldens/README.md` says how they were made.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use common::{read_tensors, read_weights, relative_error, rounded};
use pollster::block_on;
use serde_json::Value;
use tareas::checkpoint::Config;
use tareas::models::{AudioHead, AudioModel};
use tareas::plan::Runtime;
use tareas::tensor::{Format, HostWeight};

/// A repository folder with reference results.
struct Golden {
    name: String,
    path: PathBuf,
    config: Config,
    head: AudioHead,
    taps: BTreeMap<String, Vec<f32>>,
}

/// Utterances of each golden.
const INPUTS: usize = 2;

fn goldens() -> Vec<Golden> {
    let folder = common::root().join("audio");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("taps.safetensors").exists())
        .collect();
    paths.sort();
    assert!(paths.len() >= 12, "goldens are missing: {paths:?}");
    paths.into_iter().map(Golden::open).collect()
}

impl Golden {
    fn open(path: PathBuf) -> Self {
        let read = |name: &str| fs::read(path.join(name)).unwrap();
        let json: Value = serde_json::from_slice(&read("golden.json")).unwrap();
        let class = json["model_class"].as_str().unwrap();
        let head = match class.split("For").nth(1) {
            None => AudioHead::Encoder,
            Some("CTC") => AudioHead::Ctc,
            Some("SequenceClassification") => AudioHead::Sequence,
            Some("AudioFrameClassification") => AudioHead::Frame,
            Some("PreTraining") => AudioHead::Quantizer,
            Some(other) => panic!("{other}"),
        };
        Golden {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            config: Config::parse(&read("config.json")).unwrap(),
            head,
            taps: read_tensors(&path.join("taps.safetensors")),
            path,
        }
    }

    fn load(&self, runtime: Runtime, format: Format) -> AudioModel {
        self.load_through(runtime, format, |weight| weight)
    }

    fn load_through(
        &self,
        runtime: Runtime,
        format: Format,
        through: impl Fn(HostWeight) -> HostWeight,
    ) -> AudioModel {
        let (mut model, manifest) = AudioModel::new(&self.config, self.head, runtime).unwrap();
        let sink = &mut |id, weight| model.runtime.set_weight(id, through(weight));
        assert_eq!(read_weights(&self.path, manifest, Some(format), sink), format);
        model
    }

    fn tap(&self, input: usize, name: &str) -> &[f32] {
        &self.taps[&format!("{input}/{name}")]
    }

    fn wave(&self, input: usize) -> &[f32] {
        self.tap(input, "input_values")
    }

    /// The recorded inner values that this model computes, too.
    fn tap_names(&self, input: usize) -> Vec<&str> {
        let prefix = format!("{input}/");
        let names = self.taps.keys().filter_map(|name| name.strip_prefix(&prefix));
        let wanted = |name: &&str| match *name {
            "input_values" | "logits" | "batch.logits" | "codes" => false,
            // the codes come from the features; the encoder after them is not run
            _ if self.head == AudioHead::Quantizer => {
                !name.starts_with("encoder") && *name != "feature_projection"
            }
            // in a post-norm layer the last norm's output is the layer's
            _ => {
                !name.ends_with("final_layer_norm")
                    || self.config.bool("do_stable_layer_norm", Some(false)).unwrap()
            }
        };
        names.filter(wanted).collect()
    }

    /// Largest difference at most `bound` times the largest magnitude.
    fn compare(&self, input: usize, name: &str, got: &[f32], bound: f32) {
        let want = self.tap(input, name);
        assert_eq!(got.len(), want.len(), "{} {input}/{name}", self.name);
        let size = want.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            assert!(
                (g - w).abs() <= bound * size,
                "{} {input}/{name}[{i}]: {g}, transformers has {w}",
                self.name
            );
        }
    }
}

/// As in `tests/models.rs`: both sides compute in f32 and differ in the order of their sums. The
/// group norm is computed from the signal's covariance with us and from its own output there; a
/// channel's deviation is then as good as f32.
const BOUND: f32 = 1e-4;

/// Every inner value that `transformers` has and we name too, f32 weights. With as many frames at
/// a time as there are, so that the convolutions' outputs are whole.
#[test]
fn layer_by_layer_in_fp32() {
    for runtime in common::runtimes() {
        for golden in goldens() {
            let mut model = golden.load(runtime(), Format::F32);
            model.chunk = Some(64);
            for input in 0..INPUTS {
                let names = golden.tap_names(input);
                assert!(names.len() >= 2, "{}: {names:?}", golden.name);
                let got = block_on(model.run_tapped(golden.wave(input), &names)).unwrap();
                for (name, got) in &got.0 {
                    golden.compare(input, name, got, BOUND);
                }
            }
        }
    }
}

/// However few frames the feature extractor computes at a time, the answer is the same. On a
/// device whose weights are f32 each value is computed by the same sums, so it is bit for bit.
#[test]
fn chunks_of_time_change_nothing() {
    for runtime in common::runtimes() {
        for golden in goldens() {
            let mut model = golden.load(runtime(), Format::F32);
            let wave = golden.wave(0);
            let mut features = |chunk| {
                model.chunk = Some(chunk);
                let run = model.run_tapped(wave, &["feature_extractor"]);
                block_on(run).unwrap().take("feature_extractor").unwrap()
            };
            let whole = features(64);
            for chunk in [1, 5, 16] {
                let pieces = features(chunk);
                let same = whole.iter().zip(&pieces).all(|(a, b)| (a - b).abs() <= 1e-5);
                assert!(same && whole.len() == pieces.len(), "{} by {chunk}", golden.name);
            }
        }
    }
}

/// The first layer of 30 s is never held as a whole, nor in pieces that are not needed any more.
#[test]
fn memory_of_long_audio_is_less_than_its_first_layer() {
    let golden = &goldens()[0];
    let mut model = golden.load(Runtime::cpu(), Format::F32);
    let wave: Vec<f32> = (0..480_000).map(|i| (i as f32 * 0.03).sin()).collect();
    let out = block_on(model.run(&wave)).unwrap();
    assert_eq!(out.rows, 1499);
    let (_, slots) = model.runtime.bytes();
    let first_layer = 4 * 95_999 * 24;
    assert!(slots < 3 * first_layer / 4, "{slots} bytes, the first layer takes {first_layer}");
}

/// A model that masks padding answers as Python does for a padded batch, without any padding.
#[test]
fn padded_batches_of_transformers_are_ours_without_padding() {
    let mut count = 0;
    for golden in goldens() {
        let mut model = golden.load(Runtime::cpu(), Format::F32);
        for input in 0..INPUTS {
            let out = block_on(model.run(golden.wave(input))).unwrap();
            if golden.head != AudioHead::Encoder {
                assert_eq!(out.values.len(), out.rows * out.width);
            }
            if golden.taps.contains_key(&format!("{input}/batch.logits")) {
                golden.compare(input, "batch.logits", &out.values, BOUND);
                count += 1;
            }
        }
    }
    assert!(count >= 6, "{count}");
}

/// The head's output in the formats that round weights, against f32 kernels over the same rounded
/// weights, as in `tests/models.rs`: 0.15 for the 7 bits of activations, which here pass nine
/// convolutions before two layers; and f32 against `transformers` itself.
#[test]
fn outputs_in_every_format() {
    for runtime in common::runtimes() {
        for golden in goldens() {
            let mut model = golden.load(runtime(), Format::F32);
            for input in 0..INPUTS {
                let out = block_on(model.run(golden.wave(input))).unwrap();
                golden.compare(input, "logits", &out.values, BOUND);
            }
            for (format, bound) in [(Format::F16, 1e-3), (Format::Q8, 0.15), (Format::Q4, 0.15)] {
                let mut reference = golden.load_through(Runtime::cpu(), format, rounded);
                let mut model = golden.load(runtime(), format);
                for input in 0..INPUTS {
                    let wave = golden.wave(input);
                    let want = block_on(reference.run(wave)).unwrap();
                    let got = block_on(model.run(wave)).unwrap();
                    let error = relative_error(&got.values, &want.values);
                    let name = &golden.name;
                    assert!(error <= bound, "{name} {input} in {format:?}: relative error {error}");
                }
            }
        }
    }
}

#[test]
fn codebook_indices_are_those_of_transformers() {
    for runtime in common::runtimes() {
        let mut seen = 0;
        for golden in goldens().into_iter().filter(|g| g.head == AudioHead::Quantizer) {
            let mut model = golden.load(runtime(), Format::F32);
            for input in 0..INPUTS {
                let codes = block_on(model.codes(golden.wave(input))).unwrap();
                let got: Vec<f32> = codes.indices.iter().map(|&i| i as f32).collect();
                assert_eq!(got, golden.tap(input, "codes"), "{} {input}", golden.name);
                assert_eq!(codes.indices.len(), codes.frames * codes.groups);
                seen += 1;
            }
        }
        assert_eq!(seen, INPUTS);
    }
}

#[test]
fn audio_shorter_than_a_frame_or_beyond_five_minutes_is_an_error() {
    let golden = &goldens()[0];
    let mut model = golden.load(Runtime::cpu(), Format::F32);
    let framing = model.framing();
    assert_eq!((framing.receptive_field, framing.hop), (400, 320));
    for samples in [0, 1, 399] {
        let error = block_on(model.run(&vec![0.1; samples])).unwrap_err();
        assert!(error.message.contains("less than one frame"), "{error}");
        assert_eq!(model.frames(samples), 0);
    }
    assert_eq!([400, 719, 720, 16_000].map(|n| model.frames(n)), [1, 1, 2, 49]);
    assert_eq!(block_on(model.run(&vec![0.1; 400])).unwrap().rows, 1);
    let error = block_on(model.run(&vec![0.1; 16_000 * 301])).unwrap_err();
    assert!(error.remedy.contains("chunk_length_s"), "{error}");
}

/// Silence has no variance; neither has one frame. The norms' epsilon holds them.
#[test]
fn silence_gives_numbers() {
    for golden in goldens() {
        let mut model = golden.load(Runtime::cpu(), Format::Q8);
        for wave in [vec![0.0; 4000], vec![1.0; 400], vec![0.5; 1000]] {
            let out = block_on(model.run(&wave)).unwrap();
            assert!(out.values.iter().all(|v| v.is_finite()), "{}", golden.name);
        }
    }
}
