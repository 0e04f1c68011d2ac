//! Mapping a buffer for reading: the only asynchronous edge between a run and its caller.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::device::Buffer;

#[derive(Default)]
struct State {
    result: Option<Result<(), wgpu::BufferAsyncError>>,
    waker: Option<Waker>,
}

/// Resolves when the buffer is mapped, or cannot be.
struct Mapping(Arc<Mutex<State>>);

impl Future for Mapping {
    type Output = Result<(), wgpu::BufferAsyncError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A buffer that results are read back through, kept from run to run.
#[derive(Debug)]
pub struct Staging {
    pub buffer: Buffer,
    /// A map was asked for and not yet released.
    mapped: Cell<bool>,
    /// A run that was submitted and not yet read writes to it.
    pub busy: Cell<bool>,
}

impl Staging {
    pub fn new(buffer: Buffer) -> Self {
        Staging { buffer, mapped: Cell::new(false), busy: Cell::new(false) }
    }

    /// Maps the whole buffer for reading. In the browser the event loop delivers the result;
    /// natively this waits for the device.
    pub async fn map(&self, device: &wgpu::Device) -> Result<(), wgpu::BufferAsyncError> {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        self.mapped.set(true);
        self.buffer.map_async(wgpu::MapMode::Read, .., move |result| {
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            state.result = Some(result);
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        });
        wait(device);
        Mapping(state).await
    }

    /// Unmaps the buffer if a map was asked for. Called before a run writes to it too: the caller
    /// may have dropped the last run while it waited.
    pub fn release(&self) {
        if self.mapped.replace(false) {
            self.buffer.unmap();
        }
    }
}

/// Natively, waits until the device has done what was submitted and told its callbacks. The
/// browser's event loop does both by itself.
pub fn wait(device: &wgpu::Device) {
    // A poll fails when the device is lost, which its own callback reports.
    let _ = device.poll(wgpu::PollType::wait_indefinitely());
}
