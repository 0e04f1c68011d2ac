//! What callers pass as sound, to samples at the model's rate.

use serde_json::Value;

use crate::error::Result;
use crate::preprocess::audio::{features::check_finite, resample, wav};
use crate::tasks::io::Inputs;
use crate::tasks::{Buffer, Input};
use crate::{err, Code};

const EXPECTED: &str = "pass a WAV file's bytes, a Float32Array at the model's rate, or \
                        { raw, sampling_rate }";

/// One clip at the model's rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    pub samples: Vec<f32>,
    /// Samples at the beginning and the end that only give context.
    pub stride: Option<[usize; 2]>,
}

/// The clips of a call.
pub fn sounds(input: &Input, rate: u32) -> Result<Inputs<Sound>> {
    match &input.value {
        // A list of numbers is a clip, any other list is a batch.
        Value::Array(list) if !list.first().is_some_and(Value::is_number) => {
            let named = |(i, value)| sound(input, value, rate, &format!("input {i}"));
            let list = list.iter().enumerate().map(named).collect::<Result<_>>()?;
            Ok(Inputs { list, single: false })
        }
        value => {
            let list = vec![sound(input, value, rate, "the audio")?];
            Ok(Inputs { list, single: true })
        }
    }
}

fn sound(input: &Input, value: &Value, rate: u32, what: &str) -> Result<Sound> {
    let mut stride = None;
    let samples = match (input.buffer(value), value) {
        (Some(Buffer::U8(bytes)), _) => {
            let clip = wav::decode(bytes)?;
            let from = clip.rate;
            let samples = clip.mono();
            check_finite(&samples, what)?;
            resample(samples, from, rate)?
        }
        (None, Value::Object(clip)) => {
            let raw = clip.get("raw").or_else(|| clip.get("array"));
            let (Some(raw), Some(from)) = (raw, clip.get("sampling_rate")) else {
                return Err(err!(Code::Input, "{what} is an object without raw and sampling_rate")
                    .remedy(EXPECTED));
            };
            let from = sampling_rate(from)?;
            let samples = mono(input, raw, what)?;
            check_finite(&samples, what)?;
            stride =
                clip.get("stride").map(|s| strides(s, from, rate, samples.len())).transpose()?;
            resample(samples, from, rate)?
        }
        (_, value) => {
            let samples = channel(input, value, what)?;
            check_finite(&samples, what)?;
            samples
        }
    };
    if samples.is_empty() {
        return Err(err!(Code::Input, "{what} is empty: it has no samples").remedy(EXPECTED));
    }
    Ok(Sound { samples, stride })
}

/// A rate in Hz.
pub fn sampling_rate(value: &Value) -> Result<u32> {
    let whole = value.as_f64().filter(|hz| (1.0..=768_000.0).contains(hz));
    whole.map(|hz| hz.round() as u32).ok_or_else(|| {
        err!(Code::Input, "sampling_rate is {value}").remedy("pass Hz, for example 44100")
    })
}

fn strides(value: &Value, from: u32, to: u32, len: usize) -> Result<[usize; 2]> {
    let list: Option<Vec<usize>> =
        value.as_array().and_then(|l| l.iter().map(|n| Some(n.as_u64()? as usize)).collect());
    match list.as_deref() {
        Some([left, right]) if left.saturating_add(*right) <= len => {
            let ratio = f64::from(to) / f64::from(from);
            Ok([*left, *right].map(|n| (n as f64 * ratio).round_ties_even() as usize))
        }
        Some([left, right]) => {
            Err(err!(Code::Input, "a stride of {left} and {right} is more than the {len} samples"))
        }
        _ => Err(err!(Code::Input, "stride is {value}").remedy("pass [left, right] in samples")),
    }
}

/// The mean of several channels, or the only one.
pub fn mono(input: &Input, value: &Value, what: &str) -> Result<Vec<f32>> {
    let Value::Array(list) = value else { return channel(input, value, what) };
    if list.first().is_none_or(Value::is_number) {
        return channel(input, value, what);
    }
    let mut mix: Vec<f32> = Vec::new();
    for (i, value) in list.iter().enumerate() {
        let channel = channel(input, value, what)?;
        if i > 0 && channel.len() != mix.len() {
            let (first, other) = (mix.len(), channel.len());
            return Err(err!(Code::Input, "{what}: channels of {first} and {other} samples"));
        }
        if i == 0 {
            mix = channel;
        } else {
            mix.iter_mut().zip(channel).for_each(|(sum, x)| *sum += x);
        }
    }
    let scale = 1.0 / list.len() as f32;
    mix.iter_mut().for_each(|x| *x *= scale);
    Ok(mix)
}

/// The samples of one channel.
fn channel(input: &Input, value: &Value, what: &str) -> Result<Vec<f32>> {
    let wrong = || err!(Code::Input, "{what} is not sound").remedy(EXPECTED);
    match (input.buffer(value), value) {
        (Some(Buffer::F32(samples)), _) => Ok(samples.clone()),
        (None, Value::Array(list)) => {
            list.iter().map(|x| x.as_f64().map(|x| x as f32).ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn input(value: Value, buffers: Vec<Buffer>) -> Input {
        Input { value, buffers }
    }

    #[test]
    fn every_form_of_sound() {
        let one = input(json!({"$buffer": 0}), vec![Buffer::F32(vec![0.5, 0.25])]);
        assert_eq!(sounds(&one, 16000).unwrap().list[0].samples, [0.5, 0.25]);
        let list = input(json!([0.5, 0.25]), vec![]);
        assert_eq!(sounds(&list, 16000).unwrap(), sounds(&one, 16000).unwrap());
        let planar = json!({"raw": [{"$buffer": 0}, {"$buffer": 1}], "sampling_rate": 16000, "stride": [1, 0]});
        let planar = input(planar, vec![Buffer::F32(vec![1.0, 0.0]), Buffer::F32(vec![0.0, 0.5])]);
        let Inputs { list: clips, single } = sounds(&planar, 16000).unwrap();
        assert!(single);
        assert_eq!(clips[0], Sound { samples: vec![0.5, 0.25], stride: Some([1, 0]) });
        let other_rate = input(json!({"array": vec![0.5; 800], "sampling_rate": 8000}), vec![]);
        assert_eq!(sounds(&other_rate, 16000).unwrap().list[0].samples.len(), 1600);
        let batch = input(json!([{"$buffer": 0}, [0.5]]), vec![Buffer::F32(vec![1.0])]);
        let Inputs { list: clips, single } = sounds(&batch, 16000).unwrap();
        assert!(!single && clips.len() == 2);
        assert!(sounds(&input(json!([]), vec![]), 16000).unwrap().list.is_empty());
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        let f32s = |x: &[f32]| vec![Buffer::F32(x.to_vec())];
        for (value, buffers, word) in [
            (json!("x.wav"), vec![], "not sound"),
            (json!(null), vec![], "not sound"),
            (json!({"$buffer": 0}), f32s(&[]), "empty"),
            (json!({"$buffer": 0}), f32s(&[0.0, f32::NAN]), "sample 1"),
            (json!({"$buffer": 0}), f32s(&[f32::INFINITY]), "sample 0"),
            (json!({"$buffer": 0}), vec![Buffer::U8(vec![1, 2, 3])], "not a WAV"),
            (json!({"$buffer": 1}), f32s(&[1.0]), "without raw"),
            (json!({"raw": [1.0]}), vec![], "sampling_rate"),
            (json!({"raw": [1.0], "sampling_rate": 0}), vec![], "sampling_rate is 0"),
            (json!({"raw": [1.0], "sampling_rate": "x"}), vec![], "sampling_rate is"),
            (json!({"raw": [[1.0], [1.0, 2.0]], "sampling_rate": 8000}), vec![], "1 and 2"),
            (json!({"raw": [1.0], "sampling_rate": 16000, "stride": [1, 1]}), vec![], "more than"),
            (json!([[1.0], "x"]), vec![], "input 1"),
        ] {
            let error = sounds(&input(value, buffers), 16000).unwrap_err();
            assert!(error.message.contains(word), "{word}: {error}");
        }
    }
}
