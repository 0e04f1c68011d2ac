//! Running other programs: each command is shown before it runs, and a failure says what failed
//! and what to do about it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::paths;

/// What went wrong, and what the reader can do about it.
#[derive(Debug)]
pub struct Failure {
    what: String,
    remedy: Option<String>,
}

pub type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: None }
    }

    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  what to do: {remedy}"),
            None => Ok(()),
        }
    }
}

/// Adds the file or folder to an I/O error, which does not name it by itself.
pub fn io_failure(doing: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::new(format!("could not {doing} {}: {error}", path.display()))
}

/// Numbers of tests, as the runners report them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
}

/// A command line: built, shown, then run.
pub struct Cmd {
    command: Command,
    shown: String,
    dir: Option<PathBuf>,
    remedy: Option<String>,
}

impl Cmd {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        // `cargo xtask` runs inside cargo, whose variables would steer the cargo started below.
        for name in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "RUSTC", "RUSTDOC"] {
            command.env_remove(name);
        }
        Self { command, shown: program.to_string_lossy().into_owned(), dir: None, remedy: None }
            .dir(&paths::root())
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let text = arg.as_ref().to_string_lossy().into_owned();
        self.shown.push(' ');
        if text.contains([' ', '"', ';', '*']) {
            self.shown.push_str(&format!("'{text}'"));
        } else {
            self.shown.push_str(&text);
        }
        self.command.arg(arg);
        self
    }

    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(self, args: I) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Sets a variable and shows it before the command, as a shell would have it.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let text = value.as_ref().to_string_lossy().into_owned();
        let quote = if text.contains(' ') { "'" } else { "" };
        self.shown = format!("{name}={quote}{text}{quote} {}", self.shown);
        self.command.env(name, value);
        self
    }

    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self.dir = Some(dir.to_path_buf());
        self
    }

    /// What the reader should do if this command fails.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Runs with this terminal's input and output.
    pub fn run(mut self) -> Result {
        self.show();
        let status = self.command.status();
        self.judge(status)
    }

    /// Runs without a word and returns standard output; an error if it fails or is not there.
    pub fn read(mut self) -> Result<String> {
        let output = self.command.stderr(Stdio::null()).output();
        match output {
            Ok(output) if output.status.success() => {
                Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
            }
            Ok(output) => self.judge(Ok(output.status)).map(|()| String::new()),
            Err(error) => self.judge(Err(error)).map(|()| String::new()),
        }
    }

    /// Runs, passes the output on line by line, and adds up the tests that its closing lines
    /// report. A command that fails comes back as an error beside the counts.
    pub fn run_counting(mut self) -> (Counts, Result) {
        self.show();
        if std::io::stdout().is_terminal() {
            // Programs see a pipe, not the terminal, and would drop their colours.
            self.command.env("CARGO_TERM_COLOR", "always").env("FORCE_COLOR", "1");
        }
        let mut counts = Counts::default();
        let mut child = match self.command.stdout(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => return (counts, self.judge(Err(error))),
        };
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).split(b'\n').map_while(|line| line.ok()) {
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                if let Some(found) = closing_line(&line) {
                    counts.passed += found.passed;
                    counts.failed += found.failed;
                }
            }
        }
        (counts, self.judge(child.wait()))
    }

    fn show(&self) {
        let place = self.dir.as_deref().and_then(|dir| dir.strip_prefix(paths::root()).ok());
        match place.filter(|dir| !dir.as_os_str().is_empty()) {
            Some(dir) => println!("$ (cd {}) {}", dir.display(), self.shown),
            None => println!("$ {}", self.shown),
        }
    }

    fn judge(&self, outcome: std::io::Result<std::process::ExitStatus>) -> Result {
        let what = match outcome {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => format!("`{}` failed ({status})", self.shown),
            Err(error) => format!("`{}` could not be started: {error}", self.shown),
        };
        let failure = Failure::new(what);
        Err(match &self.remedy {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        })
    }
}

/// Reads the counts out of a closing line of cargo test, wasm-bindgen-test or node's test runner.
fn closing_line(line: &str) -> Option<Counts> {
    let plain = without_colours(line);
    let text = plain.trim();
    if let Some(rest) = text.strip_prefix("test result: ") {
        let number_before = |word: &str| -> Option<usize> {
            let (before, _) = rest.split_once(word)?;
            before.trim().rsplit(' ').next()?.parse().ok()
        };
        return Some(Counts {
            passed: number_before("passed")?,
            failed: number_before("failed;")?,
        });
    }
    let report = text.strip_prefix('#').or_else(|| text.strip_prefix('ℹ'))?.trim();
    let (word, number) = report.split_once(' ')?;
    let number = number.trim().parse().ok()?;
    match word {
        "pass" => Some(Counts { passed: number, failed: 0 }),
        "fail" => Some(Counts { passed: 0, failed: number }),
        _ => None,
    }
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(|c| c.is_ascii_alphabetic());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Where `program` is on the PATH.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Shows a heading for a step.
pub fn heading(text: &str) {
    println!("\n== {text}");
}

/// Reads all lines that pass `keep` from a file.
pub fn read_lines(path: &Path) -> Result<Vec<String>> {
    let file = std::fs::File::open(path).map_err(|error| io_failure("open", path, error))?;
    BufReader::new(file)
        .lines()
        .collect::<std::io::Result<_>>()
        .map_err(|error| io_failure("read", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_each_runner_are_counted() {
        let cargo = "test result: ok. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out";
        assert_eq!(closing_line(cargo), Some(Counts { passed: 12, failed: 3 }));
        let coloured =
            "test result: \u{1b}[31mFAILED\u{1b}(B\u{1b}[m. 0 passed; 1 failed; 0 ignored";
        assert_eq!(closing_line(coloured), Some(Counts { passed: 0, failed: 1 }));
        assert_eq!(closing_line("# pass 7"), Some(Counts { passed: 7, failed: 0 }));
        assert_eq!(
            closing_line("\u{1b}[34mℹ fail 2\u{1b}[39m"),
            Some(Counts { passed: 0, failed: 2 })
        );
        assert_eq!(closing_line("# duration_ms 7"), None);
        assert_eq!(closing_line("    Running tests/op_parity.rs"), None);
    }
}
