//! `next-sentence-prediction`: whether a text follows another.

use serde::Deserialize;
use serde_json::Value;

use super::encoder::{sequence, Call, Encoder};
use super::text_classification::{classify, Function};
use crate::error::Result;
use crate::models::Pooling;
use crate::preprocess::Sequence;
use crate::tasks::io::{self, options, Inputs};

options! {
    /// Options of next-sentence prediction.
    Options {
        /// Cut pairs that are longer than the model takes; otherwise they are an error.
        truncation: bool = false,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    text: String,
    text_pair: String,
}

pub(super) async fn run<E: Encoder>(
    call: &mut Call<'_, E>,
    input: Value,
    options: Options,
) -> Result<Value> {
    let inputs: Inputs<Pair> = io::inputs(input, "{ text, text_pair }")?;
    let mut sequences: Vec<Sequence> = Vec::with_capacity(inputs.list.len());
    for Pair { text, text_pair } in &inputs.list {
        sequences.push(sequence(call.encode(text, Some(text_pair), options.truncation)?));
    }
    // The names of config.json's labels belong to other heads.
    let labels = ["is_next".to_string(), "not_next".to_string()];
    let mut results = Vec::with_capacity(sequences.len());
    call.run(
        &sequences,
        |i| i,
        Pooling::None,
        |_, logits| {
            results.push(io::json(classify(logits, Function::Softmax, &labels, labels.len()))?);
            Ok(())
        },
    )
    .await?;
    Ok(inputs.shape(results))
}
