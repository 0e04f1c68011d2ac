//! `text-classification`: one label, or the best ones, for a text or a pair of texts.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoder::{sequence, Call, Encoder, Info};
use crate::error::Result;
use crate::models::Pooling;
use crate::preprocess::Sequence;
use crate::tasks::io::{self, options, Inputs};
use crate::tasks::scores::{sigmoid, softmax, top_k};

options! {
    /// Options of text classification.
    Options {
        /// How many labels to return; null for all. Absent is 1.
        top_k: Option<usize> = Some(1),
        /// What turns logits to scores; absent, the model's configuration decides.
        function_to_apply: Option<Function> = None,
        /// Cut texts that are longer than the model takes; otherwise they are an error.
        truncation: bool = false,
    }
}

/// What turns logits to scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Function {
    Sigmoid,
    Softmax,
    None,
}

/// A label and its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classification {
    pub label: String,
    pub score: f32,
}

/// A text or a pair.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    One(String),
    Pair {
        text: String,
        #[serde(default)]
        text_pair: Option<String>,
    },
}

impl Text {
    /// The text and its pair; an empty pair counts as none, as in Python.
    pub fn parts(&self) -> (&str, Option<&str>) {
        match self {
            Text::One(text) => (text, None),
            Text::Pair { text, text_pair } => {
                (text, text_pair.as_deref().filter(|pair| !pair.is_empty()))
            }
        }
    }
}

pub(super) async fn run<E: Encoder>(
    call: &mut Call<'_, E>,
    input: Value,
    options: Options,
) -> Result<Value> {
    let inputs: Inputs<Text> = io::inputs(input, "a string or { text, text_pair }")?;
    let k = options.top_k.map(|k| io::positive("top_k", k)).transpose()?;
    let mut sequences: Vec<Sequence> = Vec::with_capacity(inputs.list.len());
    for text in &inputs.list {
        let (text, pair) = text.parts();
        sequences.push(sequence(call.encode(text, pair, options.truncation)?));
    }
    let info = call.info;
    let function = options.function_to_apply.unwrap_or_else(|| default_function(info));
    let mut results = Vec::with_capacity(sequences.len());
    call.run(
        &sequences,
        |i| i,
        Pooling::None,
        |_, logits| {
            let best = classify(logits, function, &info.labels, k.unwrap_or(usize::MAX));
            // As transformers.js: one label each for a list of texts, a list of labels otherwise.
            let flat = k == Some(1) && !inputs.single;
            results.push(if flat { io::json(&best[0])? } else { io::json(best)? });
            Ok(())
        },
    )
    .await?;
    Ok(inputs.shape(results))
}

/// What Python picks when the caller does not say.
fn default_function(info: &Info) -> Function {
    match info.problem_type.as_deref() {
        Some("regression") => Function::None,
        Some("multi_label_classification") => Function::Sigmoid,
        _ if info.labels.len() == 1 => Function::Sigmoid,
        _ => Function::Softmax,
    }
}

/// The `k` best labels of one text's logits `[L]`.
pub fn classify(
    logits: &[f32],
    function: Function,
    labels: &[String],
    k: usize,
) -> Vec<Classification> {
    let mut scores = logits.to_vec();
    match function {
        Function::Sigmoid => scores.iter_mut().for_each(|x| *x = sigmoid(*x)),
        Function::Softmax => softmax(&mut scores),
        Function::None => {}
    }
    let best = top_k(&scores, k);
    best.into_iter().map(|i| Classification { label: label(labels, i), score: scores[i] }).collect()
}

/// The name of label `id`; Python's default name where config.json gives none.
pub(super) fn label(labels: &[String], id: usize) -> String {
    labels.get(id).cloned().unwrap_or_else(|| format!("LABEL_{id}"))
}
