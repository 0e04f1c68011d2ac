//! Replaying a plan: the runtime that holds a model's weights and its compiled plans.

use std::rc::Rc;

use web_time::Instant;

use super::states::{Memory, States};
use super::{CpuIo, Plan, Recorder, WeightId, Weights};
use crate::error::Result;
use crate::tensor::{DType, HostWeight};
use crate::{cpu, err, gpu, Code};

/// Plans kept per model. A text model sees a handful of lengths; a plan holds no weights, and
/// recording one again costs well under a millisecond on the CPU.
const PLANS: usize = 8;

/// What distinguishes the plans of one model: the sizes of its inputs.
pub type PlanKey = [usize; 4];

/// An input of a run.
#[derive(Debug, Clone, Copy)]
pub enum HostValue<'a> {
    F32(&'a [f32]),
    U32(&'a [u32]),
}

impl HostValue<'_> {
    pub fn len(&self) -> usize {
        match self {
            HostValue::F32(v) => v.len(),
            HostValue::U32(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            HostValue::F32(v) => bytemuck::cast_slice(v),
            HostValue::U32(v) => bytemuck::cast_slice(v),
        }
    }

    pub fn dtype(&self) -> DType {
        match self {
            HostValue::F32(_) => DType::F32,
            HostValue::U32(_) => DType::U32,
        }
    }
}

/// The outputs of a run by name: those of f32, then those of u32.
#[derive(Debug, Default)]
pub struct Outputs(pub Vec<(String, Vec<f32>)>, pub Vec<(String, Vec<u32>)>);

impl Outputs {
    /// Takes the named output of f32.
    pub fn take(&mut self, name: &str) -> Result<Vec<f32>> {
        take(&mut self.0, name)
    }

    /// Takes the named output of u32.
    pub fn take_u32(&mut self, name: &str) -> Result<Vec<u32>> {
        take(&mut self.1, name)
    }

    /// Adds an output of which the device gave the bytes.
    pub(crate) fn push(&mut self, name: &str, dtype: DType, bytes: &[u8]) {
        match dtype {
            DType::F32 => self.0.push((name.into(), bytemuck::pod_collect_to_vec(bytes))),
            DType::U32 => self.1.push((name.into(), bytemuck::pod_collect_to_vec(bytes))),
        }
    }
}

fn take<T>(outputs: &mut Vec<(String, T)>, name: &str) -> Result<T> {
    match outputs.iter().position(|(n, _)| n == name) {
        Some(at) => Ok(outputs.swap_remove(at).1),
        None => Err(err!(Code::Internal, "the run has no output named {name:?}")),
    }
}

/// Time spent in one step of the last profiled run.
#[derive(Debug, Clone)]
pub struct StepTiming {
    pub op: &'static str,
    pub ms: f64,
}

/// What a runtime has done since it was made; tests assert on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub runs: usize,
    pub plans: usize,
    /// Bytes of outputs that were handed out.
    pub read_bytes: usize,
    pub gpu: gpu::Counters,
}

/// A runtime has one, so its size does not matter.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
enum Backend {
    Cpu { weights: Weights<cpu::Weight>, scratch: cpu::Scratch },
    Gpu { device: gpu::Device, weights: Weights<gpu::Weight> },
}

#[derive(Debug)]
struct Compiled {
    /// The runtime's states that the plan names, in the plan's order.
    states: Vec<usize>,
    on: On,
}

#[derive(Debug)]
enum On {
    Cpu { plan: Plan, slots: Vec<cpu::Buffer> },
    Gpu(gpu::Compiled),
}

/// A run that was submitted and not yet read.
#[derive(Debug)]
pub struct Ticket(Submitted);

#[derive(Debug)]
enum Submitted {
    /// The CPU has computed it already.
    Cpu(Outputs),
    Gpu(gpu::Pending),
}

/// The weights of one model on one device, and its compiled plans.
#[derive(Debug)]
pub struct Runtime {
    backend: Backend,
    plans: Vec<(PlanKey, Compiled)>,
    states: States,
    counters: Counters,
    /// Filled by runs when `profile` is on.
    timings: Vec<StepTiming>,
    profile: bool,
}

impl Runtime {
    /// A runtime on the CPU; weights follow by [`Runtime::set_weight`].
    pub fn cpu() -> Self {
        Self::new(Backend::Cpu { weights: Weights::default(), scratch: cpu::Scratch::default() })
    }

    /// A runtime on a GPU device; weights follow by [`Runtime::set_weight`].
    pub fn gpu(device: gpu::Device) -> Self {
        Self::new(Backend::Gpu { device, weights: Weights::default() })
    }

    fn new(backend: Backend) -> Self {
        Runtime {
            backend,
            plans: Vec::new(),
            states: States::default(),
            counters: Counters::default(),
            timings: Vec::new(),
            profile: false,
        }
    }

    pub fn is_gpu(&self) -> bool {
        matches!(self.backend, Backend::Gpu { .. })
    }

    /// Moves a weight to the device; weights come in any order, before the first run.
    pub fn set_weight(&mut self, id: WeightId, weight: HostWeight) -> Result<()> {
        match &mut self.backend {
            Backend::Cpu { weights, .. } => weights.set(id, cpu::Weight::new(weight)),
            Backend::Gpu { device, weights } => weights.set(id, device.upload(weight)?),
        }
        Ok(())
    }

    /// Whether the weight is there.
    pub fn has_weight(&self, id: WeightId) -> bool {
        match &self.backend {
            Backend::Cpu { weights, .. } => weights.get(id).is_some(),
            Backend::Gpu { weights, .. } => weights.get(id).is_some(),
        }
    }

    /// Compiles what a GPU will need for the model that `record` writes down, while its weights
    /// (one shape per id) are still on their way. Does nothing on the CPU.
    pub fn prepare(
        &self,
        record: impl FnOnce(&mut Recorder),
        weights: &[gpu::WeightShape],
    ) -> Result<()> {
        if let Backend::Gpu { device, .. } = &self.backend {
            let mut recorder = Recorder::new();
            record(&mut recorder);
            device.prepare(&recorder.finish()?, weights)?;
        }
        Ok(())
    }

    /// Runs the model that `record` writes down, for inputs of the sizes that `key` names.
    ///
    /// The first run of a key records and compiles; later ones only replay.
    pub async fn run(
        &mut self,
        key: PlanKey,
        record: impl FnOnce(&mut Recorder),
        inputs: &[(&str, HostValue<'_>)],
    ) -> Result<Outputs> {
        let last = self.plan(key, record)?;
        if self.profile {
            let (_, plan) = &mut self.plans[last];
            if let (Backend::Gpu { device, .. }, On::Gpu(compiled)) = (&self.backend, &mut plan.on)
            {
                device.rebind(compiled, &buffers(&self.states, &plan.states));
                return device.run(compiled, inputs, Some(&mut self.timings)).await;
            }
        }
        let ticket = self.start(last, inputs)?;
        self.read(ticket).await
    }

    /// Starts a run and does not wait for it: the next one may be submitted before this one is
    /// [read](Runtime::read). Runs happen in the order of their submission.
    pub fn submit(
        &mut self,
        key: PlanKey,
        record: impl FnOnce(&mut Recorder),
        inputs: &[(&str, HostValue<'_>)],
    ) -> Result<Ticket> {
        let last = self.plan(key, record)?;
        self.start(last, inputs)
    }

    fn start(&mut self, plan: usize, inputs: &[(&str, HostValue<'_>)]) -> Result<Ticket> {
        let (_, plan) = &mut self.plans[plan];
        let timings = self.profile.then_some(&mut self.timings);
        submit(&mut self.backend, plan, &mut self.states, inputs, timings)
    }

    /// The outputs of a submitted run.
    pub async fn read(&mut self, ticket: Ticket) -> Result<Outputs> {
        let outputs = match (ticket.0, &self.backend) {
            (Submitted::Cpu(outputs), _) => outputs,
            (Submitted::Gpu(pending), Backend::Gpu { device, .. }) => device.read(pending).await?,
            (Submitted::Gpu(_), Backend::Cpu { .. }) => {
                return Err(err!(Code::Internal, "a run of another device"));
            }
        };
        let words: usize = outputs.0.iter().map(|(_, v)| v.len()).sum();
        let ids: usize = outputs.1.iter().map(|(_, v)| v.len()).sum();
        self.counters.read_bytes += 4 * (words + ids);
        Ok(outputs)
    }

    /// Makes room for `len` elements in the state `name`; what it holds stays. Room grows at
    /// least twofold, so that a cache that grows by the token is rarely moved.
    pub fn reserve(&mut self, name: &str, dtype: DType, len: usize) -> Result<()> {
        self.states.reserve(device(&self.backend), name, dtype, len)?;
        Ok(())
    }

    /// Overwrites a part of the state `name`, before the runs that are submitted from now on.
    pub fn write_state(&mut self, name: &str, offset: usize, values: HostValue<'_>) -> Result<()> {
        let device = device(&self.backend);
        let end = offset + values.len();
        let at = self.states.reserve(device, name, values.dtype(), end)?;
        self.states.write(device, at, offset, values)
    }

    /// The index of the plan for `key`, most recently used last.
    fn plan(&mut self, key: PlanKey, record: impl FnOnce(&mut Recorder)) -> Result<usize> {
        self.counters.runs += 1;
        let plan = match self.plans.iter().position(|(k, _)| *k == key) {
            Some(at) => self.plans.remove(at),
            None => {
                let mut recorder = Recorder::new();
                record(&mut recorder);
                let compiled = self.compile(recorder.finish()?)?;
                if self.plans.len() == PLANS {
                    self.plans.remove(0);
                }
                (key, compiled)
            }
        };
        self.plans.push(plan);
        Ok(self.plans.len() - 1)
    }

    /// Runs once with inner values read back too; nothing is cached.
    pub async fn run_tapped(
        &mut self,
        taps: &[&str],
        record: impl FnOnce(&mut Recorder),
        inputs: &[(&str, HostValue<'_>)],
    ) -> Result<Outputs> {
        let mut recorder = Recorder::with_taps(taps.iter().copied());
        record(&mut recorder);
        let mut plan = self.compile(recorder.finish()?)?;
        let ticket = submit(&mut self.backend, &mut plan, &mut self.states, inputs, None)?;
        self.read(ticket).await
    }

    fn compile(&mut self, plan: Plan) -> Result<Compiled> {
        self.counters.plans += 1;
        let mut states = Vec::with_capacity(plan.states.len());
        for (name, id) in &plan.states {
            let value = plan.values[id.index()];
            let device = device(&self.backend);
            states.push(self.states.reserve(device, name, value.dtype, value.shape.len())?);
        }
        let on = match &self.backend {
            Backend::Cpu { .. } => {
                let mut slots: Vec<cpu::Buffer> =
                    plan.slots.iter().map(|s| cpu::Buffer::new(s.len, s.dtype)).collect();
                for (id, words) in &plan.constants {
                    match &mut slots[plan.values[id.index()].slot.index()] {
                        cpu::Buffer::U32(slot) => slot.copy_from_slice(words),
                        cpu::Buffer::F32(slot) => {
                            slot.copy_from_slice(bytemuck::cast_slice(words));
                        }
                    }
                }
                for (_, id) in &plan.states {
                    // lent by the runtime for each run
                    slots[plan.values[id.index()].slot.index()] = cpu::Buffer::U32(Vec::new());
                }
                On::Cpu { plan, slots }
            }
            Backend::Gpu { device, weights } => {
                On::Gpu(device.compile(plan, weights, &buffers(&self.states, &states))?)
            }
        };
        Ok(Compiled { states, on })
    }

    /// Destroys the GPU device, as a driver reset does; every later run fails with
    /// [`Code::DeviceLost`]. Does nothing on the CPU.
    pub fn lose_device(&self) {
        if let Backend::Gpu { device, .. } = &self.backend {
            device.destroy();
        }
    }

    /// Work done so far.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        if let Backend::Gpu { device, .. } = &self.backend {
            counters.gpu = device.counters();
        }
        counters
    }

    /// Measure each step from now on. The last timings stay until a profiled run replaces them.
    pub fn set_profile(&mut self, profile: bool) {
        self.profile = profile;
    }

    /// Time per step of the last run made with `profile` on.
    pub fn timings(&self) -> &[StepTiming] {
        &self.timings
    }

    /// Bytes held on the device: weights, and what runs work in (the slots of the cached plans,
    /// and states).
    pub fn bytes(&self) -> (usize, usize) {
        let weights = match &self.backend {
            Backend::Cpu { weights, .. } => weights.iter().map(cpu::Weight::bytes).sum(),
            Backend::Gpu { weights, .. } => weights.iter().map(gpu::Weight::bytes).sum(),
        };
        let slots: usize = self.plans.iter().map(|(_, plan)| plan.bytes()).sum();
        let states: usize = self.states.0.iter().map(|s| s.len * s.dtype.size()).sum();
        (weights, slots + states)
    }
}

impl Compiled {
    fn bytes(&self) -> usize {
        match &self.on {
            On::Cpu { plan, .. } => plan.slots.iter().map(|s| s.len * s.dtype.size()).sum(),
            On::Gpu(plan) => plan.bytes(),
        }
    }
}

fn device(backend: &Backend) -> Option<&gpu::Device> {
    match backend {
        Backend::Cpu { .. } => None,
        Backend::Gpu { device, .. } => Some(device),
    }
}

/// The buffers of the states that a plan names.
fn buffers(states: &States, named: &[usize]) -> Vec<Rc<gpu::Buffer>> {
    let buffer = |at: &usize| match &states.0[*at].memory {
        Memory::Gpu(buffer) => Some(buffer.clone()),
        Memory::Cpu(_) => None,
    };
    named.iter().filter_map(buffer).collect()
}

fn submit(
    backend: &mut Backend,
    plan: &mut Compiled,
    states: &mut States,
    inputs: &[(&str, HostValue<'_>)],
    timings: Option<&mut Vec<StepTiming>>,
) -> Result<Ticket> {
    match (backend, &mut plan.on) {
        (Backend::Cpu { weights, scratch }, On::Cpu { plan: steps, slots }) => {
            check_inputs(steps, inputs)?;
            lend(steps, slots, states, &plan.states);
            let outputs = replay_cpu(steps, slots, weights, scratch, inputs, timings);
            lend(steps, slots, states, &plan.states);
            Ok(Ticket(Submitted::Cpu(outputs)))
        }
        (Backend::Gpu { device, .. }, On::Gpu(compiled)) => {
            device.rebind(compiled, &buffers(states, &plan.states));
            Ok(Ticket(Submitted::Gpu(device.submit(compiled, inputs)?)))
        }
        _ => Err(err!(Code::Internal, "a plan compiled for another device")),
    }
}

/// Swaps the states' memory with what stands in their slots: into the plan before a run, back to
/// the runtime after it.
fn lend(plan: &Plan, slots: &mut [cpu::Buffer], states: &mut States, named: &[usize]) {
    for ((_, id), at) in plan.states.iter().zip(named) {
        if let Memory::Cpu(memory) = &mut states.0[*at].memory {
            std::mem::swap(memory, &mut slots[plan.values[id.index()].slot.index()]);
        }
    }
}

/// Every input of the plan is there, with its dtype and length.
pub(crate) fn check_inputs(plan: &Plan, inputs: &[(&str, HostValue<'_>)]) -> Result<()> {
    for (name, id) in &plan.inputs {
        let value = plan.values[id.index()];
        let Some((_, given)) = inputs.iter().find(|(n, _)| n == name) else {
            return Err(err!(Code::Internal, "the run lacks its input {name:?} {}", value.shape));
        };
        if given.len() != value.shape.len() || given.dtype() != value.dtype {
            return Err(err!(
                Code::Internal,
                "input {name:?} has {} elements of {:?}, the plan wants {} of {:?}",
                given.len(),
                given.dtype(),
                value.shape,
                value.dtype
            ));
        }
    }
    Ok(())
}

fn replay_cpu(
    plan: &Plan,
    slots: &mut [cpu::Buffer],
    weights: &Weights<cpu::Weight>,
    scratch: &mut cpu::Scratch,
    inputs: &[(&str, HostValue<'_>)],
    mut timings: Option<&mut Vec<StepTiming>>,
) -> Outputs {
    for (name, given) in inputs {
        if let Some((_, id)) = plan.inputs.iter().find(|(n, _)| n == name) {
            let slot = &mut slots[plan.values[id.index()].slot.index()];
            match (slot, given) {
                (cpu::Buffer::F32(slot), HostValue::F32(v)) => slot[..v.len()].copy_from_slice(v),
                (cpu::Buffer::U32(slot), HostValue::U32(v)) => slot[..v.len()].copy_from_slice(v),
                _ => {} // check_inputs compared the dtypes
            }
        }
    }
    if let Some(timings) = timings.as_deref_mut() {
        timings.clear();
    }
    for step in &plan.steps {
        let start = timings.is_some().then(Instant::now);
        let out = plan.values[step.writes.index()];
        // The output leaves the slots while its step runs: no op reads the slot it writes.
        let mut buffer =
            std::mem::replace(&mut slots[out.slot.index()], cpu::Buffer::U32(Vec::new()));
        let len = out.shape.len();
        let (out_f32, out_u32): (&mut [f32], &mut [u32]) = match &mut buffer {
            cpu::Buffer::F32(buffer) => (&mut buffer[..len], &mut []),
            cpu::Buffer::U32(buffer) => (&mut [], &mut buffer[..len]),
        };
        // So do the states that it updates.
        let take = |slots: &mut [cpu::Buffer], id: super::ValueId| {
            let slot = &mut slots[plan.values[id.index()].slot.index()];
            std::mem::replace(slot, cpu::Buffer::U32(Vec::new()))
        };
        let mut states = [cpu::Buffer::U32(Vec::new()), cpu::Buffer::U32(Vec::new())];
        for (state, id) in states.iter_mut().zip(&step.states) {
            *state = take(slots, *id);
        }
        step.op.run(&mut CpuIo {
            slots,
            reads: &step.reads,
            values: &plan.values,
            weights,
            out: out_f32,
            out_u32,
            states: &mut states[..step.states.len()],
            scratch,
        });
        for (state, id) in states.into_iter().zip(&step.states) {
            slots[plan.values[id.index()].slot.index()] = state;
        }
        slots[out.slot.index()] = buffer;
        if let (Some(timings), Some(start)) = (timings.as_deref_mut(), start) {
            let ms = start.elapsed().as_secs_f64() * 1e3;
            timings.push(StepTiming { op: step.op.name(), ms });
        }
    }
    let mut outputs = Outputs::default();
    for (name, id) in &plan.outputs {
        let value = plan.values[id.index()];
        let len = value.shape.len();
        match &slots[value.slot.index()] {
            cpu::Buffer::F32(slot) => outputs.0.push((name.clone(), slot[..len].to_vec())),
            cpu::Buffer::U32(slot) => outputs.1.push((name.clone(), slot[..len].to_vec())),
        }
    }
    outputs
}
