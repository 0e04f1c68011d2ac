//! A model's tokenizer: from tokenizer.json, or from what older repositories have.

use serde_json::Value;

use crate::error::Result;
use crate::preprocess::tokenizer::spm::{Layout, SentencePiece};
use crate::preprocess::tokenizer::{bpe, Tokenizer, TokenizerFiles};
use crate::tasks::Files;

pub(super) fn load(files: &Files, model_type: &str, positions: usize) -> Result<Tokenizer> {
    if let (None, Some(source)) = (files.get("tokenizer.json"), files.get("source.spm")) {
        let settings = TokenizerFiles {
            tokenizer_config: files.get("tokenizer_config.json"),
            special_tokens_map: files.get("special_tokens_map.json"),
            ..TokenizerFiles::default()
        };
        let vocab = files.get("vocab.json").unwrap_or_default();
        return Tokenizer::marian(source, vocab, &settings, positions);
    }
    let converted = match files.get("tokenizer.json") {
        Some(_) => None,
        None => convert(files, model_type)?,
    };
    let files = TokenizerFiles {
        tokenizer_json: converted.as_deref().or(files.get("tokenizer.json")),
        vocab_txt: files.get("vocab.txt"),
        tokenizer_config: files.get("tokenizer_config.json"),
        special_tokens_map: files.get("special_tokens_map.json"),
    };
    Tokenizer::load(&files, model_type, positions)
}

/// A tokenizer.json made of a SentencePiece model, or of vocab.json and merges.txt.
fn convert(files: &Files, model_type: &str) -> Result<Option<Vec<u8>>> {
    for name in ["spiece.model", "sentencepiece.bpe.model"] {
        if let Some(bytes) = files.get(name) {
            let config: Value = (files.get("tokenizer_config.json"))
                .and_then(|bytes| serde_json::from_slice(bytes).ok())
                .unwrap_or_default();
            let class = config["tokenizer_class"].as_str().unwrap_or_default();
            let layout = if class.starts_with("MBart50") {
                Layout::MBart50
            } else if model_type == "mbart" {
                Layout::MBart
            } else {
                Layout::T5 {
                    extra: config["extra_ids"].as_u64().unwrap_or(100).min(10_000) as usize,
                }
            };
            // As Python: a null is no.
            let space = config.get("add_prefix_space").is_none_or(|v| v == &Value::Bool(true));
            let prepend = match (space || !matches!(layout, Layout::T5 { .. }), &config["legacy"]) {
                (false, _) => "never",
                (true, Value::Bool(false)) => "first",
                (true, _) => "always",
            };
            return SentencePiece::parse(name, bytes)?.tokenizer_json(layout, prepend).map(Some);
        }
    }
    match (files.get("vocab.json"), files.get("merges.txt")) {
        (Some(vocab), Some(merges)) => {
            bpe::tokenizer_json(vocab, merges, model_type != "gpt2").map(Some)
        }
        _ => Ok(None),
    }
}
