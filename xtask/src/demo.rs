//! `cargo xtask demo`: builds everything and serves the demo site on localhost.

use crate::build::{self, Extent};
use crate::npm::NpmFolder;
use crate::options::Options;
use crate::serve::{serve, Site};
use crate::sh::{heading, Failure, Result};

pub fn run(mut options: Options) -> Result {
    let isolated = options.flag("--isolated");
    let skip_build = options.flag("--no-build");
    let port = match options.values("--port")?.pop() {
        None => 8080,
        Some(text) => text.parse().map_err(|_| {
            Failure::new(format!("--port {text} is no port")).remedy("give a number up to 65535")
        })?,
    };
    options.end()?;

    let www = NpmFolder::find("www").ok_or_else(|| Failure::new("there is no www/package.json"))?;
    if !skip_build {
        build::build(Extent { optimize: true, package: true })?;
        build_site(&www)?;
    }
    let dist = www.dir().join("dist");
    if !dist.join("index.html").is_file() {
        return Err(Failure::new(format!("{} has no index.html", dist.display()))
            .remedy("run `cargo xtask demo` without --no-build"));
    }
    serve(Site { root: dist, isolated }, port)
}

/// Leaves the static site in `www/dist`; it takes the engine from `pkg/`.
pub fn build_site(www: &NpmFolder) -> Result {
    heading("demo site");
    www.install()?;
    www.script("build").run()
}
