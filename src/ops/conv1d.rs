//! Convolution over time, channels last: a linear layer over overlapping windows.

use std::ops::Range;

use super::linear::{Gemm, LinearOptions};
use crate::cpu::{self, TimeWindows};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

#[derive(Debug)]
struct Conv1d {
    gemm: Gemm,
    windows: TimeWindows,
    range: Range<usize>,
}

impl Recorder {
    /// x `[T, C]`, weight `[O, kernel * C / groups]` (taps, channels last), bias `[O]`, residual
    /// `[range.len(), O]` -> `[range.len(), O]`: the output frames `range`, window i beginning
    /// at frame `i * stride - padding`. Frames past either end of x are zeros.
    #[allow(clippy::too_many_arguments)] // a convolution's operands
    pub fn conv1d(
        &mut self,
        x: Tensor,
        weight: WeightId,
        bias: Option<WeightId>,
        channels: usize,
        windows: TimeWindows,
        range: Range<usize>,
        options: LinearOptions,
    ) -> Tensor {
        let (c, groups) = (x.shape.last(), windows.groups);
        let fits = groups > 0 && c % groups == 0 && channels % groups == 0;
        self.check(fits && !range.is_empty() && x.shape.dims().len() == 2, || {
            format!("conv1d: x {}, {channels} channels, windows {range:?} of {windows:?}", x.shape)
        });
        let k = windows.kernel * c / groups.max(1);
        let shape = [range.len(), channels].into();
        let (mut gemm, reads) =
            Gemm::new(self, "conv1d", x, weight, bias, [channels, k], shape, options);
        gemm.groups = groups;
        self.push(Conv1d { gemm, windows, range }, &reads, shape)
    }
}

impl Op for Conv1d {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let epilogue = self.gemm.epilogue(io);
        let weight = io.matrix(self.gemm.weight);
        let (c, range) = (io.shape(0).last(), self.range.clone());
        cpu::conv1d(io.f32(0), c, &self.windows, range, weight, epilogue, io.out, io.scratch);
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let (frames, c) = (io.shape(0).rows(), io.shape(0).last());
        let TimeWindows { stride, padding, groups, .. } = self.windows;
        let rows = self.windows.are_rows(&self.range, frames);
        // negative where the first window begins in the padding; the shader's sum wraps back
        let first = ((self.range.start * stride) as u32).wrapping_sub(padding as u32);
        let cg = c / groups;
        let params = [frames as u32, c as u32, cg as u32, first, stride as u32];
        let constants = gpu::Constants::new().set("CONV", if rows { "rows" } else { "windows" });
        let vec4 = cg % 4 == 0 && self.windows.kernel * cg % 4 == 0;
        self.gemm.encode(io, constants, &params, vec4)
    }
}
