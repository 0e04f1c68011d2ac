//! A Rust toolchain that builds for wasm32-unknown-unknown.
//!
//! The ordinary way is `rustup target add`. Where rustup's server is out of reach, Debian's
//! compiler (the one it builds its browsers with) serves: it comes with the sources of the standard
//! library but with no wasm build of it, so cargo builds that too.

use std::fmt;
use std::path::Path;

use super::apt;
use crate::sh::{which, Cmd, Failure, Result};

pub const TARGET: &str = "wasm32-unknown-unknown";

/// `lld-22` is beside `rust-web-llvm` because `/usr/bin/rust-lld` is a link to it.
const DEBIAN: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22"];

/// The name under which rustup knows Debian's compiler.
const LINKED: &str = "web";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WasmToolchain {
    /// The active toolchain with its wasm target.
    Rustup,
    /// Debian's compiler, with the standard library built from source.
    Debian,
}

impl WasmToolchain {
    /// Finds a toolchain, or installs one. `TAREAS_WASM_TOOLCHAIN=debian` skips rustup's, so that
    /// the fallback can be tried where rustup's works.
    pub fn ensure() -> Result<Self> {
        let wanted = std::env::var("TAREAS_WASM_TOOLCHAIN").unwrap_or_default();
        match wanted.as_str() {
            "debian" => return Self::ensure_debian(),
            "" | "rustup" => {}
            other => {
                return Err(Failure::new(format!("TAREAS_WASM_TOOLCHAIN is `{other}`"))
                    .remedy("set it to rustup or debian, or leave it out"))
            }
        }
        if has_rustup_target() {
            return Ok(Self::Rustup);
        }
        if wanted.is_empty() && has_debian() {
            return Ok(Self::Debian);
        }
        if which("rustup").is_none() {
            return Err(Failure::new(format!("the Rust on the PATH cannot build for {TARGET}"))
                .remedy("install Rust through https://rustup.rs, then run this again"));
        }
        match Cmd::new("rustup").args(["target", "add", TARGET]).run() {
            Ok(()) if has_rustup_target() => Ok(Self::Rustup),
            Ok(()) => {
                Err(Failure::new(format!("rustup added {TARGET}, but `rustc` does not find it"))
                    .remedy("see that `which rustc` is rustup's, and not the system's"))
            }
            Err(failure) if wanted.is_empty() => {
                println!("{failure}\nfalling back to Debian's compiler");
                Self::ensure_debian()
            }
            Err(failure) => Err(failure),
        }
    }

    fn ensure_debian() -> Result<Self> {
        if !has_debian() {
            apt::install(&DEBIAN, "building to wasm without rustup's wasm target")?;
            Cmd::new("rustup").args(["toolchain", "link", LINKED, "/usr"]).run()?;
        }
        Ok(Self::Debian)
    }

    /// A command that builds with this toolchain: cargo itself, or something that calls cargo.
    pub fn command(self, program: &str) -> Cmd {
        match self {
            Self::Rustup => Cmd::new(program),
            Self::Debian => Cmd::new(program)
                .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTUP_TOOLCHAIN", LINKED),
        }
    }
}

impl fmt::Display for WasmToolchain {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Rustup => "the active one, with rustup's wasm target",
            Self::Debian => "Debian's rustc-web, with the standard library built from source",
        })
    }
}

fn has_rustup_target() -> bool {
    Cmd::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .read()
        .is_ok_and(|dir| Path::new(&dir).is_dir())
}

fn has_debian() -> bool {
    let linked = Cmd::new("rustup")
        .args(["toolchain", "list"])
        .read()
        .is_ok_and(|list| list.lines().any(|line| line.split_whitespace().next() == Some(LINKED)));
    linked && apt::has(&DEBIAN)
}
