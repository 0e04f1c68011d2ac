//! Tasks that write text: a decoder or an encoder-decoder, its tokenizer, and `generate`.
//!
//! | file | what lives there |
//! |---|---|
//! | `text` | `text-generation` |
//! | `seq2seq` | `text2text-generation`, `summarization`, `translation` |
//! | `fill` | the span in the place of a text's mask |
//! | `lanes` | the model as `generate` drives it: steps begun ahead, keys kept between calls |
//! | `live` | a running call's end towards its caller: pieces, callbacks, aborts |
//!
//! Options are those of the Python pipelines and of `generate`; an option that is unknown, not
//! implemented or without effect is an error that names it.

mod fill;
mod lanes;
mod live;
mod options;
mod seq2seq;
mod text;

use serde_json::Value;

use super::{tokens, AbortHandle, Family, Files, Host, Input, Task, TaskOutput};
use crate::checkpoint::{Config, Manifest};
use crate::error::Result;
use crate::generate::{Defaults, GenerationConfig, Model, Next, Prompt};
use crate::gpu::WeightShape;
use crate::models::{SeqModel, Want};
use crate::plan::Runtime;
use crate::preprocess::Tokenizer;
use crate::{err, Code};
use lanes::Lanes;

/// A model that writes, with its tokenizer, serving one task.
#[derive(Debug)]
pub struct Generator {
    task: Task,
    model: SeqModel,
    tokenizer: Tokenizer,
    config: Config,
    /// generation_config.json
    file: Option<Vec<u8>>,
    labels: Vec<String>,
    abort: AbortHandle,
    /// The texts whose keys the model keeps, for a call that goes on from them.
    held: Vec<Vec<u32>>,
}

impl Generator {
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The settings before a call's options; `key` names the task in `task_specific_params`.
    fn settings(&self, key: &str) -> Result<GenerationConfig> {
        let defaults = match self.task {
            Task::TextGeneration => Defaults::Text,
            _ => Defaults::Seq2Seq,
        };
        let pad = self.tokenizer.special().pad;
        GenerationConfig::new(&self.config, self.file.as_deref(), defaults, key, pad)
    }

    /// What a pipeline puts before every text: of the task `key`, or else of the model.
    fn prefix(&self, key: &str) -> String {
        let own = self.config.get("task_specific_params").and_then(|p| p.get(key)?.get("prefix"));
        let prefix = own.or(self.config.get("prefix"));
        prefix.and_then(Value::as_str).unwrap_or_default().to_string()
    }
}

impl Family for Generator {
    fn open(task: Task, config: &Config, files: &Files) -> Result<(Self, Manifest)> {
        let (model, manifest) = SeqModel::new(config, Runtime::cpu())?;
        let positions = model.info().source_positions.or(model.info().positions);
        let tokenizer = tokens::load(files, config.model_type()?, positions.unwrap_or(usize::MAX))?;
        let encoder_decoder = model.info().encoder_decoder;
        if encoder_decoder == (task == Task::TextGeneration) {
            let kind = if encoder_decoder { "reads and rewrites" } else { "continues" };
            let error = err!(Code::Unsupported, "{} needs another model", task.id());
            return Err(error.remedy(format!("this one {kind} texts")));
        }
        let file = files.get("generation_config.json").map(<[u8]>::to_vec);
        let generator = Generator {
            task,
            model,
            tokenizer,
            config: config.clone(),
            file,
            labels: Vec::new(),
            abort: AbortHandle::default(),
            held: Vec::new(),
        };
        generator.settings(task.id())?;
        Ok((generator, manifest))
    }

    fn place(&mut self, runtime: Runtime) {
        self.held.clear();
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

    async fn warm_up(&mut self) -> Result<()> {
        let source = self.model.info().encoder_decoder.then(|| vec![0]);
        let mut lanes = Lanes::new(&mut self.model);
        let next = Next { want: Want::Argmax, ahead: false };
        lanes.start(&[Prompt { source, ids: vec![0] }], next).await?;
        lanes.step(&[0], &[0], next).await.map(drop)
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }

    async fn run(
        &mut self,
        input: Input,
        options: Value,
        host: &mut dyn Host,
    ) -> Result<TaskOutput> {
        self.abort.reset();
        let value = match self.task {
            Task::TextGeneration => text::run(self, input.value, options, host).await,
            _ => seq2seq::run(self, input.value, options, host).await,
        };
        value.map(TaskOutput::Json)
    }
}
