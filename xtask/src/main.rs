//! `cargo xtask`: every command of the project. See README.md beside this crate.

mod bench;
mod build;
mod demo;
mod npm;
mod options;
mod paths;
mod serve;
mod setup;
mod sh;
mod size;
mod test;

use std::process::ExitCode;

use options::Options;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  setup                  install what the other commands need (they do it themselves)
  build                  the two wasm builds and the npm package, in pkg/
      --no-opt             leave wasm-opt out (a quicker turn while developing)
      --wasm-only          stop after target/wasm/
  demo                   build, then serve the demo site on localhost
      --port N             the port to try first (8080)
      --isolated           send COOP and COEP, so that the page has threads
      --no-build           serve what is there
  test                   everything: format, lints, native, wasm, JavaScript, browsers
      --only PART          native, wasm, js or browser; may be given more than once
  bench                  ours against onnxruntime-web and transformers.js
      --only MODEL --json FILE ...   handed to bench/run.mjs
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(command) = args.next() else {
        print!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let options = Options::new(args.collect());
    let outcome = match command.as_str() {
        "setup" => setup::run(options),
        "build" => build::run(options),
        "demo" => demo::run(options),
        "test" => test::run(options),
        "bench" => bench::run(options),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => Err(sh::Failure::new(format!("there is no command `{other}`")).remedy(USAGE)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            ExitCode::FAILURE
        }
    }
}
