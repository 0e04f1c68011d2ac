//! `audio-classification`: the labels that fit a clip best.

use serde_json::Value;

use super::{input, AudioPipeline, SpeechModel};
use crate::error::Result;
use crate::tasks::io::{self, options};
use crate::tasks::text::text_classification::{classify, Function};
use crate::tasks::Input;

options! {
    /// Options of audio classification.
    Options {
        /// How many labels to return; null for all.
        top_k: Option<usize> = Some(5),
        /// What turns logits to scores.
        function_to_apply: Option<Function> = None,
    }
}

pub(super) async fn run<M: SpeechModel>(
    pipeline: &mut AudioPipeline<M>,
    input: Input,
    options: Options,
) -> Result<Value> {
    let k = options.top_k.map(|k| io::positive("top_k", k)).transpose()?;
    let function = options.function_to_apply.unwrap_or(Function::Softmax);
    let sounds = input::sounds(&input, pipeline.extractor.sampling_rate)?;
    let mut results = Vec::with_capacity(sounds.list.len());
    for sound in &sounds.list {
        let out = pipeline.hear(&sound.samples).await?;
        let best = classify(&out.values, function, &pipeline.labels, k.unwrap_or(usize::MAX));
        results.push(io::json(best)?);
    }
    Ok(sounds.shape(results))
}
