//! Finds what the other commands need, and installs what is missing. Quick when nothing is.

mod apt;
mod bindgen;
mod browsers;
mod toolchain;

pub use bindgen::Bindgen;
pub use browsers::{software_vulkan, Browsers};
pub use toolchain::{WasmToolchain, TARGET};

use crate::options::Options;
use crate::sh::{heading, which, Cmd, Failure, Result};

/// `cargo xtask setup`: everything, the browsers for the tests included.
pub fn run(options: Options) -> Result {
    options.end()?;
    heading("setup");
    let toolchain = WasmToolchain::ensure()?;
    println!("wasm toolchain: {toolchain}");
    let bindgen = Bindgen::ensure()?;
    println!("wasm-bindgen: {}", bindgen.wasm_bindgen().display());
    println!("node: {}", node()?);
    let browsers = Browsers::ensure()?;
    println!("browsers: {browsers}");
    match software_vulkan() {
        Some(icd) => println!("software Vulkan: {}", icd.display()),
        None => println!("software Vulkan: none; the native GPU tests use the machine's own"),
    }
    Ok(())
}

/// The version of node, which must be 20 or newer.
pub fn node() -> Result<String> {
    let remedy = "install Node 20 or newer, npm with it";
    if which("npm").is_none() {
        return Err(Failure::new("npm is not on the PATH").remedy(remedy));
    }
    let version = Cmd::new("node").arg("--version").remedy(remedy).read()?;
    let major =
        version.trim_start_matches('v').split('.').next().and_then(|v| v.parse::<u32>().ok());
    match major {
        Some(major) if major < 20 => {
            Err(Failure::new(format!("node is {version}, and 20 is needed")).remedy(remedy))
        }
        _ => Ok(version),
    }
}
