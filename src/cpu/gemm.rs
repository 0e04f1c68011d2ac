//! `y = activation(x Wᵀ + b) + residual`.

use super::PackedMatrix;

/// The activation of a linear layer's epilogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    None,
    /// `x Φ(x)` with the exact error function: Hugging Face's `gelu`.
    Gelu,
    /// The tanh approximation: Hugging Face's `gelu_new` and `gelu_pytorch_tanh`.
    GeluNew,
    Relu,
    Tanh,
}

impl Activation {
    /// The name in shaders.
    pub fn name(self) -> &'static str {
        match self {
            Activation::None => "none",
            Activation::Gelu => "gelu",
            Activation::GeluNew => "gelu_new",
            Activation::Relu => "relu",
            Activation::Tanh => "tanh",
        }
    }

    /// The activation of one value.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Activation::None => x,
            Activation::Gelu => 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)),
            Activation::GeluNew => {
                0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh())
            }
            Activation::Relu => x.max(0.0),
            Activation::Tanh => x.tanh(),
        }
    }
}

/// Abramowitz and Stegun 7.1.26: absolute error 1.5e-7.
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    (1.0 - poly * (-a * a).exp()).copysign(x)
}

/// What happens to an output tile before it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a> {
    /// `[N]`
    pub bias: Option<&'a [f32]>,
    pub activation: Activation,
    /// `[M, N]`, added after the activation.
    pub residual: Option<&'a [f32]>,
}

/// Buffers that kernels reuse between calls (quantized activations, unpacked panels).
#[derive(Debug, Default)]
pub struct Scratch {}

/// `out = activation(x Wᵀ + b) + residual`, x `[M, K]`, W `[N, K]`, out `[M, N]`.
pub fn linear(
    x: &[f32],
    m: usize,
    w: &PackedMatrix,
    e: Epilogue<'_>,
    out: &mut [f32],
    _s: &mut Scratch,
) {
    let (n, k) = (w.n(), w.k());
    let mut row = vec![0.0; k];
    for j in 0..n {
        w.row(j, &mut row);
        for i in 0..m {
            let dot: f32 = x[i * k..(i + 1) * k].iter().zip(&row).map(|(a, b)| a * b).sum();
            let y = e.activation.apply(dot + e.bias.map_or(0.0, |b| b[j]));
            out[i * n + j] = y + e.residual.map_or(0.0, |r| r[i * n + j]);
        }
    }
}
