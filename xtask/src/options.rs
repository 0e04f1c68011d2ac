//! The options after a command's name.

use crate::sh::{Failure, Result};

/// Options not yet taken; each command takes its own and then calls [`Options::end`].
pub struct Options {
    rest: Vec<String>,
}

impl Options {
    pub fn new(rest: Vec<String>) -> Self {
        Self { rest }
    }

    /// Takes `--name`; false where it was not given.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.rest.len();
        self.rest.retain(|arg| arg != name);
        self.rest.len() < before
    }

    /// Takes `--name VALUE` or `--name=VALUE`, as often as it was given.
    pub fn values(&mut self, name: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut kept = Vec::new();
        let mut args = std::mem::take(&mut self.rest).into_iter();
        while let Some(arg) = args.next() {
            if arg == name {
                let missing = || Failure::new(format!("{name} needs a value"));
                found.push(args.next().ok_or_else(missing)?);
            } else if let Some(value) = arg.strip_prefix(name).and_then(|v| v.strip_prefix('=')) {
                found.push(value.to_string());
            } else {
                kept.push(arg);
            }
        }
        self.rest = kept;
        Ok(found)
    }

    /// Everything not taken, for a command that hands its options on.
    pub fn remaining(self) -> Vec<String> {
        self.rest
    }

    /// Fails where something was not taken.
    pub fn end(self) -> Result {
        match self.rest.first() {
            None => Ok(()),
            Some(arg) => Err(Failure::new(format!("this command does not know `{arg}`"))
                .remedy("`cargo xtask help` lists the options")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Options {
        Options::new(args.iter().map(|arg| arg.to_string()).collect())
    }

    #[test]
    fn flags_and_values_are_taken_wherever_they_stand() {
        let mut given = options(&["--only", "js", "--no-build", "--only=wasm"]);
        assert!(given.flag("--no-build"));
        assert!(!given.flag("--isolated"));
        assert_eq!(given.values("--only").unwrap(), ["js", "wasm"]);
        assert!(given.end().is_ok());
    }

    #[test]
    fn what_nobody_took_is_an_error() {
        assert!(options(&["--prot", "80"]).end().is_err());
        assert!(options(&["--only"]).values("--only").is_err());
    }
}
