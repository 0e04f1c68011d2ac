//! Tokenizers against what Python's fast ones answered (`tools/goldens_tokenizer.py`), and against
//! files that are broken in every way a file can be.

use std::fs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{json, Value};
use tareas::preprocess::{Encoding, Offsets, Tokenizer, TokenizerFiles, Truncate};
use tareas::{Code, Result};

/// Longest sequence of the models that these tokenizers are imagined for.
const POSITIONS: usize = 512;

fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// The files of a repository folder, those that are there.
#[derive(Clone, Default)]
struct Folder {
    tokenizer_json: Option<Vec<u8>>,
    vocab_txt: Option<Vec<u8>>,
    tokenizer_config: Option<Vec<u8>>,
    special_tokens_map: Option<Vec<u8>>,
}

impl Folder {
    fn read(name: &str) -> Self {
        let read = |file: &str| fs::read(goldens().join("tokenizers").join(name).join(file)).ok();
        Folder {
            tokenizer_json: read("tokenizer.json"),
            vocab_txt: read("vocab.txt"),
            tokenizer_config: read("tokenizer_config.json"),
            special_tokens_map: read("special_tokens_map.json"),
        }
    }

    fn load(&self) -> Result<Tokenizer> {
        let files = TokenizerFiles {
            tokenizer_json: self.tokenizer_json.as_deref(),
            vocab_txt: self.vocab_txt.as_deref(),
            tokenizer_config: self.tokenizer_config.as_deref(),
            special_tokens_map: self.special_tokens_map.as_deref(),
        };
        Tokenizer::load(&files, "bert", POSITIONS)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(self.tokenizer_json.as_deref().unwrap()).unwrap()
    }

    fn with_json(&self, json: &Value) -> Self {
        Folder { tokenizer_json: Some(serde_json::to_vec(json).unwrap()), ..self.clone() }
    }

    fn with_config(&self, config: Value) -> Self {
        Folder { tokenizer_config: Some(serde_json::to_vec(&config).unwrap()), ..self.clone() }
    }
}

fn load(name: &str) -> Tokenizer {
    Folder::read(name).load().unwrap()
}

fn from<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// Offsets as Python counts them.
fn code_points(encoding: &Encoding, text: &str, pair: Option<&str>) -> Vec<(usize, usize)> {
    let tables = [Offsets::code_points(text), Offsets::code_points(pair.unwrap_or(""))];
    let place = |i: usize| {
        let (start, end) = encoding.offsets[i];
        let table = &tables[usize::from(encoding.texts[i].unwrap_or(0))];
        (table.at(start), table.at(end))
    };
    (0..encoding.len()).map(place).collect()
}

#[test]
fn the_same_tokens_as_python() {
    let golden: Value =
        serde_json::from_slice(&fs::read(goldens().join("tokenizer_cases.json")).unwrap()).unwrap();
    let mut compared = 0;
    for (name, same_as) in golden["tokenizers"].as_object().unwrap() {
        let tokenizer = load(name);
        for case in golden["cases"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let pair = case["pair"].as_str().filter(|pair| !pair.is_empty()); // none to Python
            let want = &case["results"][same_as.as_str().unwrap()];
            let got = tokenizer.encode(text, pair).unwrap();
            let at = format!("{name} {text:?} {pair:?}");
            assert_eq!(got.ids, from::<Vec<u32>>(&want["ids"]), "{at}");
            let tokens: Vec<_> = got.ids.iter().filter_map(|&id| tokenizer.token(id)).collect();
            // For added tokens Python lists the text that matched; their ids are compared above.
            if name != "uncased-added" {
                assert_eq!(tokens, from::<Vec<String>>(&want["tokens"]), "{at}");
            }
            let offsets = code_points(&got, text, pair);
            assert_eq!(offsets, from::<Vec<(usize, usize)>>(&want["offsets"]), "{at}");
            assert_eq!(got.words, from::<Vec<Option<u32>>>(&want["words"]), "{at}");
            if want["type_ids"].is_array() {
                assert_eq!(got.type_ids, from::<Vec<u32>>(&want["type_ids"]), "{at}");
                assert_eq!(got.texts, from::<Vec<Option<u8>>>(&want["sequence_ids"]), "{at}");
            }
            compared += 1;
        }
    }
    assert!(compared > 2000, "{compared} cases");
}

#[test]
fn texts_are_cut_at_the_length_asked_for() {
    let tokenizer = load("uncased");
    let ids = |e: Encoding| e.ids;
    let whole = ids(tokenizer.encode("the dog saw the cat", Some("a bird")).unwrap());
    let cut = |truncate, most| {
        tokenizer.truncated("the dog saw the cat", Some("a bird"), truncate, most).map(ids)
    };
    assert_eq!(cut(Truncate::LongestFirst, whole.len()).unwrap(), whole);
    let less = cut(Truncate::OnlyFirst, whole.len() - 2).unwrap();
    assert_eq!(less[..4], whole[..4]);
    assert_eq!(less[4..], whole[6..], "the first text's last two tokens are gone");
    // The second text is shorter than what has to go.
    let error = cut(Truncate::OnlySecond, 6).unwrap_err();
    assert_eq!(error.code, Code::Input, "{error}");
    // Three special tokens do not fit in two.
    assert_eq!(cut(Truncate::LongestFirst, 2).unwrap_err().code, Code::Input);
    assert_eq!(cut(Truncate::LongestFirst, 3).unwrap().len(), 3);
}

#[test]
fn windows_share_the_stride() {
    let tokenizer = load("uncased");
    let text = "the dog saw the cat and the bird saw the dog";
    let whole = tokenizer.encode(text, None).unwrap();
    let windows = tokenizer.windows(text, 8, 2).unwrap();
    let inner: Vec<&[u32]> = windows.iter().map(|w| &w.ids[1..w.len() - 1]).collect();
    assert_eq!(inner[0].len(), 6);
    for pair in inner.windows(2) {
        assert_eq!(pair[0][4..], pair[1][..2], "neighbours share two tokens");
    }
    assert_eq!(inner[inner.len() - 1].last(), whole.ids.iter().rev().nth(1));
    // A stride that leaves no step is refused where it matters, and only there.
    assert_eq!(tokenizer.windows(text, 8, 6).unwrap_err().code, Code::Input);
    assert_eq!(tokenizer.windows("the dog", 8, 6).unwrap().len(), 1);
}

#[test]
fn decoding_cleans_up_as_configured() {
    let folder = Folder::read("uncased");
    let ids = |t: &Tokenizer, text: &str| t.encode(text, None).unwrap().ids;
    let decoded = |t: &Tokenizer, skip| t.decode(&ids(t, "The dog , the cat !"), skip).unwrap();
    let clean = folder.load().unwrap();
    assert_eq!(decoded(&clean, true), "the dog, the cat!");
    assert_eq!(decoded(&clean, false), "[CLS] the dog, the cat! [SEP]");
    assert_eq!(clean.decode(&[u32::MAX], false).unwrap(), "", "ids beyond the vocabulary");
}

/// The longest sequence is the smaller of what the tokenizer and the model say.
#[test]
fn the_length_is_bounded_by_the_model() {
    let length = |config: Value| {
        let folder = Folder::read("uncased").with_config(config);
        folder.load().map(|tokenizer| tokenizer.max_length())
    };
    assert_eq!(length(json!({})).unwrap(), POSITIONS);
    assert_eq!(length(json!({ "model_max_length": 1e30 })).unwrap(), POSITIONS);
    let digits: Value = serde_json::from_str("1000000000000000019884624838656").unwrap();
    assert_eq!(length(json!({ "model_max_length": digits })).unwrap(), POSITIONS);
    assert_eq!(length(json!({ "model_max_length": 64 })).unwrap(), 64);
    assert_eq!(length(json!({ "model_max_length": 4096 })).unwrap(), POSITIONS);
    assert_eq!(length(json!({ "model_max_length": -1 })).unwrap(), POSITIONS);
    assert_eq!(length(json!({ "model_max_length": "long" })).unwrap_err().code, Code::Tokenizer);
}

#[test]
fn files_that_are_missing_or_broken_are_named() {
    let full = Folder::read("uncased");
    let vocab = Folder { tokenizer_json: None, ..full.clone() };
    let json = |edit: &dyn Fn(&mut Value)| {
        let mut json = full.json();
        edit(&mut json);
        full.with_json(&json)
    };
    let bytes = |bytes: &[u8]| Folder { tokenizer_json: Some(bytes.into()), ..full.clone() };
    let file = full.tokenizer_json.as_deref().unwrap();
    let cases: Vec<(&str, Folder, &str)> = vec![
        ("no files", Folder::default(), "vocab.txt"),
        ("no vocabulary", Folder { vocab_txt: None, ..vocab.clone() }, "vocab.txt"),
        ("an empty file", bytes(b""), "tokenizer.json"),
        ("a web page", bytes(b"<!doctype html><html></html>"), "tokenizer.json"),
        ("no UTF-8", bytes(b"{\"version\":\"\xff\"}"), "tokenizer.json"),
        ("half a file", bytes(&file[..file.len() / 2]), "tokenizer.json"),
        ("cut in the decoder", bytes(&file[..find(file, "\"prefix\"")]), "tokenizer.json"),
        ("no model", json(&|j| drop(j.as_object_mut().unwrap().remove("model"))), "model"),
        ("an empty vocabulary", json(&|j| j["model"]["vocab"] = json!({})), "tokenizer.json"),
        (
            "a template with a token it does not explain",
            json(&|j| j["post_processor"]["special_tokens"] = json!({})),
            "[CLS]",
        ),
        (
            "a single template with two texts",
            json(&|j| j["post_processor"]["single"] = j["post_processor"]["pair"].clone()),
            "single",
        ),
        (
            "a vocabulary without the special tokens",
            Folder { vocab_txt: Some(b"the\ndog\n".to_vec()), ..vocab.clone() },
            "[CLS]",
        ),
        (
            "a vocabulary of other bytes",
            Folder { vocab_txt: Some(vec![0xff, 0xfe, 0]), ..vocab.clone() },
            "vocab.txt",
        ),
        ("a configuration that is a list", full.with_config(json!([])), "tokenizer_config.json"),
        (
            "a switch that is a number",
            full.with_config(json!({ "do_lower_case": 3 })),
            "do_lower_case",
        ),
        (
            "an added token without a number",
            full.with_config(json!({ "added_tokens_decoder": { "x": { "content": "y" } } })),
            "added_tokens_decoder",
        ),
    ];
    for (what, folder, named) in cases {
        let error = folder.load().expect_err(what);
        assert_eq!(error.code, Code::Tokenizer, "{what}: {error}");
        assert!(error.message.contains(named), "{what}: {error}");
        assert!(!error.remedy.is_empty(), "{what}: {error}");
    }
    // The tokenizers crate would panic over each of these.
    for map in [json!(null), json!(3), json!("?"), json!(""), json!("AAAAAA=="), json!("/////w==")]
    {
        let map = json!({ "type": "Precompiled", "precompiled_charsmap": map });
        let nested = json!({ "type": "Sequence", "normalizers": [map] });
        for normalizer in [map.clone(), nested, json!({ "type": "Precompiled" })] {
            let error = json(&|j| j["normalizer"] = normalizer.clone()).load().unwrap_err();
            assert_eq!(error.code, Code::Tokenizer, "{normalizer}: {error}");
        }
    }
    let japanese = vocab.with_config(json!({ "tokenizer_class": "BertJapaneseTokenizer" }));
    assert_eq!(japanese.load().unwrap_err().code, Code::Unsupported);
}

fn find(bytes: &[u8], what: &str) -> usize {
    bytes.windows(what.len()).position(|window| window == what.as_bytes()).unwrap()
}

/// A word that the vocabulary cannot spell, and no unknown token to stand for it.
#[test]
fn an_unknown_word_without_unknown_token_is_an_error() {
    let folder = Folder::read("uncased");
    let mut json = folder.json();
    json["model"]["unk_token"] = json!("[NOPE]");
    let tokenizer = folder.with_json(&json).load().unwrap();
    let error = tokenizer.encode("\u{16a0}", None).unwrap_err();
    assert_eq!(error.code, Code::Tokenizer, "{error}");
    assert!(tokenizer.encode("the dog", None).is_ok());
}

/// Every value of tokenizer.json in turn is replaced by values of other kinds, and every prefix
/// of the file is tried: errors are fine, panics are not (in wasm they end the whole engine).
#[test]
fn no_file_makes_it_panic() {
    let folder = Folder::read("uncased-added");
    let original = folder.json();
    let strange = [
        json!(null),
        json!(-1),
        json!(1e99),
        json!(""),
        json!("\u{301}"),
        json!([]),
        json!({}),
        json!([[0]]),
    ];
    let mut files: Vec<Vec<u8>> = Vec::new();
    for path in paths(&original) {
        for value in &strange {
            let mut json = original.clone();
            *json.pointer_mut(&path).unwrap() = value.clone();
            files.push(serde_json::to_vec(&json).unwrap());
        }
    }
    let whole = folder.tokenizer_json.clone().unwrap();
    files.extend((0..whole.len()).step_by(97).map(|n| whole[..n].to_vec()));
    let (mut loaded, mut refused) = (0, 0);
    for file in files {
        let text = String::from_utf8_lossy(&file).into_owned();
        let folder = Folder { tokenizer_json: Some(file), ..folder.clone() };
        let tried = catch_unwind(AssertUnwindSafe(|| {
            let tokenizer = folder.load()?;
            for text in ["", "The café <tag> newword, 東京 [MASK]!", "\u{301}\u{0}"] {
                let Ok(encoding) = tokenizer.encode(text, Some("the dog")) else { continue };
                drop(tokenizer.decode(&encoding.ids, true));
                drop(tokenizer.windows(text, 6, 1));
            }
            Ok::<_, tareas::Error>(())
        }));
        match tried {
            Ok(Ok(())) => loaded += 1,
            Ok(Err(_)) => refused += 1,
            Err(_) => panic!("{text}"),
        }
    }
    assert!(loaded > 50 && refused > 300, "{loaded} loaded, {refused} refused");
}

/// JSON pointers of all values, of long lists and maps only the first entries.
fn paths(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Array(list) => list.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        Value::Object(map) => {
            map.iter().map(|(k, v)| (k.replace('~', "~0").replace('/', "~1"), v)).collect()
        }
        _ => Vec::new(),
    };
    let mut all = vec![String::new()];
    for (key, child) in children.into_iter().take(10) {
        all.extend(paths(child).into_iter().map(|path| format!("/{key}{path}")));
    }
    all
}

/// 100,000 characters of each kind that a normalizer or a matcher could be slow at. Native and
/// optimized this takes some 0.1 s each; the bound only catches quadratic time.
#[test]
fn long_texts_take_linear_time() {
    let tokenizer = load("uncased-added");
    let n = 100_000;
    for piece in
        ["the dog. ", "x", "é", "e\u{301}", "東", "😀", "[MASK]", " <tag> ", "\u{200b}", "\u{0}"]
    {
        let text = piece.repeat(n / piece.chars().count());
        let start = Instant::now();
        let encoding = tokenizer.encode(&text, None).unwrap();
        let windows = tokenizer.windows(&text, 128, 32).unwrap();
        assert_eq!(windows.is_empty(), encoding.is_empty());
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "{piece:?} took {took:?}");
    }
}
