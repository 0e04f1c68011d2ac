//! The op parity table on the CPU and on whatever GPU is there.
//!
//! Without a GPU adapter the GPU tests say so and pass, unless `TAREAS_REQUIRE_GPU=1`. A software
//! adapter will do: lavapipe (mesa-vulkan-drivers), or Chromium's own by
//! `VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json`.

mod parity;

use pollster::block_on;
use tareas::gpu::{Acceleration, Device, DeviceOptions};

fn gpu(options: DeviceOptions) -> Option<Device> {
    match block_on(Device::new(options)) {
        Ok(device) => Some(device),
        Err(error) => {
            let required = std::env::var("TAREAS_REQUIRE_GPU").is_ok_and(|v| v == "1");
            assert!(!required, "TAREAS_REQUIRE_GPU=1 and no GPU: {error}");
            eprintln!("no GPU here, its rows are not tested: {error}");
            None
        }
    }
}

fn run_table(gpu: Option<&Device>) {
    let report = block_on(parity::run_all(gpu));
    println!("{report}");
    assert!(report.failures().is_empty(), "red rows, listed above");
}

#[test]
fn cpu() {
    run_table(None);
}

#[test]
fn gpu_with_all_it_has() {
    if let Some(device) = gpu(DeviceOptions::default()) {
        run_table(Some(&device));
    }
}

#[test]
fn gpu_baseline() {
    let options = DeviceOptions {
        default_limits: true,
        disable: Acceleration::ALL.to_vec(),
        ..DeviceOptions::default()
    };
    if let Some(device) = gpu(options) {
        assert!(device.caps().in_use().is_empty());
        run_table(Some(&device));
    }
}
