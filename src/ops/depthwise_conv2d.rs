//! Depthwise convolution: every channel of an image with a kernel of its own.

use super::conv2d::dims;
use crate::cpu::{self, Activation, Window};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("depthwise_conv2d");

#[derive(Debug)]
struct DepthwiseConv2d {
    weight: WeightId,
    bias: Option<WeightId>,
    window: Window,
    activation: Activation,
}

impl Recorder {
    /// x `[B, H, W, C]`, weight f32 `[taps, C]`, bias `[C]` -> `[B, H', W', C]`.
    pub fn depthwise_conv2d(
        &mut self,
        x: Tensor,
        weight: WeightId,
        bias: Option<WeightId>,
        window: Window,
        activation: Activation,
    ) -> Tensor {
        let (b, size, c) = self.image("depthwise_conv2d", x);
        let [h, w] = self.window("depthwise_conv2d", size, &window);
        self.push(DepthwiseConv2d { weight, bias, window, activation }, &[x], [b, h, w, c])
    }
}

/// The words that shaders over windows share: pixels and sizes.
pub(super) fn window_params(io: &gpu::Encoder<'_>, window: &Window) -> Vec<u32> {
    let [_, h, w, c] = dims(io.shape(0));
    let [b, out_h, out_w, _] = dims(io.out_shape());
    let Window { stride, padding: [[above, _], [left, _]], dilation, .. } = *window;
    let words = [
        b * out_h * out_w,
        h,
        w,
        if c % 4 == 0 { c / 4 } else { c },
        out_h,
        out_w,
        stride[0],
        stride[1],
        above,
        left,
        dilation[0],
        dilation[1],
    ];
    words.map(|v| v as u32).to_vec()
}

impl Op for DepthwiseConv2d {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let bias = self.bias.map(|b| io.vector(b));
        let (weight, size) = (io.matrix(self.weight), dims(io.shape(0)));
        let (window, activation) = (&self.window, self.activation);
        cpu::depthwise_conv2d(
            io.f32(0),
            size,
            window,
            weight,
            bias,
            activation,
            io.out,
            io.scratch,
        );
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let matrix = io.matrix(self.weight)?;
        let [kh, kw] = self.window.kernel;
        let vec4 = io.out_shape().last() % 4 == 0;
        let mut params = window_params(io, &self.window);
        params.push((matrix.k_padded / if vec4 { 4 } else { 1 }) as u32);
        let mut bindings = vec![(1, io.read(0)), (4, io.out())];
        // a few taps: one chunk holds them all
        bindings.extend(matrix.chunks.first().map(|chunk| (2, chunk.data())));
        if let Some(bias) = self.bias {
            bindings.push((3, io.vector(bias)?));
        }
        let threads = (params[0] * params[3]) as usize;
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new()
                .flag("VEC4", vec4)
                .flag("BIAS", self.bias.is_some())
                .set("ACTIVATION", self.activation.name())
                .flag("KERNEL_WIDTH", true)
                .set("KERNEL_H", kh)
                .set("KERNEL_W", kw),
            params: &params,
            bindings: &bindings,
            grid: gpu::rows_grid(threads.div_ceil(64)),
            flops: gpu::flops([2, io.out_shape().len(), kh, kw]),
        })
    }
}
