//! `Model`: a loaded model that serves one task.

use std::collections::BTreeMap;

use serde_json::json;
use wasm_bindgen::prelude::*;

use super::convert;
use super::host::JsHost;
use crate::checkpoint::dtype_name;
use crate::plan::Runtime;
use crate::tasks::{self, AbortHandle, Opened};

#[wasm_bindgen]
pub struct Model {
    inner: tasks::Model,
    opened: Opened,
}

impl Model {
    pub(super) fn new(inner: tasks::Model, opened: Opened) -> Self {
        Model { inner, opened }
    }

    fn runtime(&self) -> &Runtime {
        self.inner.family.runtime()
    }
}

/// Stops the call that is running. A handle of its own: the model is borrowed while it runs.
#[wasm_bindgen]
pub struct Abort(AbortHandle);

#[wasm_bindgen]
impl Abort {
    pub fn abort(&self) {
        self.0.abort();
    }
}

#[wasm_bindgen]
impl Model {
    /// Runs the task; one call at a time. `host` may hold the functions of [`JsHost`].
    pub async fn run(
        &mut self,
        input: JsValue,
        options: JsValue,
        host: JsValue,
    ) -> Result<JsValue, JsValue> {
        let input = convert::input(&input, "the input")?;
        let options = convert::read_json(options, "the options")?;
        let profile = options.get("profile").and_then(|p| p.as_bool()).unwrap_or(false);
        let family = &mut self.inner.family;
        family.runtime_mut().set_profile(profile);
        Ok(convert::output(family.run(input, options, &mut JsHost::new(&host)).await?)?)
    }

    pub fn abort_handle(&self) -> Abort {
        Abort(self.inner.family.abort_handle())
    }

    pub fn info(&self) -> Result<JsValue, JsValue> {
        Ok(convert::write(&json!({
            "task": self.inner.task.id(),
            "model_type": self.opened.model_type,
            "architecture": self.opened.architecture,
            "device": if self.opened.on_gpu { "webgpu" } else { "wasm" },
            "dtype": dtype_name(self.inner.format),
            "fallback": self.opened.fallback,
            "adapter": self.opened.adapter,
            "labels": self.inner.family.labels(),
        }))?)
    }

    /// Bytes on the model's device, and of the whole wasm heap.
    pub fn memory(&self) -> Result<JsValue, JsValue> {
        let (weights, activations) = self.runtime().bytes();
        let heap = core::arch::wasm32::memory_size::<0>() << 16;
        Ok(convert::write(
            &json!({ "weights": weights, "activations": activations, "heap": heap }),
        )?)
    }

    /// Time per op of the last call made with `profile: true`, slowest first.
    pub fn timings(&self) -> Result<JsValue, JsValue> {
        let mut ops = BTreeMap::new();
        for step in self.runtime().timings() {
            let (ms, calls) = ops.entry(step.op).or_insert((0.0, 0));
            *ms += step.ms;
            *calls += 1;
        }
        let mut ops: Vec<_> = ops.into_iter().collect();
        ops.sort_by(|(_, (a, _)), (_, (b, _))| b.total_cmp(a));
        let rows: Vec<_> = ops
            .into_iter()
            .map(|(op, (ms, calls))| json!({ "op": op, "ms": ms, "calls": calls }))
            .collect();
        Ok(convert::write(&rows)?)
    }

    /// Work done since the model was loaded; tests assert that warm calls create nothing.
    pub fn counters(&self) -> Result<JsValue, JsValue> {
        let counters = self.runtime().counters();
        Ok(convert::write(&json!({
            "runs": counters.runs,
            "plans": counters.plans,
            "pipelines": counters.gpu.pipelines,
            "bind_groups": counters.gpu.bind_groups,
            "buffers": counters.gpu.buffers,
            "dispatches": counters.gpu.dispatches,
            "submits": counters.gpu.submits,
            "read_backs": counters.gpu.read_backs,
        }))?)
    }

    /// Destroys the GPU device: what a driver reset does, for tests.
    pub fn lose_device(&self) {
        self.runtime().lose_device();
    }
}
