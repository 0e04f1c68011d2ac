//! Tasks that write text: a decoder or an encoder-decoder, its tokenizer, and `generate`.
//!
//! | file | what lives there |
//! |---|---|
//! | `text` | `text-generation` |
//! | `seq2seq` | `text2text-generation`, `summarization`, `translation` |
//! | `fill` | the span in the place of a text's mask |
//! | `live` | a running call's end towards its caller: pieces, callbacks, aborts |
//!
//! Options are those of the Python pipelines and of `generate`; an option that is unknown, not
//! implemented or without effect is an error that names it.

mod fill;
mod live;
mod options;
mod seq2seq;
mod text;

use serde_json::Value;

use super::{tokens, AbortHandle, Family, Files, Host, Input, Task, TaskOutput};
use crate::checkpoint::{Config, Manifest};
use crate::error::Result;
use crate::generate::{self, Defaults, GenerationConfig, Prompt};
use crate::gpu::WeightShape;
use crate::models::{Answer, Feed, SeqModel, Want};
use crate::plan::Runtime;
use crate::preprocess::Tokenizer;
use crate::{err, Code};

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
        };
        generator.settings(task.id())?;
        Ok((generator, manifest))
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

    async fn warm_up(&mut self) -> Result<()> {
        let source = self.model.info().encoder_decoder.then(|| vec![0]);
        let mut lanes = Lanes(&mut self.model);
        generate::Model::start(&mut lanes, &[Prompt { source, ids: vec![0] }]).await?;
        generate::Model::step(&mut lanes, &[0], &[0]).await.map(drop)
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

/// The model as `generate` drives it. Every run starts with no texts, so one that failed or was
/// stopped leaves nothing behind.
struct Lanes<'a>(&'a mut SeqModel);

impl Lanes<'_> {
    async fn feed(&mut self, ids: &[&[u32]]) -> Result<Vec<f32>> {
        match self.0.step(Feed::Ids(ids), Want::Logits).await? {
            Answer::Logits(logits) => Ok(logits),
            other => Err(err!(Code::Internal, "logits were wanted, not {other:?}")),
        }
    }
}

impl generate::Model for Lanes<'_> {
    fn vocab(&self) -> usize {
        self.0.info().vocab
    }

    async fn start(&mut self, prompts: &[Prompt]) -> Result<Vec<f32>> {
        let sources: Vec<&[u32]> = prompts.iter().filter_map(|p| p.source.as_deref()).collect();
        if !sources.is_empty() {
            self.0.encode(&sources).await?;
        }
        self.0.begin(&(0..prompts.len()).collect::<Vec<_>>())?;
        let ids: Vec<&[u32]> = prompts.iter().map(|p| p.ids.as_slice()).collect();
        self.feed(&ids).await
    }

    async fn step(&mut self, parents: &[u32], tokens: &[u32]) -> Result<Vec<f32>> {
        self.0.fork(parents)?;
        let ids: Vec<&[u32]> = tokens.chunks(1).collect();
        self.feed(&ids).await
    }
}
