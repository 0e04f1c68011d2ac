//! Tasks: input, model, post-processing, result type. Answers are those of Python's `transformers`
//! pipelines; options and shapes are those of transformers.js.
//!
//! | module | what lives there |
//! |---|---|
//! | [`text`] | tasks on texts, one file each |
//! | [`audio`] | tasks on sound: recognition, classification, listening |
//! | [`generation`] | tasks that write text |
//! | [`vision`] | tasks on pictures, one file each |
//! | `family` | what every kind of model does to be loaded and run |
//! | `loader` | from a repository's files to a [`Model`] |
//! | `registry` | the tasks, and which checkpoints serve them |
//! | `host` | what a running call may ask of its caller |
//! | `tokens` | the tokenizer from whatever files a repository has |

pub mod audio;
mod family;
pub mod generation;
mod host;
mod io;
mod loader;
mod registry;
mod scores;
pub mod text;
mod tokens;
pub mod vision;

pub use family::{AnyFamily, Family, Files, Kind};
pub use host::{Answer, Host, Silent};
pub use io::Strings;
pub use loader::{packer, DeviceChoice, LoadOptions, Loader, Model, Opened};
pub use registry::{task_of, Task};

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use serde_json::Value;

use crate::error::Result;
use crate::{err, Code};

/// Numbers in bulk, on their way in or out: samples, pixels, masks.
#[derive(Debug, Clone, PartialEq)]
pub enum Buffer {
    U8(Vec<u8>),
    U32(Vec<u32>),
    F32(Vec<f32>),
}

/// What a caller passes: JSON, in which `{"$buffer": i}` stands for `buffers[i]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Input {
    pub value: Value,
    pub buffers: Vec<Buffer>,
}

impl From<Value> for Input {
    fn from(value: Value) -> Self {
        Input { value, buffers: Vec::new() }
    }
}

impl Input {
    /// The buffer that `value`, a part of this input, stands for.
    pub fn buffer(&self, value: &Value) -> Option<&Buffer> {
        let at = value.as_object()?.get("$buffer")?.as_u64()?;
        self.buffers.get(usize::try_from(at).ok()?)
    }
}

/// What a task returns.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskOutput {
    /// Labels, spans, texts.
    Json(Value),
    /// Features, row-major.
    Tensor { dims: Vec<usize>, data: Vec<f32> },
    /// JSON, in which `{"$buffer": i}` stands for `buffers[i]`: masks, depths.
    Media { value: Value, buffers: Vec<Buffer> },
}

/// Stops the call that is running; looked at between two runs of the model.
#[derive(Debug, Clone, Default)]
pub struct AbortHandle(Arc<AtomicBool>);

impl AbortHandle {
    pub fn abort(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// A call begins: an abort of an earlier one no longer counts.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Fails with [`Code::Aborted`] where the call is to stop.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(err!(Code::Aborted, "the call was aborted"));
        }
        Ok(())
    }
}
