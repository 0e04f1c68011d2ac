//! Sound to what models hear: WAV files, sampling rates, levels, and where somebody speaks.

pub mod features;
pub mod resample;
pub mod voice;
pub mod wav;

pub use features::FeatureExtractor;
pub use resample::{resample, Resampler};
pub use voice::VoiceDetector;
pub use wav::Clip;
