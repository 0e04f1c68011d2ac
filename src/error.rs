//! The one error type: a code to branch on, a message that names the thing and the shapes or
//! bytes involved, and a remedy that says what to do about it.

use std::fmt;

/// What went wrong, coarse enough to branch on. The string forms are part of the public API:
/// JavaScript sees them as `error.code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// `config.json` is missing a field, contradicts itself or asks for something absurd.
    Config,
    /// A checkpoint file is malformed: header, offsets, dtypes, truncated data.
    Checkpoint,
    /// A tensor is missing, unknown, or has another shape than the config says.
    Tensor,
    /// Weights hold NaN or infinity.
    NonFinite,
    /// Tokenizer files are missing or broken.
    Tokenizer,
    /// The caller's input or options are not usable.
    Input,
    /// The model, task, option or format is real but not implemented here.
    Unsupported,
    /// Shapes disagree while a model is recorded: a bug in a model file, or a config that lies.
    Shape,
    /// No usable device, or a device refused an operation.
    Device,
    /// The GPU device was lost (driver reset, tab suspended).
    DeviceLost,
    /// An allocation failed on the device or in wasm memory.
    OutOfMemory,
    /// The caller aborted.
    Aborted,
    /// The pipeline was disposed.
    Disposed,
    /// A bug in this library.
    Internal,
}

impl Code {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Config => "config",
            Code::Checkpoint => "checkpoint",
            Code::Tensor => "tensor",
            Code::NonFinite => "non_finite",
            Code::Tokenizer => "tokenizer",
            Code::Input => "input",
            Code::Unsupported => "unsupported",
            Code::Shape => "shape",
            Code::Device => "device",
            Code::DeviceLost => "device_lost",
            Code::OutOfMemory => "out_of_memory",
            Code::Aborted => "aborted",
            Code::Disposed => "disposed",
            Code::Internal => "internal",
        }
    }
}

/// An error of this library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    /// What is wrong, with the names and the shapes or bytes involved.
    pub message: String,
    /// What the reader can do about it; empty where the message says it all.
    pub remedy: String,
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), remedy: String::new() }
    }

    /// Adds what to do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, " ({})", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// `err!(Code::Input, "text {i} is empty")`: an [`Error`] with a formatted message.
#[macro_export]
macro_rules! err {
    ($code:expr, $($message:tt)*) => {
        $crate::error::Error::new($code, format!($($message)*))
    };
}
