//! Whole pipelines from repository folders.

use std::fs;
use std::path::Path;

use pollster::block_on;
use tareas::tasks::text::{TextEncoder, TextPipeline};
use tareas::tasks::{AnyFamily, DeviceChoice, LoadOptions, Loader, Model, Task};
use tareas::tensor::Format;
use tareas::Result;

/// A text pipeline from a repository folder, on the CPU.
#[allow(dead_code)] // not every test binary has text
pub fn load(folder: &Path, task: Task, dtype: Option<Format>) -> Result<TextPipeline<TextEncoder>> {
    match load_model(folder, task, dtype, DeviceChoice::Wasm)?.family {
        AnyFamily::Text(pipeline) => Ok(pipeline),
        #[allow(unreachable_patterns)]
        other => panic!("{} is no text task: {other:?}", task.id()),
    }
}

/// A model from a repository folder.
pub fn load_model(
    folder: &Path,
    task: Task,
    dtype: Option<Format>,
    device: DeviceChoice,
) -> Result<Model> {
    let mut loader = Loader::new(LoadOptions { task, device, dtype, gpu: Default::default() });
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".safetensors") {
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
