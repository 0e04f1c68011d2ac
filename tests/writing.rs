//! The tasks that write text, from whole repositories, against the Python pipelines: every text,
//! every token id. `tools/goldens_writing.py` made the goldens.

#[path = "common/pipeline.rs"]
mod pipeline;

use std::fs;
use std::path::{Path, PathBuf};

use pollster::block_on;
use serde_json::{json, Value};
use tareas::checkpoint::Config;
use tareas::tasks::{
    Answer, Buffer, DeviceChoice, Family, Host, Input, Model, Silent, Task, TaskOutput,
};
use tareas::tensor::Format;
use tareas::{Code, Result};

const VARIANTS: [&str; 7] = [
    "gpt2-text",
    "gpt2-merges",
    "bart-text",
    "t5-text",
    "marian-text",
    "mbart-text",
    "mbart50-text",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/generation").join(name)
}

fn golden(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder(name).join("golden.json")).unwrap()).unwrap()
}

fn open(name: &str, task: &str, device: DeviceChoice) -> Result<Model> {
    pipeline::load_model(&folder(name), Task::from_id(task)?, Some(Format::F32), device)
}

fn devices() -> Vec<DeviceChoice> {
    let gpu = std::env::var("TAREAS_REQUIRE_GPU").is_ok();
    if gpu {
        vec![DeviceChoice::Wasm, DeviceChoice::WebGpu]
    } else {
        vec![DeviceChoice::Wasm]
    }
}

fn call(model: &mut Model, input: Value, options: Value, host: &mut dyn Host) -> Result<Value> {
    match block_on(model.family.run(input.into(), options, host))? {
        TaskOutput::Json(value) => Ok(value),
        other => panic!("{other:?}"),
    }
}

#[test]
fn texts_are_those_of_the_python_pipelines() {
    for device in devices() {
        for name in VARIANTS {
            let mut opened: Option<(String, Model)> = None;
            for case in golden(name)["calls"].as_array().unwrap() {
                let task = case["task"].as_str().unwrap();
                if opened.as_ref().is_none_or(|(of, _)| of != task) {
                    opened = Some((task.to_string(), open(name, task, device).unwrap()));
                }
                let model = &mut opened.as_mut().unwrap().1;
                let mut kwargs = case["kwargs"].clone();
                // The languages in a task's name come as options.
                if let Some((from, to)) =
                    task.strip_prefix("translation_").and_then(|p| p.split_once("_to_"))
                {
                    kwargs["src_lang"] = from.into();
                    kwargs["tgt_lang"] = to.into();
                }
                let got = call(model, case["args"][0].clone(), kwargs, &mut Silent);
                assert_eq!(
                    got.as_ref(),
                    Ok(&case["result"]),
                    "{name} {task} {} {}",
                    case["args"],
                    case["kwargs"]
                );
            }
        }
    }
}

/// Infilling as the documentation of BART does it: `model.generate` on the text with its mask.
#[test]
fn masks_are_filled_as_by_generate() {
    for device in devices() {
        let mut model = open("bart-text", "text2text-generation", device).unwrap();
        let golden = golden("bart-text");
        let fills = golden["fills"].as_array().unwrap();
        for fill in fills {
            let mut options = fill["kwargs"].clone();
            options["fill"] = true.into();
            let got = call(&mut model, fill["text"].clone(), options, &mut Silent);
            assert_eq!(got.as_ref(), Ok(&fill["result"]), "{} {}", fill["text"], fill["kwargs"]);
        }
        assert!(fills.iter().any(|fill| fill["result"][0]["span"].is_string()));
        let mut refused = |text: &str, options: Value, words: &str| {
            let error = call(&mut model, text.into(), options, &mut Silent).unwrap_err();
            assert_eq!(error.code, Code::Input, "{error}");
            assert!(format!("{error}").contains(words), "{error}");
        };
        refused("no mask", json!({"fill": true}), "this has 0");
        refused("<mask> <mask>", json!({"fill": true}), "this has 2");
        refused("<mask>", json!({"fill": true, "return_tensors": true}), "return_tensors");
    }
    let mut model = open("t5-text", "text2text-generation", DeviceChoice::Wasm).unwrap();
    let error = call(&mut model, "<mask>".into(), json!({"fill": true}), &mut Silent).unwrap_err();
    assert_eq!(error.code, Code::Unsupported, "{error}");
}

/// zero-shot-classification through BART-MNLI, from vocab.json and merges.txt.
#[test]
fn bart_judges_as_in_the_python_pipeline() {
    for device in devices() {
        let mut model = open("bart-mnli-text", "zero-shot-classification", device).unwrap();
        for case in golden("bart-mnli-text")["calls"].as_array().unwrap() {
            let input =
                json!({ "sequences": case["args"][0], "candidate_labels": case["args"][1] });
            let got = call(&mut model, input, case["kwargs"].clone(), &mut Silent).unwrap();
            let want = &case["result"];
            let list = |value: &Value| value.as_array().cloned().unwrap_or(vec![value.clone()]);
            for (got, want) in list(&got).iter().zip(list(want)) {
                assert_eq!(got["sequence"], want["sequence"]);
                assert_eq!(got["labels"], want["labels"], "{case}");
                for (got, want) in list(&got["scores"]).iter().zip(list(&want["scores"])) {
                    // f32 sums in another order
                    let off = (got.as_f64().unwrap() - want.as_f64().unwrap()).abs();
                    assert!(off < 2e-6, "{off} {case}");
                }
            }
            assert_eq!(list(&got).len(), list(want).len());
        }
    }
}

#[test]
fn a_batch_gives_what_each_text_gives_alone() {
    for (name, task) in [("gpt2-text", "text-generation"), ("bart-text", "summarization")] {
        let mut model = open(name, task, DeviceChoice::Wasm).unwrap();
        let texts = json!(["The dog", "Hello, my name is", "La casa", "One two three"]);
        for options in [
            json!({"max_new_tokens": 12, "do_sample": false, "num_beams": 1}),
            json!({"max_new_tokens": 12, "do_sample": false, "num_beams": 3}),
            json!({"max_new_tokens": 12, "do_sample": false, "num_beams": 1, "batch_size": 3}),
        ] {
            let batch = call(&mut model, texts.clone(), options.clone(), &mut Silent).unwrap();
            let mut alone = options.clone();
            alone.as_object_mut().unwrap().remove("batch_size");
            for (i, text) in texts.as_array().unwrap().iter().enumerate() {
                let one = call(&mut model, text.clone(), alone.clone(), &mut Silent).unwrap();
                let one = if task == "summarization" { one[0].clone() } else { one };
                assert_eq!(batch[i], one, "{name} {options} {text}");
            }
        }
    }
}

/// Listens, and answers as a caller with code of its own does.
#[derive(Default)]
struct Caller {
    pieces: Vec<Value>,
    ban: Option<u32>,
    stop_at: Option<usize>,
    abort_after: Option<(usize, Option<tareas::tasks::AbortHandle>)>,
}

impl Host for Caller {
    fn emit(&mut self, piece: Value) -> Result<()> {
        self.pieces.push(piece);
        if let Some((after, Some(abort))) = &self.abort_after {
            if self.pieces.len() >= *after {
                abort.abort();
            }
        }
        Ok(())
    }

    fn ask(&mut self, question: Input) -> Answer<'_> {
        let answer = if question.value["ask"] == "logits_processor" {
            let Some(Buffer::F32(scores)) = question.buffer(&question.value["scores"]) else {
                panic!("{question:?}")
            };
            let rows = question.value["ids"].as_array().unwrap().len();
            let mut scores = scores.clone();
            let width = scores.len() / rows;
            if let Some(ban) = self.ban {
                scores.chunks_mut(width).for_each(|row| row[ban as usize] = f32::NEG_INFINITY);
            }
            Input { value: json!({"$buffer": 0}), buffers: vec![Buffer::F32(scores)] }
        } else {
            let ids = question.value["ids"].as_array().unwrap();
            let long =
                |ids: &Value| self.stop_at.is_some_and(|n| ids.as_array().unwrap().len() >= n);
            json!(ids.iter().map(long).collect::<Vec<bool>>()).into()
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

fn streamed(caller: &Caller, prompt: usize) -> String {
    let own = caller.pieces.iter().filter(|p| p["prompt"] == prompt);
    own.filter_map(|p| p["text"].as_str()).collect()
}

#[test]
fn streamed_pieces_add_up_to_the_result() {
    for (name, task, key) in [
        ("gpt2-text", "text-generation", "generated_text"),
        ("bart-text", "summarization", "summary_text"),
        ("t5-text", "text2text-generation", "generated_text"),
    ] {
        let mut model = open(name, task, DeviceChoice::Wasm).unwrap();
        for beams in [1, 3] {
            let mut options = json!({"stream": true, "do_sample": false, "num_beams": beams, "max_new_tokens": 20});
            if task == "text-generation" {
                options["return_full_text"] = false.into();
            }
            let mut caller = Caller::default();
            let texts = json!(["The dog", "¿Dónde está"]);
            let got = call(&mut model, texts, options, &mut caller).unwrap();
            for prompt in 0..2 {
                let result = if task == "text-generation" { &got[prompt][0] } else { &got[prompt] };
                assert_eq!(streamed(&caller, prompt), result[key], "{name} {beams}");
                let done =
                    caller.pieces.iter().filter(|p| p["prompt"] == prompt && p["done"] == true);
                assert_eq!(done.count(), 1);
            }
            let kind = if beams == 1 { "token" } else { "beams" };
            assert!(caller.pieces.iter().any(|p| p[kind].is_object() || p[kind].is_array()));
        }
    }
}

#[test]
fn candidates_and_scores_come_on_request() {
    let mut model = open("gpt2-text", "text-generation", DeviceChoice::Wasm).unwrap();
    let options = json!({"do_sample": false, "max_new_tokens": 5, "top_candidates": 5});
    let got = call(&mut model, "The dog".into(), options, &mut Silent).unwrap();
    let tokens = got[0]["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 5);
    for token in tokens {
        let candidates = token["candidates"].as_array().unwrap();
        assert_eq!(candidates.len(), 5);
        assert_eq!(candidates[0]["id"], token["id"], "greedy takes the first");
        let sum: f64 = candidates.iter().map(|c| c["logprob"].as_f64().unwrap().exp()).sum();
        assert!(sum > 0.0 && sum <= 1.0 + 1e-6);
    }
    let options =
        json!({"do_sample": false, "max_new_tokens": 5, "num_beams": 2, "output_scores": true});
    let got = call(&mut model, "The dog".into(), options, &mut Silent).unwrap();
    assert!(got[0]["score"].as_f64().unwrap() < 0.0);
}

fn read_bytes(model: &Model) -> usize {
    model.family.runtime().counters().read_bytes
}

/// What is read back: the token chosen, the best few, or (with processors that change scores) all.
#[test]
fn no_more_is_read_than_a_choice_takes() {
    for device in devices() {
        for (name, task) in [("gpt2-text", "text-generation"), ("bart-text", "summarization")] {
            let mut model = open(name, task, device).unwrap();
            let text = "The dog sleeps under the table";
            // More steps than tokens: one is begun before the last token is known.
            let mut bytes = |options: Value| {
                let mut all = json!({"max_new_tokens": 12, "num_beams": 1, "do_sample": false,
                    "forced_eos_token_id": null});
                all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
                let before = read_bytes(&model);
                call(&mut model, text.into(), all, &mut Silent).unwrap();
                read_bytes(&model) - before
            };
            // BART's first token is forced, which takes all scores; then its file rules tokens out,
            // which takes a few more than the best.
            let (forced, each) = if name == "bart-text" { (4 * 330, 17) } else { (0, 1) };
            let greedy = bytes(json!({}));
            assert!(greedy <= forced + 12 * 4 * each, "{name} {greedy}");
            let sampled = bytes(json!({"do_sample": true, "top_k": 9, "seed": 1, "top_p": 0.9}));
            assert!(sampled <= forced + 12 * 4 * (2 * 16 + 1), "{name} {sampled}");
            let beams = bytes(json!({"num_beams": 3}));
            assert!(beams <= forced + 12 * 4 * 3 * (2 * 8 + 1), "{name} {beams}");
            let all = bytes(json!({"repetition_penalty": 1.3}));
            assert!(all >= 4 * 4 * 330, "{name} {all}");
        }
    }
}

/// Sampling among the best few is sampling among all: the same texts by the same seeds.
#[test]
fn sampled_texts_are_the_same_from_the_best_few_and_from_all() {
    for device in devices() {
        let mut model = open("gpt2-text", "text-generation", device).unwrap();
        for seed in 0..8 {
            let options = json!({"do_sample": true, "top_k": 9, "seed": seed, "top_p": 0.9,
                "max_new_tokens": 16, "top_candidates": 3, "num_return_sequences": 2});
            let few = call(&mut model, "The dog".into(), options.clone(), &mut Silent).unwrap();
            let mut options = options;
            options["logits_processor"] = true.into(); // sees all, changes nothing
            let mut caller = Caller::default();
            let all = call(&mut model, "The dog".into(), options, &mut caller).unwrap();
            for (few, all) in few.as_array().unwrap().iter().zip(all.as_array().unwrap()) {
                assert_eq!(few["generated_text"], all["generated_text"], "seed {seed}");
            }
        }
    }
}

/// A chat goes on from the keys that the last call left: fewer tokens are read and the same are
/// written; after an error or an abort nothing is left to go on from.
#[test]
fn a_prompt_goes_on_from_the_last_call() {
    for device in devices() {
        let mut model = open("gpt2-text", "text-generation", device).unwrap();
        let plain = json!({"do_sample": false, "max_new_tokens": 8, "return_tensors": true,
            "return_full_text": null});
        let mut reuse = plain.clone();
        reuse["reuse_cache"] = true.into();
        let mut turn = String::from("The dog sleeps under the table. The children play");
        for say in [" and then", ". Hello, my name is", " one two three"] {
            let fresh = call(&mut model, turn.clone().into(), plain.clone(), &mut Silent).unwrap();
            // twice the same, another beginning, a shorter text: each only what it shares
            for _ in 0..2 {
                let again = call(&mut model, turn.clone().into(), reuse.clone(), &mut Silent);
                assert_eq!(again.unwrap(), fresh, "{turn}");
            }
            let texts = json!(["The dog", "The dog sleeps", turn, "La casa"]);
            let alone = call(&mut model, texts.clone(), plain.clone(), &mut Silent).unwrap();
            assert_eq!(alone[2], fresh);
            call(&mut model, turn.clone().into(), reuse.clone(), &mut Silent).unwrap();
            let shared = call(&mut model, texts.clone(), reuse.clone(), &mut Silent).unwrap();
            assert_eq!(shared, alone);
            let mut batches = reuse.clone();
            batches["batch_size"] = 3.into();
            assert_eq!(call(&mut model, texts, batches, &mut Silent).unwrap(), alone);
            let options = json!({"do_sample": false, "max_new_tokens": 8});
            let text = call(&mut model, turn.into(), options, &mut Silent).unwrap();
            turn = format!("{}{say}", text[0]["generated_text"].as_str().unwrap());
        }
        // An abort between two tokens, and an error, drop what is kept.
        let fresh = call(&mut model, "The dog".into(), plain, &mut Silent).unwrap();
        let abort = model.family.abort_handle();
        let mut caller = Caller { abort_after: Some((3, Some(abort))), ..Caller::default() };
        let mut streamed = reuse.clone();
        streamed["stream"] = true.into();
        let error = call(&mut model, "The dog".into(), streamed, &mut caller).unwrap_err();
        assert_eq!(error.code, Code::Aborted);
        let again = call(&mut model, "The dog".into(), reuse.clone(), &mut Silent).unwrap();
        assert_eq!(again, fresh);
        let mut long = reuse.clone();
        long["max_new_tokens"] = 500.into();
        call(&mut model, "The dog".into(), long, &mut Silent).unwrap_err();
        assert_eq!(call(&mut model, "The dog".into(), reuse, &mut Silent).unwrap(), fresh);
    }
}

#[test]
fn callbacks_change_scores_and_stop() {
    let mut model = open("gpt2-text", "text-generation", DeviceChoice::Wasm).unwrap();
    let plain = json!({"do_sample": false, "max_new_tokens": 12, "return_tensors": true});
    let ids = |value: &Value| -> Vec<u64> {
        value[0]["generated_token_ids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_u64().unwrap())
            .collect()
    };
    let free = ids(&call(&mut model, "The dog".into(), plain.clone(), &mut Silent).unwrap());
    let mut options = plain.clone();
    options["logits_processor"] = true.into();
    let ban = free[free.len() - 4];
    let mut caller = Caller { ban: Some(ban as u32), ..Caller::default() };
    let got = ids(&call(&mut model, "The dog".into(), options.clone(), &mut caller).unwrap());
    let prompt = free.len() - 12;
    assert!(!got[prompt..].contains(&ban));
    let mut options = plain;
    options["stopping_criteria"] = true.into();
    let mut caller = Caller { stop_at: Some(prompt + 3), ..Caller::default() };
    let got = ids(&call(&mut model, "The dog".into(), options, &mut caller).unwrap());
    assert_eq!(got, free[..prompt + 3]);
}

#[test]
fn an_aborted_call_leaves_nothing_behind() {
    for (name, task) in [("gpt2-text", "text-generation"), ("t5-text", "text2text-generation")] {
        let mut model = open(name, task, DeviceChoice::Wasm).unwrap();
        let options = json!({"stream": true, "do_sample": false, "max_new_tokens": 20});
        let before = call(&mut model, "The dog".into(), options.clone(), &mut Silent).unwrap();
        let abort = model.family.abort_handle();
        let mut caller = Caller { abort_after: Some((4, Some(abort))), ..Caller::default() };
        let error =
            call(&mut model, "Once upon a".into(), options.clone(), &mut caller).unwrap_err();
        assert_eq!(error.code, Code::Aborted);
        assert!(caller.pieces.len() <= 5, "it stops between two tokens");
        assert_eq!(call(&mut model, "The dog".into(), options, &mut Silent).unwrap(), before);
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_name() {
    let mut model = open("gpt2-text", "text-generation", DeviceChoice::Wasm).unwrap();
    let mut refused = |input: Value, options: Value, code: Code, words: &str| {
        let error = call(&mut model, input, options.clone(), &mut Silent).unwrap_err();
        assert_eq!(error.code, code, "{options}: {error}");
        assert!(format!("{error}").contains(words), "{options}: {error}");
    };
    let hello = json!("Hello");
    refused(hello.clone(), json!({"max_tokens": 3}), Code::Input, "max_tokens");
    refused(hello.clone(), json!({"return_full_text": 1}), Code::Input, "return_full_text");
    refused(
        hello.clone(),
        json!({"return_full_text": true, "return_tensors": true}),
        Code::Input,
        "return_tensors",
    );
    refused(hello.clone(), json!({"src_lang": "en"}), Code::Input, "src_lang");
    refused(hello.clone(), json!({"penalty_alpha": 0.5}), Code::Unsupported, "penalty_alpha");
    refused(hello.clone(), json!({"max_new_tokens": 500}), Code::Input, "96 positions");
    refused(json!("word ".repeat(200)), json!({}), Code::Input, "96 positions");
    refused(json!([{"role": "user", "content": "hi"}]), json!({}), Code::Unsupported, "chat");
    refused(json!(5), json!({}), Code::Input, "number");
    // An empty prompt starts from the start token, as in Python.
    let options = json!({"do_sample": false, "max_new_tokens": 4});
    assert!(
        call(&mut model, "".into(), options, &mut Silent).unwrap()[0]["generated_text"].is_string()
    );
    assert_eq!(call(&mut model, json!([]), json!({}), &mut Silent).unwrap(), json!([]));

    let mut model = open("t5-text", "translation_en_to_de", DeviceChoice::Wasm).unwrap();
    let mut refused = |options: Value, words: &str| {
        let error = call(&mut model, "Hello".into(), options, &mut Silent).unwrap_err();
        assert_eq!(error.code, Code::Input);
        assert!(format!("{error}").contains(words), "{error}");
    };
    refused(json!({"src_lang": "en", "tgt_lang": "xx"}), "translation_en_to_de");
    refused(json!({"src_lang": "en"}), "tgt_lang");
    let other = open("t5-text", "text-generation", DeviceChoice::Wasm).unwrap_err();
    assert_eq!(other.code, Code::Unsupported, "{other}");
    let other = open("gpt2-text", "summarization", DeviceChoice::Wasm).unwrap_err();
    assert_eq!(other.code, Code::Unsupported, "{other}");
}

#[test]
fn long_texts_are_summarised_by_parts() {
    let mut model = open("bart-text", "summarization", DeviceChoice::Wasm).unwrap();
    let long = "The dog sleeps under the table. The children play in the park. ".repeat(12);
    let options = json!({"max_new_tokens": 12});
    let error = call(&mut model, long.clone().into(), options, &mut Silent).unwrap_err();
    assert_eq!(error.code, Code::Input, "{error}");
    let options = json!({"max_new_tokens": 12, "truncation": true});
    let cut = call(&mut model, long.clone().into(), options, &mut Silent).unwrap();
    let options = json!({"max_new_tokens": 12, "split": true});
    let whole = call(&mut model, long.into(), options, &mut Silent).unwrap();
    let (cut, whole) =
        (cut[0]["summary_text"].as_str().unwrap(), whole[0]["summary_text"].as_str().unwrap());
    assert!(whole.len() > cut.len(), "{whole} / {cut}");
}

#[test]
fn tokens_are_those_of_the_python_tokenizers() {
    for name in VARIANTS {
        let config = Config::parse(&fs::read(folder(name).join("config.json")).unwrap()).unwrap();
        let mut files = tareas::tasks::Files::default();
        for entry in fs::read_dir(folder(name)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            if !file.ends_with(".safetensors") {
                files.insert(&file, fs::read(&path).unwrap());
            }
        }
        let task =
            if name.starts_with("gpt2") { Task::TextGeneration } else { Task::Summarization };
        let (generator, _) =
            tareas::tasks::generation::Generator::open(task, &config, &files).unwrap();
        let tokenizer = generator.tokenizer();
        for case in golden(name)["tokens"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let ids = tokenizer.encode(text, None).unwrap().ids;
            assert_eq!(json!(ids), case["ids"], "{name} {text:?}");
            assert_eq!(
                tokenizer.decode_as(&ids, true, false).unwrap(),
                case["decoded"],
                "{name} {text:?}"
            );
            assert_eq!(
                tokenizer.decode_as(&ids, true, true).unwrap(),
                case["cleaned"],
                "{name} {text:?}"
            );
        }
    }
}
