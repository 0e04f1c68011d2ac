//! A plan compiled for a GPU, and its replay.
//!
//! Everything a run needs is made here once: one buffer per slot, the parameters of all dispatches
//! in one uniform buffer, and bind groups with their offsets baked in (dynamic offsets take a slow
//! path in browsers). A run writes the inputs, replays the dispatches in one pass, copies the
//! outputs to one staging buffer, submits once and maps it. Runs may be submitted ahead of reading:
//! each waiting one holds a staging buffer of the plan. States are buffers of the runtime; when one
//! has grown, the bind groups that hold it are made again.

use std::cell::RefCell;
use std::rc::Rc;

use super::device::{Buffer, Device};
use super::encoder::{Binding, Encoded, Encoder};
use super::read_back::Staging;
use super::{Weight, WeightShape};
use crate::error::Result;
use crate::plan::{check_inputs, HostValue, Outputs, Plan, StepTiming, Weights};
use crate::tensor::DType;
use crate::{err, Code};

/// Parameter blocks stand this far apart: the default and largest
/// `minUniformBufferOffsetAlignment`.
const PARAMS_STRIDE: usize = 256;

/// A plan of more work than this is submitted in several chunks, so that a page keeps painting
/// while a long batch runs. BERT-base at 128 tokens takes 22 GFLOP: one submit.
const FLOPS_PER_SUBMIT: u64 = 32_000_000_000;

/// A plan compiled for a device: buffers, pipelines and bind groups, built once.
#[derive(Debug)]
pub struct Compiled {
    plan: Plan,
    slots: Vec<Rc<Buffer>>,
    /// The slots of the plan's states, in its order.
    states: Vec<usize>,
    /// The parameters of all dispatches; bind groups refer to it.
    uniforms: Buffer,
    dispatches: Vec<Ready>,
    /// Name, type and bytes of each output, as they stand in a staging buffer.
    layout: Rc<[(String, DType, usize)]>,
    /// Where outputs are read back through: one, and one more per run that was submitted while
    /// all others waited to be read.
    stagings: RefCell<Vec<Rc<Staging>>>,
    profile: RefCell<Option<Rc<Profile>>>,
    bytes: usize,
}

/// A dispatch ready to be replayed.
#[derive(Debug)]
struct Ready {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    grid: [u32; 2],
    step: usize,
    flops: u64,
    /// For a dispatch on states: what its bind group is made of.
    rebind: Option<(wgpu::BindGroupLayout, Vec<(u32, Binding)>)>,
}

/// A submitted run that was not yet read.
#[derive(Debug)]
pub struct Pending {
    staging: Option<Rc<Staging>>,
    layout: Rc<[(String, DType, usize)]>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(staging) = &self.staging {
            staging.release();
            staging.busy.set(false);
        }
    }
}

/// Timestamps around each dispatch; made by the first run that is timed.
#[derive(Debug)]
struct Profile {
    queries: wgpu::QuerySet,
    resolved: Buffer,
    staging: Staging,
}

impl Compiled {
    /// Bytes of the plan's buffers on the device.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Dispatches of one run.
    pub fn dispatches(&self) -> usize {
        self.dispatches.len()
    }
}

impl Device {
    /// Compiles a plan: every buffer, pipeline and bind group a run needs.
    /// `states` are the buffers of the plan's states, in its order.
    pub fn compile(
        &self,
        plan: Plan,
        weights: &Weights<Weight>,
        states: &[Rc<Buffer>],
    ) -> Result<Compiled> {
        self.check()?;
        let slot_of = |id: crate::plan::ValueId| plan.values[id.index()].slot.index();
        let state_slots: Vec<usize> = plan.states.iter().map(|(_, id)| slot_of(*id)).collect();
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        let limit = self.caps().max_binding as usize;
        let mut slots = Vec::with_capacity(plan.slots.len());
        let mut slot_bytes = 0;
        for (i, slot) in plan.slots.iter().enumerate() {
            let bytes = slot.len * slot.dtype.size();
            let state = state_slots.iter().position(|s| *s == i).and_then(|at| states.get(at));
            if let Some(state) = state {
                slots.push(state.clone());
                continue;
            }
            if bytes > limit {
                return Err(err!(
                    Code::OutOfMemory,
                    "an inner value of this input takes {bytes} bytes; this GPU binds {limit} at once"
                )
                .remedy("pass fewer or shorter inputs at once (batch_size), or use device 'wasm'"));
            }
            slots.push(Rc::new(self.buffer(bytes, usage)?));
            slot_bytes += bytes;
        }
        for (id, words) in &plan.constants {
            self.write(&slots[slot_of(*id)], 0, bytemuck::cast_slice(words));
        }

        let encoded = self.encode(&plan, &slots, weights)?;

        let mut params = vec![0u8; (encoded.len() * PARAMS_STRIDE).max(PARAMS_STRIDE)];
        for (block, dispatch) in params.chunks_exact_mut(PARAMS_STRIDE).zip(&encoded) {
            let words: &[u8] = bytemuck::cast_slice(&dispatch.params);
            block[..words.len()].copy_from_slice(words);
        }
        let uniforms =
            self.buffer(params.len(), wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)?;
        self.write(&uniforms, 0, &params);

        let dispatches = encoded
            .into_iter()
            .enumerate()
            .map(|(i, dispatch)| {
                let Encoded { pipeline, bindings, grid, step, flops, .. } = dispatch;
                let bind_group = self.tie(&pipeline.layout, &uniforms, i, &bindings);
                let on_state = bindings.iter().any(|(_, b)| b.is_slot(&state_slots));
                let rebind = on_state.then_some((pipeline.layout, bindings));
                Ready { pipeline: pipeline.pipeline, bind_group, grid, step, flops, rebind }
            })
            .collect();

        let output = |(name, id): &(String, crate::plan::ValueId)| {
            (name.clone(), plan.values[id.index()].dtype, plan.bytes_of(*id))
        };
        let layout: Rc<[_]> = plan.outputs.iter().map(output).collect();
        let out_bytes: usize = layout.iter().map(|(_, _, bytes)| bytes).sum();
        let stagings = match out_bytes {
            0 => Vec::new(),
            bytes => vec![Rc::new(self.staging(bytes)?)],
        };
        let bytes = slot_bytes + params.len() + out_bytes;
        self.check()?;
        Ok(Compiled {
            plan,
            slots,
            states: state_slots,
            uniforms,
            dispatches,
            layout,
            stagings: RefCell::new(stagings),
            profile: RefCell::new(None),
            bytes,
        })
    }

    /// The bind group of dispatch `i`: its block of parameters, and its buffers.
    fn tie(
        &self,
        layout: &wgpu::BindGroupLayout,
        uniforms: &Buffer,
        i: usize,
        bindings: &[(u32, Binding)],
    ) -> wgpu::BindGroup {
        let block = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: uniforms,
            offset: (i * PARAMS_STRIDE) as u64,
            size: std::num::NonZeroU64::new(PARAMS_STRIDE as u64),
        });
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: block }];
        entries.extend(bindings.iter().map(|(binding, b)| wgpu::BindGroupEntry {
            binding: *binding,
            resource: b.resource(),
        }));
        self.bind_group(layout, &entries)
    }

    /// Ties the plan to the buffers that its states are in now; does nothing where none has grown.
    pub fn rebind(&self, compiled: &mut Compiled, states: &[Rc<Buffer>]) {
        for (&slot, state) in compiled.states.iter().zip(states) {
            if Rc::ptr_eq(&compiled.slots[slot], state) {
                continue;
            }
            compiled.slots[slot] = state.clone();
            for (i, dispatch) in compiled.dispatches.iter_mut().enumerate() {
                let Some((layout, bindings)) = &mut dispatch.rebind else { continue };
                let changed =
                    bindings.iter_mut().filter_map(|(_, b)| b.rebind(slot, state).then_some(()));
                if changed.count() > 0 {
                    dispatch.bind_group = self.tie(layout, &compiled.uniforms, i, bindings);
                }
            }
        }
    }

    /// Compiles the pipelines that a plan will need while its weights, one shape per id, are still
    /// on their way: browsers compile in the background.
    pub fn prepare(&self, plan: &Plan, weights: &[WeightShape]) -> Result<()> {
        let placeholders = weights.iter().map(|shape| self.placeholder(*shape));
        let weights = placeholders.collect::<Result<Weights<Weight>>>()?;
        let slot = |_| Ok(Rc::new(self.buffer(0, wgpu::BufferUsages::STORAGE)?));
        let slots = plan.slots.iter().map(slot).collect::<Result<Vec<_>>>()?;
        self.encode(plan, &slots, &weights)?;
        self.check()
    }

    /// All dispatches of a plan.
    fn encode(
        &self,
        plan: &Plan,
        slots: &[Rc<Buffer>],
        weights: &Weights<Weight>,
    ) -> Result<Vec<Encoded>> {
        let mut encoder =
            Encoder { device: self, plan, slots, weights, step: 0, encoded: Vec::new() };
        for (i, step) in plan.steps.iter().enumerate() {
            encoder.step = i;
            step.op.encode(&mut encoder)?;
        }
        Ok(encoder.encoded)
    }

    fn staging(&self, bytes: usize) -> Result<Staging> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Ok(Staging::new(self.buffer(bytes, usage)?))
    }

    /// Replays a compiled plan: inputs written, one pass, one submit, outputs read back. With
    /// `timings`, each dispatch runs in a pass of its own between two timestamps, where the device
    /// has them.
    pub async fn run(
        &self,
        compiled: &Compiled,
        inputs: &[(&str, HostValue<'_>)],
        timings: Option<&mut Vec<StepTiming>>,
    ) -> Result<Outputs> {
        let profile = match timings {
            Some(_) if self.caps().timestamps => Some(self.profile(compiled)?),
            _ => None,
        };
        let pending = self.start(compiled, inputs, profile.as_deref())?;
        let outputs = self.read(pending).await?;
        if let Some(timings) = timings {
            timings.clear();
            if let Some(profile) = &profile {
                self.read_timings(compiled, profile, timings).await?;
            }
        }
        Ok(outputs)
    }

    /// Starts a run; [`Device::read`] waits for it.
    pub fn submit(&self, compiled: &Compiled, inputs: &[(&str, HostValue<'_>)]) -> Result<Pending> {
        self.start(compiled, inputs, None)
    }

    fn start(
        &self,
        compiled: &Compiled,
        inputs: &[(&str, HostValue<'_>)],
        profile: Option<&Profile>,
    ) -> Result<Pending> {
        self.check()?;
        let plan = &compiled.plan;
        check_inputs(plan, inputs)?;
        for (name, id) in &plan.inputs {
            if let Some((_, given)) = inputs.iter().find(|(n, _)| n == name) {
                let slot = &compiled.slots[plan.values[id.index()].slot.index()];
                self.write(slot, 0, given.bytes());
            }
        }
        let staging = self.free_staging(compiled)?;
        self.encode_run(compiled, staging.as_deref(), profile);
        Ok(Pending { staging, layout: compiled.layout.clone() })
    }

    /// A staging buffer that no waiting run holds; none for a plan without outputs.
    fn free_staging(&self, compiled: &Compiled) -> Result<Option<Rc<Staging>>> {
        let bytes = compiled.layout.iter().map(|(_, _, bytes)| bytes).sum();
        if bytes == 0 {
            return Ok(None);
        }
        let mut stagings = compiled.stagings.borrow_mut();
        let staging = match stagings.iter().find(|s| !s.busy.get()) {
            Some(staging) => staging.clone(),
            None => {
                stagings.push(Rc::new(self.staging(bytes)?));
                stagings[stagings.len() - 1].clone()
            }
        };
        staging.busy.set(true);
        Ok(Some(staging))
    }

    /// Encodes and submits one run.
    fn encode_run(
        &self,
        compiled: &Compiled,
        staging: Option<&Staging>,
        profile: Option<&Profile>,
    ) {
        let plan = &compiled.plan;
        let mut encoder = self.encoder();
        match profile {
            Some(profile) => {
                for (i, dispatch) in compiled.dispatches.iter().enumerate() {
                    let query = 2 * i as u32;
                    let writes = wgpu::ComputePassTimestampWrites {
                        query_set: &profile.queries,
                        beginning_of_pass_write_index: Some(query),
                        end_of_pass_write_index: Some(query + 1),
                    };
                    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                        label: None,
                        timestamp_writes: Some(writes),
                    });
                    dispatch.encode(&mut pass);
                }
                let queries = 0..2 * compiled.dispatches.len() as u32;
                encoder.resolve_query_set(&profile.queries, queries, &profile.resolved, 0);
                let bytes = profile.resolved.size();
                encoder.copy_buffer_to_buffer(
                    &profile.resolved,
                    0,
                    &profile.staging.buffer,
                    0,
                    bytes,
                );
            }
            None => {
                let limit = self.options().flops_per_submit.unwrap_or(FLOPS_PER_SUBMIT);
                let mut rest = &compiled.dispatches[..];
                while !rest.is_empty() {
                    let mut flops = 0;
                    let mut chunk = 0;
                    while chunk < rest.len() && flops < limit {
                        flops += rest[chunk].flops;
                        chunk += 1;
                    }
                    let mut pass = encoder.begin_compute_pass(&Default::default());
                    rest[..chunk].iter().for_each(|dispatch| dispatch.encode(&mut pass));
                    drop(pass);
                    rest = &rest[chunk..];
                    if !rest.is_empty() {
                        self.submit_encoder(std::mem::replace(&mut encoder, self.encoder()));
                    }
                }
            }
        }
        let mut at = 0;
        if let Some(staging) = staging {
            for (_, id) in &plan.outputs {
                let slot = &compiled.slots[plan.values[id.index()].slot.index()];
                let bytes = plan.bytes_of(*id) as u64;
                encoder.copy_buffer_to_buffer(slot, 0, &staging.buffer, at, bytes);
                at += bytes;
            }
        }
        self.submit_encoder(encoder);
        self.count(|c| c.dispatches += compiled.dispatches.len());
    }

    /// Waits for a run and reads its outputs.
    pub async fn read(&self, pending: Pending) -> Result<Outputs> {
        let mut outputs = Outputs::default();
        let Some(staging) = &pending.staging else {
            return Ok(outputs);
        };
        self.map(staging).await?;
        let view = staging.buffer.get_mapped_range(..).map_err(|e| unreadable(&e))?;
        let mut at = 0;
        for (name, dtype, bytes) in &*pending.layout {
            outputs.push(name, *dtype, &view[at..at + bytes]);
            at += bytes;
        }
        drop(view);
        self.count(|c| c.read_backs += 1);
        Ok(outputs)
    }

    fn profile(&self, compiled: &Compiled) -> Result<Rc<Profile>> {
        if let Some(profile) = compiled.profile.borrow().clone() {
            profile.staging.release();
            return Ok(profile);
        }
        let count = 2 * compiled.dispatches.len();
        let queries = self.timestamps(count as u32);
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.buffer(8 * count, usage)?;
        let staging = self.staging(8 * count)?;
        let profile = Rc::new(Profile { queries, resolved, staging });
        *compiled.profile.borrow_mut() = Some(profile.clone());
        Ok(profile)
    }

    /// Time per step, its dispatches added up.
    async fn read_timings(
        &self,
        compiled: &Compiled,
        profile: &Profile,
        timings: &mut Vec<StepTiming>,
    ) -> Result<()> {
        self.map(&profile.staging).await?;
        let ms_per_tick = self.ms_per_tick();
        let steps = compiled.plan.steps.iter();
        timings.extend(steps.map(|step| StepTiming { op: step.op.name(), ms: 0.0 }));
        {
            let view = profile.staging.buffer.get_mapped_range(..).map_err(|e| unreadable(&e))?;
            let ticks = |i: usize| {
                let mut word = [0u8; 8];
                word.copy_from_slice(&view[8 * i..8 * i + 8]);
                u64::from_le_bytes(word)
            };
            for (i, dispatch) in compiled.dispatches.iter().enumerate() {
                let took = ticks(2 * i + 1).saturating_sub(ticks(2 * i));
                timings[dispatch.step].ms += took as f64 * ms_per_tick;
            }
        }
        profile.staging.release();
        Ok(())
    }

    /// Maps a staging buffer; a failure is told by what happened to the device.
    async fn map(&self, staging: &Staging) -> Result<()> {
        let mapped = staging.map(self.wgpu()).await;
        self.check()?;
        mapped.map_err(|error| unreadable(&error))
    }
}

/// A map that fails on a device with no error of its own: the device is on its way out.
fn unreadable(error: &dyn std::fmt::Display) -> crate::Error {
    err!(Code::DeviceLost, "the result could not be read back from the GPU: {error}")
        .remedy("load the model again")
}

impl Ready {
    fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], 1);
    }
}
