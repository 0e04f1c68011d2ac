//! Speech tasks end to end: golden checkpoints from their files to the answers of Python's
//! pipelines (`tools/goldens_speech.py`), listening, and what callers can get wrong.

#[path = "common/pipeline.rs"]
mod pipeline;

use std::fs;
use std::path::{Path, PathBuf};

use pipeline::load_model;
use pollster::block_on;
use serde_json::{json, Value};
use tareas::tasks::{Buffer, DeviceChoice, Input, Model, Silent, Task, TaskOutput};
use tareas::tensor::Format;
use tareas::{Code, Result};

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/audio")
}

/// The recorded calls of each variant that has some.
fn recorded() -> Vec<(PathBuf, Value)> {
    let mut all: Vec<(PathBuf, Value)> = fs::read_dir(goldens())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let bytes = fs::read(path.join("pipeline.json")).ok()?;
            Some((path, serde_json::from_slice(&bytes).unwrap()))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(all.len() >= 9, "goldens are missing");
    all
}

fn clip(name: &str) -> Vec<u8> {
    fs::read(goldens().join("clips").join(name)).unwrap()
}

/// The samples of a clip of 16-bit PCM with the shortest header.
fn samples(name: &str) -> Vec<f32> {
    let bytes = &clip(name)[44..];
    bytes.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32768.0).collect()
}

fn run(model: &mut Model, input: Input, options: Value) -> Result<Value> {
    match block_on(model.family.run(input, options, &mut Silent))? {
        TaskOutput::Json(value) => Ok(value),
        other => panic!("{other:?}"),
    }
}

fn wav(bytes: Vec<u8>) -> Input {
    Input { value: json!({ "$buffer": 0 }), buffers: vec![Buffer::U8(bytes)] }
}

fn sound(samples: Vec<f32>) -> Input {
    Input { value: json!({ "$buffer": 0 }), buffers: vec![Buffer::F32(samples)] }
}

fn load(folder: &str, task: Task) -> Model {
    let path = goldens().join(folder);
    load_model(&path, task, Some(Format::F32), DeviceChoice::Wasm).unwrap()
}

/// Python's result against ours, which has confidences too.
fn compare(at: &str, ours: &Value, python: &Value) {
    match (ours, python) {
        (Value::Object(ours), Value::Object(python)) => {
            for (key, value) in python {
                compare(&format!("{at}.{key}"), ours.get(key).unwrap_or(&Value::Null), value);
            }
            let more: Vec<&String> = ours.keys().filter(|key| !python.contains_key(*key)).collect();
            assert!(more.iter().all(|key| *key == "confidence"), "{at}: {more:?}");
        }
        (Value::Array(ours), Value::Array(python)) => {
            assert_eq!(ours.len(), python.len(), "{at}: {ours:?} {python:?}");
            for (i, (ours, python)) in ours.iter().zip(python).enumerate() {
                compare(&format!("{at}[{i}]"), ours, python);
            }
        }
        (Value::Number(ours), Value::Number(python)) => {
            // Times are the same numbers; scores differ by the order of f32 sums.
            let (ours, python) = (ours.as_f64().unwrap(), python.as_f64().unwrap());
            assert!((ours - python).abs() <= 1e-5 * python.abs().max(1.0), "{at}: {ours} {python}");
        }
        _ => assert_eq!(ours, python, "{at}"),
    }
}

/// Texts to the letter, times to the frame, scores to 1e-5.
fn answers_are_pythons(device: DeviceChoice) {
    for (folder, golden) in recorded() {
        let task = Task::from_id(golden["task"].as_str().unwrap()).unwrap();
        let mut model = load_model(&folder, task, Some(Format::F32), device).unwrap();
        for call in golden["calls"].as_array().unwrap() {
            let name = call["clip"].as_str().unwrap();
            let input = match call.get("stride") {
                None => wav(clip(name)),
                Some(stride) => Input {
                    value: json!({ "raw": { "$buffer": 0 }, "sampling_rate": 16000, "stride": stride }),
                    buffers: vec![Buffer::F32(samples(name))],
                },
            };
            let at = format!("{} {name} {}", folder.display(), call["kwargs"]);
            compare(&at, &run(&mut model, input, call["kwargs"].clone()).unwrap(), &call["result"]);
        }
    }
}

#[test]
fn answers_are_pythons_on_the_cpu() {
    answers_are_pythons(DeviceChoice::Wasm);
}

/// Hidden states, the quantizer's codes and a frame classifier's logits, per frame.
fn features_are_pythons(device: DeviceChoice) {
    for folder in ["wav2vec2-encoder", "wav2vec2-pretraining", "wav2vec2-frame"] {
        let path = goldens().join(folder);
        let task = Task::AudioFeatureExtraction;
        let mut model = load_model(&path, task, Some(Format::F32), device).unwrap();
        let golden: Value =
            serde_json::from_slice(&fs::read(path.join("features.json")).unwrap()).unwrap();
        let clip = samples(golden["clip"].as_str().unwrap());
        let clip = clip[..golden["samples"].as_u64().unwrap() as usize].to_vec();
        for output in ["last_hidden_state", "codes", "logits"] {
            let options = json!({ "output": output });
            let got = block_on(model.family.run(sound(clip.clone()), options, &mut Silent));
            let want = &golden["outputs"][output];
            match got {
                Ok(TaskOutput::Json(codes)) => assert_eq!(codes, *want, "{folder} {output}"),
                Ok(TaskOutput::Tensor { dims, data }) => {
                    let rows: Vec<Vec<Vec<f32>>> = serde_json::from_value(want.clone()).unwrap();
                    assert_eq!(dims, [rows.len(), rows[0].len(), rows[0][0].len()]);
                    let want: Vec<f32> = rows.into_iter().flatten().flatten().collect();
                    let largest = want.iter().fold(1.0, |most: f32, x| most.max(x.abs()));
                    for (got, want) in data.iter().zip(&want) {
                        let off = (got - want).abs();
                        assert!(off <= 2e-4 * largest, "{folder} {output}: {got} {want}");
                    }
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    assert!(want.is_null(), "{folder} {output}: {error}");
                    assert_eq!(error.code, Code::Unsupported, "{error}");
                }
            }
        }
    }
}

#[test]
fn features_are_pythons_on_the_cpu() {
    features_are_pythons(DeviceChoice::Wasm);
}

#[test]
fn features_are_pythons_on_the_gpu() {
    if std::env::var_os("TAREAS_REQUIRE_GPU").is_some() {
        features_are_pythons(DeviceChoice::WebGpu);
    }
}

#[test]
fn answers_are_pythons_on_the_gpu() {
    if std::env::var_os("TAREAS_REQUIRE_GPU").is_none() {
        return;
    }
    answers_are_pythons(DeviceChoice::WebGpu);
}

/// In a batch each clip has the answer that it has alone, whatever the others' lengths.
#[test]
fn batches_of_different_lengths() {
    let mut model = load("wav2vec2-ctc-large", Task::AutomaticSpeechRecognition);
    let clips = [samples("en.wav"), samples("es.wav")[..9000].to_vec(), samples("es.wav")];
    let buffers = clips.iter().map(|clip| Buffer::F32(clip.clone())).collect();
    let value = json!([{ "$buffer": 0 }, { "$buffer": 1 }, { "$buffer": 2 }]);
    let options = json!({ "return_timestamps": "word" });
    let all = run(&mut model, Input { value, buffers }, options.clone()).unwrap();
    for (clip, got) in clips.into_iter().zip(all.as_array().unwrap()) {
        assert_eq!(&run(&mut model, sound(clip), options.clone()).unwrap(), got);
    }
}

/// Beam search with one beam's worth of pruning off: the best text is at least as likely as the
/// greedy one, the alternatives fall, and shares add up.
#[test]
fn beams_and_hot_words() {
    let mut model = load("wav2vec2-ctc-large", Task::AutomaticSpeechRecognition);
    let options =
        json!({ "num_beams": 20, "num_return_sequences": 5, "return_timestamps": "word" });
    let found = run(&mut model, wav(clip("en.wav")), options).unwrap();
    let alternatives = found["alternatives"].as_array().unwrap();
    assert_eq!(alternatives.len(), 5);
    assert_eq!(alternatives[0]["text"], found["text"]);
    let scores: Vec<f64> = alternatives.iter().map(|a| a["score"].as_f64().unwrap()).collect();
    assert!(scores.windows(2).all(|w| w[0] >= w[1]));
    let words: Vec<&str> =
        found["chunks"].as_array().unwrap().iter().map(|c| c["text"].as_str().unwrap()).collect();
    assert_eq!(words.join(" "), found["text"].as_str().unwrap());
    let lm = "\\data\\\n\\1-grams:\n-1\tIDH\t0\n-1\t<s>\t0\n-1\t</s>\n-2\t<unk>\n\\end\\\n";
    for options in [json!({ "hotwords": ["IDTC"] }), json!({ "language_model": lm })] {
        assert!(run(&mut model, wav(clip("en.wav")), options).unwrap()["text"].is_string());
    }
}

/// Heard piece by piece, the whole clip as one utterance is what recognition gives for it.
#[test]
fn listening_hears_what_recognition_hears() {
    let mut model = load("wav2vec2-ctc-large", Task::AutomaticSpeechRecognition);
    let clip = samples("en.wav");
    let whole =
        run(&mut model, sound(clip.clone()), json!({ "return_timestamps": "word" })).unwrap();
    // Nothing is final before the end and nothing is a pause: one run over everything.
    let options = json!({ "voice_activity": false, "settle_s": 5, "update_s": 1 });
    let mut words: Vec<Value> = Vec::new();
    let pieces: Vec<&[f32]> = clip.chunks(1000).collect();
    for (i, piece) in pieces.iter().enumerate() {
        let value = json!({
            "listen": 1, "samples": { "$buffer": 0 }, "sampling_rate": 16000,
            "end": i + 1 == pieces.len(),
        });
        let input = Input { value, buffers: vec![Buffer::F32(piece.to_vec())] };
        let heard = run(&mut model, input, options.clone()).unwrap();
        words.extend(heard["final"].as_array().unwrap().clone());
    }
    let want = whole["chunks"].as_array().unwrap();
    assert_eq!(words.len(), want.len());
    for (word, want) in words.iter().zip(want) {
        assert_eq!(word["text"], want["text"]);
        assert_eq!(word["timestamp"], want["timestamp"]);
    }
}

#[test]
fn what_callers_get_wrong_is_said() {
    let mut model = load("wav2vec2-ctc", Task::AutomaticSpeechRecognition);
    let mut refused = |input: Input, options: Value, code: Code, word: &str| {
        let error = run(&mut model, input, options).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    };
    let none = || json!({});
    let good = || sound(vec![0.1; 8000]);
    refused(sound(vec![]), none(), Code::Input, "empty");
    refused(sound(vec![0.5]), none(), Code::Input, "at least");
    refused(sound(vec![f32::NAN; 8000]), none(), Code::Input, "sample 0 is NaN");
    refused(wav(b"RIFF".to_vec()), none(), Code::Input, "not a WAV");
    refused(json!("a.wav").into(), none(), Code::Input, "not sound");
    refused(sound(vec![0.0; 3600 * 16000]), none(), Code::Input, "chunk_length_s");
    refused(good(), json!({ "return_timestamps": true }), Code::Input, "'char' or 'word'");
    refused(good(), json!({ "return_timestamps": "words" }), Code::Input, "return_timestamps");
    refused(good(), json!({ "chunk_length_s": -1 }), Code::Input, "chunk_length_s");
    refused(good(), json!({ "chunk_length_s": 1, "stride_length_s": 0.5 }), Code::Input, "overlap");
    refused(good(), json!({ "num_beams": 0 }), Code::Input, "num_beams");
    refused(good(), json!({ "num_return_sequences": 3 }), Code::Input, "num_return_sequences");
    refused(good(), json!({ "language_model": "x" }), Code::Input, "ARPA");
    refused(good(), json!({ "hotword": ["A"] }), Code::Input, "hotword");
    refused(json!({ "listen": -1 }).into(), none(), Code::Input, "listen");
    refused(json!({ "listen": 1 }).into(), json!({ "pause_s": 0 }), Code::Input, "pause_s");
    // Silence and clipping are sound.
    for samples in [vec![0.0; 8000], vec![1.0; 8000]] {
        assert!(run(&mut model, sound(samples), none()).unwrap()["text"].is_string());
    }
    // Any rate, any number of channels.
    let channels = json!([{ "$buffer": 0 }, { "$buffer": 0 }, { "$buffer": 0 }]);
    for rate in [8000, 192_000] {
        let value = json!({ "raw": channels, "sampling_rate": rate });
        let input = Input { value, buffers: vec![Buffer::F32(vec![0.1; rate / 2])] };
        assert!(run(&mut model, input, none()).unwrap()["text"].is_string());
    }
}

#[test]
fn repositories_that_lack_something_are_refused() {
    let folder = goldens().join("wav2vec2-ctc");
    let without = |name: &str, task: Task| {
        let copy =
            std::env::temp_dir().join(format!("tareas-speech-{}-{name}", std::process::id()));
        fs::create_dir_all(&copy).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap() != name {
                fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
            }
        }
        let error = load_model(&copy, task, Some(Format::F32), DeviceChoice::Wasm).unwrap_err();
        fs::remove_dir_all(&copy).unwrap();
        error.to_string()
    };
    let asr = Task::AutomaticSpeechRecognition;
    assert!(without("vocab.json", asr).contains("vocab.json"));
    assert!(without("preprocessor_config.json", asr).contains("preprocessor_config.json"));
    assert!(without("nothing", Task::AudioClassification).contains("automatic-speech-recognition"));
}
