//! WebGPU as the browser offers it.
#![cfg(target_arch = "wasm32")]

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
async fn wgpu_finds_an_adapter() {
    let instance = wgpu::Instance::default();
    let adapter = instance
        .request_adapter(&wgpu::RequestAdapterOptions::default())
        .await
        .expect("the browser has no WebGPU adapter; are the flags of webdriver.json in force?");
    assert_eq!(adapter.get_info().backend, wgpu::Backend::BrowserWebGpu);
}
