//! The options of a call: what concerns the pipeline, and the rest, which `generate` reads.

use serde_json::{Map, Value};

use crate::error::Result;
use crate::{err, Code};

/// A call's options, from which each reader takes its own.
pub struct Options(pub Map<String, Value>);

impl Options {
    pub fn new(task: &str, options: Value) -> Result<Self> {
        let mut map = match options {
            Value::Null => Map::new(),
            Value::Object(map) => map,
            _ => {
                return Err(err!(Code::Input, "the options of {task} are no object")
                    .remedy("pass an object"))
            }
        };
        // Read by the caller of the pipeline.
        map.remove("profile");
        Ok(Options(map))
    }

    fn take<T>(
        &mut self,
        name: &str,
        read: impl Fn(&Value) -> Option<T>,
        wanted: &str,
    ) -> Result<Option<T>> {
        let Some(value) = self.0.remove(name).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(err!(Code::Input, "{name} is {value}").remedy(format!("pass {wanted}"))),
        }
    }

    pub fn bool(&mut self, name: &str) -> Result<Option<bool>> {
        self.take(name, Value::as_bool, "true or false")
    }

    pub fn on(&mut self, name: &str) -> Result<bool> {
        Ok(self.bool(name)?.unwrap_or(false))
    }

    pub fn string(&mut self, name: &str) -> Result<Option<String>> {
        self.take(name, |value| value.as_str().map(str::to_string), "a string")
    }

    /// Texts of a batch that run together; all of them where nothing is said.
    pub fn batch_size(&mut self) -> Result<usize> {
        let read = |value: &Value| value.as_u64().filter(|n| *n > 0).map(|n| n as usize);
        let size = self.take("batch_size", read, "a whole number, at least 1")?;
        Ok(size.unwrap_or(usize::MAX))
    }
}
