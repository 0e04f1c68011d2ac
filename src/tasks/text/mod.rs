//! Tasks on texts: one file each, over a text encoder and its tokenizer.
//!
//! Texts are JSON strings, and all offsets in results are UTF-16 units: `text.slice(start, end)`.

mod encoder;
pub mod feature_extraction;
pub mod fill_mask;
mod model;
pub mod next_sentence_prediction;
pub mod question_answering;
pub mod text_classification;
pub mod token_classification;
pub mod zero_shot_classification;

pub use encoder::{Encoder, Info};
pub use model::TextEncoder;

use serde_json::Value;

use super::{io, AbortHandle, Task, TaskOutput};
use crate::error::Result;
use crate::models::Head;
use crate::preprocess::Tokenizer;
use crate::{err, Code};
use encoder::Call;

/// What must sit on top of the encoder for `task`.
pub fn head(task: Task) -> Head {
    match task {
        Task::TextClassification | Task::ZeroShotClassification => Head::Sequence,
        Task::TokenClassification => Head::Token,
        Task::QuestionAnswering => Head::Question,
        Task::FillMask => Head::Masked,
        Task::NextSentencePrediction => Head::NextSentence,
        // Feature extraction; the tasks of other families do not come here.
        _ => Head::Encoder,
    }
}

/// A text model with its tokenizer, serving one task.
#[derive(Debug)]
pub struct TextPipeline<E> {
    task: Task,
    encoder: E,
    tokenizer: Tokenizer,
    info: Info,
    abort: AbortHandle,
}

impl<E: Encoder> TextPipeline<E> {
    /// Fails with [`Code::Unsupported`] where the model has another head than the task needs.
    pub fn new(task: Task, encoder: E, tokenizer: Tokenizer) -> Result<Self> {
        let info = encoder.info();
        let wanted = head(task);
        if info.head != wanted {
            // Same words as before the download, if config.json knew.
            task.check(std::slice::from_ref(&info.architecture))?;
            let head = info.head;
            return Err(err!(Code::Internal, "{} needs head {wanted:?}, not {head:?}", task.id()));
        }
        Ok(TextPipeline { task, encoder, tokenizer, info, abort: AbortHandle::default() })
    }

    pub fn task(&self) -> Task {
        self.task
    }

    pub fn info(&self) -> &Info {
        &self.info
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Takes the pipeline apart.
    pub fn into_parts(self) -> (E, Tokenizer) {
        (self.encoder, self.tokenizer)
    }

    pub fn encoder(&self) -> &E {
        &self.encoder
    }

    pub fn encoder_mut(&mut self) -> &mut E {
        &mut self.encoder
    }

    /// Stops a call from elsewhere; it then fails with [`Code::Aborted`]. Has no effect on calls
    /// that start later.
    pub fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }

    /// Runs the task. `input` and `options` are those of the task's own page; a list of inputs
    /// gives a list of results in the same order.
    ///
    /// Fails with [`Code::Input`] for inputs and options of other forms, naming what was expected.
    pub async fn run(&mut self, input: Value, options: Value) -> Result<TaskOutput> {
        self.abort.reset();
        let mut call = Call {
            encoder: &mut self.encoder,
            tokenizer: &self.tokenizer,
            info: &self.info,
            abort: &self.abort,
            batch_size: None,
        };
        macro_rules! task {
            ($task:ident) => {{
                let options: $task::Options = io::parse(self.task.id(), options)?;
                call.batch_size =
                    options.batch_size.map(|n| io::positive("batch_size", n)).transpose()?;
                $task::run(&mut call, input, options).await?
            }};
        }
        Ok(match self.task {
            Task::FeatureExtraction => task!(feature_extraction),
            Task::TextClassification => TaskOutput::Json(task!(text_classification)),
            Task::ZeroShotClassification => TaskOutput::Json(task!(zero_shot_classification)),
            Task::TokenClassification => TaskOutput::Json(task!(token_classification)),
            Task::QuestionAnswering => TaskOutput::Json(task!(question_answering)),
            Task::FillMask => TaskOutput::Json(task!(fill_mask)),
            Task::NextSentencePrediction => TaskOutput::Json(task!(next_sentence_prediction)),
            other => return Err(err!(Code::Internal, "{} is no task on texts", other.id())),
        })
    }
}
