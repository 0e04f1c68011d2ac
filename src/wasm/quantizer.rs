//! `Quantizer`: a repository in, a quantized pack out.

use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;

use super::loader::dtype;
use crate::checkpoint::Packer;
use crate::error::{Error, Result};
use crate::tasks::{self, Files};
use crate::tensor::Format;
use crate::{err, Code};

/// The methods are called in the order in which they stand here.
#[wasm_bindgen]
pub struct Quantizer {
    format: Format,
    files: Files,
    packer: Option<Packer>,
}

#[wasm_bindgen]
impl Quantizer {
    /// `dtype` is `fp16`, `q8` or `q4`.
    #[wasm_bindgen(constructor)]
    pub fn new(dtype_name: &str) -> Result<Quantizer, JsValue> {
        let Some(format) = dtype(dtype_name)? else {
            let error = err!(Code::Input, "a pack needs a dtype of its own");
            return Err(error.remedy("dtypes: fp16, q8, q4").into());
        };
        Ok(Quantizer { format, files: Files::default(), packer: None })
    }

    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(name, bytes);
    }

    /// Reads the small files: what the weights must be is then known.
    pub fn open(&mut self) -> Result<(), JsValue> {
        self.packer = Some(tasks::packer(&self.files, self.format)?);
        Ok(())
    }

    fn packer(&mut self) -> Result<&mut Packer> {
        self.packer.as_mut().ok_or_else(unopened)
    }

    pub fn begin_weights(&mut self, name: &str, bytes_total: f64) -> Result<(), JsValue> {
        Ok(self.packer()?.begin(name, bytes_total as u64)?)
    }

    pub fn push_weights(&mut self, chunk: &[u8]) -> Result<(), JsValue> {
        Ok(self.packer()?.push(chunk)?)
    }

    pub fn end_weights(&mut self) -> Result<(), JsValue> {
        Ok(self.packer()?.end()?)
    }

    /// Calls `write(chunk)` with the bytes of the pack's model.safetensors, front to back. What
    /// `write` throws is thrown on, as it is.
    pub fn finish(self, write: &Function) -> Result<(), JsValue> {
        let mut thrown = None;
        let result = self.packer.ok_or_else(unopened)?.finish(|chunk| {
            write.call1(&JsValue::UNDEFINED, &Uint8Array::from(chunk)).map(drop).map_err(|value| {
                thrown = Some(value);
                err!(Code::Internal, "the writer of the pack threw")
            })
        });
        result.map_err(|error| thrown.unwrap_or_else(|| error.into()))
    }
}

fn unopened() -> Error {
    err!(Code::Internal, "Quantizer: weights before open")
}
