//! Values and errors across the boundary.

use js_sys::{
    Array, Error as JsError, Float32Array, Object, Reflect, Uint32Array, Uint8Array,
    Uint8ClampedArray,
};
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::Value;
use wasm_bindgen::prelude::*;

use crate::error::{Error, Result};
use crate::tasks::{Buffer, Input, TaskOutput};
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
pub fn read_json(value: JsValue, what: &str) -> Result<Value> {
    if value.is_undefined() || value.is_null() {
        return Ok(Value::Null);
    }
    read(value, what)
}

/// Plain data as JavaScript objects.
pub fn write<T: Serialize + ?Sized>(value: &T) -> Result<JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|e| err!(Code::Internal, "a result does not cross into JavaScript: {e}"))
}

/// The name that stands in JSON for bulk numbers beside it.
const BUFFER: &str = "$buffer";

/// A typed array's numbers, if `value` is one that crosses.
fn buffer(value: &JsValue) -> Result<Option<Buffer>> {
    if !js_sys::ArrayBuffer::is_view(value) {
        return Ok(None);
    }
    Ok(Some(if let Some(array) = value.dyn_ref::<Uint8Array>() {
        Buffer::U8(array.to_vec())
    } else if let Some(array) = value.dyn_ref::<Uint8ClampedArray>() {
        Buffer::U8(array.to_vec())
    } else if let Some(array) = value.dyn_ref::<Float32Array>() {
        Buffer::F32(array.to_vec())
    } else if let Some(array) = value.dyn_ref::<Uint32Array>() {
        Buffer::U32(array.to_vec())
    } else {
        let error = err!(Code::Input, "a typed array of another kind than u8, u32 and f32");
        return Err(error.remedy("pass a Uint8Array, Uint32Array or Float32Array"));
    }))
}

/// `value` with every typed array moved to `buffers`; itself where it holds none.
fn extract(value: &JsValue, buffers: &mut Vec<Buffer>) -> Result<JsValue> {
    if !value.is_object() {
        return Ok(value.clone());
    }
    if let Some(found) = buffer(value)? {
        let stand_in = Object::new();
        set(&stand_in, BUFFER, buffers.len() as f64);
        buffers.push(found);
        return Ok(stand_in.into());
    }
    if let Some(list) = value.dyn_ref::<Array>() {
        let list = list.iter().map(|item| extract(&item, buffers)).collect::<Result<Array>>()?;
        return Ok(list.into());
    }
    let copy = Object::new();
    for entry in Object::entries(value.unchecked_ref()).iter() {
        let entry: Array = entry.unchecked_into();
        drop(Reflect::set(&copy, &entry.get(0), &extract(&entry.get(1), buffers)?));
    }
    Ok(copy.into())
}

/// Reads JSON-like data with typed arrays in it.
pub fn input(value: &JsValue, what: &str) -> Result<Input> {
    let mut buffers = Vec::new();
    let value = read_json(extract(value, &mut buffers)?, what)?;
    Ok(Input { value, buffers })
}

/// Puts the typed arrays back in place of what stands for them.
fn revive(value: JsValue, buffers: &[JsValue]) -> JsValue {
    if let Some(list) = value.dyn_ref::<Array>() {
        return list.iter().map(|item| revive(item, buffers)).collect::<Array>().into();
    }
    let Some(object) = value.dyn_ref::<Object>() else { return value };
    for entry in Object::entries(object).iter() {
        let entry: Array = entry.unchecked_into();
        if entry.get(0) == BUFFER {
            let at = entry.get(1).as_f64().unwrap_or(0.0) as usize;
            return buffers.get(at).cloned().unwrap_or_default();
        }
        drop(Reflect::set(object, &entry.get(0), &revive(entry.get(1), buffers)));
    }
    value
}

/// JSON with bulk numbers as JavaScript values.
pub fn media(value: &Value, buffers: &[Buffer]) -> Result<JsValue> {
    let array = |buffer: &Buffer| match buffer {
        Buffer::U8(data) => Uint8Array::from(data.as_slice()).into(),
        Buffer::U32(data) => Uint32Array::from(data.as_slice()).into(),
        Buffer::F32(data) => Float32Array::from(data.as_slice()).into(),
    };
    let arrays: Vec<JsValue> = buffers.iter().map(array).collect();
    let value = write(value)?;
    Ok(if arrays.is_empty() { value } else { revive(value, &arrays) })
}

/// A task's result; tensors keep their numbers in a `Float32Array`.
pub fn output(output: TaskOutput) -> Result<JsValue> {
    match output {
        TaskOutput::Json(value) => write(&value),
        TaskOutput::Media { value, buffers } => media(&value, &buffers),
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
