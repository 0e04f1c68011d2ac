//! `Loader`: a repository's files in, a `Model` out.

use js_sys::Function;
use serde::Deserialize;
use serde_json::json;
use wasm_bindgen::prelude::*;

use super::{convert, model::Model};
use crate::error::Result;
use crate::gpu::{Acceleration, DeviceOptions};
use crate::tasks::{self, DeviceChoice, LoadOptions, Task};
use crate::tensor::Format;
use crate::{err, Code};

#[derive(Deserialize)]
struct Options {
    task: String,
    device: String,
    dtype: String,
    #[serde(default)]
    gpu: GpuOptions,
}

/// Options that only tests use.
#[derive(Deserialize, Default)]
#[serde(default)]
struct GpuOptions {
    default_limits: bool,
    disable: Vec<String>,
    corrupt_self_test: bool,
}

/// The format a dtype option names; `auto` is none.
pub fn dtype(name: &str) -> Result<Option<Format>> {
    Ok(Some(match name {
        "auto" => return Ok(None),
        "fp32" => Format::F32,
        "fp16" => Format::F16,
        "q8" => Format::Q8,
        "q4" => Format::Q4,
        other => {
            let error = err!(Code::Input, "dtype {other:?}");
            return Err(error.remedy("dtypes: auto, fp32, fp16, q8, q4"));
        }
    }))
}

impl Options {
    fn read(self) -> Result<LoadOptions> {
        let device = match self.device.as_str() {
            "auto" => DeviceChoice::Auto,
            "webgpu" => DeviceChoice::WebGpu,
            "wasm" => DeviceChoice::Wasm,
            other => {
                let error = err!(Code::Input, "device {other:?}");
                return Err(error.remedy("devices: auto, webgpu, wasm"));
            }
        };
        let disable = self.gpu.disable.iter().map(|name| {
            let known = Acceleration::ALL.into_iter().find(|a| a.name() == name);
            known.ok_or_else(|| err!(Code::Input, "acceleration {name:?}"))
        });
        Ok(LoadOptions {
            task: Task::from_id(&self.task)?,
            device,
            dtype: dtype(&self.dtype)?,
            gpu: DeviceOptions {
                default_limits: self.gpu.default_limits,
                corrupt_self_test: self.gpu.corrupt_self_test,
                disable: disable.collect::<Result<_>>()?,
                ..DeviceOptions::default()
            },
        })
    }
}

/// Loads one model; the methods are called in the order in which they stand here.
#[wasm_bindgen]
pub struct Loader {
    inner: tasks::Loader,
    opened: Option<tasks::Opened>,
}

#[wasm_bindgen]
impl Loader {
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue) -> Result<Loader, JsValue> {
        let options: Options = convert::read(options, "the loader's options")?;
        Ok(Loader { inner: tasks::Loader::new(options.read()?), opened: None })
    }

    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) {
        self.inner.add_file(name, bytes);
    }

    pub async fn open(&mut self) -> Result<JsValue, JsValue> {
        let opened = self.inner.open().await?;
        let info = convert::write(&json!({
            "model_type": opened.model_type,
            "architecture": opened.architecture,
            "device": if opened.on_gpu { "webgpu" } else { "wasm" },
            "fallback": opened.fallback,
            "adapter": opened.adapter,
            "files": opened.files,
        }))?;
        self.opened = Some(opened);
        Ok(info)
    }

    pub fn begin_weights(&mut self, name: &str, bytes_total: f64) -> Result<(), JsValue> {
        Ok(self.inner.begin_weights(name, bytes_total as u64)?)
    }

    pub fn push_weights(&mut self, chunk: &[u8]) -> Result<(), JsValue> {
        Ok(self.inner.push_weights(chunk)?)
    }

    pub fn end_weights(&mut self) -> Result<(), JsValue> {
        Ok(self.inner.end_weights()?)
    }

    /// `report(phase)` hears of the warm-up, if it is given.
    pub async fn finish(self, report: Option<Function>) -> Result<Model, JsValue> {
        if let Some(report) = report {
            report.call1(&JsValue::UNDEFINED, &"warmup".into())?;
        }
        let missing = || err!(Code::Internal, "Loader.finish before Loader.open");
        let opened = self.opened.ok_or_else(missing)?;
        Ok(Model::new(self.inner.finish().await?, opened))
    }
}
