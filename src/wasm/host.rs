//! The caller's end of a running call, as JavaScript functions.

use js_sys::{Function, Promise, Reflect};
use serde_json::Value;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::convert;
use crate::error::Result;
use crate::tasks::{Answer, Host, Input};
use crate::{err, Code};

/// `{ piece?: (piece) => void, ask?: (question) => answer | Promise<answer> }`.
pub struct JsHost {
    piece: Option<Function>,
    ask: Option<Function>,
}

impl JsHost {
    pub fn new(host: &JsValue) -> Self {
        let function =
            |name: &str| Reflect::get(host, &name.into()).ok().and_then(|f| f.dyn_into().ok());
        JsHost { piece: function("piece"), ask: function("ask") }
    }
}

fn threw(what: &str, error: &JsValue) -> crate::Error {
    let message = error.dyn_ref::<js_sys::Error>().map(|e| String::from(e.message()));
    err!(Code::Input, "{what} threw {}", message.unwrap_or_else(|| format!("{error:?}")))
}

impl Host for JsHost {
    fn emit(&mut self, piece: Value) -> Result<()> {
        let Some(function) = &self.piece else { return Ok(()) };
        let piece = convert::write(&piece)?;
        let called = function.call1(&JsValue::UNDEFINED, &piece);
        called.map(drop).map_err(|e| threw("the receiver of a piece", &e))
    }

    fn ask(&mut self, question: Input) -> Answer<'_> {
        Box::pin(async move {
            let Some(function) = &self.ask else {
                return Err(err!(Code::Internal, "nobody answers {}", question.value));
            };
            let question = convert::media(&question.value, &question.buffers)?;
            let answer = match function.call1(&JsValue::UNDEFINED, &question) {
                Ok(answer) => JsFuture::from(Promise::resolve(&answer)).await,
                thrown => thrown,
            };
            convert::input(
                &answer.map_err(|e| threw("a function of the caller", &e))?,
                "its answer",
            )
        })
    }
}
