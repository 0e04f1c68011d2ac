//! The op parity table where it counts: the CPU kernels as wasm, the shaders in the browser's own
//! WebGPU. The rows are those of `tests/parity`.
#![cfg(target_arch = "wasm32")]

#[path = "../../tests/parity/mod.rs"]
mod parity;

use tareas::gpu::{Device, DeviceOptions};
use wasm_bindgen_test::{console_log, wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

async fn run_table(gpu: Option<&Device>) {
    let report = parity::run_all(gpu).await;
    console_log!("{report}");
    assert!(report.failures().is_empty(), "red rows, listed above");
}

#[wasm_bindgen_test]
async fn cpu() {
    for failures in [
        tareas::cpu::selftest::linear(),
        tareas::cpu::selftest::layer_norm(),
        tareas::cpu::selftest::attention(),
    ] {
        assert!(failures.is_empty(), "{failures:?}");
    }
    run_table(None).await;
}

#[wasm_bindgen_test]
async fn webgpu() {
    let device = Device::new(DeviceOptions::default()).await.expect("no WebGPU adapter");
    run_table(Some(&device)).await;
}
