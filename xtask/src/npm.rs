//! The folders with a package.json: `js/`, `www/`, `pkg-tests/`, `bench/`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::paths;
use crate::sh::{Cmd, Result};

/// A folder of the repository with a package.json.
pub struct NpmFolder {
    dir: PathBuf,
}

impl NpmFolder {
    /// None where there is no package.json.
    pub fn find(name: &str) -> Option<Self> {
        let dir = paths::root().join(name);
        dir.join("package.json").is_file().then_some(Self { dir })
    }

    /// Installs the locked packages, unless they are there already.
    pub fn install(&self) -> Result {
        let wanted = modified(&self.dir.join("package-lock.json"));
        // npm writes this file at the end of an install.
        let installed = modified(&self.dir.join("node_modules/.package-lock.json"));
        if wanted.is_none() || installed >= wanted {
            return Ok(());
        }
        self.npm(["ci", "--no-audit", "--no-fund"])
            .remedy("see that package.json and package-lock.json agree: run `npm install` there")
            .run()
    }

    /// True where package.json has this script.
    pub fn has_script(&self, script: &str) -> bool {
        let key = format!("scripts.{script}");
        // `npm pkg get` prints {} for what is not there.
        self.npm(["pkg", "get", &key]).read().is_ok_and(|found| found != "{}")
    }

    pub fn script(&self, script: &str) -> Cmd {
        self.npm(["run", script])
    }

    /// A program that one of its packages brings.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join("node_modules/.bin").join(name)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn npm<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Cmd {
        Cmd::new("npm").args(args).dir(&self.dir)
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    file.metadata().ok()?.modified().ok()
}
