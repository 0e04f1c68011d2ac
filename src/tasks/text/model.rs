//! A text model as the tasks run it, and how it is loaded.

use serde_json::Value;

use super::{head, Encoder, Info, TextPipeline};
use crate::checkpoint::{Config, Manifest};
use crate::error::Result;
use crate::gpu::WeightShape;
use crate::models::{Pooling, TextModel};
use crate::plan::Runtime;
use crate::preprocess::batch::Limits;
use crate::preprocess::{Batch, Sequence};
use crate::tasks::{tokens, AbortHandle, Family, Files, Host, Input, Task, TaskOutput};

/// A text model on its device.
#[derive(Debug)]
pub struct TextEncoder {
    pub model: TextModel,
    info: Info,
}

impl Encoder for TextEncoder {
    fn info(&self) -> Info {
        Info { padded: self.model.runtime.is_gpu(), ..self.info.clone() }
    }

    async fn run(&mut self, batch: &Batch) -> Result<Vec<f32>> {
        self.model.run(batch).await
    }

    async fn pause(&self) {
        crate::wait::turn().await;
    }
}

impl Family for TextPipeline<TextEncoder> {
    fn open(task: Task, config: &Config, files: &Files) -> Result<(Self, Manifest)> {
        let model_type = config.model_type()?;
        let positions = config.usize("max_position_embeddings", Some(512))?;
        let tokenizer = tokens::load(files, model_type, positions)?;
        let (model, manifest) = TextModel::new(config, head(task), Runtime::cpu())?;
        let info = Info {
            architecture: config.architecture().unwrap_or_default().to_string(),
            head: head(task),
            labels: config.labels()?,
            problem_type: config.problem_type()?.map(str::to_string),
            hidden: model.hidden(),
            limits: Limits {
                vocab: config.usize("vocab_size", Some(30522))?,
                types: if model_type == "bert" {
                    config.usize("type_vocab_size", Some(2))?
                } else {
                    0
                },
                positions,
            },
            padded: false,
        };
        Ok((TextPipeline::new(task, TextEncoder { model, info }, tokenizer)?, manifest))
    }

    fn place(&mut self, runtime: Runtime) {
        self.encoder.model.runtime = runtime;
        self.info = self.encoder.info();
    }

    fn runtime(&self) -> &Runtime {
        &self.encoder.model.runtime
    }

    fn runtime_mut(&mut self) -> &mut Runtime {
        &mut self.encoder.model.runtime
    }

    fn prepare(&self, weights: &[WeightShape]) -> Result<()> {
        self.encoder.model.prepare(weights)
    }

    /// Compiles the plan of the shortest batch: on the GPU every pipeline of the model.
    async fn warm_up(&mut self) -> Result<()> {
        let mut batch = Batch::new(Pooling::None);
        let ids = vec![self.tokenizer.special().cls.unwrap_or(0)];
        batch.push(&Sequence { type_ids: vec![0], rows: vec![0], ids });
        if self.info.padded {
            batch.pad(0);
        }
        self.encoder.model.run(&batch).await.map(drop)
    }

    fn labels(&self) -> &[String] {
        &self.info.labels
    }

    fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }

    async fn run(&mut self, input: Input, options: Value, _: &mut dyn Host) -> Result<TaskOutput> {
        TextPipeline::run(self, input.value, options).await
    }
}
