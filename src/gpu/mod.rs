//! The GPU device: WebGPU in the browser, Vulkan under `cargo test`, the same shaders on both.
//!
//! | file | what it does |
//! |---|---|
//! | `caps` | what a device can do, and which accelerations are in use: the one place to ask |
//! | `device` | adapter and device, errors and loss |
//! | `weights` | weight matrices in GPU buffers, split where one binding is too small |
//! | `preprocess` | `#if`, `#for`, `#include` and `${CONSTANT}` in WGSL |
//! | `pipelines` | shaders compiled once per set of constants |
//! | `encoder` | what an op writes its dispatches to, once per plan |
//! | `compiled` | a plan's buffers, pipelines and bind groups, and its replay |
//! | `read_back` | the only asynchronous edge |
//! | `self_test` | kernels against plain loops, before a model trusts the device |

mod caps;
mod compiled;
mod device;
mod encoder;
mod pipelines;
mod preprocess;
mod read_back;
mod self_test;
mod weights;

pub use caps::{Acceleration, Caps};
pub use compiled::{Compiled, Pending};
pub use device::{Buffer, Device, DeviceOptions};
pub use encoder::{flops, rows_grid, Binding, Dispatch, Encoder};
pub use pipelines::{Constants, Shader};
pub use weights::{Chunk, MatrixBuffers, Weight, WeightShape};

pub(crate) use pipelines::shader;

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
