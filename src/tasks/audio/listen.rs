//! The streams of a pipeline: `{ listen: id, samples?, sampling_rate?, time?, end?, drop? }` as the
//! input of speech recognition, a call per piece.

use serde_json::Value;

use super::stream::{Heard, Settings, Stream};
use super::{input, AudioPipeline, Ears, SpeechModel};
use crate::error::Result;
use crate::preprocess::audio::features::check_finite;
use crate::tasks::{io, Input};
use crate::{err, Code};

/// Streams at a time; each holds some ten seconds of sound.
const MOST: usize = 64;

/// Takes the next piece of a stream. The first one makes it, `options` are its [`Settings`];
/// `end: true` ends it, `drop: true` forgets it. After an error the stream goes on with the next
/// call. A model that was loaded anew in between has no streams: `time`, the seconds before this
/// piece, keeps the clock.
pub(super) async fn run<M: SpeechModel>(
    pipeline: &mut AudioPipeline<M>,
    input: Input,
    options: Value,
) -> Result<Value> {
    let wrong = |what: &str| {
        err!(Code::Input, "{what}").remedy("pass { listen: id, samples, sampling_rate, end }")
    };
    let id = input.value.get("listen").and_then(Value::as_u64);
    let id = id.ok_or_else(|| wrong("listen is not a number"))?;
    let end = input.value.get("end").is_some_and(|end| end == true);
    if input.value.get("drop").is_some_and(|drop| drop == true) {
        pipeline.streams.remove(&id);
        return Ok(Value::Null);
    }
    let clock = pipeline.clock();
    pipeline.vocabulary()?;
    if !pipeline.streams.contains_key(&id) {
        if pipeline.streams.len() >= MOST {
            return Err(err!(Code::Input, "{MOST} streams are open").remedy("stop one of them"));
        }
        let settings: Settings = io::parse("listening", options)?;
        let time = input.value.get("time").and_then(Value::as_f64).unwrap_or(0.0);
        let stream = Stream::new(settings, clock.rate, clock.hop)?.starting_at(time);
        pipeline.streams.insert(id, stream);
    }
    let AudioPipeline { model, extractor, abort, vocabulary, streams, .. } = pipeline;
    let (Some(stream), Some(vocabulary)) = (streams.get_mut(&id), vocabulary) else {
        return Err(err!(Code::Internal, "stream {id} is gone"));
    };
    if let Some(samples) = input.value.get("samples").filter(|samples| !samples.is_null()) {
        let rate = input.value.get("sampling_rate").ok_or_else(|| wrong("no sampling_rate"))?;
        let samples = input::mono(&input, samples, "the stream")?;
        check_finite(&samples, "the stream")?;
        stream.push(&samples, input::sampling_rate(rate)?)?;
    }
    let heard: Heard = stream.step(&mut Ears { model, extractor, abort }, vocabulary, end).await?;
    if end {
        streams.remove(&id);
    }
    io::json(heard)
}
