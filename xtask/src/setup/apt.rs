//! Debian and Ubuntu packages.

use std::sync::Once;

use crate::sh::{which, Cmd, Failure, Result};

static UPDATED: Once = Once::new();

/// Installs packages, as root or through sudo. `what_for` ends the sentence "… is needed for".
pub fn install(packages: &[&str], what_for: &str) -> Result {
    if which("apt-get").is_none() {
        return Err(Failure::new(format!("this machine has no apt-get to install {packages:?}"))
            .remedy(format!(
                "install the counterparts of {} for {what_for}",
                packages.join(", ")
            )));
    }
    let mut fresh = Ok(());
    UPDATED.call_once(|| fresh = apt_get().args(["-q", "update"]).run());
    if let Err(failure) = fresh {
        println!("note: {failure}; going on with the package lists that are there");
    }
    apt_get()
        .args(["-qq", "install", "--yes", "--no-install-recommends"])
        .args(packages)
        .remedy(format!("install {} by hand; they are needed for {what_for}", packages.join(", ")))
        .run()
}

/// True where every one of `packages` is installed.
pub fn has(packages: &[&str]) -> bool {
    let Ok(states) =
        Cmd::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}\n"]).args(packages).read()
    else {
        return false;
    };
    states.lines().filter(|state| *state == "installed").count() == packages.len()
}

fn apt_get() -> Cmd {
    let is_root = Cmd::new("id").arg("-u").read().is_ok_and(|id| id == "0");
    let command = if is_root || which("sudo").is_none() {
        Cmd::new("env")
    } else {
        Cmd::new("sudo").arg("env")
    };
    command.arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get")
}
