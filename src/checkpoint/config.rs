//! `config.json`, read with bounds: a size that no real model has is refused here, before it
//! becomes an allocation.

use serde_json::Value;

use crate::error::Result;
use crate::{err, Code, Error};

/// Longest `config.json` accepted: label maps of 100,000 entries fit.
const MAX_BYTES: usize = 16 << 20;
/// Most labels a head may have.
const MAX_LABELS: usize = 1 << 20;
/// What an f32 table `[rows, hidden]` may take.
const MAX_TABLE_BYTES: u64 = 64 << 30;

/// Sizes by what they count; each field accepts from 1 to its bound. Fields not listed are bound
/// by [`OTHER`].
const BOUNDS: &[(&[&str], usize)] = &[
    (HIDDEN, 65_536),
    (INTERMEDIATE, 1 << 20),
    (LAYERS, 1_000),
    (HEADS, 4_096),
    (&["vocab_size", "type_vocab_size"], 10_000_000),
    (POSITIONS, 1 << 22),
];
const OTHER: usize = 1 << 31;

const HIDDEN: &[&str] = &["hidden_size", "dim", "d_model", "n_embd"];
const INTERMEDIATE: &[&str] = &["intermediate_size", "hidden_dim", "d_ff", "n_inner"];
const LAYERS: &[&str] = &["num_hidden_layers", "n_layers", "n_layer", "num_layers"];
const HEADS: &[&str] = &["num_attention_heads", "n_heads", "n_head", "num_heads"];
const POSITIONS: &[&str] = &["max_position_embeddings", "n_positions"];

/// A model's configuration, as `transformers` writes it.
///
/// Getters take the default that `transformers` gives the field; without one, an absent (or null)
/// field is an error. Every error names the field and its value.
#[derive(Debug, Clone)]
pub struct Config {
    fields: serde_json::Map<String, Value>,
}

impl Config {
    /// Reads a `config.json` and checks the sizes it states against each other.
    ///
    /// # Errors
    /// [`Code::Config`] where it is no JSON object or a size is absurd.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_BYTES {
            let error = err!(
                Code::Config,
                "config.json is {} bytes, the limit is {MAX_BYTES}",
                bytes.len()
            );
            return Err(error.remedy(IS_IT_JSON));
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        // serde_json refuses nesting deeper than 128, so a file of brackets cannot end the stack.
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            err!(Code::Config, "config.json is not valid JSON: {error}").remedy(IS_IT_JSON)
        })?;
        let Value::Object(fields) = value else {
            let error = err!(Code::Config, "config.json is {}, not an object", brief(&value));
            return Err(error.remedy(IS_IT_JSON));
        };
        let config = Config { fields };
        config.check_sizes()?;
        Ok(config)
    }

    /// The field, unless it is absent or null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// The file has the field, be it null.
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// A size or a count: at least 1, at most what any real model could have.
    pub fn usize(&self, name: &str, default: Option<usize>) -> Result<usize> {
        let Some(value) = self.get(name) else {
            return default.ok_or_else(|| missing(name));
        };
        // Some exporters write whole numbers as floats.
        let number = value.as_u64().or_else(|| {
            value.as_f64().filter(|x| x.fract() == 0.0 && *x >= 0.0 && *x < 2e15).map(|x| x as u64)
        });
        let bound = BOUNDS.iter().find(|(names, _)| names.contains(&name)).map_or(OTHER, |b| b.1);
        match number {
            Some(n) if n >= 1 && n <= bound as u64 => Ok(n as usize),
            Some(n) => Err(wrong(name, format_args!("{n}"), format_args!("1 to {bound}"))),
            None => Err(wrong(name, brief(value), "a whole number")),
        }
    }

    /// A finite number.
    pub fn f32(&self, name: &str, default: Option<f32>) -> Result<f32> {
        let Some(value) = self.get(name) else {
            return default.ok_or_else(|| missing(name));
        };
        match value.as_f64().map(|x| x as f32) {
            Some(x) if x.is_finite() => Ok(x),
            _ => Err(wrong(name, brief(value), "a finite number")),
        }
    }

    /// A list of sizes, each at least 1.
    pub fn sizes(&self, name: &str, default: &[usize]) -> Result<Vec<usize>> {
        let Some(value) = self.get(name) else { return Ok(default.to_vec()) };
        let sizes = value.as_array().and_then(|list| {
            // heads and depths come as integers, ratios sometimes as 4.0
            let size = |v: &Value| {
                let n = v.as_f64().filter(|n| n.fract() == 0.0 && (1.0..1e6).contains(n))?;
                Some(n as usize)
            };
            list.iter().map(size).collect::<Option<Vec<_>>>()
        });
        sizes.filter(|list| (1..=64).contains(&list.len())).ok_or_else(|| {
            wrong(name, brief(value), "a list of 1 to 64 whole numbers from 1 to 999999")
        })
    }

    /// The configuration of a part: a backbone, an encoder.
    pub fn nested(&self, name: &str) -> Result<Option<Config>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let config = Config { fields: object(name, value)?.clone() };
        config.check_sizes()?;
        Ok(Some(config))
    }

    /// A text field.
    pub fn string<'a>(&'a self, name: &str, default: Option<&'a str>) -> Result<&'a str> {
        match self.get(name) {
            None => default.ok_or_else(|| missing(name)),
            Some(Value::String(text)) => Ok(text),
            Some(value) => Err(wrong(name, brief(value), "a string")),
        }
    }

    /// A switch.
    pub fn bool(&self, name: &str, default: Option<bool>) -> Result<bool> {
        match self.get(name) {
            None => default.ok_or_else(|| missing(name)),
            Some(Value::Bool(on)) => Ok(*on),
            Some(value) => Err(wrong(name, brief(value), "true or false")),
        }
    }

    /// `model_type`: which architecture family this is.
    pub fn model_type(&self) -> Result<&str> {
        self.string("model_type", None)
    }

    /// `architectures[0]`: the class the checkpoint was saved from, where it says.
    pub fn architecture(&self) -> Option<&str> {
        self.get("architectures")?.get(0)?.as_str()
    }

    /// `problem_type`: `"regression"`, `"single_label_classification"`,
    /// `"multi_label_classification"`, or nothing.
    pub fn problem_type(&self) -> Result<Option<&str>> {
        match self.get("problem_type") {
            None => Ok(None),
            Some(_) => self.string("problem_type", None).map(Some),
        }
    }

    /// The labels of a classification head by id: `id2label`, else the inverse of `label2id`, else
    /// `LABEL_0`… (`num_labels` of them; two where nothing says).
    pub fn labels(&self) -> Result<Vec<String>> {
        let entries: Vec<(usize, String)> = if let Some(map) = self.get("id2label") {
            let map = object("id2label", map)?;
            let entry = |(id, label): (&String, &Value)| {
                let label = label.as_str().map_or_else(|| label.to_string(), str::to_string);
                Ok((label_id("id2label", id, id.trim().parse().ok())?, label))
            };
            map.iter().map(entry).collect::<Result<_>>()?
        } else if let Some(map) = self.get("label2id") {
            let map = object("label2id", map)?;
            let entry = |(label, id): (&String, &Value)| {
                Ok((label_id("label2id", id, id.as_u64())?, label.clone()))
            };
            map.iter().map(entry).collect::<Result<_>>()?
        } else {
            Vec::new()
        };
        if entries.is_empty() {
            let count = self.usize("num_labels", Some(2))?;
            if count > MAX_LABELS {
                return Err(wrong("num_labels", count, format_args!("1 to {MAX_LABELS}")));
            }
            return Ok((0..count).map(|i| format!("LABEL_{i}")).collect());
        }
        // Ids must be 0, 1, 2, …: a hole would shift every label after it.
        let count = entries.len();
        let mut labels = vec![None; count];
        for (id, label) in entries {
            match labels.get_mut(id) {
                Some(slot @ None) => *slot = Some(label),
                _ => {
                    let error = err!(
                        Code::Config,
                        "config.json maps {count} labels, and one of them has id {id}"
                    );
                    return Err(error.remedy("label ids must be 0, 1, 2, … without a hole"));
                }
            }
        }
        Ok(labels.into_iter().flatten().collect())
    }

    /// Sizes that are present are in bounds and fit each other; models read them again by name.
    fn check_sizes(&self) -> Result<()> {
        let first = |names: &[&'static str]| -> Result<Option<(&'static str, usize)>> {
            let name = names.iter().find(|n| self.get(n).is_some_and(Value::is_number));
            name.map(|n| Ok((*n, self.usize(n, None)?))).transpose()
        };
        for (names, _) in BOUNDS {
            first(names)?;
        }
        let Some((hidden_name, hidden)) = first(HIDDEN)? else { return Ok(()) };
        if let Some((heads_name, heads)) = first(HEADS)? {
            if hidden % heads != 0 {
                let error = err!(
                    Code::Config,
                    "{heads_name} {heads} does not divide {hidden_name} {hidden} in config.json"
                );
                return Err(error.remedy("every head needs the same whole number of channels"));
            }
        }
        for names in [&["vocab_size"][..], POSITIONS, INTERMEDIATE] {
            let Some((name, rows)) = first(names)? else { continue };
            let bytes = 4 * rows as u64 * hidden as u64; // at most 4 * 2^24 * 2^16: no overflow
            if bytes > MAX_TABLE_BYTES {
                let error = err!(
                    Code::Config,
                    "{name} {rows} times {hidden_name} {hidden} in config.json asks for one table of {} GB",
                    bytes >> 30
                );
                return Err(error.remedy("no known model is that large; the file is damaged"));
            }
        }
        Ok(())
    }
}

const IS_IT_JSON: &str = "make sure this is the repository's own config.json";

fn missing(name: &str) -> Error {
    err!(Code::Config, "config.json has no {name:?}")
        .remedy("the repository is incomplete, or of a model that is not supported")
}

fn wrong(name: &str, found: impl std::fmt::Display, wanted: impl std::fmt::Display) -> Error {
    err!(Code::Config, "{name:?} in config.json is {found}, it must be {wanted}")
        .remedy("the file is damaged or was edited")
}

/// A value for a message: itself if short, else its beginning.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn object<'a>(name: &str, value: &'a Value) -> Result<&'a serde_json::Map<String, Value>> {
    value.as_object().ok_or_else(|| wrong(name, brief(value), "an object"))
}

fn label_id(field: &str, found: impl std::fmt::Display, id: Option<u64>) -> Result<usize> {
    id.filter(|id| *id < MAX_LABELS as u64)
        .map(|id| id as usize)
        .ok_or_else(|| wrong(field, found, format_args!("ids from 0 to {}", MAX_LABELS - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        Config::parse(text.as_bytes())
    }

    fn refused(text: &str, names: &[&str]) {
        let error = parse(text).expect_err(text);
        assert_eq!(error.code, Code::Config, "{text}");
        for name in names {
            assert!(error.message.contains(name), "{:?} does not say {name:?}", error.message);
        }
    }

    #[test]
    fn getters_give_fields_or_defaults() {
        let config = parse(
            r#"{"model_type": "bert", "hidden_size": 48.0, "num_attention_heads": 4, "x": null,
                "layer_norm_eps": 1e-12, "hidden_act": "gelu", "architectures": ["BertModel"],
                "tie_word_embeddings": false, "problem_type": "regression"}"#,
        )
        .unwrap();
        assert_eq!(config.model_type().unwrap(), "bert");
        assert_eq!(config.architecture(), Some("BertModel"));
        assert_eq!(config.usize("hidden_size", None).unwrap(), 48);
        assert_eq!(config.usize("x", Some(7)).unwrap(), 7);
        assert_eq!(config.f32("layer_norm_eps", None).unwrap(), 1e-12);
        assert_eq!(config.string("hidden_act", Some("relu")).unwrap(), "gelu");
        assert_eq!(config.string("y", Some("relu")).unwrap(), "relu");
        assert!(!config.bool("tie_word_embeddings", Some(true)).unwrap());
        assert_eq!(config.problem_type().unwrap(), Some("regression"));
        assert_eq!(config.labels().unwrap(), ["LABEL_0", "LABEL_1"]);
        assert_eq!(config.usize("x", None).unwrap_err().code, Code::Config);
        assert_eq!(config.usize("hidden_act", None).unwrap_err().code, Code::Config);
        assert_eq!(config.f32("hidden_act", None).unwrap_err().code, Code::Config);
    }

    #[test]
    fn labels_come_by_id() {
        let labels = |text: &str| parse(text).unwrap().labels();
        let by_id = labels(r#"{"id2label": {"1": "NEG", "0": "POS", "2": "MID"}}"#).unwrap();
        assert_eq!(by_id, ["POS", "NEG", "MID"]);
        let inverse = labels(r#"{"label2id": {"b": 1, "a": 0}}"#).unwrap();
        assert_eq!(inverse, ["a", "b"]);
        assert_eq!(labels(r#"{"num_labels": 1}"#).unwrap(), ["LABEL_0"]);
        assert_eq!(labels(r#"{"id2label": {"0": 7}}"#).unwrap(), ["7"]);
        for bad in [
            r#"{"id2label": {"0": "a", "2": "b"}}"#,
            r#"{"id2label": {"0": "a", "00": "b"}}"#,
            r#"{"id2label": {"-1": "a"}}"#,
            r#"{"id2label": {"99999999999": "a"}}"#,
            r#"{"id2label": ["a"]}"#,
            r#"{"label2id": {"a": "x"}}"#,
            r#"{"num_labels": 2000000000}"#,
        ] {
            assert_eq!(labels(bad).unwrap_err().code, Code::Config, "{bad}");
        }
    }

    #[test]
    fn absurd_files_are_refused_with_the_field_and_its_value() {
        refused("", &["JSON"]);
        refused("<!doctype html><title>Not found</title>", &["JSON"]);
        refused("[1, 2]", &["[1,2]", "object"]);
        refused(&"[".repeat(100_000), &["JSON"]);
        refused(&format!("{{\"a\":{}", "[".repeat(100_000)), &["JSON"]);
        refused(r#"{"hidden_size": 0}"#, &["hidden_size", "is 0"]);
        refused(r#"{"hidden_size": -768}"#, &["hidden_size", "-768"]);
        refused(r#"{"hidden_size": 65537}"#, &["hidden_size", "65537"]);
        refused(r#"{"hidden_size": 7.5}"#, &["hidden_size", "7.5"]);
        refused(r#"{"dim": 1e300}"#, &["dim", "1e+300"]);
        refused(r#"{"num_hidden_layers": 1001}"#, &["num_hidden_layers", "1001"]);
        refused(r#"{"vocab_size": 10000001}"#, &["vocab_size", "10000001"]);
        refused(
            r#"{"hidden_size": 100, "num_attention_heads": 12}"#,
            &["num_attention_heads 12", "hidden_size 100"],
        );
        refused(
            r#"{"hidden_size": 65536, "vocab_size": 9000000}"#,
            &["vocab_size 9000000", "hidden_size 65536"],
        );
    }
}
