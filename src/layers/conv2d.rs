//! A convolution with its bias, or with the batch norm after it.

use crate::checkpoint::Scope;
use crate::cpu::{Activation, Window};
use crate::ops::{Affine, LinearOptions};
use crate::plan::{Recorder, Tensor, WeightId};

/// Up to this many input channels are pixels: the layer that sees them stays f32.
const PIXELS: usize = 4;

#[derive(Debug, Clone, Copy)]
pub struct Conv2d {
    weight: WeightId,
    bias: Option<WeightId>,
    affine: Affine,
    /// Output channels.
    o: usize,
    window: Window,
}

/// A pointwise convolution takes the model's format, a dense one q8 at the least.
fn weight(scope: &Scope, [o, i]: [usize; 2], window: &Window) -> WeightId {
    if i <= PIXELS {
        scope.conv_exact("weight", o, i, &window.kernel)
    } else if window.taps() == 1 {
        scope.conv("weight", o, i, &window.kernel)
    } else {
        scope.conv_sensitive("weight", o, i, &window.kernel)
    }
}

impl Conv2d {
    /// `weight` `[o, i, taps..]` and `bias` `[o]` in `scope`.
    pub fn new(scope: &Scope, [o, i]: [usize; 2], window: Window) -> Self {
        let bias = Some(scope.vector("bias", o));
        Conv2d { weight: weight(scope, [o, i], &window), bias, affine: Affine::None, o, window }
    }

    /// `weight` `[o, i, taps..]` in `conv`, and the batch norm in `norm`.
    pub fn normed(conv: &Scope, norm: &Scope, [o, i]: [usize; 2], window: Window) -> Self {
        // torch's default; no model here sets another
        let affine = Affine::Norm(norm.batch_norm(o, 1e-5));
        Conv2d { weight: weight(conv, [o, i], &window), bias: None, affine, o, window }
    }

    /// x `[B, H, W, I]` -> `[B, H', W', O]`.
    pub fn forward(&self, g: &mut Recorder, x: Tensor) -> Tensor {
        self.activate(g, x, Activation::None)
    }

    /// `activation(conv(x))`.
    pub fn activate(&self, g: &mut Recorder, x: Tensor, activation: Activation) -> Tensor {
        let options = LinearOptions { affine: self.affine, activation, ..Default::default() };
        g.conv2d(x, self.weight, self.bias, self.o, self.window, options)
    }

    /// `activation(conv(x) + residual)`.
    pub fn add_activate(
        &self,
        g: &mut Recorder,
        x: Tensor,
        residual: Tensor,
        activation: Activation,
    ) -> Tensor {
        let (affine, residual) = (self.affine, Some(residual));
        let options = LinearOptions { affine, activation, residual, residual_first: true };
        g.conv2d(x, self.weight, self.bias, self.o, self.window, options)
    }
}
