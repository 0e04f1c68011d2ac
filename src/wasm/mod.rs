//! wasm-bindgen exports: translation only, no logic.
