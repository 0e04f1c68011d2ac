//! Values and errors across the boundary.

use js_sys::{Array, Error as JsError, Float32Array, Object, Reflect};
use serde::de::DeserializeOwned;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::error::{Error, Result};
use crate::tasks::TaskOutput;
use crate::{err, Code};

/// An `Error` named `TareasError` with `code` and `remedy`.
impl From<Error> for JsValue {
    fn from(error: Error) -> Self {
        let js = JsError::new(&error.to_string());
        js.set_name("TareasError");
        set(&js, "code", error.code.as_str());
        set(&js, "remedy", error.remedy);
        js.into()
    }
}

/// Sets a property of an object that was just made here, which cannot be refused.
pub fn set(object: &JsValue, name: &str, value: impl Into<JsValue>) {
    drop(Reflect::set(object, &name.into(), &value.into()));
}

/// Reads plain data from JavaScript.
pub fn read<T: DeserializeOwned>(value: JsValue, what: &str) -> Result<T> {
    serde_wasm_bindgen::from_value(value).map_err(|e| err!(Code::Input, "{what}: {e}"))
}

/// Reads JSON-like data; `undefined` counts as null.
pub fn read_json(value: JsValue, what: &str) -> Result<serde_json::Value> {
    if value.is_undefined() || value.is_null() {
        return Ok(serde_json::Value::Null);
    }
    read(value, what)
}

/// Plain data as JavaScript objects.
pub fn write<T: Serialize + ?Sized>(value: &T) -> Result<JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|e| err!(Code::Internal, "a result does not cross into JavaScript: {e}"))
}

/// A task's result; tensors keep their numbers in a `Float32Array`.
pub fn output(output: TaskOutput) -> Result<JsValue> {
    match output {
        TaskOutput::Json(value) => write(&value),
        TaskOutput::Tensor { dims, data } => {
            let tensor = Object::new();
            let dims: Array = dims.iter().map(|&d| JsValue::from(d as f64)).collect();
            set(&tensor, "dims", dims);
            set(&tensor, "type", "float32");
            set(&tensor, "data", Float32Array::from(data.as_slice()));
            Ok(tensor.into())
        }
    }
}
