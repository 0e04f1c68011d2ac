//! wasm-bindgen exports: translation only, no logic. The TypeScript side is `js/src/engine.ts`.

mod convert;
mod host;
mod loader;
mod model;
mod quantizer;

use wasm_bindgen::prelude::*;

/// The version of the package.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// Whether this build uses relaxed SIMD.
#[wasm_bindgen]
pub fn relaxed() -> bool {
    cfg!(target_feature = "relaxed-simd")
}

/// A panic is a bug; it reaches the console with its place.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}
