//! `text2text-generation`, `summarization`, `translation`: a text is read and another is written.
//!
//! Input: a string or a list of them. Result: `[{ generated_text }]` (`summary_text`,
//! `translation_text`), one per return sequence; for a list of texts with one each, a list of
//! objects. By Python's default there are 4 beams and 256 tokens.

use serde_json::{json, Map, Value};
use web_time::Instant;

use super::fill::Around;
use super::lanes::Lanes;
use super::live::{Live, Text};
use super::options::Options;
use super::text::extras;
use super::Generator;
use crate::error::Result;
use crate::generate::stream::TextStream;
use crate::generate::{generate, Generated, Prompt, Settings};
use crate::preprocess::Truncate;
use crate::tasks::{io, Host, Task};
use crate::{err, Code};

pub(super) async fn run(
    pipe: &mut Generator,
    input: Value,
    options: Value,
    host: &mut dyn Host,
) -> Result<Value> {
    let inputs: io::Inputs<String> = io::inputs(input, "a string or a list of strings")?;
    let mut options = Options::new(pipe.task.id(), options)?;
    let tensors = options.on("return_tensors")?;
    let text = Text { skip_special: true, cleanup: options.on("clean_up_tokenization_spaces")? };
    let truncation = options.on("truncation")?;
    let languages = match pipe.task {
        Task::Translation => (options.string("src_lang")?, options.string("tgt_lang")?),
        _ => (None, None),
    };
    let split = pipe.task == Task::Summarization && options.on("split")?;
    let fill = pipe.task == Task::Text2TextGeneration && options.on("fill")?;
    let stream = options.on("stream")?;
    let processor = options.on("logits_processor")?;
    let criteria = options.on("stopping_criteria")?;
    let batch_size = options.batch_size()?;

    let model_type = pipe.config.model_type()?.to_string();
    let translation = Translation::new(pipe, languages)?;
    if let Some(bos) = translation.forced_bos {
        options.0.entry("forced_bos_token_id").or_insert(bos.into());
    }
    let around = if fill { around(pipe, &inputs.list, tensors)? } else { Vec::new() };
    let start_of_text = pipe.tokenizer.special().bos.filter(|_| fill && model_type == "bart");
    if let Some(bos) = start_of_text {
        // BART was trained to begin with <s>, and its published files do not say so.
        options.0.entry("forced_bos_token_id").or_insert(bos.into());
    }
    let settings = pipe.settings(&translation.key)?.call(&options.0)?;
    let Some(start) = settings.decoder_start.or(settings.bos) else {
        let error = err!(Code::Config, "the model's files name no decoder_start_token_id");
        return Err(error.remedy("pass it as an option"));
    };
    if split && (settings.num_return_sequences > 1 || tensors) {
        return Err(err!(Code::Input, "split writes one text, and others were asked for")
            .remedy("leave num_return_sequences and return_tensors out"));
    }
    // Parts of each text, and where each text's begin.
    let mut sources: Vec<Vec<u32>> = Vec::with_capacity(inputs.list.len());
    let mut parts = Vec::with_capacity(inputs.list.len());
    for input in &inputs.list {
        let prefix = if fill { "" } else { translation.prefix.as_str() };
        let input = format!("{prefix}{input}");
        let before = sources.len();
        if split {
            sources.extend(split_text(pipe, &input)?);
        } else {
            let most = if truncation { pipe.tokenizer.max_length() } else { usize::MAX };
            let encoding = pipe.tokenizer.truncated(&input, None, Truncate::LongestFirst, most)?;
            sources.push(translation.lay_out(encoding.ids)?);
        }
        parts.push(sources.len() - before);
    }
    let mut generated: Vec<Vec<Generated>> = Vec::with_capacity(sources.len());
    for (at, sources) in sources.chunks(batch_size).enumerate() {
        let prompt = |source: &Vec<u32>| Prompt { source: Some(source.clone()), ids: vec![start] };
        let prompts: Vec<Prompt> = sources.iter().map(prompt).collect();
        let first = at.saturating_mul(batch_size);
        generated.extend(
            batch(
                pipe,
                &prompts,
                &settings,
                text,
                (stream, processor, criteria, first),
                &mut *host,
            )
            .await?,
        );
    }
    let name = match pipe.task {
        Task::Summarization => "summary",
        Task::Translation => "translation",
        _ => "generated",
    };
    let mut results = Vec::with_capacity(inputs.list.len());
    let mut rest = generated.as_slice();
    for (at, count) in parts.into_iter().enumerate() {
        let (own, others) = rest.split_at(count);
        rest = others;
        let mut records = Vec::new();
        if split {
            let text = |one: &Generated| pipe.tokenizer.decode_as(&one.ids, true, text.cleanup);
            let texts: Result<Vec<String>> = own.iter().flatten().map(text).collect();
            let texts: Vec<String> = texts?.iter().map(|text| text.trim().to_string()).collect();
            records.push(json!({ format!("{name}_text"): texts.join(" ") }));
        } else {
            for one in own.iter().flatten() {
                let mut record = if tensors {
                    json!({ format!("{name}_token_ids"): one.ids })
                } else {
                    let text = pipe.tokenizer.decode_as(&one.ids, true, text.cleanup)?;
                    let mut record = json!({ format!("{name}_text"): text });
                    if let Some(around) = around.get(at) {
                        record["span"] = around.span(&text).into();
                    }
                    record
                };
                extras(pipe, one, &mut record)?;
                records.push(record);
            }
        }
        results.push(records);
    }
    // Python takes the inner lists away where every text has one result.
    let flat = !inputs.single && results.iter().all(|records| records.len() == 1);
    if flat {
        return Ok(Value::Array(results.into_iter().flatten().collect()));
    }
    Ok(inputs.shape(results.into_iter().map(Value::Array).collect()))
}

/// What stands around the mask of each text.
fn around(pipe: &Generator, texts: &[String], tensors: bool) -> Result<Vec<Around>> {
    let Some(mask) = pipe.tokenizer.mask_token() else {
        return Err(err!(Code::Unsupported, "fill needs a model with a mask token, as BART has")
            .remedy("use facebook/bart-base, or leave fill out"));
    };
    if tensors {
        return Err(
            err!(Code::Input, "fill and return_tensors are both set").remedy("set one of them")
        );
    }
    texts.iter().map(|text| Around::new(text, mask)).collect()
}

async fn batch(
    pipe: &mut Generator,
    prompts: &[Prompt],
    settings: &Settings,
    text: Text,
    (stream, processor, criteria, first): (bool, bool, bool, usize),
    host: &mut dyn Host,
) -> Result<Vec<Vec<Generated>>> {
    let sequences = if settings.num_beams > 1 { 1 } else { settings.num_return_sequences };
    let mut live = Live {
        host,
        tokenizer: &pipe.tokenizer,
        abort: pipe.abort.clone(),
        text,
        stream,
        processor,
        criteria,
        streams: vec![TextStream::default(); prompts.len() * sequences],
        sequences,
        settled: vec![0; prompts.len()],
        first,
        turned: Instant::now(),
    };
    let decode = |ids: &[u32]| pipe.tokenizer.decode_as(ids, false, false);
    let mut lanes = Lanes::new(&mut pipe.model);
    let generated = generate(&mut lanes, prompts, settings, &decode, &mut live).await?;
    live.finish(&generated)?;
    Ok(generated)
}

/// A long text in parts that the model can read, cut between sentences where there are any: each
/// part is summarised by itself, and the summaries stand one after the other.
fn split_text(pipe: &Generator, text: &str) -> Result<Vec<Vec<u32>>> {
    let most = pipe.tokenizer.max_length();
    let most = if most > 1 << 20 { 512 } else { most };
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let ids = pipe.tokenizer.encode(rest, None)?;
        if ids.len() <= most {
            parts.push(ids.ids);
            return Ok(parts);
        }
        // The text that the tokens which fit cover, back to the last end of a sentence or word.
        let room = most.saturating_sub(pipe.tokenizer.added_tokens(false));
        let covered = ids.offsets.iter().zip(&ids.special).filter(|(_, special)| !**special);
        let end = covered.take(room).last().map_or(0, |((_, end), _)| *end);
        let head = rest.get(..end).unwrap_or(rest);
        let after =
            |at: Option<usize>, len: usize| at.map(|at| at + len).filter(|at| *at > end / 2);
        let sentence =
            [". ", "! ", "? ", "\n"].iter().filter_map(|m| after(head.rfind(m), m.len())).max();
        let cut = sentence.or(after(head.rfind(' '), 1)).unwrap_or(end);
        if cut == 0 || cut >= rest.len() {
            let error = err!(Code::Input, "the text does not split into parts of {most} tokens");
            return Err(error.remedy("set truncation"));
        }
        parts.push(pipe.tokenizer.encode(&rest[..cut], None)?.ids);
        rest = &rest[cut..];
    }
}

/// From which language to which, and how this model is told.
struct Translation {
    /// The key into `task_specific_params`.
    key: String,
    prefix: String,
    forced_bos: Option<u32>,
    /// What takes the place of the language code that the tokenizer's template puts.
    source: Option<(u32, Vec<u32>)>,
}

impl Translation {
    fn new(pipe: &Generator, languages: (Option<String>, Option<String>)) -> Result<Self> {
        let key = pipe.task.id().to_string();
        let mut plain = Translation { prefix: String::new(), key, forced_bos: None, source: None };
        if pipe.task != Task::Translation {
            plain.prefix = pipe.prefix(&plain.key);
            return Ok(plain);
        }
        if pipe.config.model_type()? == "mbart" {
            let (Some(from), Some(to)) = languages else {
                return Err(err!(Code::Input, "this model needs src_lang and tgt_lang")
                    .remedy("pass codes as en_XX and es_XX"));
            };
            let code = |name: &str, code: &str| {
                let known = code.len() == 5 && code.as_bytes()[2] == b'_';
                pipe.tokenizer.token_to_id(code).filter(|_| known).ok_or_else(|| {
                    err!(Code::Input, "{name} {code:?} is no language of this model")
                        .remedy("codes are those of mBART: en_XX, es_XX, de_DE, fr_XX, …")
                })
            };
            plain.forced_bos = Some(code("tgt_lang", &to)?);
            plain.source = Some((code("src_lang", &from)?, mbart_codes(pipe)));
            return Ok(plain);
        }
        let params = pipe.config.get("task_specific_params").and_then(Value::as_object);
        let empty = Map::new();
        let keys: Vec<&String> =
            params.unwrap_or(&empty).keys().filter(|k| k.starts_with("translation")).collect();
        plain.key = match languages {
            (Some(from), Some(to)) => {
                let key = format!("translation_{from}_to_{to}");
                // One pair only (Marian) needs no telling; several prefixes (T5) do.
                if !keys.is_empty() && !keys.contains(&&key) {
                    let known: Vec<&str> = keys.iter().map(|k| k.as_str()).collect();
                    return Err(err!(Code::Input, "this model does not translate {from} to {to}")
                        .remedy(format!("it knows {}", known.join(", "))));
                }
                key
            }
            (None, None) => keys.first().map_or(plain.key.clone(), |key| key.to_string()),
            _ => {
                return Err(err!(Code::Input, "src_lang and tgt_lang belong together")
                    .remedy("pass both, or none"))
            }
        };
        plain.prefix = pipe.prefix(&plain.key);
        Ok(plain)
    }

    /// Puts the source language where the template put another.
    fn lay_out(&self, mut ids: Vec<u32>) -> Result<Vec<u32>> {
        if let Some((code, codes)) = &self.source {
            // mBART's code ends a text, mBART-50's begins it.
            let ends = [0, ids.len().saturating_sub(1)];
            for end in ends {
                if let Some(id) = ids.get_mut(end).filter(|id| codes.contains(id)) {
                    *id = *code;
                }
            }
        }
        Ok(ids)
    }
}

fn mbart_codes(pipe: &Generator) -> Vec<u32> {
    crate::preprocess::tokenizer::spm::languages()
        .filter_map(|code| pipe.tokenizer.token_to_id(code))
        .collect()
}
