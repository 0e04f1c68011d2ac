//! Tasks on pictures: one file each, over a vision model and its image processor.
//!
//! A picture is `{ data, width, height, channels }` with one byte per channel, upright, rows from
//! the top; a list of them gives a list of results in the same order, whatever their sizes.

pub mod depth_estimation;
pub mod image_classification;
pub mod image_feature_extraction;
pub mod image_segmentation;
mod input;
pub mod object_detection;
mod resize;

pub use input::picture_list;

use serde_json::{json, Value};

use super::{io, AbortHandle, Buffer, Family, Files, Host, Input, Task, TaskOutput};
use crate::checkpoint::{Config, Manifest};
use crate::error::Result;
use crate::gpu::WeightShape;
use crate::models::{Array, Pixels, VisionHead, VisionModel, VisionOutput};
use crate::plan::Runtime;
use crate::preprocess::image::{ImageProcessor, Picture, Prepared};
use crate::{err, Code};

/// Pixels of a run at most, where the caller sets no `batch_size`: ten images of 224 x 224.
const RUN_PIXELS: usize = 1 << 19;

/// What must sit on top of the backbone for `task`, in a checkpoint of `config`.
pub fn head(task: Task, config: &Config) -> VisionHead {
    let class = config.architecture().unwrap_or_default();
    match task {
        Task::ImageClassification => VisionHead::Classification,
        Task::ObjectDetection => VisionHead::Detection,
        Task::DepthEstimation => VisionHead::Depth,
        Task::ImageSegmentation => {
            let model = config.model_type().unwrap_or_default();
            if class.ends_with("ForUniversalSegmentation") || model == "mask2former" {
                VisionHead::Universal
            } else if class.ends_with("ForSegmentation") || model == "detr" {
                VisionHead::Panoptic
            } else {
                VisionHead::Semantic
            }
        }
        // Feature extraction; the tasks of other families do not come here.
        _ => VisionHead::Encoder,
    }
}

/// What post-processing knows of a model.
#[derive(Debug, Clone)]
pub struct Info {
    pub labels: Vec<String>,
    pub problem_type: Option<String>,
    pub head: VisionHead,
}

impl Info {
    /// The name of a label; a number that `id2label` lacks is named as `transformers` does.
    pub fn label(&self, id: usize) -> String {
        self.labels.get(id).cloned().unwrap_or_else(|| format!("LABEL_{id}"))
    }
}

/// A vision model with its image processor, serving one task.
#[derive(Debug)]
pub struct VisionPipeline {
    task: Task,
    pub model: VisionModel,
    processor: ImageProcessor,
    info: Info,
    abort: AbortHandle,
}

/// One image's part of a run's output.
pub type Item<'a> = VisionOutput<View<'a>>;

/// One image's part of a value.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Without the batch.
    pub dims: &'a [usize],
    pub data: &'a [f32],
}

/// Image `i`'s part of `output`.
pub fn item(output: &VisionOutput<Array>, i: usize) -> Result<Item<'_>> {
    output.as_ref().map(|name, array| {
        let dims = array.shape.dims();
        let len = dims[1..].iter().product::<usize>();
        let data = array.data.get(i * len..(i + 1) * len);
        let Some(data) = data else {
            return Err(err!(Code::Internal, "{name} of shape {dims:?} has no image {i}"));
        };
        if data.iter().any(|x| x.is_nan()) {
            return Err(err!(Code::NonFinite, "the model's {name} are not numbers")
                .remedy("try dtype 'fp32': the weights may overflow in less"));
        }
        Ok(View { dims: &dims[1..], data })
    })
}

/// A result and the buffers that it refers to.
#[derive(Debug, Default)]
pub struct Media {
    buffers: Vec<Buffer>,
}

impl Media {
    /// The placeholder that stands for `buffer`.
    pub fn place(&mut self, buffer: Buffer) -> Value {
        self.buffers.push(buffer);
        json!({ "$buffer": self.buffers.len() - 1 })
    }

    /// A picture of one channel.
    pub fn grey(&mut self, data: Vec<u8>, [height, width]: [usize; 2]) -> Value {
        let data = self.place(Buffer::U8(data));
        json!({ "data": data, "width": width, "height": height, "channels": 1 })
    }
}

impl VisionPipeline {
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Prepares `pictures` in their order, runs neighbours of one size together, and hands each
    /// one's output to `sink` with its index.
    async fn each(
        &mut self,
        pictures: &[Picture<'_>],
        batch_size: Option<usize>,
        mut sink: impl FnMut(usize, Item<'_>) -> Result<()>,
    ) -> Result<()> {
        let batch_size = batch_size.map(|n| io::positive("batch_size", n)).transpose()?;
        let mut next = 0;
        let mut pixels = Vec::new();
        while next < pictures.len() {
            self.abort.check()?;
            let size = |at: usize| -> Result<Prepared> {
                let picture: &Picture<'_> = &pictures[at];
                self.processor.sizes([picture.height(), picture.width()])
            };
            let (first, prepared) = (next, size(next)?);
            let fits = (RUN_PIXELS / (prepared.size[0] * prepared.size[1])).max(1);
            let most = batch_size.unwrap_or(fits);
            pixels.clear();
            while next < pictures.len() && next - first < most && size(next)? == prepared {
                self.processor.prepare(pictures[next], &mut pixels)?;
                next += 1;
            }
            let Prepared { size, valid } = prepared;
            let x = Pixels { data: &pixels, images: next - first, size, valid };
            let output = self.model.run(x).await?;
            for i in first..next {
                sink(i, item(&output, i - first)?)?;
            }
            if next < pictures.len() {
                crate::wait::turn().await;
            }
        }
        self.abort.check()
    }

    /// Runs the task that the model was opened for.
    pub async fn call(&mut self, input: &Input, options: Value) -> Result<TaskOutput> {
        self.abort.reset();
        let (pictures, single) = picture_list(input)?;
        let id = self.task.id();
        let info = self.info.clone();
        let mut media = Media::default();
        let mut results = Vec::with_capacity(pictures.len());
        let sizes: Vec<[usize; 2]> = pictures.iter().map(|p| [p.height(), p.width()]).collect();
        match self.task {
            Task::ImageClassification => {
                let options: image_classification::Options = io::parse(id, options)?;
                let batch = options.batch_size;
                self.each(&pictures, batch, |_, item| {
                    results.push(image_classification::answer(&item, &info, &options)?);
                    Ok(())
                })
                .await?;
            }
            Task::ObjectDetection => {
                let options: object_detection::Options = io::parse(id, options)?;
                let batch = options.batch_size;
                self.each(&pictures, batch, |i, item| {
                    results.push(object_detection::answer(&item, &info, &options, sizes[i])?);
                    Ok(())
                })
                .await?;
            }
            Task::ImageSegmentation => {
                let options: image_segmentation::Options = io::parse(id, options)?;
                image_segmentation::check(&info, &options)?;
                let targets = options.targets(&sizes)?;
                let batch = options.batch_size;
                self.each(&pictures, batch, |i, item| {
                    let segments = image_segmentation::answer(&item, &info, &options, targets[i])?;
                    let segments = segments.into_iter().map(|segment| {
                        let mask = media.grey(segment.mask, targets[i]);
                        json!({ "label": segment.label, "score": segment.score, "mask": mask })
                    });
                    results.push(segments.collect());
                    Ok(())
                })
                .await?;
            }
            Task::DepthEstimation => {
                let options: depth_estimation::Options = io::parse(id, options)?;
                let batch = options.batch_size;
                self.each(&pictures, batch, |i, item| {
                    let depth = depth_estimation::answer(&item, sizes[i])?;
                    let picture = media.grey(depth.picture, sizes[i]);
                    let data = media.place(Buffer::F32(depth.depth));
                    results.push(json!({
                        "predicted_depth": { "dims": sizes[i], "data": data },
                        "depth": picture,
                    }));
                    Ok(())
                })
                .await?;
            }
            _ => {
                let options: image_feature_extraction::Options = io::parse(id, options)?;
                let batch = options.batch_size;
                let mut features = image_feature_extraction::Features::default();
                self.each(&pictures, batch, |_, item| features.push(&item, &options)).await?;
                return Ok(features.tensor(pictures.len()));
            }
        }
        let value = match results.pop() {
            Some(only) if single => only,
            Some(last) => {
                results.push(last);
                Value::Array(results)
            }
            None => Value::Array(results),
        };
        Ok(if media.buffers.is_empty() {
            TaskOutput::Json(value)
        } else {
            TaskOutput::Media { value, buffers: media.buffers }
        })
    }

    /// The sizes that a camera's frame is prepared to: what is compiled before any picture comes.
    fn usual(&self) -> Result<Prepared> {
        self.processor.sizes([480, 640])
    }
}

impl Family for VisionPipeline {
    fn open(task: Task, config: &Config, files: &Files) -> Result<(Self, Manifest)> {
        let Some(bytes) = files.get("preprocessor_config.json") else {
            return Err(err!(Code::Config, "preprocessor_config.json is missing")
                .remedy("repositories of vision models have one; check the model id"));
        };
        let processor = ImageProcessor::parse(bytes, config.model_type()?)?;
        let head = head(task, config);
        let (model, manifest) = VisionModel::new(config, head, Runtime::cpu())?;
        let info = Info {
            labels: config.labels()?,
            problem_type: config.problem_type()?.map(str::to_string),
            head,
        };
        let abort = AbortHandle::default();
        Ok((VisionPipeline { task, model, processor, info, abort }, manifest))
    }

    fn place(&mut self, runtime: Runtime) {
        self.model.runtime = runtime;
    }

    fn runtime(&self) -> &Runtime {
        &self.model.runtime
    }

    fn runtime_mut(&mut self) -> &mut Runtime {
        &mut self.model.runtime
    }

    fn prepare(&self, weights: &[WeightShape]) -> Result<()> {
        self.model.prepare(weights, self.usual()?.size)
    }

    /// Runs a grey picture, on a GPU alone: there it compiles the model's pipelines, while a CPU
    /// would only lose time.
    async fn warm_up(&mut self) -> Result<()> {
        if !self.model.runtime.is_gpu() {
            return Ok(());
        }
        let Prepared { size, valid } = self.usual()?;
        let data = vec![0.0; size[0] * size[1] * 3];
        self.model.run(Pixels { data: &data, images: 1, size, valid }).await.map(drop)
    }

    fn labels(&self) -> &[String] {
        &self.info.labels
    }

    fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }

    async fn run(&mut self, input: Input, options: Value, _: &mut dyn Host) -> Result<TaskOutput> {
        self.call(&input, options).await
    }
}
