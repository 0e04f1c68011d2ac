//! The accuracy gates: two real models on 200 sentences against Python's pipelines
//! (`tools/goldens_real.py`), in every format.
//!
//! Without more, the q8 packs that the demo ships are tested. `TAREAS_MODELS` names a folder of
//! full checkpoints (`tools/extract_minilm.py` and `tools/convert_rampart.py` make them), which
//! are tested in every format; do that in release.

#[path = "common/pipeline.rs"]
mod pipeline;

use std::fs;
use std::path::{Path, PathBuf};

use pipeline::load;
use pollster::block_on;
use safetensors::SafeTensors;
use serde_json::{json, Value};
use tareas::preprocess::{Batch, Offsets, Sequence};
use tareas::tasks::text::{Encoder, TextEncoder, TextPipeline};
use tareas::tasks::{Task, TaskOutput};
use tareas::tensor::Format;

fn golden(file: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/real");
    fs::read(folder.join(file)).unwrap()
}

fn sentences(file: &str) -> Vec<Value> {
    let json: Value = serde_json::from_slice(&golden(file)).unwrap();
    json["sentences"].as_array().unwrap().clone()
}

fn tensor(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let bytes = tensors.tensor(name).unwrap().data().to_vec();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The folder of a model.
fn model(name: &str) -> PathBuf {
    let shipped = || Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models");
    std::env::var_os("TAREAS_MODELS").map_or_else(shipped, PathBuf::from).join(name)
}

/// Of `gates`, those that the checkpoints at hand allow: the shipped packs are q8.
fn gates<T: Copy>(gates: [(Format, T); 4]) -> Vec<(Format, T)> {
    let full = std::env::var_os("TAREAS_MODELS").is_some();
    gates.into_iter().filter(|(format, _)| full || *format == Format::Q8).collect()
}

fn from<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn run(pipeline: &mut TextPipeline<TextEncoder>, input: Value, options: Value) -> Value {
    match block_on(pipeline.run(input, options)).unwrap() {
        TaskOutput::Json(value) => value,
        _ => panic!("features, not JSON"),
    }
}

/// What the tokenizers make of the sentences: ids, and offsets in code points.
fn check_tokens(pipeline: &TextPipeline<TextEncoder>, sentences: &[Value]) {
    for sentence in sentences {
        let text = sentence["text"].as_str().unwrap();
        let encoding = pipeline.tokenizer().encode(text, None).unwrap();
        assert_eq!(encoding.ids, from::<Vec<u32>>(&sentence["input_ids"]), "{text}");
        let at = Offsets::code_points(text);
        let offsets: Vec<_> = encoding.offsets.iter().map(|o| (at.at(o.0), at.at(o.1))).collect();
        assert_eq!(offsets, from::<Vec<(usize, usize)>>(&sentence["offsets"]), "{text}");
    }
}

#[test]
fn entities_of_the_real_tagger() {
    let folder = model("rampart");
    let sentences = sentences("rampart.json");
    let texts: Vec<&str> = sentences.iter().map(|s| s["text"].as_str().unwrap()).collect();
    let bytes = golden("rampart.safetensors");
    let logits = SafeTensors::deserialize(&bytes).unwrap();
    for (format, agreement) in
        gates([(Format::F32, 1.0), (Format::F16, 0.999), (Format::Q8, 0.99), (Format::Q4, 0.97)])
    {
        let mut pipeline = load(&folder, Task::TokenClassification, Some(format)).unwrap();
        check_tokens(&pipeline, &sentences);
        let options = json!({ "ignore_labels": [] });
        let got = run(&mut pipeline, json!(texts), options);
        let (mut same, mut all) = (0, 0);
        for (sentence, tokens) in sentences.iter().zip(got.as_array().unwrap()) {
            let labels: Vec<usize> = from(&sentence["labels"]);
            for token in tokens.as_array().unwrap() {
                let want = labels[token["index"].as_u64().unwrap() as usize];
                same += usize::from(pipeline.info().labels[want] == token["entity"]);
                all += 1;
            }
        }
        let part = same as f64 / all as f64;
        eprintln!("{format:?}: {same} of {all} labels, {part:.5}");
        assert!(all > 3000 && part >= agreement, "{format:?}: {same} of {all} labels");

        if format == Format::F32 {
            check_entities(&mut pipeline, &texts, &sentences);
            check_logits(&mut pipeline, &sentences, &logits);
        }
    }
}

/// Grouped entities, word by word.
fn check_entities(pipeline: &mut TextPipeline<TextEncoder>, texts: &[&str], sentences: &[Value]) {
    let options = json!({ "aggregation_strategy": "simple" });
    let got = run(pipeline, json!(texts), options);
    for (sentence, got) in sentences.iter().zip(got.as_array().unwrap()) {
        let text = sentence["text"].as_str().unwrap();
        let (got, want) = (got.as_array().unwrap(), sentence["entities"].as_array().unwrap());
        assert_eq!(got.len(), want.len(), "{text}: {got:?}");
        let units: Vec<u16> = text.encode_utf16().collect();
        for (got, want) in got.iter().zip(want) {
            for key in ["entity_group", "word"] {
                assert_eq!(got[key], want[key], "{text}");
            }
            let at = |key: &str| {
                let end = got[key].as_u64().unwrap() as usize;
                String::from_utf16(&units[..end]).unwrap().chars().count() as u64
            };
            assert_eq!((at("start"), at("end")), from(&json!([want["start"], want["end"]])));
            let difference = got["score"].as_f64().unwrap() - want["score"].as_f64().unwrap();
            assert!(difference.abs() < 1e-4, "{text}: {got} {want}");
        }
    }
}

/// Logits within 1e-3, the bound that the project promises.
fn check_logits(
    pipeline: &mut TextPipeline<TextEncoder>,
    sentences: &[Value],
    logits: &SafeTensors<'_>,
) {
    let mut largest: f32 = 0.0;
    for name in logits.names() {
        let index: usize = name.trim_start_matches("logits.").parse().unwrap();
        let ids: Vec<u32> = from(&sentences[index]["input_ids"]);
        let mut batch = Batch::default();
        batch.push(&Sequence { type_ids: vec![0; ids.len()], rows: Vec::new(), ids });
        let got = block_on(pipeline.encoder_mut().run(&batch)).unwrap();
        let want = tensor(logits, name);
        assert_eq!(got.len(), want.len());
        let far = got.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
        largest = largest.max(far);
    }
    eprintln!("largest difference of a logit: {largest:e}");
    assert!(largest < 1e-3, "{largest}");
}

#[test]
fn embeddings_of_the_real_encoder() {
    let folder = model("all-MiniLM-L6-v2");
    let sentences = sentences("minilm.json");
    let texts: Vec<&str> = sentences.iter().map(|s| s["text"].as_str().unwrap()).collect();
    let bytes = golden("minilm.safetensors");
    let want = tensor(&SafeTensors::deserialize(&bytes).unwrap(), "embeddings");
    for (format, least) in gates([
        (Format::F32, 0.99999),
        (Format::F16, 0.9999),
        (Format::Q8, 0.999),
        (Format::Q4, 0.98),
    ]) {
        let mut pipeline = load(&folder, Task::FeatureExtraction, Some(format)).unwrap();
        check_tokens(&pipeline, &sentences);
        let options = json!({ "pooling": "mean", "normalize": true });
        let output = block_on(pipeline.run(json!(texts), options)).unwrap();
        let TaskOutput::Tensor { dims, data } = output else { panic!("{output:?}") };
        assert_eq!(dims, [texts.len(), 384]);
        // Both are of length 1.
        let cosines: Vec<f32> = data
            .chunks_exact(384)
            .zip(want.chunks_exact(384))
            .map(|(g, w)| g.iter().zip(w).map(|(g, w)| g * w).sum())
            .collect();
        let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
        let worst = cosines.iter().copied().fold(1.0, f32::min);
        eprintln!("{format:?}: mean cosine {mean:.6}, worst {worst:.6}");
        assert!(mean >= least, "{format:?}: mean cosine {mean}, worst {worst}");
    }
}
