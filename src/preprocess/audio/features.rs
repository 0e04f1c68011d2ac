//! `Wav2Vec2FeatureExtractor`: the level of a clip, and the rate that the model was trained at.

use crate::checkpoint::Config;
use crate::error::Result;
use crate::{err, Code};

/// What `preprocessor_config.json` says of sound.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureExtractor {
    /// In Hz.
    pub sampling_rate: u32,
    /// Zero mean and unit variance per clip.
    pub do_normalize: bool,
    /// Clips of different lengths are padded and masked in Python. Here none is padded, which
    /// gives what Python gives for each clip alone.
    pub return_attention_mask: bool,
}

impl FeatureExtractor {
    /// Reads `preprocessor_config.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let named = |mut error: crate::Error| {
            error.message = format!("preprocessor_config.json: {}", error.message);
            error
        };
        let config = Config::parse(bytes).map_err(named)?;
        let kind = config.string("feature_extractor_type", Some("Wav2Vec2FeatureExtractor"));
        let kind = kind.map_err(named)?;
        if kind != "Wav2Vec2FeatureExtractor" {
            return Err(err!(Code::Unsupported, "feature_extractor_type {kind:?}")
                .remedy("known here: Wav2Vec2FeatureExtractor"));
        }
        let rate = config.usize("sampling_rate", Some(16000)).map_err(named)?;
        let sampling_rate = u32::try_from(rate).unwrap_or(0);
        if !(1..=768_000).contains(&sampling_rate) {
            return Err(err!(Code::Config, "preprocessor_config.json: sampling_rate {rate}"));
        }
        Ok(FeatureExtractor {
            sampling_rate,
            do_normalize: config.bool("do_normalize", Some(true)).map_err(named)?,
            return_attention_mask: config
                .bool("return_attention_mask", Some(false))
                .map_err(named)?,
        })
    }

    /// A clip at the model's rate as the model wants it, `[samples]`.
    ///
    /// Sums in f64: numpy adds in pairs, a plain f32 sum over an hour would not agree with it.
    pub fn normalize(&self, samples: &[f32]) -> Vec<f32> {
        if !self.do_normalize || samples.is_empty() {
            return samples.to_vec();
        }
        let n = samples.len() as f64;
        let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let var = samples.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
        let (mean, deviation) = (mean as f32, (var as f32 + 1e-7).sqrt());
        samples.iter().map(|x| (x - mean) / deviation).collect()
    }
}

/// Refuses samples that are not numbers; `what` names the clip.
pub fn check_finite(samples: &[f32], what: &str) -> Result<()> {
    match samples.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(err!(Code::Input, "{what}: sample {at} is {}", samples[at])
            .remedy("samples are numbers around -1 to 1")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_get_zero_mean_and_unit_variance() {
        let extractor = FeatureExtractor::parse(b"{}").unwrap();
        let out = extractor.normalize(&[1.0, 2.0, 3.0, 4.0]);
        // numpy: (x - 2.5) / sqrt(1.25 + 1e-7)
        for (x, want) in out.iter().zip([-1.341_640_7, -0.447_213_6, 0.447_213_6, 1.341_640_7]) {
            assert!((x - want).abs() < 1e-6, "{x} {want}");
        }
        assert_eq!(extractor.normalize(&[0.25; 8]), [0.0; 8]);
        assert!(extractor.normalize(&[]).is_empty());
        let raw = FeatureExtractor::parse(br#"{"do_normalize": false}"#).unwrap();
        assert_eq!(raw.normalize(&[0.5, 0.25]), [0.5, 0.25]);
    }

    #[test]
    fn files_that_ask_for_something_else_are_refused() {
        let whisper = br#"{"feature_extractor_type": "WhisperFeatureExtractor"}"#;
        assert_eq!(FeatureExtractor::parse(whisper).unwrap_err().code, Code::Unsupported);
        for text in ["[]", r#"{"sampling_rate": 0}"#, r#"{"do_normalize": "yes"}"#] {
            let error = FeatureExtractor::parse(text.as_bytes()).unwrap_err();
            assert!(error.message.contains("preprocessor_config.json"), "{error}");
        }
        assert!(check_finite(&[0.0, f32::NAN], "clip 0").unwrap_err().message.contains("sample 1"));
    }
}
