//! tokenizer.json from vocab.json and merges.txt: the byte-level tokenizers of GPT-2 and BART.

use serde_json::{json, Value};

use super::load::broken;
use crate::error::Result;

/// The tokenizer.json that Python's conversion of the two files comes to. `roberta` encloses texts
/// in `<s>` and `</s>`.
pub fn tokenizer_json(vocab: &[u8], merges: &[u8], roberta: bool) -> Result<Vec<u8>> {
    let vocab: Value = serde_json::from_slice(vocab).map_err(|e| broken("vocab.json", e))?;
    let merges = std::str::from_utf8(merges).map_err(|e| broken("merges.txt", e))?;
    let lines = merges.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
    let merges: Vec<&str> = lines.collect();
    let id = |token: &str| match vocab[token].as_u64() {
        Some(id) => Ok(json!([token, id])),
        None => Err(broken("vocab.json", format!("has no {token}"))),
    };
    let bytes = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true,
    });
    let post = if roberta {
        json!({
            "type": "RobertaProcessing", "sep": id("</s>")?, "cls": id("<s>")?,
            "trim_offsets": true, "add_prefix_space": false,
        })
    } else {
        bytes.clone()
    };
    let mut added = Vec::new();
    let specials = if roberta {
        &["<s>", "<pad>", "</s>", "<unk>", "<mask>"][..]
    } else {
        &["<|endoftext|>"][..]
    };
    for token in specials {
        if let Some(id) = vocab[*token].as_u64() {
            added.push(json!({
                "id": id, "content": token, "single_word": false, "lstrip": *token == "<mask>",
                "rstrip": false, "normalized": !roberta, "special": true,
            }));
        }
    }
    let json = json!({
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": bytes,
        "post_processor": post,
        "decoder": bytes,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "vocab": vocab, "merges": merges,
        },
    });
    serde_json::to_vec(&json).map_err(|e| broken("vocab.json", e))
}
