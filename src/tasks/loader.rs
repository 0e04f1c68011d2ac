//! From a repository's files to a model that serves a task.
//!
//! Small files first, then [`Loader::open`]: they are read, the model declares its
//! weights, the device is made and tested. Then the weight files, byte by byte as they arrive, and
//! [`Loader::finish`]. Whatever is wrong is said at the first moment it can be known: a wrong head
//! before anything is downloaded, a missing tensor as soon as the header is complete.

use super::{task_of, AnyFamily, Files, Task};
use crate::checkpoint::{Config, Index, Packer, Reader};
use crate::error::Result;
use crate::gpu::{self, WeightShape};
use crate::plan::Runtime;
use crate::tensor::Format;
use crate::{err, Code};

/// The weights' file where a repository is not sharded.
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The caller's wish for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The GPU where there is a real one that passes its self-test, else the CPU.
    #[default]
    Auto,
    WebGpu,
    Wasm,
}

/// What to load, and onto what.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    pub task: Task,
    pub device: DeviceChoice,
    /// `None`: the format of a quantized pack, else f16 on the GPU and q8 on the CPU.
    pub dtype: Option<Format>,
    pub gpu: gpu::DeviceOptions,
}

/// What [`Loader::open`] found out.
#[derive(Debug, Clone)]
pub struct Opened {
    pub model_type: String,
    pub architecture: String,
    pub on_gpu: bool,
    /// Why the GPU was wanted and is not used.
    pub fallback: Option<String>,
    pub adapter: Option<String>,
    /// Weight files to feed, in this order.
    pub files: Vec<String>,
}

/// Loads one model.
#[derive(Debug)]
pub struct Loader {
    options: LoadOptions,
    files: Files,
    loading: Option<Loading>,
}

#[derive(Debug)]
struct Loading {
    family: AnyFamily,
    reader: Reader,
    /// The GPU's pipelines are being compiled.
    prepared: bool,
}

impl Loader {
    pub fn new(options: LoadOptions) -> Self {
        Loader { options, files: Files::default(), loading: None }
    }

    /// Hands over a small file of the repository: config.json, the tokenizer's, the index.
    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(name, bytes);
    }

    /// Reads the small files and makes the device.
    pub async fn open(&mut self) -> Result<Opened> {
        let config = config(&self.files)?;
        let model_type = config.model_type()?.to_string();
        let architecture = config.architecture().unwrap_or_default().to_string();
        let task = self.options.task;
        task.check(config.architecture().as_slice())?;
        let index = self.files.get(INDEX).map(Index::parse).transpose()?;
        let (mut family, manifest) = AnyFamily::open(task.kind(), task, &config, &self.files)?;

        let (runtime, adapter, fallback) = self.device().await?;
        let on_gpu = runtime.is_gpu();
        family.place(runtime);
        let default = if on_gpu { Format::F16 } else { Format::Q8 };
        let mut reader = Reader::new(manifest, self.options.dtype, default);
        let shards = match &index {
            Some(index) => {
                reader.check_index(index)?;
                index.files()
            }
            None => vec![WEIGHTS.to_string()],
        };
        self.loading = Some(Loading { family, reader, prepared: false });
        Ok(Opened { model_type, architecture, on_gpu, fallback, adapter, files: shards })
    }

    /// The runtime on the device that was asked for, the adapter's name, and why not the GPU.
    async fn device(&self) -> Result<(Runtime, Option<String>, Option<String>)> {
        if self.options.device == DeviceChoice::Wasm {
            return Ok((Runtime::cpu(), None, None));
        }
        let auto = self.options.device == DeviceChoice::Auto;
        match self.gpu_device().await {
            Ok(device) if auto && device.is_software() => {
                let reason =
                    format!("{} is a software adapter, slower than wasm", device.adapter());
                Ok((Runtime::cpu(), None, Some(reason)))
            }
            Ok(device) => {
                let adapter = device.adapter().to_string();
                Ok((Runtime::gpu(device), Some(adapter), None))
            }
            Err(error) if auto => Ok((Runtime::cpu(), None, Some(error.message))),
            Err(error) => Err(error),
        }
    }

    /// A device that has passed its self-test in every format that may come; a software adapter
    /// that is about to be left is not tested.
    async fn gpu_device(&self) -> Result<gpu::Device> {
        use Format::{F16, F32, Q4, Q8};
        let device = gpu::Device::new(self.options.gpu.clone()).await?;
        if self.options.device == DeviceChoice::Auto && device.is_software() {
            return Ok(device);
        }
        // Some weights are f32 in every format, and some are q8 in q4; a pack brings its own.
        let formats: &[Format] = match self.options.dtype {
            Some(F32) => &[F32],
            Some(F16) => &[F32, F16],
            Some(Q8) => &[F32, Q8],
            Some(Q4) | None => &[F32, F16, Q8, Q4],
        };
        device.self_test(formats).await?;
        Ok(device)
    }

    fn loading(&mut self) -> Result<&mut Loading> {
        let missing = || err!(Code::Internal, "weights before Loader::open");
        self.loading.as_mut().ok_or_else(missing)
    }

    /// The next bytes belong to the weights file `name` of `bytes` bytes (0: unknown).
    pub fn begin_weights(&mut self, name: &str, bytes: u64) -> Result<()> {
        self.loading()?.reader.begin(name, bytes)
    }

    /// The next bytes of the current weights file, in order, in chunks of any size.
    pub fn push_weights(&mut self, chunk: &[u8]) -> Result<()> {
        let Loading { family, reader, prepared } = self.loading()?;
        reader.push(chunk, &mut |id, weight| family.runtime_mut().set_weight(id, weight))?;
        if let Some(shapes) = reader.shapes().filter(|_| family.runtime().is_gpu() && !*prepared) {
            *prepared = true;
            let shape = |(format, [n, k]): (Option<Format>, [usize; 2])| match format {
                Some(format) => WeightShape::Matrix { format, n, k },
                None => WeightShape::Vector,
            };
            family.prepare(&shapes.into_iter().map(shape).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// The current weights file ends here.
    pub fn end_weights(&mut self) -> Result<()> {
        self.loading()?.reader.end()
    }

    /// Checks that nothing is missing, and runs once so that the first real call is a warm one.
    pub async fn finish(self) -> Result<Model> {
        let missing = || err!(Code::Internal, "Loader::finish before Loader::open");
        let Loading { mut family, reader, .. } = self.loading.ok_or_else(missing)?;
        let format = reader.finish()?;
        family.warm_up().await?;
        Ok(Model { task: self.options.task, format, family })
    }
}

fn config(files: &Files) -> Result<Config> {
    let Some(config) = files.get("config.json") else {
        let error = err!(Code::Config, "config.json is missing");
        return Err(error.remedy("every Hugging Face repository has one; check the model id"));
    };
    Config::parse(config)
}

/// What makes a quantized pack of the repository whose small files are `files`: of the weights
/// that the task it was made for declares, and of what else its checkpoint holds.
pub fn packer(files: &Files, format: Format) -> Result<Packer> {
    let config = config(files)?;
    let task = task_of(config.architecture().unwrap_or_default());
    let (_, manifest) = AnyFamily::open(task.kind(), task, &config, files)?;
    Ok(Packer::new(manifest, format))
}

/// A loaded model that serves one task.
#[derive(Debug)]
pub struct Model {
    pub task: Task,
    /// The format that its weights came to.
    pub format: Format,
    pub family: AnyFamily,
}
