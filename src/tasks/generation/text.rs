//! `text-generation`: a prompt is continued.
//!
//! Input: a string or a list of them. Result: `[{ generated_text }]`, one per return sequence, or a
//! list of those. By Python's default tokens are sampled (temperature 0.7) and 256 are written.
//!
//! `reuse_cache` goes on from the keys and values that the last call left: of a prompt that begins
//! with that call's prompt and answer (a chat) only the rest is read. What is written is the same.

use serde_json::{json, Value};
use web_time::Instant;

use super::lanes::Lanes;
use super::live::{describe, Live, Text};
use super::options::Options;
use super::Generator;
use crate::error::Result;
use crate::generate::stream::TextStream;
use crate::generate::{generate, Generated, Prompt};
use crate::tasks::{io, Host};
use crate::{err, Code};

pub(super) async fn run(
    pipe: &mut Generator,
    input: Value,
    options: Value,
    host: &mut dyn Host,
) -> Result<Value> {
    let chat = input[0]["role"].is_string() || input[0][0]["role"].is_string();
    if chat {
        let error = err!(Code::Unsupported, "chat messages need the tokenizer's chat_template");
        return Err(
            error.remedy("chat templates are not implemented: write the prompt as one string")
        );
    }
    let inputs: io::Inputs<String> = io::inputs(input, "a string or a list of strings")?;
    let mut options = Options::new(pipe.task.id(), options)?;
    let full_text = options.bool("return_full_text")?;
    let tensors = options.on("return_tensors")?;
    if tensors && full_text.is_some() {
        return Err(err!(Code::Input, "return_full_text and return_tensors are both set")
            .remedy("set one of them"));
    }
    let full_text = full_text.unwrap_or(true);
    let text = Text {
        skip_special: options.bool("skip_special_tokens")?.unwrap_or(true),
        cleanup: options.bool("clean_up_tokenization_spaces")?.unwrap_or(true),
    };
    let own_prefix = options.string("prefix")?;
    let prefix = own_prefix.unwrap_or_else(|| pipe.prefix(pipe.task.id()));
    let hole = match options.string("handle_long_generation")?.as_deref() {
        None => false,
        Some("hole") => true,
        Some(other) => {
            return Err(err!(Code::Input, "handle_long_generation is {other:?}")
                .remedy("pass \"hole\", or leave it out"))
        }
    };
    if let Some(stop) = options.string("stop_sequence")? {
        options.0.insert("eos_token_id".into(), pipe.tokenizer.ids(&stop)?.into());
    }
    let special = options.bool("add_special_tokens")?.unwrap_or(true);
    let stream = options.on("stream")?;
    let processor = options.on("logits_processor")?;
    let criteria = options.on("stopping_criteria")?;
    let batch_size = options.batch_size()?;
    let reuse = options.on("reuse_cache")?;
    // Whatever goes wrong from here on, keys that may be half written are never gone on from.
    let mut held = std::mem::take(&mut pipe.held);
    if !reuse {
        held.clear();
    }
    let settings = pipe.settings(pipe.task.id())?.call(&options.0)?;
    // Beams are followed as one text, the best.
    let sequences = if settings.num_beams > 1 { 1 } else { settings.num_return_sequences };

    let mut prompts = Vec::with_capacity(inputs.list.len());
    for prompt in &inputs.list {
        let prompt = format!("{prefix}{prompt}");
        let mut ids = match special {
            true => pipe.tokenizer.encode(&prompt, None)?.ids,
            false => pipe.tokenizer.ids(&prompt)?,
        };
        if hole {
            // Python's: room for the new tokens at the cost of the prompt's beginning.
            let new = settings.max_new_tokens.or(settings.max_length).unwrap_or(20);
            let room = pipe.tokenizer.max_length();
            if ids.len().saturating_add(new) > room {
                let Some(keep) = room.checked_sub(new).filter(|keep| *keep > 0) else {
                    return Err(err!(Code::Input, "{new} new tokens leave no room in {room}")
                        .remedy("lower max_new_tokens"));
                };
                ids.drain(..ids.len().saturating_sub(keep));
            }
        }
        prompts.push(ids);
    }
    let mut results = Vec::with_capacity(prompts.len());
    for (at, (prompts, texts)) in
        prompts.chunks(batch_size).zip(inputs.list.chunks(batch_size)).enumerate()
    {
        let mut batch = Vec::with_capacity(prompts.len());
        let mut streams = Vec::new();
        // Lengths of the prompts' own texts, in bytes of what decoding gives.
        let mut lengths = Vec::with_capacity(prompts.len());
        for ids in prompts {
            let length = pipe.tokenizer.decode_as(ids, text.skip_special, text.cleanup)?.len();
            lengths.push(length);
            let stream = TextStream::after(ids, length);
            streams.extend((0..sequences).map(|_| stream.clone()));
            // An empty prompt is begun with the start token, which is then part of the text.
            let ids = match (ids.is_empty(), settings.bos) {
                (false, _) => ids.clone(),
                (true, Some(bos)) => vec![bos],
                (true, None) => {
                    return Err(err!(Code::Input, "the prompt is empty")
                        .remedy("this model has no token to start from: write at least a word"))
                }
            };
            batch.push(Prompt { source: None, ids });
        }
        let mut live = Live {
            host: &mut *host,
            tokenizer: &pipe.tokenizer,
            abort: pipe.abort.clone(),
            text,
            stream,
            processor,
            criteria,
            streams,
            sequences,
            settled: vec![0; prompts.len()],
            first: at * batch_size.min(inputs.list.len()),
            turned: Instant::now(),
        };
        let decode = |ids: &[u32]| pipe.tokenizer.decode_as(ids, false, false);
        let mut lanes = Lanes::after(&mut pipe.model, std::mem::take(&mut held));
        let generated = generate(&mut lanes, &batch, &settings, &decode, &mut live).await?;
        let left = lanes.end();
        live.finish(&generated)?;
        if reuse {
            held.clone_from(&left);
        }
        pipe.held = left;
        for ((generated, length), prompt) in generated.iter().zip(&lengths).zip(texts) {
            let mut records = Vec::with_capacity(generated.len());
            for one in generated {
                let mut record = if tensors {
                    json!({ "generated_token_ids": one.ids })
                } else {
                    let all =
                        pipe.tokenizer.decode_as(&one.ids, text.skip_special, text.cleanup)?;
                    // Python cuts as many characters as the prompt has, whatever they are.
                    let prompt_text = all.get(*length..).unwrap_or_default();
                    let new = if all.is_char_boundary(*length) { prompt_text } else { "" };
                    let before = if full_text { prompt.as_str() } else { "" };
                    json!({ "generated_text": format!("{before}{new}") })
                };
                extras(pipe, one, &mut record)?;
                records.push(record);
            }
            results.push(Value::Array(records));
        }
    }
    Ok(inputs.shape(results))
}

/// What `output_scores` adds to a result: the score of a beam, and how each token was chosen.
pub(super) fn extras(pipe: &Generator, one: &Generated, record: &mut Value) -> Result<()> {
    if one.choices.is_empty() {
        return Ok(());
    }
    if let Some(score) = one.score {
        record["score"] = score.into();
    }
    let tokens: Result<Vec<Value>> =
        one.choices.iter().map(|choice| describe(&pipe.tokenizer, choice)).collect();
    record["tokens"] = tokens?.into();
    Ok(())
}
