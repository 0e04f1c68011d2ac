//! One term of a softmax-weighted sum of layers: the sum grows as the layers are computed, so
//! that they need not all be held.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor, WeightId};

const SHADER: gpu::Shader = gpu::shader!("layer_sum");

#[derive(Debug)]
struct LayerSum {
    weights: WeightId,
    index: usize,
    layers: usize,
    has_sum: bool,
}

impl Recorder {
    /// `sum + softmax(weights)[index] * x`; x and sum `[.., H]`, weights `[layers]`.
    pub fn layer_sum(
        &mut self,
        sum: Option<Tensor>,
        x: Tensor,
        weights: WeightId,
        index: usize,
        layers: usize,
    ) -> Tensor {
        self.check(index < layers && sum.is_none_or(|s| s.shape == x.shape), || {
            format!("layer_sum: layer {index} of {layers}, {} to {:?}", x.shape, sum)
        });
        let reads: Vec<Tensor> = [Some(x), sum].into_iter().flatten().collect();
        self.push(LayerSum { weights, index, layers, has_sum: sum.is_some() }, &reads, x.shape)
    }
}

impl Op for LayerSum {
    fn name(&self) -> &'static str {
        "layer_sum"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let weights = io.vector(self.weights);
        let largest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = weights.iter().map(|w| (w - largest).exp()).sum();
        let share = (weights[self.index] - largest).exp() / total;
        let x = io.f32(0);
        if self.has_sum {
            let terms = x.iter().zip(io.f32(1));
            io.out.iter_mut().zip(terms).for_each(|(o, (x, s))| *o = s + share * x);
        } else {
            io.out.iter_mut().zip(x).for_each(|(o, x)| *o = share * x);
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let count = io.out_shape().len();
        let mut bindings = vec![(1, io.read(0)), (2, io.vector(self.weights)?), (4, io.out())];
        if self.has_sum {
            bindings.push((3, io.read(1)));
        }
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new().flag("SUM", self.has_sum),
            params: &[count as u32, self.index as u32, self.layers as u32],
            bindings: &bindings,
            grid: gpu::rows_grid(count.div_ceil(64)),
            flops: gpu::flops([2, count]),
        })
    }
}
