//! Compute pipelines, compiled once per shader and set of constants.

use std::cell::RefCell;
use std::collections::HashMap;

use super::preprocess::preprocess;
use super::{Caps, Counters};
use crate::error::Result;

/// A file of `shaders/`.
#[derive(Debug)]
pub struct Shader {
    pub name: &'static str,
    pub source: &'static str,
}

/// `shader!("linear")`: the shader in `shaders/linear.wgsl`.
macro_rules! shader {
    ($name:literal) => {
        $crate::gpu::Shader {
            name: $name,
            source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
        }
    };
}
pub(crate) use shader;

/// What a kernel is specialised on: names and values for the preprocessor.
#[derive(Debug, Clone, Default)]
pub struct Constants(pub(super) Vec<(&'static str, String)>);

impl Constants {
    pub fn new() -> Self {
        Constants::default()
    }

    /// Adds a constant.
    pub fn set(mut self, name: &'static str, value: impl ToString) -> Self {
        self.0.push((name, value.to_string()));
        self
    }

    /// Adds a constant that is 1 or 0.
    pub fn flag(self, name: &'static str, value: bool) -> Self {
        self.set(name, u32::from(value))
    }
}

/// How a shader sees a storage buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    ReadWrite,
}

/// A pipeline and the layout its bind groups follow.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// Binding numbers and access of the storage buffers, in order; binding 0 is always the uniform
/// block of parameters.
type LayoutKey = Vec<(u32, Access)>;

/// The pipelines of a device.
#[derive(Debug, Default)]
pub struct Pipelines {
    pipelines: RefCell<HashMap<String, Pipeline>>,
    layouts: RefCell<HashMap<LayoutKey, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>>,
}

impl Pipelines {
    /// The pipeline of `shader` under `constants` for storage buffers bound as in `layout`.
    pub fn get(
        &self,
        device: &wgpu::Device,
        caps: &Caps,
        counters: &mut Counters,
        shader: &Shader,
        constants: &Constants,
        layout: LayoutKey,
    ) -> Result<Pipeline> {
        let mut key = shader.name.to_string();
        for (name, value) in &constants.0 {
            key.push_str(&format!(" {name}={value}"));
        }
        for acceleration in caps.in_use() {
            key.push(' ');
            key.push_str(acceleration.name());
        }
        if let Some(pipeline) = self.pipelines.borrow().get(&key) {
            return Ok(pipeline.clone());
        }

        let mut all = constants.clone();
        all = all.flag("F16", caps.f16).flag("SUBGROUPS", caps.subgroups);
        let body = preprocess(shader.name, shader.source, &all.0)?;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&key),
            source: wgpu::ShaderSource::Wgsl((prelude(caps) + &body).into()),
        });
        let mut layouts = self.layouts.borrow_mut();
        let (group, pipeline_layout) =
            layouts.entry(layout).or_insert_with_key(|layout| create_layout(device, layout));
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&key),
            layout: Some(pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every shader writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        let pipeline = Pipeline { pipeline, layout: group.clone() };
        self.pipelines.borrow_mut().insert(key, pipeline.clone());
        counters.pipelines += 1;
        Ok(pipeline)
    }
}

/// The extensions that the accelerations in use need.
fn prelude(caps: &Caps) -> String {
    let mut prelude = String::new();
    if caps.f16 {
        prelude.push_str("enable f16;\n");
    }
    // naga knows the subgroup functions but not yet the directive; browsers demand it.
    if caps.subgroups && cfg!(target_arch = "wasm32") {
        prelude.push_str("enable subgroups;\n");
    }
    if caps.packed_dot {
        prelude.push_str("requires packed_4x8_integer_dot_product;\n");
    }
    prelude
}

fn create_layout(
    device: &wgpu::Device,
    bindings: &[(u32, Access)],
) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform)];
    entries.extend(bindings.iter().map(|(binding, access)| {
        let read_only = *access == Access::Read;
        entry(*binding, wgpu::BufferBindingType::Storage { read_only })
    }));
    let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &entries,
    });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    });
    (group, layout)
}
