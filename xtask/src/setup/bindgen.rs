//! The wasm-bindgen tools, in exactly the version of the crate: the two speak a private format.

use std::path::{Path, PathBuf};

use crate::paths;
use crate::sh::{read_lines, which, Cmd, Failure, Result};

/// The folder that holds `wasm-bindgen` and `wasm-bindgen-test-runner`.
pub struct Bindgen {
    bin: PathBuf,
    pub version: String,
}

impl Bindgen {
    /// Finds the tools in `target/tools` or on the PATH, or installs them into the former.
    pub fn ensure() -> Result<Self> {
        let version = locked_version("wasm-bindgen")?;
        let installed = paths::tools().join("bin");
        let on_path = which("wasm-bindgen").and_then(|file| file.parent().map(Path::to_path_buf));
        for bin in std::iter::once(installed.clone()).chain(on_path) {
            if has_version(&bin, &version) {
                return Ok(Self { bin, version });
            }
        }
        Cmd::new("cargo")
            .args(["install", "--locked", "wasm-bindgen-cli", "--version", &version])
            .args(["--bin", "wasm-bindgen", "--bin", "wasm-bindgen-test-runner"])
            .arg("--root")
            .arg(paths::tools())
            .remedy(format!("put wasm-bindgen {version} on the PATH"))
            .run()?;
        Ok(Self { bin: installed, version })
    }

    pub fn wasm_bindgen(&self) -> PathBuf {
        self.bin.join("wasm-bindgen")
    }

    pub fn test_runner(&self) -> PathBuf {
        self.bin.join("wasm-bindgen-test-runner")
    }
}

fn has_version(bin: &Path, version: &str) -> bool {
    ["wasm-bindgen", "wasm-bindgen-test-runner"].iter().all(|tool| {
        Cmd::new(bin.join(tool))
            .arg("--version")
            .read()
            .is_ok_and(|shown| shown.split_whitespace().nth(1) == Some(version))
    })
}

/// The version of a package in Cargo.lock.
fn locked_version(package: &str) -> Result<String> {
    let lock = paths::root().join("Cargo.lock");
    let lines = read_lines(&lock)?;
    let name = format!("name = \"{package}\"");
    lines
        .iter()
        .skip_while(|line| **line != name)
        .nth(1)
        .and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .map(str::to_string)
        .ok_or_else(|| Failure::new(format!("{} has no package {package}", lock.display())))
}
