//! Record once, replay.
//!
//! A model's `forward` runs against a [`Recorder`], which does no arithmetic: it checks shapes
//! and writes down a straight line of steps. [`Recorder::finish`] turns them into a [`Plan`]:
//! steps, and slots that values share by liveness. A [`Runtime`] compiles the plan for its device
//! and replays it for every call of that shape.

mod recorder;
mod replay;
mod slots;
mod states;
mod weights;

pub use recorder::{Recorder, Tensor, ValueId};
pub(crate) use replay::check_inputs;
pub use replay::{Counters, HostValue, Outputs, PlanKey, Runtime, StepTiming, Ticket};
pub use slots::{Slot, SlotId};
pub use weights::{WeightId, Weights};

use crate::error::Result;
use crate::tensor::{DType, Shape};
use crate::{cpu, gpu};

/// One operation of a plan: immutable parameters, a CPU kernel call and a GPU recipe.
///
/// An op owns neither values nor weights; it names weights by [`WeightId`] and gets its values
/// from the step it stands in. There is no op without both kernels.
pub trait Op: std::fmt::Debug {
    /// The name in error messages and timing tables; the WGSL file has the same name.
    fn name(&self) -> &'static str;

    /// Runs the step on the CPU.
    fn run(&self, io: &mut CpuIo<'_>);

    /// Writes the step's dispatches for the GPU. Called once per plan, never per run.
    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()>;
}

/// A step: an op, and the values it reads and writes.
#[derive(Debug)]
pub struct Step {
    pub op: Box<dyn Op>,
    pub reads: Vec<ValueId>,
    /// States that the step reads and writes in place.
    pub states: Vec<ValueId>,
    pub writes: ValueId,
}

/// What a plan knows of a value.
#[derive(Debug, Clone, Copy)]
pub struct Value {
    pub shape: Shape,
    pub dtype: DType,
    pub slot: SlotId,
}

/// A recorded model for one input shape, ready to be compiled for a device.
#[derive(Debug)]
pub struct Plan {
    pub values: Vec<Value>,
    pub steps: Vec<Step>,
    pub slots: Vec<Slot>,
    /// Values the caller uploads before a run, by name.
    pub inputs: Vec<(&'static str, ValueId)>,
    /// Values the caller reads back, by name: the outputs, then the taps asked for.
    pub outputs: Vec<(String, ValueId)>,
    /// Values that live in the runtime and outlive the run, by name.
    pub states: Vec<(String, ValueId)>,
    /// Values that never change, as the bits of their words.
    pub constants: Vec<(ValueId, Vec<u32>)>,
}

impl Plan {
    /// Bytes of a value.
    pub fn bytes_of(&self, id: ValueId) -> usize {
        let value = self.values[id.index()];
        value.shape.len() * value.dtype.size()
    }
}

/// What an op's CPU kernel sees of its step.
pub struct CpuIo<'a> {
    pub(crate) slots: &'a [cpu::Buffer],
    pub(crate) reads: &'a [ValueId],
    pub(crate) values: &'a [Value],
    pub(crate) weights: &'a Weights<cpu::Weight>,
    /// The step's output, of exactly its value's length; empty where that is u32.
    pub out: &'a mut [f32],
    /// The same for an output of u32 (recorded by [`Recorder::push_u32`]).
    pub out_u32: &'a mut [u32],
    /// The states that the step updates, each with all the capacity it has.
    pub states: &'a mut [cpu::Buffer],
    /// Buffers that kernels reuse between steps and runs.
    pub scratch: &'a mut cpu::Scratch,
}

impl<'a> CpuIo<'a> {
    /// Input `i` as f32.
    pub fn f32(&self, i: usize) -> &'a [f32] {
        let value = self.values[self.reads[i].index()];
        &self.slots[value.slot.index()].f32()[..value.shape.len()]
    }

    /// Input `i` as u32.
    pub fn u32(&self, i: usize) -> &'a [u32] {
        let value = self.values[self.reads[i].index()];
        &self.slots[value.slot.index()].u32()[..value.shape.len()]
    }

    /// Input `i`, a state, with all the capacity it has.
    pub fn whole_f32(&self, i: usize) -> &'a [f32] {
        self.slots[self.values[self.reads[i].index()].slot.index()].f32()
    }

    /// The same of u32.
    pub fn whole_u32(&self, i: usize) -> &'a [u32] {
        self.slots[self.values[self.reads[i].index()].slot.index()].u32()
    }

    /// The shape of input `i`.
    pub fn shape(&self, i: usize) -> Shape {
        self.values[self.reads[i].index()].shape
    }

    /// A vector weight.
    pub fn vector(&self, id: WeightId) -> &'a [f32] {
        self.weights.get(id).map_or(&[], cpu::Weight::vector)
    }

    /// A matrix weight. Panics where a model names a weight that it did not declare as a matrix:
    /// a bug in the model's file that its first run shows.
    pub fn matrix(&self, id: WeightId) -> &'a cpu::PackedMatrix {
        match self.weights.get(id) {
            Some(weight) => weight.matrix(),
            None => unreachable!("weight {} was never declared", id.0),
        }
    }
}
