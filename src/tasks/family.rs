//! Families: kinds of models (text, vision, audio, generation) with the tasks that they serve.

use std::collections::BTreeMap;
use std::future::Future;

use serde_json::Value;

use super::audio::AudioPipeline;
use super::generation::Generator;
use super::text::{TextEncoder, TextPipeline};
use super::vision::VisionPipeline;
use super::{AbortHandle, Host, Input, Task, TaskOutput};
use crate::checkpoint::{Config, Manifest};
use crate::error::Result;
use crate::gpu::WeightShape;
use crate::models::AudioModel;
use crate::plan::Runtime;

/// The small files of a repository, by name: config.json, the tokenizer's, the preprocessor's.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    pub fn insert(&mut self, name: &str, bytes: Vec<u8>) {
        self.0.insert(name.to_string(), bytes);
    }

    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

/// A kind of model, from its small files to its answers.
pub trait Family: Sized {
    /// Reads the small files and declares the model: what comes back beside it is what its
    /// checkpoint must hold.
    fn open(task: Task, config: &Config, files: &Files) -> Result<(Self, Manifest)>;

    /// Chooses the model's device, before any weight arrives.
    fn place(&mut self, runtime: Runtime);

    fn runtime(&self) -> &Runtime;

    fn runtime_mut(&mut self) -> &mut Runtime;

    /// Compiles what a GPU will need, while the weights (one shape per id) are on their way.
    fn prepare(&self, weights: &[WeightShape]) -> Result<()>;

    /// Runs once, so that the first real call is a warm one.
    fn warm_up(&mut self) -> impl Future<Output = Result<()>>;

    /// `id2label` of config.json in id order.
    fn labels(&self) -> &[String];

    /// Stops the call under way; it then fails with [`crate::Code::Aborted`].
    fn abort_handle(&self) -> AbortHandle;

    /// Runs the task that the model was opened for.
    fn run(
        &mut self,
        input: Input,
        options: Value,
        host: &mut dyn Host,
    ) -> impl Future<Output = Result<TaskOutput>>;
}

/// Declares [`AnyFamily`]: one line per family.
macro_rules! families {
    ($( $name:ident($pipeline:ty) ),* $(,)?) => {
        /// Which family serves a task.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $( $name, )*
        }

        /// A model of one of the families. There is one, so its size does not matter.
        #[derive(Debug)]
        #[allow(clippy::large_enum_variant)]
        pub enum AnyFamily {
            $( $name($pipeline), )*
        }

        impl AnyFamily {
            /// As [`Family::open`], for the family `kind`.
            pub fn open(
                kind: Kind,
                task: Task,
                config: &Config,
                files: &Files,
            ) -> Result<(Self, Manifest)> {
                match kind {
                    $( Kind::$name => {
                        let (family, manifest) = <$pipeline>::open(task, config, files)?;
                        Ok((AnyFamily::$name(family), manifest))
                    } )*
                }
            }

            pub fn place(&mut self, runtime: Runtime) {
                match self {
                    $( AnyFamily::$name(family) => family.place(runtime), )*
                }
            }

            pub fn runtime(&self) -> &Runtime {
                match self {
                    $( AnyFamily::$name(family) => family.runtime(), )*
                }
            }

            pub fn runtime_mut(&mut self) -> &mut Runtime {
                match self {
                    $( AnyFamily::$name(family) => family.runtime_mut(), )*
                }
            }

            pub fn prepare(&self, weights: &[WeightShape]) -> Result<()> {
                match self {
                    $( AnyFamily::$name(family) => family.prepare(weights), )*
                }
            }

            pub async fn warm_up(&mut self) -> Result<()> {
                match self {
                    $( AnyFamily::$name(family) => family.warm_up().await, )*
                }
            }

            pub fn labels(&self) -> &[String] {
                match self {
                    $( AnyFamily::$name(family) => family.labels(), )*
                }
            }

            pub fn abort_handle(&self) -> AbortHandle {
                match self {
                    $( AnyFamily::$name(family) => family.abort_handle(), )*
                }
            }

            pub async fn run(
                &mut self,
                input: Input,
                options: Value,
                host: &mut dyn Host,
            ) -> Result<TaskOutput> {
                match self {
                    $( AnyFamily::$name(family) => Family::run(family, input, options, host).await, )*
                }
            }
        }
    };
}

families! {
    Text(TextPipeline<TextEncoder>),
    Audio(AudioPipeline<AudioModel>),
    Vision(VisionPipeline),
    Generation(Generator),
}
