//! What models are made of: small structs that name their weights in the checkpoint and record
//! their ops. No arithmetic and no data here.

mod conv2d;
mod layer_norm;
mod linear;
mod post_norm;
mod pre_norm;

pub use conv2d::Conv2d;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use post_norm::{PostNormLayer, PostNormNames, PostNormSizes};
pub use pre_norm::PreNormLayer;

use crate::cpu::Activation;
use crate::error::Result;
use crate::{err, Code};

/// The activation that a config's `hidden_act` names.
pub fn activation(name: &str) -> Result<Activation> {
    Ok(match name {
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluNew,
        "relu" => Activation::Relu,
        "silu" | "swish" => Activation::Silu,
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        other => {
            let error = err!(Code::Unsupported, "the activation {other:?} in config.json");
            return Err(
                error.remedy("known: gelu, gelu_new, gelu_pytorch_tanh, relu, sigmoid, silu, tanh")
            );
        }
    })
}
