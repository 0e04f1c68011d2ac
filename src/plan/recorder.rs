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
    states: Vec<(String, ValueId)>,
    constants: Vec<(ValueId, Vec<u32>)>,
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

    /// A buffer that outlives the run: every plan of the runtime that names it sees what the last
    /// run left in it (a cache of keys and values). It holds at least `shape`; the caller may
    /// [reserve](super::Runtime::reserve) more, and an op that knows its layout may use all of it.
    pub fn state(&mut self, name: &str, shape: impl Into<Shape>, dtype: DType) -> Tensor {
        let shape = shape.into();
        if let Some((_, id)) = self.states.iter().find(|(n, _)| n == name) {
            let (id, known) = (*id, self.values[id.index()]);
            self.check(known == (shape, dtype), || {
                format!("state {name:?} as {shape} {dtype:?} and as {} {:?}", known.0, known.1)
            });
            return Tensor { id, shape, dtype };
        }
        let t = self.value(shape, dtype);
        self.states.push((name.to_string(), t.id));
        t
    }

    /// Makes `t`, which a step computes, the content of the state `name`: the step writes there.
    pub fn keep(&mut self, name: &str, t: Tensor) -> Tensor {
        let Some(step) = self.steps.iter().position(|s| s.writes == t.id) else {
            self.check(false, || format!("state {name:?} would keep what no step computes"));
            return t;
        };
        let known = self.states.iter().find(|(n, _)| n == name).map(|(_, id)| *id);
        let Some(id) = known else {
            self.states.push((name.to_string(), t.id));
            return t;
        };
        // what this plan has read so far is what the last run left
        let (shape, dtype) = self.values[id.index()];
        let read = self.steps.iter().any(|s| s.reads.contains(&t.id));
        self.check((shape, dtype) == (t.shape, t.dtype) && !read, || {
            format!("state {name:?} of {shape} cannot keep {}, or too late", t.shape)
        });
        self.steps[step].writes = id;
        Tensor { id, ..t }
    }

    /// Values that the plan knows, row-major: position encodings of one image size, rows to
    /// gather, zeros. They are on the device before the first run.
    pub fn constant(&mut self, values: &[f32], shape: impl Into<Shape>) -> Tensor {
        self.words(values.iter().map(|v| v.to_bits()).collect(), shape.into(), DType::F32)
    }

    /// The same for u32.
    pub fn constant_u32(&mut self, values: Vec<u32>, shape: impl Into<Shape>) -> Tensor {
        self.words(values, shape.into(), DType::U32)
    }

    fn words(&mut self, words: Vec<u32>, shape: Shape, dtype: DType) -> Tensor {
        self.check(words.len() == shape.len(), || {
            format!("constant: {} values for {shape}", words.len())
        });
        let t = self.value(shape, dtype);
        self.constants.push((t.id, words));
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
        self.step(Box::new(op), reads, &[], shape.into(), DType::F32)
    }

    /// The same for an op whose output is u32: ids, labels, masks. Its kernel writes
    /// [`super::CpuIo::out_u32`].
    pub fn push_u32(
        &mut self,
        op: impl Op + 'static,
        reads: &[Tensor],
        shape: impl Into<Shape>,
    ) -> Tensor {
        self.step(Box::new(op), reads, &[], shape.into(), DType::U32)
    }

    /// Records a step that reads and writes up to two `states` in place besides its output, of
    /// `dtype`.
    pub fn push_updating(
        &mut self,
        op: impl Op + 'static,
        reads: &[Tensor],
        states: &[Tensor],
        shape: impl Into<Shape>,
        dtype: DType,
    ) -> Tensor {
        let named = |t: &Tensor| self.states.iter().any(|(_, id)| *id == t.id);
        let known = states.len() <= 2 && states.iter().all(named);
        self.check(known, || format!("{}: not (up to two) states", op.name()));
        self.step(Box::new(op), reads, states, shape.into(), dtype)
    }

    fn step(
        &mut self,
        op: Box<dyn Op>,
        reads: &[Tensor],
        states: &[Tensor],
        shape: Shape,
        dtype: DType,
    ) -> Tensor {
        let out = self.value(shape, dtype);
        let ids = |tensors: &[Tensor]| tensors.iter().map(|t| t.id).collect();
        self.steps.push(Step { op, reads: ids(reads), states: ids(states), writes: out.id });
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
        let Recorder { values, steps, inputs, outputs, states, constants, .. } = self;
        let kept = inputs.iter().map(|(_, id)| *id).chain(outputs.iter().map(|(_, id)| *id));
        let kept = kept.chain(states.iter().map(|(_, id)| *id));
        let kept = kept.chain(constants.iter().map(|(id, _)| *id));
        let (values, slots) = slots::assign(&values, &steps, kept);
        Ok(Plan { values, steps, slots, inputs, outputs, states, constants })
    }
}
