//! The op parity table (`tests/parity`) in the browser: the wasm CPU kernels of this build, and
//! WebGPU with and without accelerations.
#![cfg(target_arch = "wasm32")]

#[path = "../../tests/parity/mod.rs"]
mod parity;

use tareas::gpu::{Acceleration, Device, DeviceOptions};
use tareas::tensor::Format;
use tareas::Code;
use wasm_bindgen_test::{console_log, wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

async fn run_table(gpu: Option<&Device>) {
    let report = parity::run_all(gpu).await;
    console_log!("{report}");
    assert!(report.failures().is_empty(), "red rows:\n{report}");
}

async fn device(options: DeviceOptions) -> Device {
    Device::new(options).await.expect("a WebGPU device; are the flags of webdriver.json in force?")
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
async fn gpu_with_all_it_has() {
    run_table(Some(&device(DeviceOptions::default()).await)).await;
}

#[wasm_bindgen_test]
async fn gpu_baseline() {
    let disable = Acceleration::ALL.to_vec();
    let options = DeviceOptions { default_limits: true, disable, ..DeviceOptions::default() };
    run_table(Some(&device(options).await)).await;
}

#[wasm_bindgen_test]
async fn the_self_test_tells_a_good_device_from_a_bad_and_a_lost_one() {
    let good = device(DeviceOptions::default()).await;
    good.self_test(&[Format::F16, Format::Q8]).await.expect("the self-test");
    assert!(good.notes().is_empty(), "{:?}", good.notes());
    good.destroy();
    let error = good.self_test(&[Format::F16]).await.expect_err("the device is lost");
    assert_eq!(error.code, Code::DeviceLost);
    let options = DeviceOptions { corrupt_self_test: true, ..DeviceOptions::default() };
    let error = device(options).await.self_test(&[Format::Q8]).await.expect_err("it is corrupt");
    assert_eq!(error.code, Code::Device);
}
