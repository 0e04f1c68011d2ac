//! What `generate` is told: `GenerationConfig` of `transformers` 4.57, from every place it comes
//! from, with Python's precedence.
//!
//! A pipeline's settings are, from weak to strong: the global defaults, what generation_config.json
//! (or, without one, config.json) says, the defaults of the task, `task_specific_params` of
//! config.json for this task, the options of the call. Two of Python's corners matter in practice
//! and are kept: a task's own default (4 beams, 256 new tokens) is stronger than the model's file,
//! unless the file sets `max_length` (then the 256 goes); and `max_new_tokens` is stronger than
//! `max_length`, even where only the latter is passed in the call.

use serde_json::{Map, Value};

use crate::checkpoint;
use crate::error::Result;
use crate::{err, Code};

/// What happens to an option.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// Implemented.
    Yes,
    /// Does not change what is generated; a file may set it, a call may not.
    Harmless,
    /// Not implemented: any value but the default is an error.
    No,
}

/// Every option of Python's `GenerationConfig`, its default as JSON, and what becomes of it.
const FIELDS: &[(&str, &str, Use)] = &[
    ("max_length", "20", Use::Yes),
    ("max_new_tokens", "null", Use::Yes),
    ("min_length", "0", Use::Yes),
    ("min_new_tokens", "null", Use::Yes),
    ("early_stopping", "false", Use::Yes),
    ("max_time", "null", Use::Yes),
    ("stop_strings", "null", Use::Yes),
    ("do_sample", "false", Use::Yes),
    ("num_beams", "1", Use::Yes),
    ("temperature", "1.0", Use::Yes),
    ("top_k", "50", Use::Yes),
    ("top_p", "1.0", Use::Yes),
    ("min_p", "null", Use::Yes),
    ("typical_p", "1.0", Use::Yes),
    ("epsilon_cutoff", "0.0", Use::Yes),
    ("eta_cutoff", "0.0", Use::Yes),
    ("repetition_penalty", "1.0", Use::Yes),
    ("encoder_repetition_penalty", "1.0", Use::Yes),
    ("length_penalty", "1.0", Use::Yes),
    ("no_repeat_ngram_size", "0", Use::Yes),
    ("encoder_no_repeat_ngram_size", "0", Use::Yes),
    ("bad_words_ids", "null", Use::Yes),
    ("sequence_bias", "null", Use::Yes),
    ("renormalize_logits", "false", Use::Yes),
    ("forced_bos_token_id", "null", Use::Yes),
    ("forced_eos_token_id", "null", Use::Yes),
    ("remove_invalid_values", "false", Use::Yes),
    ("exponential_decay_length_penalty", "null", Use::Yes),
    ("suppress_tokens", "null", Use::Yes),
    ("begin_suppress_tokens", "null", Use::Yes),
    ("num_return_sequences", "1", Use::Yes),
    ("output_scores", "false", Use::Yes),
    ("pad_token_id", "null", Use::Yes),
    ("bos_token_id", "null", Use::Yes),
    ("eos_token_id", "null", Use::Yes),
    ("decoder_start_token_id", "null", Use::Yes),
    // Ours: the generator's seed, and how many candidates to report for each token.
    ("seed", "null", Use::Yes),
    ("top_candidates", "0", Use::Yes),
    ("use_cache", "true", Use::Harmless),
    ("cache_implementation", "null", Use::Harmless),
    ("cache_config", "null", Use::Harmless),
    ("return_legacy_cache", "null", Use::Harmless),
    ("return_dict_in_generate", "false", Use::Harmless),
    ("compile_config", "null", Use::Harmless),
    ("disable_compile", "false", Use::Harmless),
    ("is_assistant", "false", Use::Harmless),
    ("num_assistant_tokens", "20", Use::Harmless),
    ("num_assistant_tokens_schedule", "\"constant\"", Use::Harmless),
    ("assistant_confidence_threshold", "0.4", Use::Harmless),
    ("assistant_lookbehind", "10", Use::Harmless),
    ("target_lookbehind", "10", Use::Harmless),
    ("max_matching_ngram_size", "null", Use::Harmless),
    ("output_attentions", "false", Use::Harmless),
    ("output_hidden_states", "false", Use::Harmless),
    ("output_logits", "null", Use::Harmless),
    ("prefill_chunk_size", "null", Use::Harmless),
    ("num_beam_groups", "1", Use::No),
    ("diversity_penalty", "0.0", Use::No),
    ("penalty_alpha", "null", Use::No),
    ("constraints", "null", Use::No),
    ("force_words_ids", "null", Use::No),
    ("guidance_scale", "null", Use::No),
    ("watermarking_config", "null", Use::No),
    ("token_healing", "false", Use::No),
    ("low_memory", "null", Use::No),
    ("dola_layers", "null", Use::No),
    ("prompt_lookup_num_tokens", "null", Use::No),
    ("assistant_early_exit", "null", Use::No),
];

/// Token ids that the classes of config.json have where the file says nothing:
/// `(model_type, [(key, id)])`.
const CLASS_TOKENS: &[(&str, &[(&str, u32)])] = &[
    ("gpt2", &[("bos_token_id", 50256), ("eos_token_id", 50256)]),
    (
        "bart",
        &[
            ("bos_token_id", 0),
            ("pad_token_id", 1),
            ("eos_token_id", 2),
            ("decoder_start_token_id", 2),
            ("forced_eos_token_id", 2),
        ],
    ),
    (
        "mbart",
        &[
            ("bos_token_id", 0),
            ("pad_token_id", 1),
            ("eos_token_id", 2),
            ("forced_eos_token_id", 2),
        ],
    ),
    (
        "marian",
        &[
            ("pad_token_id", 58100),
            ("eos_token_id", 0),
            ("decoder_start_token_id", 58100),
            ("forced_eos_token_id", 0),
        ],
    ),
    ("t5", &[("pad_token_id", 0), ("eos_token_id", 1)]),
    ("mt5", &[("pad_token_id", 0), ("eos_token_id", 1), ("decoder_start_token_id", 0)]),
];

fn default_of(name: &str) -> Value {
    let field = FIELDS.iter().find(|(field, ..)| *field == name);
    // The table is ours: what does not parse would be null.
    field.and_then(|(_, json, _)| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// Equal as Python compares: 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// What a task generates with unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// text-generation: 256 new tokens, sampled at temperature 0.7.
    Text,
    /// text2text-generation and its kin: 256 new tokens, 4 beams.
    Seq2Seq,
    /// Those of `generate` itself: 20 tokens, greedy.
    Plain,
}

impl Defaults {
    fn values(self) -> Map<String, Value> {
        let pairs: &[(&str, Value)] = match self {
            Defaults::Text => &[
                ("max_new_tokens", 256.into()),
                ("do_sample", true.into()),
                ("temperature", 0.7.into()),
            ],
            Defaults::Seq2Seq => &[("max_new_tokens", 256.into()), ("num_beams", 4.into())],
            Defaults::Plain => &[],
        };
        pairs.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()
    }
}

/// The settings of a pipeline before a call's options.
#[derive(Debug, Clone)]
pub struct GenerationConfig {
    /// Keys that are not here have their global default.
    values: Map<String, Value>,
    /// What the model itself says.
    model: Map<String, Value>,
    /// A model file since 4.50 also fills in what the pipeline's settings leave at the default.
    fills: bool,
    /// `max_position_embeddings`, where the class has it.
    positions: Option<usize>,
}

impl GenerationConfig {
    /// The settings of a pipeline. `file` is generation_config.json, `task` the key into
    /// `task_specific_params`, `pad` the tokenizer's padding token.
    ///
    /// # Errors
    /// [`Code::Config`] where a file is no JSON object.
    pub fn new(
        config: &checkpoint::Config,
        file: Option<&[u8]>,
        defaults: Defaults,
        task: &str,
        pad: Option<u32>,
    ) -> Result<Self> {
        let (model, fills) = match file {
            Some(bytes) => from_file(bytes)?,
            None => (from_model(config), true),
        };
        let mut values = defaults.values();
        fill(&mut values, &model);
        let length = values.get("max_length");
        let own_length = length.is_some_and(|v| !v.is_null() && v.as_f64() != Some(20.0));
        let default_new = defaults.values().remove("max_new_tokens");
        if own_length
            && default_new.is_some()
            && values.get("max_new_tokens") == default_new.as_ref()
        {
            values.remove("max_new_tokens");
        }
        if let Some(Value::Object(params)) =
            config.get("task_specific_params").and_then(|params| params.get(task))
        {
            for (key, value) in params {
                if FIELDS.iter().any(|(name, ..)| name == key) {
                    values.insert(key.clone(), value.clone());
                }
            }
        }
        if let (Some(pad), None) = (pad, values.get("pad_token_id").and_then(Value::as_u64)) {
            values.insert("pad_token_id".into(), pad.into());
        }
        let positions = match config.model_type().unwrap_or_default() {
            "t5" | "mt5" => None,
            "gpt2" => Some(config.usize("n_positions", Some(1024))?),
            _ => Some(config.usize("max_position_embeddings", Some(1024))?),
        };
        Ok(GenerationConfig { values, model, fills, positions })
    }

    /// The settings of one call.
    ///
    /// # Errors
    /// [`Code::Input`] for unknown options, values of another type or out of range, and options
    /// that contradict each other or would have no effect; [`Code::Unsupported`] for options of
    /// Python's that are not implemented here. Each names the option.
    pub fn call(&self, options: &Map<String, Value>) -> Result<Settings> {
        let mut values = self.values.clone();
        if self.fills {
            fill(&mut values, &self.model);
        }
        for (key, value) in options {
            let Some((_, _, usage)) = FIELDS.iter().find(|(name, ..)| name == key) else {
                return Err(unknown(key));
            };
            let neutral = value.is_null() || same(value, &default_of(key));
            // Only what is returned changes; scores come with `output_scores`.
            let neutral = neutral || key == "return_dict_in_generate" && value.is_boolean();
            if *usage != Use::Yes && !neutral {
                return Err(not_implemented(key, value));
            }
            values.insert(key.clone(), value.clone());
        }
        for (key, _, usage) in FIELDS {
            let value = values.get(*key).filter(|value| !value.is_null());
            let Some(value) = value.filter(|_| *usage == Use::No) else { continue };
            let off = value.as_f64() == Some(0.0) || value == &Value::Bool(false);
            let one = *key == "guidance_scale" && value.as_f64() == Some(1.0);
            if !off && !one && !same(value, &default_of(key)) {
                return Err(not_implemented(key, value));
            }
        }
        let settings = Settings::read(&Values(&values), options, self.positions)?;
        contradictions(&settings, options)?;
        Ok(settings)
    }
}

/// The model's own values take the place of what still has its global default.
fn fill(values: &mut Map<String, Value>, model: &Map<String, Value>) {
    for (key, value) in model {
        let default = default_of(key);
        if same(values.get(key).unwrap_or(&default), &default) && !same(value, &default) {
            values.insert(key.clone(), value.clone());
        }
    }
    if values.get("temperature").and_then(Value::as_f64) == Some(0.0) {
        values.insert("do_sample".into(), false.into());
    }
}

fn unknown(name: &str) -> crate::Error {
    if name == "past_key_values" {
        let error = err!(Code::Input, "past_key_values stay with the model");
        return error.remedy("text-generation's reuse_cache goes on from the last call's");
    }
    let close = FIELDS.iter().filter(|(_, _, usage)| *usage == Use::Yes);
    let names: Vec<&str> = close.map(|(field, ..)| *field).collect();
    err!(Code::Input, "unknown option {name:?}")
        .remedy(format!("generation takes {}", names.join(", ")))
}

fn not_implemented(name: &str, value: &Value) -> crate::Error {
    err!(Code::Unsupported, "the option {name} = {value} is not implemented").remedy("leave it out")
}

fn from_file(bytes: &[u8]) -> Result<(Map<String, Value>, bool)> {
    let object: Map<String, Value> = serde_json::from_slice(bytes).map_err(|e| {
        err!(Code::Config, "generation_config.json: {e}")
            .remedy("make sure this is the repository's own file")
    })?;
    let version = object.get("transformers_version").and_then(Value::as_str).unwrap_or("4.57");
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let known = |(key, _): &(String, Value)| FIELDS.iter().any(|(name, ..)| name == key);
    Ok((object.into_iter().filter(known).collect(), version >= (4, 50)))
}

/// Generation settings that older repositories keep in config.json.
fn from_model(config: &checkpoint::Config) -> Map<String, Value> {
    let mut values = Map::new();
    let class = config.model_type().unwrap_or_default();
    for (_, tokens) in CLASS_TOKENS.iter().filter(|(name, _)| *name == class) {
        for (key, id) in tokens.iter().filter(|(key, _)| !config.has(key)) {
            values.insert(key.to_string(), (*id).into());
        }
    }
    for (name, ..) in FIELDS {
        if let Some(value) = config.get(name) {
            values.insert(name.to_string(), value.clone());
        }
    }
    values
}

/// Typed access to merged values.
struct Values<'a>(&'a Map<String, Value>);

impl Values<'_> {
    fn get(&self, name: &str) -> Value {
        self.0.get(name).cloned().unwrap_or_else(|| default_of(name))
    }

    fn bad<T>(&self, name: &str, wanted: &str) -> Result<T> {
        let value = self.get(name);
        Err(err!(Code::Input, "{name} is {value}").remedy(format!("{name} must be {wanted}")))
    }

    fn f64(&self, name: &str) -> Result<Option<f64>> {
        let value = self.get(name);
        match value.as_f64() {
            Some(x) if x.is_finite() => Ok(Some(x)),
            None if value.is_null() => Ok(None),
            _ => self.bad(name, "a finite number"),
        }
    }

    fn usize(&self, name: &str) -> Result<Option<usize>> {
        match self.f64(name)? {
            Some(x) if x >= 0.0 && x.fract() == 0.0 && x < 4e9 => Ok(Some(x as usize)),
            None => Ok(None),
            Some(_) => self.bad(name, "a whole number, at least 0"),
        }
    }

    fn bool(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            Value::Bool(on) => Ok(on),
            Value::Null => Ok(false),
            _ => self.bad(name, "true or false"),
        }
    }

    fn token(&self, name: &str) -> Result<Option<u32>> {
        Ok(self.usize(name)?.map(|id| id as u32))
    }

    /// An id or a list of them.
    fn tokens(&self, name: &str) -> Result<Option<Vec<u32>>> {
        let value = self.get(name);
        if value.is_null() {
            return Ok(None);
        }
        match ids(&value).or_else(|| ids(&Value::Array(vec![value]))) {
            Some(ids) => Ok(Some(ids)),
            None => self.bad(name, "a token id or a list of token ids"),
        }
    }
}

fn ids(value: &Value) -> Option<Vec<u32>> {
    let id = |v: &Value| v.as_f64().filter(|x| *x >= 0.0 && x.fract() == 0.0 && *x < 4e9);
    value.as_array()?.iter().map(|v| id(v).map(|x| x as u32)).collect()
}

/// Whether beam search may end before better hypotheses are ruled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyStopping {
    /// As soon as there are `num_beams` finished ones.
    Yes,
    /// When the best running one, at its present length, is no better than the worst finished.
    No,
    /// When no continuation up to `max_length` can be better.
    Never,
}

/// Everything that steers one call, typed and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    pub max_length: Option<usize>,
    pub max_new_tokens: Option<usize>,
    /// `max_length` comes from the call, so it counts as it is.
    pub own_max_length: bool,
    pub own_max_new_tokens: bool,
    pub positions: Option<usize>,
    pub min_length: usize,
    pub min_new_tokens: Option<usize>,
    pub early_stopping: EarlyStopping,
    pub max_time: Option<f64>,
    pub stop_strings: Vec<String>,
    pub do_sample: bool,
    pub num_beams: usize,
    pub temperature: Option<f64>,
    pub top_k: Option<usize>,
    pub top_p: Option<f64>,
    pub min_p: Option<f64>,
    pub typical_p: Option<f64>,
    pub epsilon_cutoff: Option<f64>,
    pub eta_cutoff: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub encoder_repetition_penalty: Option<f64>,
    pub length_penalty: f64,
    pub no_repeat_ngram_size: usize,
    pub encoder_no_repeat_ngram_size: usize,
    pub bad_words_ids: Vec<Vec<u32>>,
    pub sequence_bias: Vec<(Vec<u32>, f32)>,
    pub renormalize_logits: bool,
    pub forced_bos_token_id: Option<u32>,
    pub forced_eos_token_id: Option<Vec<u32>>,
    pub remove_invalid_values: bool,
    pub exponential_decay: Option<(usize, f64)>,
    pub suppress_tokens: Vec<u32>,
    pub begin_suppress_tokens: Vec<u32>,
    pub num_return_sequences: usize,
    pub output_scores: bool,
    pub pad: Option<u32>,
    pub bos: Option<u32>,
    pub eos: Vec<u32>,
    pub decoder_start: Option<u32>,
    pub seed: Option<u64>,
    /// Candidates to report per token; above 0 turns `output_scores` on.
    pub top_candidates: usize,
}

impl Settings {
    fn read(v: &Values, options: &Map<String, Value>, positions: Option<usize>) -> Result<Self> {
        let early_stopping = match v.get("early_stopping") {
            Value::Bool(true) => EarlyStopping::Yes,
            Value::Bool(false) | Value::Null => EarlyStopping::No,
            Value::String(s) if s == "never" => EarlyStopping::Never,
            _ => return v.bad("early_stopping", "true, false or \"never\""),
        };
        let stop_strings = match v.get("stop_strings") {
            Value::Null => Vec::new(),
            Value::String(one) => vec![one],
            Value::Array(list) => {
                let texts = list.iter().map(|s| s.as_str().map(str::to_string));
                match texts.collect::<Option<Vec<String>>>() {
                    Some(list) => list,
                    None => return v.bad("stop_strings", "a string or a list of strings"),
                }
            }
            _ => return v.bad("stop_strings", "a string or a list of strings"),
        };
        if stop_strings.iter().any(String::is_empty) {
            return v.bad("stop_strings", "strings that are not empty");
        }
        let lists = |name: &str| -> Result<Vec<Vec<u32>>> {
            let value = v.get(name);
            if value.is_null() {
                return Ok(Vec::new());
            }
            let list = value.as_array().filter(|list| !list.is_empty());
            let list: Option<Vec<Vec<u32>>> = list.and_then(|l| l.iter().map(ids).collect());
            match list {
                Some(list) if list.iter().all(|ids| !ids.is_empty()) => Ok(list),
                _ => v.bad(name, "a list of lists of token ids"),
            }
        };
        let mut sequence_bias = Vec::new();
        match v.get("sequence_bias") {
            Value::Null => {}
            Value::Array(pairs) => {
                for pair in &pairs {
                    match (ids(&pair[0]).filter(|ids| !ids.is_empty()), pair[1].as_f64()) {
                        (Some(ids), Some(bias)) => sequence_bias.push((ids, bias as f32)),
                        _ => return v.bad("sequence_bias", "a list of [[token ids], bias]"),
                    }
                }
            }
            _ => return v.bad("sequence_bias", "a list of [[token ids], bias]"),
        }
        let decay = v.get("exponential_decay_length_penalty");
        let exponential_decay = match (decay[0].as_u64(), decay[1].as_f64()) {
            (Some(start), Some(factor)) => Some((start as usize, factor)),
            _ if decay.is_null() => None,
            _ => return v.bad("exponential_decay_length_penalty", "[start index, factor]"),
        };
        let range = |name: &str, low: f64, high: f64, words: &str| -> Result<Option<f64>> {
            match v.f64(name)? {
                Some(x) if x < low || x > high => v.bad(name, words),
                x => Ok(x),
            }
        };
        let share = |name: &str| range(name, 0.0, 1.0, "between 0 and 1");
        let positive = |name: &str| match v.f64(name)? {
            Some(x) if x <= 0.0 => v.bad(name, "above 0"),
            x => Ok(x),
        };
        let one = |name: &str| match v.usize(name)?.unwrap_or(1) {
            0 => v.bad(name, "at least 1"),
            n => Ok(n),
        };
        if v.usize("max_new_tokens")? == Some(0) {
            return v.bad("max_new_tokens", "at least 1");
        }
        let do_sample = v.bool("do_sample")?;
        let temperature = v.f64("temperature")?;
        if do_sample && temperature.is_some_and(|t| t <= 0.0) {
            return v.bad(
                "temperature",
                "above 0; for the most probable tokens set do_sample to false",
            );
        }
        if v.f64("typical_p")? == Some(0.0) {
            return v.bad("typical_p", "above 0 and at most 1");
        }
        let seed = match v.f64("seed")? {
            Some(x) if x >= 0.0 && x.fract() == 0.0 && x <= 9_007_199_254_740_991.0 => {
                Some(x as u64)
            }
            Some(_) => return v.bad("seed", "a whole number from 0 to 2^53 - 1"),
            None => None,
        };
        let top_candidates = v.usize("top_candidates")?.unwrap_or(0);
        if top_candidates > 100 {
            return v.bad("top_candidates", "at most 100");
        }
        Ok(Settings {
            max_length: v.usize("max_length")?,
            max_new_tokens: v.usize("max_new_tokens")?,
            own_max_length: options.get("max_length").is_some_and(|x| !x.is_null()),
            own_max_new_tokens: options.get("max_new_tokens").is_some_and(|x| !x.is_null()),
            positions,
            min_length: v.usize("min_length")?.unwrap_or(0),
            min_new_tokens: v.usize("min_new_tokens")?,
            early_stopping,
            max_time: positive("max_time")?,
            stop_strings,
            do_sample,
            num_beams: one("num_beams")?,
            temperature,
            top_k: v.usize("top_k")?.filter(|k| *k != 0),
            top_p: share("top_p")?.filter(|p| *p < 1.0),
            min_p: share("min_p")?,
            typical_p: share("typical_p")?.filter(|p| *p < 1.0),
            epsilon_cutoff: share("epsilon_cutoff")?.filter(|e| *e > 0.0 && *e < 1.0),
            eta_cutoff: share("eta_cutoff")?.filter(|e| *e > 0.0 && *e < 1.0),
            repetition_penalty: positive("repetition_penalty")?.filter(|p| *p != 1.0),
            encoder_repetition_penalty: positive("encoder_repetition_penalty")?
                .filter(|p| *p != 1.0),
            length_penalty: v.f64("length_penalty")?.unwrap_or(1.0),
            no_repeat_ngram_size: v.usize("no_repeat_ngram_size")?.unwrap_or(0),
            encoder_no_repeat_ngram_size: v.usize("encoder_no_repeat_ngram_size")?.unwrap_or(0),
            bad_words_ids: lists("bad_words_ids")?,
            sequence_bias,
            renormalize_logits: v.bool("renormalize_logits")?,
            forced_bos_token_id: v.token("forced_bos_token_id")?,
            forced_eos_token_id: v.tokens("forced_eos_token_id")?,
            remove_invalid_values: v.bool("remove_invalid_values")?,
            exponential_decay,
            suppress_tokens: v.tokens("suppress_tokens")?.unwrap_or_default(),
            begin_suppress_tokens: v.tokens("begin_suppress_tokens")?.unwrap_or_default(),
            num_return_sequences: one("num_return_sequences")?,
            output_scores: v.bool("output_scores")? || top_candidates > 0,
            pad: v.token("pad_token_id")?,
            bos: v.token("bos_token_id")?,
            eos: v.tokens("eos_token_id")?.unwrap_or_default(),
            decoder_start: v.token("decoder_start_token_id")?,
            seed,
            top_candidates,
        })
    }

    /// The length at which a sequence that starts with `prompt` tokens ends.
    ///
    /// A limit that the caller asked for must fit the model's positions; a default that does not
    /// is cut down to them (Python indexes beyond its table there).
    pub fn end(&self, prompt: usize) -> Result<usize> {
        let mut end = match (self.max_new_tokens, self.max_length) {
            (Some(new), _) => prompt + new,
            (None, Some(20)) if !self.own_max_length => {
                (prompt + 20).min(self.positions.unwrap_or(usize::MAX))
            }
            (None, Some(length)) => length,
            (None, None) => self.positions.unwrap_or(prompt + 20),
        };
        let positions = self.positions.unwrap_or(usize::MAX);
        if prompt >= positions {
            let error = err!(
                Code::Input,
                "the prompt is {prompt} tokens, and the model has {positions} positions for \
                 prompt and answer"
            );
            return Err(error.remedy("shorten the prompt"));
        }
        if end > positions {
            if self.own_max_new_tokens || self.own_max_length {
                let error = err!(
                    Code::Input,
                    "{end} tokens were asked for ({prompt} of the prompt), and the model has \
                     {positions} positions"
                );
                return Err(error.remedy("shorten the prompt or lower max_new_tokens"));
            }
            end = positions;
        }
        if prompt >= end {
            let error = err!(Code::Input, "the prompt is {prompt} tokens, and max_length is {end}");
            return Err(error.remedy("raise max_length, or set max_new_tokens"));
        }
        Ok(end)
    }
}

/// Options of the call that contradict each other or would silently do nothing. (What files say is
/// not judged: there Python ignores the same.)
fn contradictions(s: &Settings, options: &Map<String, Value>) -> Result<()> {
    let given = |name: &str| {
        let value = options.get(name).filter(|value| !value.is_null());
        value.filter(|value| !same(value, &default_of(name)))
    };
    let passed = |name: &str| options.get(name).is_some_and(|value| !value.is_null());
    let clash = |what: String, remedy: &str| Err(err!(Code::Input, "{what}").remedy(remedy));
    if !s.do_sample {
        for name in [
            "seed",
            "temperature",
            "top_k",
            "top_p",
            "min_p",
            "typical_p",
            "epsilon_cutoff",
            "eta_cutoff",
        ] {
            if let Some(value) = given(name) {
                let what = format!("{name} is {value}, and do_sample is false");
                return clash(what, "set do_sample to true, or leave the option out");
            }
        }
    }
    if s.num_beams == 1 {
        for name in ["early_stopping", "length_penalty"] {
            if let Some(value) = given(name) {
                let what = format!("{name} is {value}, and num_beams is 1");
                return clash(what, "it only acts on beams: raise num_beams, or leave it out");
            }
        }
        if s.num_return_sequences > 1 && !s.do_sample {
            let n = s.num_return_sequences;
            let what = format!("num_return_sequences is {n}, and the most probable text is one");
            return clash(what, "set do_sample to true, or raise num_beams");
        }
    } else if s.num_return_sequences > s.num_beams {
        let (n, beams) = (s.num_return_sequences, s.num_beams);
        return clash(
            format!("num_return_sequences {n} is above num_beams {beams}"),
            "beam search returns at most num_beams texts",
        );
    }
    for (a, b) in [("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")] {
        if passed(a) && passed(b) {
            return clash(format!("both {a} and {b} are set"), "set one of them");
        }
    }
    if let (Some(min), Some(max)) = (s.min_new_tokens, s.max_new_tokens) {
        if min > max && (passed("min_new_tokens") || passed("max_new_tokens")) {
            return clash(
                format!("min_new_tokens {min} is above max_new_tokens {max}"),
                "lower the one or raise the other",
            );
        }
    }
    if let (true, true, Some(max)) = (passed("min_length"), passed("max_length"), s.max_length) {
        let min = s.min_length;
        if min > max {
            return clash(
                format!("min_length {min} is above max_length {max}"),
                "lower the one or raise the other",
            );
        }
    }
    Ok(())
}
