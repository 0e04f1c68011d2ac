//! Golden models that write: small seeded checkpoints made with `transformers`, layer by layer,
//! with and without the cache, on both devices, in every format. `tools/goldens_generation.py`
//! says how they were made.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use pollster::block_on;
use safetensors::SafeTensors;
use serde_json::Value;
use tareas::checkpoint::{Config, Reader};
use tareas::models::{Answer, Feed, Head, Pooling, SeqModel, TextModel, Want};
use tareas::plan::{Outputs, Runtime};
use tareas::preprocess::{Batch, Sequence};
use tareas::tensor::Format;

struct Golden {
    name: String,
    path: PathBuf,
    config: Config,
    json: Value,
    /// Of all texts, one after the other: values, and their width.
    taps: BTreeMap<String, (Vec<f32>, usize)>,
}

/// One text of a golden.
struct Text {
    source: Vec<u32>,
    ids: Vec<u32>,
    greedy: Vec<u32>,
}

fn numbers(value: &Value) -> Vec<u32> {
    let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

fn goldens() -> Vec<Golden> {
    let root = common::root().join("generation");
    let mut paths: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("taps.safetensors").exists())
        .filter(|path| !path.ends_with("bart-mnli")) // reads, and does not write
        .collect();
    paths.sort();
    let goldens: Vec<Golden> = paths.into_iter().map(Golden::open).collect();
    assert!(goldens.len() >= 2, "goldens are missing");
    goldens
}

impl Golden {
    fn open(path: PathBuf) -> Self {
        let read = |name: &str| fs::read(path.join(name)).unwrap();
        let bytes = read("taps.safetensors");
        let taps = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |data: &[u8]| -> Vec<f32> {
            data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let tap = |(name, t): (&str, safetensors::tensor::TensorView<'_>)| {
            (name.to_string(), (floats(t.data()), t.shape()[1]))
        };
        Golden {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            config: Config::parse(&read("config.json")).unwrap(),
            json: serde_json::from_slice(&read("golden.json")).unwrap(),
            taps: taps.iter().map(|(name, t)| tap((name, t))).collect(),
            path,
        }
    }

    fn texts(&self) -> Vec<Text> {
        let inputs = self.json["inputs"].as_array().unwrap().iter();
        inputs
            .enumerate()
            .map(|(i, input)| {
                let (first, second) =
                    (numbers(&input["input_ids"]), numbers(&input["decoder_input_ids"]));
                let greedy = numbers(&self.json["greedy"][i]);
                match second.is_empty() {
                    true => Text { source: Vec::new(), ids: first, greedy },
                    false => Text { source: first, ids: second, greedy },
                }
            })
            .collect()
    }

    fn load(&self, runtime: Runtime, format: Format) -> SeqModel {
        let (mut model, manifest) = SeqModel::new(&self.config, runtime).unwrap();
        let mut reader = Reader::new(manifest, Some(format), Format::F32);
        let bytes = fs::read(self.path.join("model.safetensors")).unwrap();
        reader.begin("model.safetensors", bytes.len() as u64).unwrap();
        for chunk in bytes.chunks(4099) {
            let sink = &mut |id, weight| model.runtime.set_weight(id, weight);
            reader.push(chunk, sink).unwrap();
        }
        reader.end().unwrap();
        reader.finish().unwrap();
        model
    }

    /// Names of the decoder's or the encoder's taps, without the base model's prefix.
    fn names(&self, encoder: bool) -> Vec<&str> {
        let names = self.taps.keys().map(|name| short(name));
        names.filter(|n| *n != "logits" && n.starts_with("encoder") == encoder).collect()
    }

    /// Rows `rows` of the reference.
    fn rows(&self, name: &str, rows: std::ops::Range<usize>) -> &[f32] {
        let (_, (values, width)) = self.taps.iter().find(|(n, _)| short(n) == name).unwrap();
        &values[rows.start * width..rows.end * width]
    }

    fn compare(&self, what: &str, name: &str, got: &[f32], rows: std::ops::Range<usize>) {
        let want = self.rows(name, rows);
        let error = largest_error(got, want);
        assert!(error <= BOUND, "{} {name} {what}: {error} of its largest", self.name);
    }

    /// Reads the sources of `texts`, if the model has an encoder, and begins a lane for each.
    fn begin(&self, model: &mut SeqModel, texts: &[Text]) {
        if model.info().encoder_decoder {
            let sources: Vec<&[u32]> = texts.iter().map(|t| &t.source[..]).collect();
            block_on(model.encode(&sources)).unwrap();
        }
        model.begin(&(0..texts.len()).collect::<Vec<_>>()).unwrap();
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("transformer.").or(name.strip_prefix("model.")).unwrap_or(name)
}

/// Both sides compute in f32 and differ in the order of their sums, see `tests/models.rs`; these
/// checkpoints have unit gains and more layers in a row (encoder, then decoder).
const BOUND: f32 = 1e-4;

fn largest_error(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let size = want.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let error = got.iter().zip(want).map(|(g, w)| (g - w).abs());
    error.fold(0.0f32, |m, x| if x.is_nan() { f32::INFINITY } else { m.max(x) }) / size
}

fn logits(answer: Answer) -> Vec<f32> {
    match answer {
        Answer::Logits(logits) => logits,
        other => panic!("{other:?}"),
    }
}

fn feed(texts: &[Vec<u32>]) -> Vec<&[u32]> {
    texts.iter().map(Vec::as_slice).collect()
}

/// Every layer that `transformers` has and we name too; all texts as one ragged batch, against
/// each text alone.
#[test]
fn layer_by_layer_in_fp32() {
    for runtime in common::runtimes() {
        for golden in goldens() {
            let mut model = golden.load(runtime(), Format::F32);
            let texts = golden.texts();
            if model.info().encoder_decoder {
                let sources: Vec<&[u32]> = texts.iter().map(|t| &t.source[..]).collect();
                let names = golden.names(true);
                assert!(names.len() >= 2, "{}", golden.name);
                let total = texts.iter().map(|t| t.source.len()).sum();
                let got = block_on(model.encode_tapped(&sources, &names)).unwrap();
                for (name, got) in &got.0 {
                    let width = got.len() / model_rows(&model, total);
                    golden.compare("at once", name, &got[..total * width], 0..total);
                }
                block_on(model.encode(&sources)).unwrap();
            }
            model.begin(&(0..texts.len()).collect::<Vec<_>>()).unwrap();
            let ids: Vec<&[u32]> = texts.iter().map(|t| &t.ids[..]).collect();
            let names = golden.names(false);
            assert!(names.len() >= 2, "{}", golden.name);
            let total = texts.iter().map(|t| t.ids.len()).sum();
            let Outputs(got, _) = block_on(model.step_tapped(Feed::Ids(&ids), &names)).unwrap();
            for (name, got) in &got {
                if name == "logits" {
                    let (mut end, width) = (0, got.len() / texts.len());
                    for (text, got) in texts.iter().zip(got.chunks_exact(width)) {
                        end += text.ids.len();
                        golden.compare("last", "logits", got, end - 1..end);
                    }
                } else {
                    let width = got.len() / model_rows(&model, total);
                    golden.compare("at once", name, &got[..total * width], 0..total);
                }
            }
        }
    }
}

/// Rows of a run of `total` tokens: a GPU's are filled up.
fn model_rows(model: &SeqModel, total: usize) -> usize {
    if model.runtime.is_gpu() && total > 8 {
        total.next_multiple_of(32)
    } else {
        total
    }
}

/// Token by token through the cache equals all tokens at once, with lanes of unequal lengths.
#[test]
fn step_by_step_equals_at_once() {
    for runtime in common::runtimes() {
        for golden in goldens() {
            let mut model = golden.load(runtime(), Format::F32);
            let texts = golden.texts();
            golden.begin(&mut model, &texts);
            let shortest = texts.iter().map(|t| t.ids.len()).min().unwrap();
            // the longer ones begin with what they have more
            let head: Vec<Vec<u32>> =
                texts.iter().map(|t| t.ids[..t.ids.len() - shortest + 1].to_vec()).collect();
            let mut answer = block_on(model.step(Feed::Ids(&feed(&head)), Want::Logits)).unwrap();
            for step in 0..shortest {
                let got = logits(answer);
                let (mut end, width) = (0, got.len() / texts.len());
                for (i, (text, got)) in texts.iter().zip(got.chunks_exact(width)).enumerate() {
                    let row = end + text.ids.len() - shortest + step;
                    golden.compare(&format!("text {i}, step {step}"), "logits", got, row..row + 1);
                    end += text.ids.len();
                }
                if step + 1 == shortest {
                    break;
                }
                let next: Vec<Vec<u32>> =
                    texts.iter().map(|t| vec![t.ids[t.ids.len() - shortest + step + 1]]).collect();
                answer = block_on(model.step(Feed::Ids(&feed(&next)), Want::Logits)).unwrap();
            }
        }
    }
}

/// Greedy decoding writes what Python writes: chosen on the device, the next step submitted before
/// the last is read; nothing is made on the way.
#[test]
fn greedy_tokens_are_exact_and_nothing_is_made_per_token() {
    for runtime in common::runtimes() {
        for golden in goldens() {
            assert!(golden.json["margin"].as_f64().unwrap() > 1e-3, "{}", golden.name);
            let mut model = golden.load(runtime(), Format::F32);
            let texts = golden.texts();
            golden.begin(&mut model, &texts);
            let ids: Vec<&[u32]> = texts.iter().map(|t| &t.ids[..]).collect();
            let mut waiting = Some(model.submit(Feed::Ids(&ids), Want::Argmax).unwrap());
            let mut before = model.runtime.counters();
            let count = texts[0].greedy.len();
            for step in 0..count {
                if step == 3 {
                    before = model.runtime.counters(); // two runs in flight: two staging buffers
                }
                let ahead =
                    (step + 1 < count).then(|| model.submit(Feed::Chosen, Want::Argmax).unwrap());
                let answer = block_on(model.read(waiting.take().unwrap())).unwrap();
                let want: Vec<u32> = texts.iter().map(|t| t.greedy[step]).collect();
                assert_eq!(answer, Answer::Argmax(want), "{} step {step}", golden.name);
                waiting = ahead;
            }
            let after = model.runtime.counters();
            assert_eq!(before.plans, after.plans, "{}", golden.name);
            assert_eq!(before.gpu.pipelines, after.gpu.pipelines, "{}", golden.name);
            assert_eq!(before.gpu.bind_groups, after.gpu.bind_groups, "{}", golden.name);
            assert_eq!(before.gpu.buffers, after.gpu.buffers, "{}", golden.name);
            if model.runtime.is_gpu() {
                let steps = count - 3 - 1;
                assert_eq!(before.gpu.submits + steps, after.gpu.submits, "{}", golden.name);
                if golden.name.starts_with("gpt2") {
                    // two tables, seven a layer, norm, head, choice
                    let dispatches = after.gpu.dispatches - before.gpu.dispatches;
                    assert_eq!(dispatches, steps * (2 + 7 * 2 + 3));
                }
            }
        }
    }
}

/// A beam that follows another moves no keys and sees the same text.
#[test]
fn lanes_fork() {
    for runtime in common::runtimes() {
        for golden in goldens() {
            let mut model = golden.load(runtime(), Format::F32);
            let texts = golden.texts();
            golden.begin(&mut model, &texts[..1]);
            let ids = &texts[0].ids;
            let (head, tail) = ids.split_at(ids.len() - 2);
            block_on(model.step(Feed::Ids(&[head]), Want::Nothing)).unwrap();
            model.fork(&[0, 0, 0]).unwrap();
            let wrong = [tail[0] + 1, tail[0], tail[0] + 2].map(|id| vec![id]);
            block_on(model.step(Feed::Ids(&feed(&wrong)), Want::Nothing)).unwrap();
            model.fork(&[1, 2]).unwrap();
            let next = [&tail[1..], &tail[1..]];
            let got = logits(block_on(model.step(Feed::Ids(&next), Want::Logits)).unwrap());
            let (right, other) = got.split_at(got.len() / 2);
            golden.compare("fork", "logits", right, ids.len() - 1..ids.len());
            assert!(largest_error(other, right) > 1e-3, "{}", golden.name);
            // and back: the last token is forgotten and read again
            model.truncate(0, ids.len() - 1);
            model.truncate(1, ids.len() - 1);
            let again = logits(block_on(model.step(Feed::Ids(&next), Want::Logits)).unwrap());
            assert!(largest_error(&again, &got) < 1e-6, "{}", golden.name);
        }
    }
}

/// A text longer than a chunk, on caches that must grow twice, equals its pieces.
#[test]
fn long_prompts_and_the_best_tokens() {
    for runtime in common::runtimes() {
        let golden = goldens().into_iter().find(|g| g.name == "t5" || g.name == "gpt2").unwrap();
        let mut model = golden.load(runtime(), Format::F32);
        let most = model.info().positions.unwrap_or(700);
        let vocab = model.info().vocab as u32;
        let ids: Vec<u32> = (0..most as u32).map(|i| i * i % vocab).collect();
        model.begin(&[0]).unwrap();
        let whole = block_on(model.step(Feed::Ids(&[&ids]), Want::TopK(5))).unwrap();
        model.begin(&[0]).unwrap();
        for piece in ids[..most - 3].chunks(17) {
            block_on(model.step(Feed::Ids(&[piece]), Want::Nothing)).unwrap();
        }
        let pieces = block_on(model.step(Feed::Ids(&[&ids[most - 3..]]), Want::Logits)).unwrap();
        let (Answer::TopK(top), Answer::Logits(logits)) = (whole, pieces) else { panic!() };
        let mut order: Vec<u32> = (0..vocab).collect();
        order.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
        assert_eq!(top[0].ids, order[..5]);
        let largest = f64::from(top[0].logits[0]);
        let log = logits.iter().map(|x| (f64::from(*x) - largest).exp()).sum::<f64>().ln();
        assert!((f64::from(top[0].log_sum) - log).abs() < 1e-3);
        assert!((top[0].logits[0] - logits[order[0] as usize]).abs() < 1e-3);
        if model.info().positions.is_some() {
            let error = model.submit(Feed::Ids(&[&[1]]), Want::Logits).unwrap_err();
            assert!(error.message.contains("the model reads"), "{error}");
            assert_eq!(model.len(0), most); // as it was
        }
        model.truncate(0, 10);
        let error = model.submit(Feed::Ids(&[&[vocab]]), Want::Logits).unwrap_err();
        assert!(error.message.contains("the token"), "{error}");
    }
}

/// Rounded weights move the distribution of the next token by so much: mean KL to fp32 over all
/// positions, in nats. Random models have no redundancy, so these are far above what trained ones
/// show; a wrong scale or a wrong zero point gives more than 1.
#[test]
fn quantized_distributions_stay_close() {
    for runtime in common::runtimes() {
        for (format, bound) in [(Format::F16, 1e-4), (Format::Q8, 0.02), (Format::Q4, 0.1)] {
            for golden in goldens() {
                let mut model = golden.load(runtime(), format);
                let texts = golden.texts();
                golden.begin(&mut model, &texts);
                let (mut end, mut kl) = (0, 0.0);
                let ids: Vec<&[u32]> = texts.iter().map(|t| &t.ids[..]).collect();
                let got = logits(block_on(model.step(Feed::Ids(&ids), Want::Logits)).unwrap());
                for (text, got) in texts.iter().zip(got.chunks_exact(got.len() / texts.len())) {
                    end += text.ids.len();
                    kl += divergence(golden.rows("logits", end - 1..end), got) / texts.len() as f64;
                }
                println!("{} {format:?}: KL {kl:.5}", golden.name);
                assert!(kl <= bound, "{} {format:?}: KL {kl}", golden.name);
            }
        }
    }
}

fn divergence(want: &[f32], got: &[f32]) -> f64 {
    let logs = |x: &[f32]| {
        let total = x.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
        x.iter().map(|x| f64::from(*x) - total).collect::<Vec<f64>>()
    };
    logs(want).iter().zip(logs(got)).map(|(w, g)| w.exp() * (w - g)).sum()
}

/// BART as a classifier: several texts at once, each against itself alone.
#[test]
fn bart_judges() {
    for runtime in common::runtimes() {
        let golden = Golden::open(common::root().join("generation/bart-mnli"));
        let (mut model, manifest) =
            TextModel::new(&golden.config, Head::Sequence, runtime()).unwrap();
        let mut reader = Reader::new(manifest, Some(Format::F32), Format::F32);
        let bytes = fs::read(golden.path.join("model.safetensors")).unwrap();
        reader.begin("model.safetensors", bytes.len() as u64).unwrap();
        let sink = &mut |id, weight| model.runtime.set_weight(id, weight);
        reader.push(&bytes, sink).unwrap();
        reader.end().unwrap();
        reader.finish().unwrap();
        let mut batch = Batch::new(Pooling::None);
        for input in golden.json["inputs"].as_array().unwrap() {
            let ids = numbers(&input["input_ids"]);
            let type_ids = vec![0; ids.len()];
            batch.push(&Sequence { ids, type_ids, rows: vec![0] });
        }
        let got = block_on(model.run(&batch)).unwrap();
        golden.compare("alone", "logits", &got, 0..2);
        batch.pad(1);
        let got = block_on(model.run(&batch)).unwrap();
        golden.compare("padded", "logits", &got[..2 * 3], 0..2);
    }
}
