//! The speech model as the tasks run it, and how it is loaded.

use std::future::Future;

use serde_json::Value;

use super::ctc::{Vocabulary, VocabularyFiles};
use super::AudioPipeline;
use crate::checkpoint::{Config, Manifest};
use crate::error::Result;
use crate::gpu::WeightShape;
use crate::models::{AudioHead, AudioModel, AudioOutput, Framing, Part};
use crate::plan::Runtime;
use crate::preprocess::audio::FeatureExtractor;
use crate::tasks::{AbortHandle, Family, Files, Host, Input, Task, TaskOutput};
use crate::{err, Code};

/// A speech model on its device.
pub trait SpeechModel {
    fn framing(&self) -> Framing;

    /// What is on top of the encoder.
    fn head(&self) -> AudioHead;

    /// Codebooks of a quantizer.
    fn codebooks(&self) -> usize {
        0
    }

    /// The head's output, or the encoder's, for one clip at the model's rate.
    fn run(&mut self, wave: &[f32], part: Part) -> impl Future<Output = Result<AudioOutput>>;

    /// Lets the host's event loop turn between two runs, so that an abort can arrive.
    fn pause(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

impl SpeechModel for AudioModel {
    fn framing(&self) -> Framing {
        AudioModel::framing(self)
    }

    fn head(&self) -> AudioHead {
        AudioModel::head(self)
    }

    fn codebooks(&self) -> usize {
        AudioModel::codebooks(self)
    }

    async fn run(&mut self, wave: &[f32], part: Part) -> Result<AudioOutput> {
        self.run_part(wave, part).await
    }

    async fn pause(&self) {
        crate::wait::turn().await;
    }
}

/// What must sit on top of the encoder for `task`, in a checkpoint of `architecture`.
fn head(task: Task, architecture: &str) -> Result<AudioHead> {
    Ok(match task {
        Task::AutomaticSpeechRecognition => AudioHead::Ctc,
        Task::AudioClassification => AudioHead::Sequence,
        Task::AudioFeatureExtraction if architecture.ends_with("ForPreTraining") => {
            AudioHead::Quantizer
        }
        Task::AudioFeatureExtraction if architecture.ends_with("ForAudioFrameClassification") => {
            AudioHead::Frame
        }
        Task::AudioFeatureExtraction => AudioHead::Encoder,
        other => return Err(err!(Code::Internal, "{} is no task on sound", other.id())),
    })
}

impl Family for AudioPipeline<AudioModel> {
    fn open(task: Task, config: &Config, files: &Files) -> Result<(Self, Manifest)> {
        let Some(preprocessor) = files.get("preprocessor_config.json") else {
            return Err(err!(Code::Config, "preprocessor_config.json is missing")
                .remedy("it says how loud a speech model wants its input; check the repository"));
        };
        let extractor = FeatureExtractor::parse(preprocessor)?;
        let head = head(task, config.architecture().unwrap_or_default())?;
        let vocabulary = match head {
            AudioHead::Ctc => {
                let files = VocabularyFiles {
                    vocab_json: files.get("vocab.json"),
                    tokenizer_config: files.get("tokenizer_config.json"),
                    special_tokens_map: files.get("special_tokens_map.json"),
                    added_tokens: files.get("added_tokens.json"),
                };
                Some(Vocabulary::load(&files, config.usize("vocab_size", Some(32))?)?)
            }
            _ => None,
        };
        let (model, manifest) = AudioModel::new(config, head, Runtime::cpu())?;
        let pipeline = AudioPipeline::new(task, model, extractor, vocabulary, config.labels()?);
        Ok((pipeline, manifest))
    }

    fn place(&mut self, runtime: Runtime) {
        self.model.runtime = runtime;
    }

    fn runtime(&self) -> &Runtime {
        &self.model.runtime
    }

    fn runtime_mut(&mut self) -> &mut Runtime {
        &mut self.model.runtime
    }

    fn prepare(&self, weights: &[WeightShape]) -> Result<()> {
        self.model.prepare(weights)
    }

    /// One frame: on the GPU every pipeline of the model for few rows.
    async fn warm_up(&mut self) -> Result<()> {
        let wave = vec![0.0; self.model.framing().receptive_field];
        AudioModel::run(&mut self.model, &wave).await.map(drop)
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }

    async fn run(&mut self, input: Input, options: Value, _: &mut dyn Host) -> Result<TaskOutput> {
        AudioPipeline::run(self, input, options).await
    }
}
