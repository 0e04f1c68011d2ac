//! Slots: the buffers of a plan, shared by values whose lives do not overlap.
//!
//! One slot is one buffer (a `GPUBuffer` of its own on the GPU): WebGPU forbids one buffer to be
//! read and written in a dispatch even at disjoint offsets, so an arena would not do.

use super::{Step, Value, ValueId};
use crate::tensor::{DType, Shape};

/// Index of a slot within its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlotId(u32);

impl SlotId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A buffer of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Elements of the largest value that lives here.
    pub len: usize,
    pub dtype: DType,
}

/// A value may take a slot up to so many times its size. Without a bound the pieces that a long
/// input is computed in (32 KB each of 30 s of audio) each kept one of the slots that their first
/// layers had used (2 MB), 197 MB in all.
const ROOMY: usize = 4;

/// Gives every value a slot. Those of `kept` have theirs for themselves (an input survives the run
/// that reads it, an output until it is read back, a state for good); every other value takes the
/// free slot that fits it best and returns it after its last reader.
pub(super) fn assign(
    values: &[(Shape, DType)],
    steps: &[Step],
    kept: impl Iterator<Item = ValueId>,
) -> (Vec<Value>, Vec<Slot>) {
    let mut slots: Vec<Slot> = Vec::new();
    let mut slot_of: Vec<Option<SlotId>> = vec![None; values.len()];
    let mut pinned = vec![false; values.len()];
    let own = |slots: &mut Vec<Slot>, v: ValueId| {
        let (shape, dtype) = values[v.index()];
        slots.push(Slot { len: shape.len(), dtype });
        SlotId(slots.len() as u32 - 1)
    };
    for v in kept {
        if slot_of[v.index()].is_none() {
            slot_of[v.index()] = Some(own(&mut slots, v));
            pinned[v.index()] = true;
        }
    }

    let mut last_use = vec![usize::MAX; values.len()];
    for (i, step) in steps.iter().enumerate() {
        for v in &step.reads {
            last_use[v.index()] = i;
        }
    }

    let mut free: Vec<SlotId> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let v = step.writes;
        let (shape, dtype) = values[v.index()];
        if slot_of[v.index()].is_none() {
            // The smallest free slot that is large enough, else the largest, which grows.
            let best = free
                .iter()
                .enumerate()
                .filter(|(_, s)| {
                    let slot = &slots[s.index()];
                    slot.dtype == dtype && slot.len <= ROOMY * shape.len()
                })
                .min_by_key(|(_, s)| {
                    let len = slots[s.index()].len;
                    if len >= shape.len() {
                        (0, len)
                    } else {
                        (1, usize::MAX - len)
                    }
                })
                .map(|(at, _)| at);
            slot_of[v.index()] = Some(match best {
                Some(at) => {
                    let slot = free.swap_remove(at);
                    slots[slot.index()].len = slots[slot.index()].len.max(shape.len());
                    slot
                }
                None => own(&mut slots, v),
            });
        }
        // Freed only now: the output above never shares a slot with an input of its own step.
        for (at, r) in step.reads.iter().enumerate() {
            let repeated = step.reads[..at].contains(r);
            if last_use[r.index()] == i && !pinned[r.index()] && !repeated {
                free.extend(slot_of[r.index()]);
            }
        }
        if last_use[v.index()] == usize::MAX && !pinned[v.index()] {
            free.extend(slot_of[v.index()]); // written, never read
        }
    }

    // A value no step writes and no input names does not occur in a recorded plan; slot 0 stands
    // in so that the table stays dense.
    let values = values
        .iter()
        .zip(slot_of)
        .map(|(&(shape, dtype), slot)| Value { shape, dtype, slot: slot.unwrap_or(SlotId(0)) })
        .collect();
    (values, slots)
}
