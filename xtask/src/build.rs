//! `cargo xtask build`: two wasm builds, each through wasm-bindgen and wasm-opt, then the package.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::npm::NpmFolder;
use crate::options::Options;
use crate::paths;
use crate::setup::{self, Bindgen, WasmToolchain, TARGET};
use crate::sh::{heading, io_failure, Cmd, Failure, Result};
use crate::size;

/// One build of the engine. The page picks one by probing what its browser can do.
#[derive(Clone, Copy)]
pub struct Variant {
    /// The folder in `target/wasm/`.
    pub name: &'static str,
    pub features: &'static str,
}

pub const VARIANTS: [Variant; 2] = [
    Variant { name: "simd", features: "+simd128" },
    Variant { name: "relaxed", features: "+simd128,+relaxed-simd" },
];

/// What wasm-opt may rely on: what every browser with `simd128` has, and for the second build
/// relaxed SIMD (wasm-opt refuses instructions of a feature that is not named).
const WASM_OPT: [&str; 10] = [
    "-O3",
    "--enable-simd",
    "--enable-relaxed-simd",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
    "--strip-producers",
];

/// How far a build goes.
#[derive(Clone, Copy)]
pub struct Extent {
    pub optimize: bool,
    pub package: bool,
}

pub fn run(mut options: Options) -> Result {
    let extent =
        Extent { optimize: !options.flag("--no-opt"), package: !options.flag("--wasm-only") };
    options.end()?;
    build(extent)
}

pub fn build(extent: Extent) -> Result {
    setup::node()?;
    let toolchain = WasmToolchain::ensure()?;
    let bindgen = Bindgen::ensure()?;
    let js = NpmFolder::find("js");
    if let Some(js) = &js {
        js.install()?;
    }
    let wasm_opt = match &js {
        Some(js) if extent.optimize => Some(js.program("wasm-opt")),
        _ => None,
    };
    for variant in VARIANTS {
        heading(&format!("wasm: {}", variant.name));
        build_variant(variant, toolchain, &bindgen, wasm_opt.as_deref())?;
    }
    if extent.package {
        let js = js.ok_or_else(|| Failure::new("there is no js/package.json"))?;
        heading("npm package");
        js.script("build").run()?;
        size::report(extent.optimize)?;
    }
    Ok(())
}

/// Leaves `tareas.js`, `tareas.d.ts`, `tareas_bg.wasm` and `tareas_bg.wasm.d.ts` in
/// `target/wasm/NAME`.
fn build_variant(
    variant: Variant,
    toolchain: WasmToolchain,
    bindgen: &Bindgen,
    wasm_opt: Option<&Path>,
) -> Result {
    toolchain
        .command("cargo")
        .args(["build", "--release", "--package", "tareas", "--lib", "--target", TARGET])
        .env("RUSTFLAGS", format!("-C target-feature={}", variant.features))
        .run()?;
    let compiled = paths::cargo_target().join(TARGET).join("release/tareas.wasm");
    let out = paths::wasm_out().join(variant.name);
    let stamp = Stamp::new(&compiled, &out, &bindgen.version, wasm_opt)?;
    if stamp.is_current() {
        println!("{} is up to date", out.display());
        return Ok(());
    }
    Cmd::new(bindgen.wasm_bindgen())
        // Without a default path: the loader in js/ picks one of the two builds and passes it.
        .args(["--target", "web", "--omit-default-module-path", "--out-name", "tareas"])
        .arg("--out-dir")
        .arg(&out)
        .arg(&compiled)
        .run()?;
    if let Some(wasm_opt) = wasm_opt {
        let wasm = out.join("tareas_bg.wasm");
        Cmd::new(wasm_opt).args(WASM_OPT).arg(&wasm).arg("-o").arg(&wasm).run()?;
    }
    stamp.write()
}

/// Tells whether wasm-bindgen and wasm-opt (half a minute) have already seen this very input.
struct Stamp {
    file: PathBuf,
    content: String,
}

impl Stamp {
    fn new(compiled: &Path, out: &Path, bindgen: &str, wasm_opt: Option<&Path>) -> Result<Self> {
        let bytes = std::fs::read(compiled).map_err(|error| io_failure("read", compiled, error))?;
        let mut hasher = std::hash::DefaultHasher::new();
        bytes.hash(&mut hasher);
        let optimized = if wasm_opt.is_some() { WASM_OPT.join(" ") } else { "none".into() };
        let content =
            format!("{:016x}\nwasm-bindgen {bindgen}\nwasm-opt {optimized}\n", hasher.finish());
        Ok(Self { file: out.join(".stamp"), content })
    }

    fn is_current(&self) -> bool {
        std::fs::read_to_string(&self.file).is_ok_and(|found| found == self.content)
    }

    fn write(&self) -> Result {
        std::fs::write(&self.file, &self.content)
            .map_err(|error| io_failure("write", &self.file, error))
    }
}
