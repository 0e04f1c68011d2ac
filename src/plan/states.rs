//! State that outlives a run: caches of keys and values, and the tables that say where they are.
//!
//! A state is a buffer with a name. Plans that name it work on it in place; a run lends it to its
//! plan and takes it back. It grows by doubling and keeps what it holds: on the GPU that makes a
//! new buffer, to which each plan's bind groups are tied again when it next runs.

use std::rc::Rc;

use super::HostValue;
use crate::error::Result;
use crate::tensor::DType;
use crate::{cpu, err, gpu, Code};

#[derive(Debug)]
pub(super) struct State {
    pub name: String,
    pub dtype: DType,
    /// Elements it holds.
    pub len: usize,
    pub memory: Memory,
}

#[derive(Debug)]
pub(super) enum Memory {
    Cpu(cpu::Buffer),
    Gpu(Rc<gpu::Buffer>),
}

/// The states of a runtime; a plan knows them by index.
#[derive(Debug, Default)]
pub(super) struct States(pub Vec<State>);

impl States {
    /// The index of the state `name` with room for `len` elements; made or grown where it must be.
    pub fn reserve(
        &mut self,
        device: Option<&gpu::Device>,
        name: &str,
        dtype: DType,
        len: usize,
    ) -> Result<usize> {
        let Some(at) = self.0.iter().position(|s| s.name == name) else {
            let memory = match device {
                None => Memory::Cpu(cpu::Buffer::new(len, dtype)),
                Some(device) => Memory::Gpu(Rc::new(device.state_buffer(name, len, None)?)),
            };
            self.0.push(State { name: name.into(), dtype, len, memory });
            return Ok(self.0.len() - 1);
        };
        let state = &mut self.0[at];
        if state.dtype != dtype {
            return Err(err!(
                Code::Internal,
                "state {name:?} holds {:?} and a plan wants {dtype:?}",
                state.dtype
            ));
        }
        if len > state.len {
            let len = len.max(2 * state.len);
            match (&mut state.memory, device) {
                (Memory::Cpu(buffer), _) => buffer.grow(len),
                (Memory::Gpu(buffer), Some(device)) => {
                    *buffer = Rc::new(device.state_buffer(name, len, Some(buffer))?);
                }
                (Memory::Gpu(_), None) => {} // a runtime never changes its device
            }
            state.len = len;
        }
        Ok(at)
    }

    /// Overwrites `values.len()` elements from `offset` on.
    pub fn write(
        &mut self,
        device: Option<&gpu::Device>,
        at: usize,
        offset: usize,
        values: HostValue<'_>,
    ) -> Result<()> {
        let state = &mut self.0[at];
        let end = offset.checked_add(values.len()).filter(|end| *end <= state.len);
        let (Some(end), true) = (end, values.dtype() == state.dtype) else {
            return Err(err!(
                Code::Internal,
                "state {:?} of {} {:?} cannot take {} {:?} at {offset}",
                state.name,
                state.len,
                state.dtype,
                values.len(),
                values.dtype()
            ));
        };
        match (&mut state.memory, values) {
            (Memory::Cpu(cpu::Buffer::F32(to)), HostValue::F32(v)) => {
                to[offset..end].copy_from_slice(v);
            }
            (Memory::Cpu(cpu::Buffer::U32(to)), HostValue::U32(v)) => {
                to[offset..end].copy_from_slice(v);
            }
            (Memory::Gpu(buffer), values) => {
                if let Some(device) = device {
                    device.write_state(buffer, offset, values.bytes());
                }
            }
            (Memory::Cpu(_), _) => {} // the dtypes were compared
        }
        Ok(())
    }
}
