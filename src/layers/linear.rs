//! A linear layer: `x Wᵀ + b`.

use crate::checkpoint::Scope;
use crate::cpu::Activation;
use crate::ops::{Affine, LinearOptions};
use crate::plan::{Recorder, Tensor, WeightId};

#[derive(Debug, Clone, Copy)]
pub struct Linear {
    weight: WeightId,
    bias: Option<WeightId>,
    /// Output and input channels.
    n: usize,
    k: usize,
}

impl Linear {
    /// `weight` `[n, k]` in the model's format and `bias` `[n]` in `scope`.
    pub fn new(scope: &Scope, n: usize, k: usize) -> Self {
        let weight = scope.matrix("weight", n, k);
        Linear { weight, bias: Some(scope.vector("bias", n)), n, k }
    }

    /// Like [`Linear::new`], for a projection that a 4-bit grid hurts most.
    pub fn sensitive(scope: &Scope, n: usize, k: usize) -> Self {
        let weight = scope.sensitive("weight", n, k);
        Linear { weight, bias: Some(scope.vector("bias", n)), n, k }
    }

    /// A small head that stays f32 in every format: what it costs is nothing, what a rounded
    /// logit costs is an answer.
    pub fn exact(scope: &Scope, n: usize, k: usize) -> Self {
        let weight = scope.exact("weight", n, k);
        Linear { weight, bias: Some(scope.vector("bias", n)), n, k }
    }

    /// Several linear layers `[n, k]` over one input as one: `[names.len() * n, k]`.
    pub fn stacked(scope: &Scope, names: &[&str], n: usize, k: usize) -> Self {
        let weights = names.iter().map(|name| format!("{name}.weight")).collect::<Vec<_>>();
        let biases = names.iter().map(|name| format!("{name}.bias")).collect::<Vec<_>>();
        Linear {
            weight: scope.stacked(&weights, n, k),
            bias: Some(scope.stacked_vector(&biases, n)),
            n: names.len() * n,
            k,
        }
    }

    /// Like [`Linear::stacked`], without biases.
    pub fn stacked_unbiased(scope: &Scope, names: &[&str], n: usize, k: usize) -> Self {
        let weights = names.iter().map(|name| format!("{name}.weight")).collect::<Vec<_>>();
        Linear { weight: scope.stacked(&weights, n, k), bias: None, n: names.len() * n, k }
    }

    /// A layer over a weight `[n, k]` and a bias `[n]` that were declared elsewhere.
    pub fn of(weight: WeightId, bias: Option<WeightId>, n: usize, k: usize) -> Self {
        Linear { weight, bias, n, k }
    }

    /// A linear layer without a bias.
    pub fn unbiased(scope: &Scope, n: usize, k: usize) -> Self {
        Linear { weight: scope.matrix("weight", n, k), bias: None, n, k }
    }

    /// A 1x1 convolution with its bias: a linear layer over pixels.
    pub fn pointwise(scope: &Scope, n: usize, k: usize) -> Self {
        let bias = Some(scope.vector("bias", n));
        Linear { bias, ..Linear::pointwise_unbiased(scope, n, k) }
    }

    /// A 1x1 convolution without a bias.
    pub fn pointwise_unbiased(scope: &Scope, n: usize, k: usize) -> Self {
        Linear { weight: scope.conv("weight", n, k, &[1, 1]), bias: None, n, k }
    }

    /// A layer whose weight is another layer's table (tied embeddings), with a bias of its own.
    pub fn tied(weight: WeightId, bias: WeightId, n: usize, k: usize) -> Self {
        Linear { weight, bias: Some(bias), n, k }
    }

    /// x `[.., K]` -> `[.., N]`.
    pub fn forward(&self, g: &mut Recorder, x: Tensor) -> Tensor {
        g.linear(x, self.weight, self.bias, [self.n, self.k], LinearOptions::default())
    }

    /// `activation(x Wᵀ + b)`.
    pub fn activate(&self, g: &mut Recorder, x: Tensor, activation: Activation) -> Tensor {
        let options = LinearOptions { activation, ..LinearOptions::default() };
        g.linear(x, self.weight, self.bias, [self.n, self.k], options)
    }

    /// `(x Wᵀ + b) * gain + residual`: a block's end under a layer scale.
    pub fn add_scaled(
        &self,
        g: &mut Recorder,
        x: Tensor,
        gain: WeightId,
        residual: Tensor,
    ) -> Tensor {
        let (affine, residual) = (Affine::Gain(gain), Some(residual));
        let options = LinearOptions { affine, residual, ..LinearOptions::default() };
        g.linear(x, self.weight, self.bias, [self.n, self.k], options)
    }

    /// `x Wᵀ + b + residual`.
    pub fn add(&self, g: &mut Recorder, x: Tensor, residual: Tensor) -> Tensor {
        let options = LinearOptions { residual: Some(residual), ..LinearOptions::default() };
        g.linear(x, self.weight, self.bias, [self.n, self.k], options)
    }
}
