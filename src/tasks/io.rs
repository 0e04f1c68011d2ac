//! Options and inputs from JSON, with errors that say what was expected.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::{err, Code};

/// Declares a task's options: each field with its default. Every task also takes `batch_size` and
/// `profile`; unknown names are errors that list the known ones.
macro_rules! options {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$doc:meta])* $field:ident : $type:ty = $default:expr ),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $( $(#[$doc])* pub $field: $type, )*
            /// Sequences that the model reads at a time, at most. Results do not depend on it.
            pub batch_size: Option<usize>,
            /// Measure each op; read by the caller of the pipeline.
            pub profile: bool,
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $( $field: $default, )* batch_size: None, profile: false }
            }
        }
    };
}
pub(super) use options;

/// One input or a list of them; the result has the same form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Inputs<T> {
    pub list: Vec<T>,
    pub single: bool,
}

impl<T> Inputs<T> {
    /// The result for a list, or its only element.
    pub fn shape(&self, mut results: Vec<Value>) -> Value {
        match results.pop() {
            Some(only) if self.single => only,
            Some(last) => {
                results.push(last);
                Value::Array(results)
            }
            None => Value::Array(results),
        }
    }
}

/// A string or a list of them, where a task takes either.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(untagged)]
pub enum Strings {
    One(String),
    Many(Vec<String>),
}

impl Strings {
    pub fn as_slice(&self) -> &[String] {
        match self {
            Strings::One(string) => std::slice::from_ref(string),
            Strings::Many(list) => list,
        }
    }
}

/// Reads inputs; `expected` says in words what each must be.
pub(super) fn inputs<T: DeserializeOwned>(value: Value, expected: &str) -> Result<Inputs<T>> {
    let (values, single) = match value {
        Value::Array(values) => (values, false),
        value => (vec![value], true),
    };
    let mut list = Vec::with_capacity(values.len());
    for (i, value) in values.into_iter().enumerate() {
        let kind = kind(&value);
        list.push(serde_json::from_value(value).map_err(|_| {
            let which = if single { "the input".to_string() } else { format!("input {i}") };
            err!(Code::Input, "{which} is {kind}").remedy(format!("pass {expected}"))
        })?);
    }
    Ok(Inputs { list, single })
}

/// Reads options; null counts as absent where no option has that meaning.
pub(super) fn parse<T: DeserializeOwned + Default>(task: &str, options: Value) -> Result<T> {
    if options.is_null() {
        return Ok(T::default());
    }
    if !options.is_object() {
        return Err(err!(Code::Input, "the options of {task} are {}", kind(&options))
            .remedy("pass an object"));
    }
    serde_json::from_value(options).map_err(|e| err!(Code::Input, "option of {task}: {e}"))
}

/// An option that must be at least 1.
pub(super) fn positive(name: &str, value: usize) -> Result<usize> {
    if value == 0 {
        return Err(err!(Code::Input, "{name} is 0").remedy(format!("{name} must be at least 1")));
    }
    Ok(value)
}

/// Serializes a result.
pub(super) fn json<T: serde::Serialize>(value: T) -> Result<Value> {
    serde_json::to_value(value).map_err(|e: serde_json::Error| -> Error {
        err!(Code::Internal, "a result does not serialize: {e}")
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object of another form",
    }
}
