//! `cargo xtask test`: everything, part by part, with a summary at the end.

use std::time::{Duration, Instant};

use crate::build::{self, Extent};
use crate::demo;
use crate::npm::NpmFolder;
use crate::options::Options;
use crate::setup::{self, software_vulkan, Bindgen, Browsers, WasmToolchain, TARGET};
use crate::sh::{heading, Cmd, Counts, Failure, Result};

const PARTS: [&str; 4] = ["native", "wasm", "js", "browser"];

pub fn run(mut options: Options) -> Result {
    let only = options.values("--only")?;
    options.end()?;
    if let Some(unknown) = only.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(Failure::new(format!("there is no part `{unknown}`"))
            .remedy(format!("the parts are {}", PARTS.join(", "))));
    }
    let wanted = |part: &str| only.is_empty() || only.iter().any(|given| given == part);
    let mut tally = Tally::default();
    if wanted("native") {
        native(&mut tally);
    }
    if wanted("wasm") {
        wasm(&mut tally);
    }
    let packaged = (wanted("js") || wanted("browser"))
        && tally.check("package", || build::build(Extent { optimize: true, package: true }));
    if packaged && wanted("js") {
        javascript(&mut tally);
    }
    if packaged && wanted("browser") {
        browser(&mut tally);
    }
    tally.close()
}

/// What ran so far. A step that fails does not stop the ones after it: one run shows all there is
/// to mend.
#[derive(Default)]
struct Tally {
    steps: Vec<Step>,
}

struct Step {
    name: &'static str,
    counts: Counts,
    failure: Option<Failure>,
    time: Duration,
}

impl Tally {
    /// Runs a step whose output says how many tests passed. True where it passed.
    fn tests(&mut self, name: &'static str, run: impl FnOnce() -> Result<Cmd>) -> bool {
        heading(name);
        let started = Instant::now();
        let (mut counts, outcome) = match run() {
            Ok(command) => command.run_counting(),
            Err(failure) => (Counts::default(), Err(failure)),
        };
        if outcome.is_err() && counts.failed == 0 {
            // It did not get as far as a test, or died in the middle.
            counts.failed = 1;
        }
        self.record(Step { name, counts, failure: outcome.err(), time: started.elapsed() })
    }

    /// Runs a step that counts as one test. True where it passed.
    fn check(&mut self, name: &'static str, run: impl FnOnce() -> Result) -> bool {
        heading(name);
        let started = Instant::now();
        let outcome = run();
        let failed = usize::from(outcome.is_err());
        let counts = Counts { passed: 1 - failed, failed };
        self.record(Step { name, counts, failure: outcome.err(), time: started.elapsed() })
    }

    fn record(&mut self, step: Step) -> bool {
        let passed = step.failure.is_none();
        if let Some(failure) = &step.failure {
            println!("error: {failure}");
        }
        self.steps.push(step);
        passed
    }

    fn close(self) -> Result {
        heading("summary");
        let mut total = Counts::default();
        for step in &self.steps {
            let verdict = if step.failure.is_none() { "ok" } else { "FAILED" };
            println!(
                "{:28} {:>5} passed {:>4} failed {:>7.1} s  {verdict}",
                step.name,
                step.counts.passed,
                step.counts.failed,
                step.time.as_secs_f64()
            );
            total.passed += step.counts.passed;
            total.failed += step.counts.failed;
        }
        let failed: Vec<_> =
            self.steps.iter().filter(|step| step.failure.is_some()).map(|step| step.name).collect();
        println!("{} passed, {} failed", total.passed, total.failed);
        if failed.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(format!("failed: {}", failed.join(", "))))
        }
    }
}

fn native(tally: &mut Tally) {
    tally.check("format", || {
        Cmd::new("cargo").args(["fmt", "--all", "--check"]).remedy("cargo fmt --all").run()
    });
    tally.check("clippy", || {
        Cmd::new("cargo")
            .args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
            .run()
    });
    tally.tests("native tests", || {
        Browsers::ensure()?;
        let mut command = Cmd::new("cargo").args(["test", "--workspace", "--no-fail-fast"]);
        if std::env::var_os("VK_DRIVER_FILES").is_none() {
            if let Some(icd) = software_vulkan() {
                command = command.env("VK_DRIVER_FILES", icd).env("TAREAS_REQUIRE_GPU", "1");
            }
        }
        Ok(command)
    });
}

fn wasm(tally: &mut Tally) {
    tally.tests("wasm tests in Chromium", || {
        let toolchain = WasmToolchain::ensure()?;
        let bindgen = Bindgen::ensure()?;
        let browsers = Browsers::ensure()?;
        Ok(toolchain
            .command("cargo")
            .args(["test", "--package", "pkg-tests", "--target", TARGET])
            // The integer dot products of relaxed SIMD run nowhere but here; the other build is
            // what Node's tests load.
            .env("RUSTFLAGS", "-C target-feature=+simd128,+relaxed-simd")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", bindgen.test_runner())
            .env("CHROMEDRIVER", browsers.chromedriver))
    });
}

fn javascript(tally: &mut Tally) {
    let Some(js) = NpmFolder::find("js") else {
        return;
    };
    tally.check("types", || js.script("check").run());
    tally.tests("JavaScript tests", || Ok(js.script("test")));
}

fn browser(tally: &mut Tally) {
    if !tally.check("demo site", || {
        setup::node()?;
        let www =
            NpmFolder::find("www").ok_or_else(|| Failure::new("there is no www/package.json"))?;
        demo::build_site(&www)
    }) {
        return;
    }
    let Some(tests) = NpmFolder::find("pkg-tests") else {
        return;
    };
    if !tally.check("test packages", || tests.install()) {
        return;
    }
    for script in ["test:node", "test:browser", "test:demo", "test:consume"] {
        if tests.has_script(script) {
            tally.tests(script, || Ok(Browsers::ensure()?.announce(tests.script(script))));
        }
    }
}
