//! The GPU device.

use crate::error::Result;
use crate::plan::{HostValue, Op, Outputs, Plan, ValueId};
use crate::tensor::HostWeight;
use crate::{err, Code};

/// What a device has done since it was made; tests assert that a warm run creates nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub pipelines: usize,
    pub bind_groups: usize,
    pub buffers: usize,
    pub dispatches: usize,
    pub submits: usize,
    pub read_backs: usize,
}

/// A WebGPU device and what was found out about it.
#[derive(Debug)]
pub struct Device {}

/// A weight in GPU buffers.
#[derive(Debug)]
pub struct Weight {}

/// A plan compiled for a device: pipelines and bind groups, built once.
#[derive(Debug)]
pub struct Compiled {}

/// What an op sees while its step is compiled.
#[derive(Debug)]
pub struct Encoder<'a> {
    pub(crate) reads: &'a [ValueId],
}

impl Encoder<'_> {
    /// Until the op has its shader.
    pub fn missing(&mut self, op: &dyn Op) -> Result<()> {
        Err(err!(
            Code::Unsupported,
            "op {} has no GPU kernel ({} reads)",
            op.name(),
            self.reads.len()
        ))
    }
}

impl Weight {
    pub fn bytes(&self) -> usize {
        0
    }
}

impl Compiled {
    pub fn bytes(&self) -> usize {
        0
    }
}

impl Device {
    /// Work done so far.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Moves a weight to the device.
    pub fn upload(&self, _weight: HostWeight) -> Result<Weight> {
        Err(err!(Code::Device, "no GPU device"))
    }

    /// Compiles a plan: every pipeline and bind group a run needs.
    pub fn compile(&self, _plan: Plan, _weights: &[Weight]) -> Result<Compiled> {
        Err(err!(Code::Device, "no GPU device"))
    }

    /// Replays a compiled plan: inputs written, one pass, one submit, outputs read back.
    pub async fn run(
        &self,
        _plan: &Compiled,
        _inputs: &[(&str, HostValue<'_>)],
    ) -> Result<Outputs> {
        Err(err!(Code::Device, "no GPU device"))
    }
}
