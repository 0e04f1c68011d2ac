//! What a running call may ask of its caller.

use std::future::{ready, Future};
use std::pin::Pin;

use serde_json::Value;

use super::Input;
use crate::error::Result;
use crate::{err, Code};

/// An answer that is on its way.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Input>> + 'a>>;

/// The caller's end of a running call.
pub trait Host {
    /// Sends a piece of the answer ahead: a token, a word.
    fn emit(&mut self, piece: Value) -> Result<()>;

    /// Asks the caller something that only its code knows: what a custom logits processor makes of
    /// these scores.
    fn ask(&mut self, question: Input) -> Answer<'_>;
}

/// A caller that waits for the whole answer and has no code of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Host for Silent {
    fn emit(&mut self, _: Value) -> Result<()> {
        Ok(())
    }

    fn ask(&mut self, question: Input) -> Answer<'_> {
        let error = err!(Code::Internal, "nobody answers {}", question.value);
        Box::pin(ready(Err(error)))
    }
}
