//! Tasks on sound: one file each, over a speech model and its feature extractor.

pub mod audio_classification;
pub mod audio_feature_extraction;
mod chunks;
pub mod ctc;
mod input;
mod listen;
mod model;
pub mod speech_recognition;
pub mod stream;

pub use model::SpeechModel;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use serde_json::Value;

use super::{io, AbortHandle, Input, Task, TaskOutput};
use crate::error::Result;
use crate::models::{AudioOutput, Framing, Part};
use crate::preprocess::audio::FeatureExtractor;
use crate::{err, Code};
use ctc::{Arpa, Vocabulary};
use speech_recognition::Clock;
use stream::Stream;

/// A speech model with what belongs to it, serving one task.
#[derive(Debug)]
pub struct AudioPipeline<M> {
    task: Task,
    model: M,
    extractor: FeatureExtractor,
    /// The characters of a CTC head.
    vocabulary: Option<Vocabulary>,
    labels: Vec<String>,
    /// The language model of the last call that had one, by the hash of its text: the next call
    /// has the same one.
    lm: Option<(u64, Rc<Arpa>)>,
    /// What is being listened to, by the caller's number.
    streams: BTreeMap<u64, Stream>,
    abort: AbortHandle,
}

impl<M: SpeechModel> AudioPipeline<M> {
    pub fn new(
        task: Task,
        model: M,
        extractor: FeatureExtractor,
        vocabulary: Option<Vocabulary>,
        labels: Vec<String>,
    ) -> Self {
        let abort = AbortHandle::default();
        let streams = BTreeMap::new();
        AudioPipeline { task, model, extractor, vocabulary, labels, lm: None, streams, abort }
    }

    /// Runs the task. `input` and `options` are those of the task's own page; a list of clips
    /// gives a list of results in the same order.
    pub async fn run(&mut self, input: Input, options: Value) -> Result<TaskOutput> {
        self.abort.reset();
        macro_rules! task {
            ($task:ident) => {
                TaskOutput::Json(
                    $task::run(self, input, io::parse(self.task.id(), options)?).await?,
                )
            };
        }
        Ok(match self.task {
            Task::AudioClassification => task!(audio_classification),
            Task::AudioFeatureExtraction => {
                let options = io::parse(self.task.id(), options)?;
                audio_feature_extraction::run(self, input, options).await?
            }
            Task::AutomaticSpeechRecognition if input.value.get("listen").is_some() => {
                TaskOutput::Json(listen::run(self, input, options).await?)
            }
            Task::AutomaticSpeechRecognition => task!(speech_recognition),
            other => return Err(err!(Code::Internal, "{} is no task on sound", other.id())),
        })
    }

    /// Runs the model on samples at its rate.
    async fn hear(&mut self, samples: &[f32]) -> Result<AudioOutput> {
        self.hear_as(samples, Part::Head).await
    }

    async fn hear_as(&mut self, samples: &[f32], part: Part) -> Result<AudioOutput> {
        let AudioPipeline { model, extractor, abort, .. } = self;
        Ears { model, extractor, abort }.hear_as(samples, part).await
    }

    /// Reads a language model, or finds it read.
    fn language_model(&mut self, text: &str) -> Result<Rc<Arpa>> {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        match &self.lm {
            Some((known, lm)) if *known == hash => Ok(lm.clone()),
            _ => {
                self.lm = None;
                let lm = Rc::new(Arpa::parse(text)?);
                self.lm = Some((hash, lm.clone()));
                Ok(lm)
            }
        }
    }

    fn clock(&self) -> Clock {
        Clock { hop: self.model.framing().hop, rate: self.extractor.sampling_rate }
    }

    fn vocabulary(&self) -> Result<&Vocabulary> {
        self.vocabulary
            .as_ref()
            .ok_or_else(|| err!(Code::Internal, "a CTC head without vocabulary"))
    }
}

/// What it takes to hear, without the rest of the pipeline.
pub(super) struct Ears<'a, M> {
    model: &'a mut M,
    extractor: &'a FeatureExtractor,
    abort: &'a AbortHandle,
}

impl<M: SpeechModel> Ears<'_, M> {
    fn framing(&self) -> Framing {
        self.model.framing()
    }

    /// Runs the model on samples at its rate, levelled as it wants them.
    async fn hear(&mut self, samples: &[f32]) -> Result<AudioOutput> {
        self.hear_as(samples, Part::Head).await
    }

    async fn hear_as(&mut self, samples: &[f32], part: Part) -> Result<AudioOutput> {
        self.abort.check()?;
        let out = self.model.run(&self.extractor.normalize(samples), part).await?;
        if out.values.iter().any(|x| x.is_nan()) {
            let error = err!(Code::NonFinite, "the model's output is not a number");
            return Err(error.remedy("try dtype 'fp32': the weights may overflow in less"));
        }
        self.model.pause().await;
        self.abort.check()?;
        Ok(out)
    }
}
