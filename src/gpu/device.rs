//! A WebGPU device: how it is made, what it reports, how its errors become ours.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use super::pipelines::{Access, Pipeline, Pipelines};
use super::{read_back, Acceleration, Caps, Constants, Counters, Shader};
use crate::error::{Error, Result};
use crate::{err, Code};

/// How a device is asked for. The default asks for all that the adapter has.
#[derive(Debug, Clone, Default)]
pub struct DeviceOptions {
    /// Only the limits that every WebGPU device has.
    pub default_limits: bool,
    /// A storage binding limit below the device's own, in bytes.
    pub max_binding: Option<u64>,
    /// Accelerations to leave unused.
    pub disable: Vec<Acceleration>,
    /// Work after which a plan is submitted, in floating-point operations.
    pub flops_per_submit: Option<u64>,
    /// Makes the self-test fail, to prove what follows from it.
    pub corrupt_self_test: bool,
    /// The same, but only while this acceleration is in use.
    pub corrupt_acceleration: Option<Acceleration>,
}

/// A GPU buffer whose memory goes back when it is dropped. In the browser a dropped handle alone
/// keeps its memory until a garbage collection that knows nothing of its size.
#[derive(Debug)]
pub struct Buffer(wgpu::Buffer);

impl std::ops::Deref for Buffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

/// A WebGPU device and what was found out about it; a handle that is cheap to clone.
#[derive(Debug, Clone)]
pub struct Device(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    adapter: String,
    software: bool,
    caps: Cell<Caps>,
    max_buffer: u64,
    options: DeviceOptions,
    notes: RefCell<Vec<String>>,
    health: Arc<Health>,
    pipelines: Pipelines,
    counters: Cell<Counters>,
    /// Bytes written since the last flush of the queue's own staging memory.
    unflushed: Cell<usize>,
}

/// What the device's callbacks have reported, from whatever thread.
#[derive(Debug, Default)]
struct Health {
    lost: Mutex<Option<String>>,
    error: Mutex<Option<Error>>,
}

impl Health {
    fn report_lost(&self, reason: String) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }

    fn report(&self, error: wgpu::Error) {
        let error = match &error {
            wgpu::Error::OutOfMemory { .. } => err!(Code::OutOfMemory, "the GPU is out of memory")
                .remedy("use a smaller dtype (q8, q4) or model, or device 'wasm'"),
            _ => err!(Code::Device, "the GPU device refused an operation: {error}"),
        };
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Loss comes first: a lost device refuses everything, and those errors say nothing. Any
    /// other error is told once, so that the call after a refused one starts clean.
    fn check(&self) -> Result<()> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &*lost {
            return Err(err!(Code::DeviceLost, "the GPU device was lost: {reason}")
                .remedy("load the model again"));
        }
        match self.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.device.destroy();
    }
}

/// Whether `navigator.gpu` is there. wgpu panics where it is asked in a place that is neither a
/// page nor a worker, as Node is.
#[cfg(target_arch = "wasm32")]
fn has_webgpu() -> bool {
    let of =
        |object: &wasm_bindgen::JsValue, name: &str| js_sys::Reflect::get(object, &name.into());
    of(&js_sys::global(), "navigator")
        .and_then(|navigator| of(&navigator, "gpu"))
        .is_ok_and(|gpu| !gpu.is_undefined() && !gpu.is_null())
}

impl Device {
    /// Asks for an adapter and a device with all its limits and the features that kernels have
    /// variants for. No adapter is an error of code `device`.
    pub async fn new(options: DeviceOptions) -> Result<Device> {
        #[cfg(target_arch = "wasm32")]
        if !has_webgpu() {
            return Err(err!(Code::Device, "there is no WebGPU here")
                .remedy("use device 'wasm' or 'auto', or a browser with WebGPU switched on"));
        }
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::BROWSER_WEBGPU | wgpu::Backends::VULKAN,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let adapter = instance
            .request_adapter(&wgpu::RequestAdapterOptions {
                power_preference: wgpu::PowerPreference::HighPerformance,
                ..Default::default()
            })
            .await
            .map_err(|error| {
                err!(Code::Device, "no WebGPU adapter: {error}")
                    .remedy("use device 'wasm' or 'auto', or a browser with WebGPU switched on")
            })?;
        let wanted =
            wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY;
        let features = adapter.features() & wanted;
        let limits =
            if options.default_limits { wgpu::Limits::default() } else { adapter.limits() };
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("tareas"),
                required_features: features,
                required_limits: limits.clone(),
                ..Default::default()
            })
            .await
            .map_err(|error| {
                err!(Code::Device, "the WebGPU adapter gave no device: {error}")
                    .remedy("use device 'wasm' or 'auto'")
            })?;

        let health = Arc::new(Health::default());
        let reporter = health.clone();
        device.on_uncaptured_error(Arc::new(move |error| reporter.report(error)));
        let reporter = health.clone();
        device.set_device_lost_callback(move |reason, message| {
            reporter.report_lost(format!("{reason:?} {message}").trim().to_string());
        });

        let packed = wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct;
        let max_binding = limits.max_storage_buffer_binding_size;
        let mut caps = Caps {
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            packed_dot: instance.wgsl_language_features().contains(packed),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            max_binding: options.max_binding.unwrap_or(u64::MAX).min(max_binding),
            workgroup_memory: limits.max_compute_workgroup_storage_size,
        };
        let info = adapter.get_info();
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let name = adapter_name(&info, &device);
        if name.to_lowercase().starts_with("apple") {
            // No instruction for it there: the product is emulated and slower than f32.
            caps = caps.without(Acceleration::PackedDot);
        }
        for acceleration in &options.disable {
            caps = caps.without(*acceleration);
        }
        let adapter = format!("{name} ({:?})", info.backend);
        Ok(Device(Rc::new(Inner {
            device,
            queue,
            adapter,
            software,
            caps: Cell::new(caps),
            max_buffer: limits.max_buffer_size,
            options,
            notes: RefCell::default(),
            health,
            pipelines: Pipelines::default(),
            counters: Cell::new(Counters::default()),
            unflushed: Cell::new(0),
        })))
    }

    /// Whether the adapter is a software renderer: complete, and many times slower than the CPU
    /// kernels on the same cores.
    pub fn is_software(&self) -> bool {
        self.0.software
    }

    /// The adapter's name and backend.
    pub fn adapter(&self) -> &str {
        &self.0.adapter
    }

    /// What the device can do and which accelerations are in use.
    pub fn caps(&self) -> Caps {
        self.0.caps.get()
    }

    /// What the self-test has switched off, and why.
    pub fn notes(&self) -> Vec<String> {
        self.0.notes.borrow().clone()
    }

    pub(super) fn note(&self, note: String) {
        self.0.notes.borrow_mut().push(note);
    }

    /// Work done so far.
    pub fn counters(&self) -> Counters {
        self.0.counters.get()
    }

    /// Whether the device still works: an error of code `device_lost` if it is gone, or what it
    /// refused since the last check.
    pub fn check(&self) -> Result<()> {
        self.0.health.check()
    }

    /// Destroys the device, as a driver reset would: every later call fails with `device_lost`.
    pub fn destroy(&self) {
        self.0.device.destroy();
        self.0.health.report_lost("destroyed".into());
        read_back::wait(&self.0.device);
    }

    pub(super) fn options(&self) -> &DeviceOptions {
        &self.0.options
    }

    pub(super) fn disable(&self, acceleration: Acceleration) {
        self.0.caps.set(self.caps().without(acceleration));
    }

    pub(super) fn wgpu(&self) -> &wgpu::Device {
        &self.0.device
    }

    pub(super) fn count(&self, update: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters();
        update(&mut counters);
        self.0.counters.set(counters);
    }

    /// A zeroed buffer of at least `bytes`; sizes are rounded up to a whole vec4.
    pub(super) fn buffer(&self, bytes: usize, usage: wgpu::BufferUsages) -> Result<Buffer> {
        let size = bytes.next_multiple_of(16).max(16) as u64;
        if size > self.0.max_buffer {
            return Err(err!(
                Code::OutOfMemory,
                "a GPU buffer of {size} bytes; this device allows {}",
                self.0.max_buffer
            )
            .remedy("use a smaller dtype (q8, q4), or device 'wasm'"));
        }
        self.count(|c| c.buffers += 1);
        Ok(Buffer(self.0.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        })))
    }

    /// The memory of the state `name`, `len` elements of four bytes; it starts with what `from`
    /// holds.
    pub(crate) fn state_buffer(
        &self,
        name: &str,
        len: usize,
        from: Option<&Buffer>,
    ) -> Result<Buffer> {
        let (bytes, limit) = (4 * len, self.caps().max_binding as usize);
        if bytes > limit {
            return Err(err!(
                Code::OutOfMemory,
                "the cache {name:?} needs {bytes} bytes; this GPU binds {limit} at once"
            )
            .remedy("generate fewer sequences at once or shorter ones, or use device 'wasm'"));
        }
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        let buffer = self.buffer(bytes, usage)?;
        if let Some(from) = from {
            let mut encoder = self.encoder();
            encoder.copy_buffer_to_buffer(from, 0, &buffer, 0, from.size());
            self.submit_encoder(encoder);
        }
        self.check()?;
        Ok(buffer)
    }

    /// Overwrites a part of a state, from element `offset` on.
    pub(crate) fn write_state(&self, buffer: &Buffer, offset: usize, bytes: &[u8]) {
        self.write(buffer, 4 * offset as u64, bytes);
    }

    /// Writes `bytes` (a multiple of 4) at `offset`.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) {
        /// Natively the queue stages writes in memory of its own and frees it when a submit has
        /// passed: a model's weights would all be held twice.
        const FLUSH: usize = 64 << 20;
        self.0.queue.write_buffer(buffer, offset, bytes);
        if cfg!(not(target_arch = "wasm32")) {
            let unflushed = self.0.unflushed.get() + bytes.len();
            self.0.unflushed.set(unflushed % FLUSH);
            if unflushed >= FLUSH {
                self.0.queue.submit([]);
                read_back::wait(&self.0.device);
            }
        }
    }

    pub(super) fn pipeline(
        &self,
        shader: &Shader,
        constants: &Constants,
        layout: Vec<(u32, Access)>,
    ) -> Result<Pipeline> {
        let mut counters = self.counters();
        let pipeline = self.0.pipelines.get(
            &self.0.device,
            &self.caps(),
            &mut counters,
            shader,
            constants,
            layout,
        );
        self.0.counters.set(counters);
        pipeline
    }

    pub(super) fn bind_group(
        &self,
        layout: &wgpu::BindGroupLayout,
        entries: &[wgpu::BindGroupEntry<'_>],
    ) -> wgpu::BindGroup {
        self.count(|c| c.bind_groups += 1);
        self.0.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries })
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.0.device.create_command_encoder(&Default::default())
    }

    pub(super) fn submit_encoder(&self, encoder: wgpu::CommandEncoder) {
        self.0.queue.submit([encoder.finish()]);
        self.count(|c| c.submits += 1);
    }

    pub(super) fn timestamps(&self, count: u32) -> wgpu::QuerySet {
        self.0.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: None,
            ty: wgpu::QueryType::Timestamp,
            count,
        })
    }

    /// Milliseconds of one timestamp tick; browsers count in nanoseconds.
    pub(super) fn ms_per_tick(&self) -> f64 {
        f64::from(self.0.queue.get_timestamp_period()) * 1e-6
    }
}

/// What to call the adapter. Browsers leave the description empty and tell a vendor and an
/// architecture, which wgpu does not pass on.
fn adapter_name(info: &wgpu::AdapterInfo, device: &wgpu::Device) -> String {
    #[cfg(target_arch = "wasm32")]
    if let Some(device) = device.as_webgpu() {
        let get = |object: &wasm_bindgen::JsValue, key: &str| {
            js_sys::Reflect::get(object, &key.into()).unwrap_or_default()
        };
        let info = get(device.as_ref(), "adapterInfo");
        let parts =
            ["vendor", "architecture", "description"].map(|key| get(&info, key).as_string());
        let parts: Vec<String> = parts.into_iter().flatten().filter(|p| !p.is_empty()).collect();
        return if parts.is_empty() { "unnamed adapter".into() } else { parts.join(" ") };
    }
    let _ = device;
    info.name.clone()
}
