//! `Quantizer`: a checkpoint in, a quantized pack out.

use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;

use super::loader::dtype;
use crate::checkpoint::{Config, Packer};
use crate::error::Result;
use crate::{err, models, tasks, Code};

#[wasm_bindgen]
pub struct Quantizer(Packer);

#[wasm_bindgen]
impl Quantizer {
    /// `dtype` is `fp16`, `q8` or `q4`; the head is the one that config.json's architecture has.
    #[wasm_bindgen(constructor)]
    pub fn new(config_json: &[u8], dtype_name: &str) -> Result<Quantizer, JsValue> {
        let Some(format) = dtype(dtype_name)? else {
            let error = err!(Code::Input, "a pack needs a dtype of its own");
            return Err(error.remedy("dtypes: fp16, q8, q4").into());
        };
        let config = Config::parse(config_json)?;
        let task = tasks::task_of(config.architecture().unwrap_or_default());
        let manifest = match task.kind() {
            tasks::Kind::Text => models::text_manifest(&config, tasks::text::head(task))?,
            tasks::Kind::Audio => models::audio_manifest(&config, tasks::audio::head(task)?)?,
        };
        Ok(Quantizer(Packer::new(manifest, format)))
    }

    pub fn begin_weights(&mut self, name: &str, bytes_total: f64) -> Result<(), JsValue> {
        Ok(self.0.begin(name, bytes_total as u64)?)
    }

    pub fn push_weights(&mut self, chunk: &[u8]) -> Result<(), JsValue> {
        Ok(self.0.push(chunk)?)
    }

    pub fn end_weights(&mut self) -> Result<(), JsValue> {
        Ok(self.0.end()?)
    }

    /// Calls `write(chunk)` with the bytes of the pack's model.safetensors, front to back.
    pub fn finish(self, write: &Function) -> Result<(), JsValue> {
        let call = |chunk: &[u8]| {
            let chunk = Uint8Array::from(chunk);
            let failed = |e| err!(Code::Input, "the writer of the pack threw {e:?}");
            write.call1(&JsValue::UNDEFINED, &chunk).map(drop).map_err(failed)
        };
        Ok(self.0.finish(call)?)
    }
}
