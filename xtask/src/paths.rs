//! Where things are in the repository.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Cargo's build folder: `target/`, or where CARGO_TARGET_DIR says.
pub fn cargo_target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The finished wasm builds, one folder each. Always inside the repository, also when cargo's
/// build folder is elsewhere: `js/` reads them from here.
pub fn wasm_out() -> PathBuf {
    root().join("target/wasm")
}

/// Tools installed by `cargo xtask setup`.
pub fn tools() -> PathBuf {
    root().join("target/tools")
}
