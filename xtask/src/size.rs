//! The size of what a browser downloads: one of the wasm builds, and the JavaScript beside it.

use std::path::{Path, PathBuf};

use crate::paths;
use crate::sh::{io_failure, Cmd, Failure, Result};

/// What a page may download, as served with brotli. The aim is 1.0 MB, and 3.5 raw; four families
/// take 1.16 and 4.16, and this limit keeps it from growing until that is brought down again.
const BROTLI_BUDGET: u64 = 1_180_000;
/// The same, as it lies on the disk.
const RAW_BUDGET: u64 = 4_200_000;

/// Every bundle is whole, so that a page which copies files by hand copies few. A page loads those
/// of one of these ways, and the worklet when it listens to a microphone; never two of them.
const WAYS: [(&str, &[&str]); 3] = [
    ("in a worker", &["index.js", "worker.js", "worklet.js"]),
    ("on the page's thread", &["index.js", "core.js", "worklet.js"]),
    ("in a service worker", &["inline.js", "worklet.js"]),
];

/// What no browser loads.
const NODE_ONLY: [&str; 4] = ["node.js", "node-core.js", "node-worker.js", "cli.js"];

/// Prints `raw gzip brotli` of each file named as an argument; node's zlib has both.
const MEASURE: &str = "\
const { readFileSync } = require('fs'), zlib = require('zlib');
for (const file of process.argv.slice(1)) {
  const raw = readFileSync(file);
  const params = { [zlib.constants.BROTLI_PARAM_SIZE_HINT]: raw.length };
  console.log(raw.length, zlib.gzipSync(raw, { level: 9 }).length,
    zlib.brotliCompressSync(raw, { params }).length);
}";

#[derive(Clone, Copy, Default)]
struct Size {
    raw: u64,
    gzip: u64,
    brotli: u64,
}

impl Size {
    fn plus(self, other: Self) -> Self {
        Self {
            raw: self.raw + other.raw,
            gzip: self.gzip + other.gzip,
            brotli: self.brotli + other.brotli,
        }
    }
}

/// Prints the sizes of what is in `pkg/`. With `enforce`, a size over the budget is an error.
pub fn report(enforce: bool) -> Result {
    let pkg = paths::root().join("pkg");
    let mut files = Vec::new();
    collect(&pkg, &mut files)?;
    files.sort();
    let named: Vec<(String, Size)> = files
        .iter()
        .map(|file| file.strip_prefix(&pkg).unwrap_or(file).display().to_string())
        .zip(measure(&files)?)
        .collect();
    println!("\n{:44} {:>10} {:>10} {:>10}", "", "raw", "gzip", "brotli");
    for (name, size) in &named {
        show(name, *size);
    }
    let wasm = named
        .iter()
        .filter(|(name, _)| name.ends_with(".wasm"))
        .map(|(_, size)| *size)
        .max_by_key(|size| size.brotli)
        .unwrap_or_default();
    let scripts = |(name, _): &&(String, Size)| !name.ends_with(".wasm");
    for (name, _) in named.iter().filter(scripts) {
        if !WAYS.iter().any(|(_, way)| way.contains(&name.as_str())) {
            return Err(Failure::new(format!("who loads pkg/{name}?"))
                .remedy("add it to WAYS or to NODE_ONLY in xtask/src/size.rs"));
        }
    }
    let mut over = false;
    for (way, scripts) in WAYS {
        let total = named
            .iter()
            .filter(|(name, _)| scripts.contains(&name.as_str()))
            .fold(wasm, |total, (_, size)| total.plus(*size));
        show(&format!("a page with the engine {way}"), total);
        over |= total.brotli > BROTLI_BUDGET || total.raw > RAW_BUDGET;
    }
    println!("{:44} {RAW_BUDGET:>10} {:>10} {BROTLI_BUDGET:>10}", "budget", "");
    if enforce && over {
        return Err(Failure::new("the download is over its budget")
            .remedy("look for what grew: `twiggy top`, or `wasm-opt --func-metrics`"));
    }
    Ok(())
}

fn show(name: &str, size: Size) {
    println!("{name:44} {:>10} {:>10} {:>10}", size.raw, size.gzip, size.brotli);
}

/// The .wasm and .js files under `dir` that a browser may load.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result {
    let entries = std::fs::read_dir(dir).map_err(|error| io_failure("list", dir, error))?;
    for entry in entries {
        let path = entry.map_err(|error| io_failure("list", dir, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "node_modules" {
                collect(&path, files)?;
            }
        } else if [".wasm", ".js", ".mjs"].iter().any(|extension| name.ends_with(extension))
            && !NODE_ONLY.contains(&name.as_str())
        {
            files.push(path);
        }
    }
    Ok(())
}

fn measure(files: &[PathBuf]) -> Result<Vec<Size>> {
    let text = Cmd::new("node").arg("--eval").arg(MEASURE).args(files).read()?;
    let sizes: Vec<Size> = text
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split(' ').map(|number| number.parse().ok());
            Some(Size { raw: numbers.next()??, gzip: numbers.next()??, brotli: numbers.next()?? })
        })
        .collect();
    if sizes.len() != files.len() {
        return Err(Failure::new(format!(
            "node measured {} of {} files",
            sizes.len(),
            files.len()
        )));
    }
    Ok(sizes)
}
