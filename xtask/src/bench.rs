//! `cargo xtask bench`: prepares the peers and hands over to `bench/run.mjs`.

use crate::build::{self, Extent};
use crate::npm::NpmFolder;
use crate::options::Options;
use crate::setup::Browsers;
use crate::sh::{heading, Cmd, Failure, Result};

pub fn run(mut options: Options) -> Result {
    let skip_build = options.flag("--no-build");
    let bench =
        NpmFolder::find("bench").ok_or_else(|| Failure::new("there is no bench/package.json"))?;
    if !skip_build {
        build::build(Extent { optimize: true, package: true })?;
    }
    let browsers = Browsers::ensure()?;
    heading("bench");
    bench.install()?;
    browsers
        .announce(Cmd::new("node"))
        .arg(bench.dir().join("run.mjs"))
        .args(options.remaining())
        .run()
}
