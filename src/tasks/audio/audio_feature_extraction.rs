//! `audio-feature-extraction`: what a speech model makes of every frame (20 ms in all published
//! models): hidden states, the quantizer's codebook indices, or logits of labels.

use serde::Deserialize;
use serde_json::json;

use super::{input, AudioPipeline, SpeechModel};
use crate::error::Result;
use crate::models::{first_largest, AudioHead, Part};
use crate::tasks::io::options;
use crate::tasks::{Input, TaskOutput};
use crate::{err, Code};

/// What is returned of each frame; names are those of `transformers`' outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The encoder's hidden states.
    LastHiddenState,
    /// The index that the quantizer of a pretraining checkpoint chooses in each codebook.
    Codes,
    /// Of a frame classifier's labels.
    Logits,
}

options! {
    /// Options of audio feature extraction.
    Options {
        /// What is returned of each frame.
        output: Output = Output::LastHiddenState,
    }
}

/// `[B, F, H]` or `[B, F, labels]`; for codes a list of frames with an index per codebook, of each
/// clip.
pub(super) async fn run<M: SpeechModel>(
    pipeline: &mut AudioPipeline<M>,
    input: Input,
    options: Options,
) -> Result<TaskOutput> {
    let (part, needed) = match options.output {
        Output::LastHiddenState => (Part::Hidden, None),
        Output::Codes => (Part::Head, Some((AudioHead::Quantizer, "codes", "ForPreTraining"))),
        Output::Logits => {
            (Part::Head, Some((AudioHead::Frame, "logits", "ForAudioFrameClassification")))
        }
    };
    if let Some((head, name, class)) = needed.filter(|(head, ..)| *head != pipeline.model.head()) {
        let has = pipeline.model.head();
        return Err(err!(
            Code::Unsupported,
            "output {name:?} needs the head {head:?}, not {has:?}"
        )
        .remedy(format!("pick a checkpoint whose architecture ends in {class}")));
    }
    let codebooks = pipeline.model.codebooks().max(1);
    let sounds = input::sounds(&input, pipeline.extractor.sampling_rate)?;
    let mut codes = Vec::new();
    let mut shape: Option<[usize; 2]> = None;
    let mut data = Vec::new();
    for sound in &sounds.list {
        let out = pipeline.hear_as(&sound.samples, part).await?;
        if options.output == Output::Codes {
            let codewords = (out.width / codebooks).max(1);
            let frame = |row: &[f32]| row.chunks_exact(codewords).map(first_largest).collect();
            let frames: Vec<Vec<u32>> =
                out.values.chunks_exact(out.width.max(1)).map(frame).collect();
            codes.push(json!(frames));
            continue;
        }
        let own = [out.rows, out.width];
        match shape {
            Some(before) if before != own => {
                let [before, own] = [before[0], own[0]];
                return Err(err!(Code::Input, "clips of {before} and {own} frames in one tensor")
                    .remedy("pass clips of different lengths one at a time"));
            }
            _ => shape = Some(own),
        }
        data.extend(out.values);
    }
    if options.output == Output::Codes {
        return Ok(TaskOutput::Json(sounds.shape(codes)));
    }
    let [frames, width] = shape.unwrap_or_default();
    Ok(TaskOutput::Tensor { dims: vec![sounds.list.len(), frames, width], data })
}
