//! Layer normalization with its parameters.

use crate::checkpoint::Scope;
use crate::cpu::Activation;
use crate::plan::{Recorder, Tensor, WeightId};

#[derive(Debug, Clone, Copy)]
pub struct LayerNorm {
    weight: WeightId,
    bias: WeightId,
    eps: f32,
}

impl LayerNorm {
    /// `weight` and `bias` `[h]` in `scope`.
    pub fn new(scope: &Scope, h: usize, eps: f32) -> Self {
        LayerNorm { weight: scope.vector("weight", h), bias: scope.vector("bias", h), eps }
    }

    /// x `[.., H]` -> `[.., H]`.
    pub fn forward(&self, g: &mut Recorder, x: Tensor) -> Tensor {
        g.layer_norm(x, self.weight, self.bias, self.eps)
    }

    /// `activation(norm(x))`.
    pub fn activate(&self, g: &mut Recorder, x: Tensor, activation: Activation) -> Tensor {
        g.layer_norm_activate(x, self.weight, self.bias, self.eps, activation)
    }
}
