//! Browsers and the software GPU, for the tests alone.

use std::fmt;
use std::path::{Path, PathBuf};

use super::apt;
use crate::sh::{which, Cmd, Result};

/// Where the browsers of the tests are.
pub struct Browsers {
    pub chromium: PathBuf,
    pub chromedriver: PathBuf,
    pub firefox: PathBuf,
}

impl Browsers {
    /// Finds the browsers, or installs Debian's.
    pub fn ensure() -> Result<Self> {
        let mut missing = Vec::new();
        let chromium = first_of(&["chromium", "google-chrome", "google-chrome-stable"]);
        let chromedriver = first_of(&["chromedriver"]);
        let firefox = first_of(&["firefox-esr", "firefox"]);
        let needs = [
            ("chromium", chromium.is_some()),
            ("chromium-driver", chromedriver.is_some()),
            ("firefox-esr", firefox.is_some()),
            // Chromium brings SwiftShader, a Vulkan driver; this is the loader that finds it.
            ("libvulkan1", has_vulkan_loader()),
        ];
        missing.extend(needs.iter().filter(|(_, there)| !there).map(|(name, _)| *name));
        if !missing.is_empty() {
            apt::install(&missing, "the browser tests")?;
        }
        Ok(Self {
            chromium: chromium.unwrap_or_else(|| "/usr/bin/chromium".into()),
            chromedriver: chromedriver.unwrap_or_else(|| "/usr/bin/chromedriver".into()),
            firefox: firefox.unwrap_or_else(|| "/usr/bin/firefox-esr".into()),
        })
    }

    /// Tells a test or bench script where the browsers are.
    pub fn announce(&self, command: Cmd) -> Cmd {
        command.env("FIREFOX", &self.firefox).env("CHROMIUM", &self.chromium)
    }
}

impl fmt::Display for Browsers {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}, {}", self.chromium.display(), self.firefox.display())
    }
}

/// The description file of a software Vulkan driver, so that the native GPU tests run the same on
/// every machine.
pub fn software_vulkan() -> Option<PathBuf> {
    const DRIVERS: [&str; 2] = [
        "/usr/lib/chromium/vk_swiftshader_icd.json",
        "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json",
    ];
    DRIVERS.iter().map(PathBuf::from).find(|file| file.is_file())
}

fn has_vulkan_loader() -> bool {
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
        .iter()
        .any(|dir| Path::new(dir).join("libvulkan.so.1").exists())
}

fn first_of(programs: &[&str]) -> Option<PathBuf> {
    programs.iter().find_map(|program| which(program))
}
