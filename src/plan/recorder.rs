//! The recorder: what model code talks to.

use std::collections::BTreeSet;
use std::fmt;

use super::{slots, Op, Plan, Step};
use crate::error::{Error, Result};
use crate::tensor::{DType, Shape};
use crate::{err, Code};

/// Index of a value within its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValueId(u32);

impl ValueId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A handle to a value that a run will compute: no data, copied like a number.
#[derive(Debug, Clone, Copy)]
pub struct Tensor {
    pub(crate) id: ValueId,
    pub shape: Shape,
    pub dtype: DType,
}

/// Writes down the steps of a model for one input shape.
///
/// Shape errors do not interrupt the model code: the recorder keeps the first one and
/// [`Recorder::finish`] returns it.
#[derive(Debug, Default)]
pub struct Recorder {
    values: Vec<(Shape, DType)>,
    steps: Vec<Step>,
    inputs: Vec<(&'static str, ValueId)>,
    outputs: Vec<(String, ValueId)>,
    taps: BTreeSet<String>,
    error: Option<Error>,
}

impl Recorder {
    pub fn new() -> Self {
        Recorder::default()
    }

    /// A recorder whose plan also returns the named inner values.
    pub fn with_taps<I, S>(names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Recorder { taps: names.into_iter().map(Into::into).collect(), ..Recorder::default() }
    }

    fn value(&mut self, shape: Shape, dtype: DType) -> Tensor {
        let id = ValueId(self.values.len() as u32);
        self.values.push((shape, dtype));
        Tensor { id, shape, dtype }
    }

    /// A value that the caller uploads under `name` before each run.
    pub fn input(&mut self, name: &'static str, shape: impl Into<Shape>, dtype: DType) -> Tensor {
        let t = self.value(shape.into(), dtype);
        self.inputs.push((name, t.id));
        t
    }

    /// Marks `t` as a value that the caller reads back under `name` after each run.
    pub fn output(&mut self, name: impl Into<String>, t: Tensor) {
        self.outputs.push((name.into(), t.id));
    }

    /// Names an inner value. A plan whose taps include `name` returns it; any other pays nothing.
    pub fn tap(&mut self, name: fmt::Arguments<'_>, t: Tensor) {
        if !self.taps.is_empty() {
            let name = name.to_string();
            if self.taps.remove(&name) {
                self.output(name, t);
            }
        }
    }

    /// Records a step. Ops call this from their `impl Recorder`, after checking shapes.
    pub fn push(
        &mut self,
        op: impl Op + 'static,
        reads: &[Tensor],
        shape: impl Into<Shape>,
    ) -> Tensor {
        self.step(Box::new(op), reads, shape.into(), DType::F32)
    }

    /// The same for an op whose output is u32: ids, labels, masks. Its kernel writes
    /// [`super::CpuIo::out_u32`].
    pub fn push_u32(
        &mut self,
        op: impl Op + 'static,
        reads: &[Tensor],
        shape: impl Into<Shape>,
    ) -> Tensor {
        self.step(Box::new(op), reads, shape.into(), DType::U32)
    }

    fn step(&mut self, op: Box<dyn Op>, reads: &[Tensor], shape: Shape, dtype: DType) -> Tensor {
        let out = self.value(shape, dtype);
        let reads = reads.iter().map(|t| t.id).collect();
        self.steps.push(Step { op, reads, writes: out.id });
        out
    }

    /// Keeps the first shape error; `message` names the op and both shapes.
    pub fn check(&mut self, ok: bool, message: impl FnOnce() -> String) {
        if !ok && self.error.is_none() {
            let error = err!(Code::Shape, "step {}: {}", self.steps.len(), message());
            self.error = Some(error.remedy("config.json and the checkpoint disagree"));
        }
    }

    /// The plan, or the first shape error.
    pub fn finish(self) -> Result<Plan> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if let Some(name) = self.taps.first() {
            return Err(err!(Code::Input, "the model has no inner value named {name:?}"));
        }
        let (values, slots) = slots::assign(&self.values, &self.steps, &self.inputs, &self.outputs);
        let Recorder { steps, inputs, outputs, .. } = self;
        Ok(Plan { values, steps, slots, inputs, outputs })
    }
}
