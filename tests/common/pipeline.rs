//! Whole pipelines from repository folders.

use std::fs;
use std::path::Path;

use pollster::block_on;
use tareas::tasks::{DeviceChoice, LoadOptions, Loader, Pipeline, Task, TextEncoder};
use tareas::tensor::Format;
use tareas::Result;

/// A pipeline from a repository folder, on the CPU.
pub fn load(folder: &Path, task: Task, dtype: Option<Format>) -> Result<Pipeline<TextEncoder>> {
    let device = DeviceChoice::Wasm;
    let mut loader = Loader::new(LoadOptions { task, device, dtype, gpu: Default::default() });
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".json") || name.ends_with(".txt") {
            loader.add_file(&name, fs::read(&path).unwrap());
        }
    }
    let opened = block_on(loader.open())?;
    for file in &opened.files {
        let bytes = fs::read(folder.join(file)).unwrap();
        loader.begin_weights(file, bytes.len() as u64)?;
        loader.push_weights(&bytes)?;
        loader.end_weights()?;
    }
    block_on(loader.finish())
}
