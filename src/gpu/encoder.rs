//! What an op writes its dispatches to: once per plan, never per run.

use std::rc::Rc;

use super::device::{Buffer, Device};
use super::pipelines::{Access, Pipeline};
use super::weights::Stored;
use super::{Caps, Chunk, Constants, MatrixBuffers, Shader, Weight};
use crate::error::Result;
use crate::plan::{Plan, Step, ValueId, WeightId, Weights};
use crate::tensor::Shape;
use crate::{err, Code};

/// Workgroups per dimension that every device has.
const MAX_GROUPS: usize = 65535;

/// A range of a GPU buffer, as a shader sees it.
#[derive(Debug, Clone)]
pub struct Binding {
    buffer: wgpu::Buffer,
    offset: u64,
    bytes: u64,
    access: Access,
    /// The slot of the plan that it is, if it is one.
    slot: Option<usize>,
}

/// One dispatch of an op.
#[derive(Debug)]
pub struct Dispatch<'a> {
    pub shader: &'static Shader,
    pub constants: Constants,
    /// The words of the shader's uniform block `Params`; floats as their bits.
    pub params: &'a [u32],
    /// Storage buffers by binding number (binding 0 is the uniform block).
    pub bindings: &'a [(u32, Binding)],
    /// Workgroups in x and y.
    pub grid: [usize; 2],
    /// Floating-point operations, roughly: long plans are submitted in chunks of these.
    pub flops: u64,
}

/// A dispatch with its pipeline; its bind group waits for the plan's uniform buffer.
#[derive(Debug)]
pub(super) struct Encoded {
    pub pipeline: Pipeline,
    pub params: Vec<u32>,
    pub bindings: Vec<(u32, Binding)>,
    pub grid: [u32; 2],
    pub step: usize,
    pub flops: u64,
}

/// What an op sees while its step is compiled: the shapes and buffers of its step, the weights of
/// the model, and what the device can do.
#[derive(Debug)]
pub struct Encoder<'a> {
    pub(super) device: &'a Device,
    pub(super) plan: &'a Plan,
    pub(super) slots: &'a [Rc<Buffer>],
    pub(super) weights: &'a Weights<Weight>,
    pub(super) step: usize,
    pub(super) encoded: Vec<Encoded>,
}

impl Encoder<'_> {
    pub fn caps(&self) -> Caps {
        self.device.caps()
    }

    fn current(&self) -> &Step {
        &self.plan.steps[self.step]
    }

    /// The shape of input `i`.
    pub fn shape(&self, i: usize) -> Shape {
        self.plan.values[self.current().reads[i].index()].shape
    }

    /// The shape of the output.
    pub fn out_shape(&self) -> Shape {
        self.plan.values[self.current().writes.index()].shape
    }

    /// Input `i`.
    pub fn read(&self, i: usize) -> Binding {
        self.value(self.current().reads[i], Access::Read)
    }

    /// The output.
    pub fn out(&self) -> Binding {
        self.value(self.current().writes, Access::ReadWrite)
    }

    fn value(&self, id: ValueId, access: Access) -> Binding {
        let slot = self.plan.values[id.index()].slot.index();
        Binding { slot: Some(slot), ..whole(&self.slots[slot], access) }
    }

    /// State `i` of those that the step updates, with all the capacity it has.
    pub fn state(&self, i: usize) -> Binding {
        self.value(self.current().states[i], Access::ReadWrite)
    }

    /// A vector weight.
    pub fn vector(&self, id: WeightId) -> Result<Binding> {
        match self.weights.get(id) {
            Some(Weight(Stored::Vector(buffer))) => Ok(whole(buffer, Access::Read)),
            other => Err(self.wrong_weight("vector", id, other)),
        }
    }

    /// A matrix weight.
    pub fn matrix(&self, id: WeightId) -> Result<Rc<MatrixBuffers>> {
        match self.weights.get(id) {
            Some(Weight(Stored::Matrix(matrix))) => Ok(matrix.clone()),
            other => Err(self.wrong_weight("matrix", id, other)),
        }
    }

    fn wrong_weight(&self, wanted: &str, id: WeightId, found: Option<&Weight>) -> crate::Error {
        let found = match found {
            None => "missing",
            Some(Weight(Stored::Vector(_))) => "a vector",
            Some(Weight(Stored::Matrix(_))) => "a matrix",
        };
        let name = self.current().op.name();
        err!(
            Code::Internal,
            "{name} (step {}) wants {wanted} {}, which is {found}",
            self.step,
            id.0
        )
    }

    /// Adds a dispatch to the plan.
    pub fn dispatch(&mut self, dispatch: Dispatch<'_>) -> Result<()> {
        let Dispatch { shader, constants, params, bindings, grid: [x, y], flops } = dispatch;
        if x == 0 || y == 0 || x > MAX_GROUPS || y > MAX_GROUPS {
            return Err(err!(
                Code::Input,
                "{} (step {}) would take {x} x {y} workgroups; a GPU runs up to {MAX_GROUPS} each way",
                shader.name,
                self.step
            )
            .remedy("pass fewer or shorter inputs at once"));
        }
        let layout = bindings.iter().map(|(number, b)| (*number, b.access)).collect();
        let pipeline = self.device.pipeline(shader, &constants, layout)?;
        self.encoded.push(Encoded {
            pipeline,
            params: params.to_vec(),
            bindings: bindings.to_vec(),
            grid: [x as u32, y as u32],
            step: self.step,
            flops,
        });
        Ok(())
    }
}

fn whole(buffer: &wgpu::Buffer, access: Access) -> Binding {
    Binding { buffer: buffer.clone(), offset: 0, bytes: buffer.size(), access, slot: None }
}

impl Binding {
    /// Binds the new buffer of `slot` if this is that slot; says whether it is.
    pub(super) fn rebind(&mut self, slot: usize, buffer: &wgpu::Buffer) -> bool {
        let is = self.slot == Some(slot);
        if is {
            *self = Binding { slot: self.slot, ..whole(buffer, self.access) };
        }
        is
    }

    pub(super) fn is_slot(&self, slots: &[usize]) -> bool {
        self.slot.is_some_and(|slot| slots.contains(&slot))
    }

    pub(super) fn resource(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: self.offset,
            size: std::num::NonZeroU64::new(self.bytes),
        })
    }
}

impl Chunk {
    /// The quantized rows.
    pub fn data(&self) -> Binding {
        Binding {
            buffer: (*self.buffer).clone(),
            offset: 0,
            bytes: self.data_bytes,
            access: Access::Read,
            slot: None,
        }
    }

    /// The scales, for the formats that have them.
    pub fn scales(&self) -> Option<Binding> {
        let (offset, bytes) = self.scales?;
        let buffer = (*self.buffer).clone();
        Some(Binding { buffer, offset, bytes, access: Access::Read, slot: None })
    }
}

/// A product of sizes that may be too large for 32 bits.
pub fn flops<const N: usize>(factors: [usize; N]) -> u64 {
    factors.iter().map(|&f| f as u64).product()
}

/// A grid of at least `n` workgroups where one dimension might not suffice; a shader finds its
/// index as `group.x + group.y * groups.x` and returns where that is `n` or more.
pub fn rows_grid(n: usize) -> [usize; 2] {
    [n.min(MAX_GROUPS), n.div_ceil(MAX_GROUPS)]
}
