//! Convolution over channels-last images: a linear layer over gathered patches.

use super::linear::{Gemm, LinearOptions};
use crate::cpu::{self, Window};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

#[derive(Debug)]
struct Conv2d {
    gemm: Gemm,
    window: Window,
}

impl Recorder {
    /// x `[B, H, W, C]`, weight `[O, taps * C]` (rows of taps, channels last), bias `[O]`,
    /// residual `[B, H', W', O]` -> `[B, H', W', O]`. A signal is an image of height 1.
    pub fn conv2d(
        &mut self,
        x: Tensor,
        weight: WeightId,
        bias: Option<WeightId>,
        channels: usize,
        window: Window,
        options: LinearOptions,
    ) -> Tensor {
        let (b, [h, w], c) = self.image("conv2d", x);
        let [out_h, out_w] = self.window("conv2d", [h, w], &window);
        if window == Window::square(1, 1, 0) {
            return self.linear(x, weight, bias, [channels, c], options);
        }
        let k = window.taps() * c;
        let shape = [b, out_h, out_w, channels].into();
        let (gemm, reads) =
            Gemm::new(self, "conv2d", x, weight, bias, [channels, k], shape, options);
        self.push(Conv2d { gemm, window }, &reads, shape)
    }

    /// The sizes `B`, `[H, W]`, `C` of an image.
    pub(super) fn image(&mut self, op: &str, x: Tensor) -> (usize, [usize; 2], usize) {
        match *x.shape.dims() {
            [b, h, w, c] => (b, [h, w], c),
            _ => {
                self.check(false, || format!("{op}: {} is no image [B, H, W, C]", x.shape));
                (1, [1, 1], x.shape.last())
            }
        }
    }

    /// Output rows and columns of `window` over an image.
    pub(super) fn window(&mut self, op: &str, size: [usize; 2], window: &Window) -> [usize; 2] {
        let out = window.output(size);
        self.check(out.is_some(), || format!("{op}: {window:?} over an image {size:?}"));
        out.unwrap_or([1, 1])
    }
}

/// `[B, H, W, C]` of a value that the recorder has checked.
pub(super) fn dims(shape: crate::tensor::Shape) -> [usize; 4] {
    let mut dims = [1; 4];
    dims[4 - shape.dims().len()..].copy_from_slice(shape.dims());
    dims
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let epilogue = self.gemm.epilogue(io);
        let weight = io.matrix(self.gemm.weight);
        let x = dims(io.shape(0));
        cpu::conv2d(io.f32(0), x, &self.window, weight, epilogue, io.out, io.scratch);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let [_, h, w, c] = dims(io.shape(0));
        let [_, out_h, out_w, _] = dims(io.out_shape());
        let Window { kernel, stride, padding: [[above, _], [left, _]], dilation } = self.window;
        let params =
            [h, w, c, out_h, out_w, stride[0], stride[1], above, left, dilation[0], dilation[1]]
                .map(|v| v as u32);
        let constants = gpu::Constants::new().flag("CONV", true).set("KERNEL_W", kernel[1]);
        self.gemm.encode(io, constants, &params, c % 4 == 0)
    }
}
