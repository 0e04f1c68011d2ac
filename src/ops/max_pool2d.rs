//! Maximum pooling.

use super::conv2d::dims;
use super::depthwise_conv2d::window_params;
use crate::cpu::{self, Window};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("max_pool2d");

#[derive(Debug)]
struct MaxPool2d {
    window: Window,
}

impl Recorder {
    /// x `[B, H, W, C]` -> `[B, H', W', C]`: the largest value of every window. What lies beyond
    /// the image does not count.
    pub fn max_pool2d(&mut self, x: Tensor, window: Window) -> Tensor {
        let (b, size, c) = self.image("max_pool2d", x);
        let [h, w] = self.window("max_pool2d", size, &window);
        self.push(MaxPool2d { window }, &[x], [b, h, w, c])
    }
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        cpu::max_pool2d(io.f32(0), dims(io.shape(0)), &self.window, io.out, io.scratch);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let [kh, kw] = self.window.kernel;
        let params = window_params(io, &self.window);
        let threads = (params[0] * params[3]) as usize;
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new()
                .flag("VEC4", io.out_shape().last() % 4 == 0)
                .flag("KERNEL_WIDTH", false)
                .set("KERNEL_H", kh)
                .set("KERNEL_W", kw),
            params: &params,
            bindings: &[(1, io.read(0)), (2, io.out())],
            grid: gpu::rows_grid(threads.div_ceil(64)),
            flops: gpu::flops([io.out_shape().len(), kh, kw]),
        })
    }
}
