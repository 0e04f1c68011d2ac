//! The post-norm encoder layer of BERT and its kin: `x = LN(x + attention(x))`,
//! `x = LN(x + ffn(x))`. Seven steps: three for attention, two for the FFN, two norms.

use super::{LayerNorm, Linear};
use crate::checkpoint::Scope;
use crate::cpu::Activation;
use crate::plan::{Recorder, Tensor};

/// Where a family keeps the parts of the layer, relative to the layer's own scope.
#[derive(Debug)]
pub struct PostNormNames {
    /// Queries, keys and values.
    pub qkv: [&'static str; 3],
    pub out: &'static str,
    pub attention_norm: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub output_norm: &'static str,
    /// The module whose output is the attention's context before the output projection, and the
    /// one whose output is the attention block's: what taps are named after.
    pub tap_context: Option<&'static str>,
    pub tap_attention: &'static str,
}

/// Sizes of the layer.
#[derive(Debug, Clone, Copy)]
pub struct PostNormSizes {
    /// H
    pub hidden: usize,
    pub heads: usize,
    /// F
    pub intermediate: usize,
    pub activation: Activation,
    pub eps: f32,
}

#[derive(Debug)]
pub struct PostNormLayer {
    qkv: Linear,
    out: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    output_norm: LayerNorm,
    names: &'static PostNormNames,
    sizes: PostNormSizes,
}

impl PostNormLayer {
    pub fn new(scope: &Scope, names: &'static PostNormNames, sizes: PostNormSizes) -> Self {
        let (h, f) = (sizes.hidden, sizes.intermediate);
        PostNormLayer {
            qkv: Linear::stacked(scope, &names.qkv, h, h),
            out: Linear::sensitive(&scope.pp(names.out), h, h),
            attention_norm: LayerNorm::new(&scope.pp(names.attention_norm), h, sizes.eps),
            up: Linear::new(&scope.pp(names.up), f, h),
            down: Linear::new(&scope.pp(names.down), h, f),
            output_norm: LayerNorm::new(&scope.pp(names.output_norm), h, sizes.eps),
            names,
            sizes,
        }
    }

    /// x `[M, H]`, segments `[M, 2]` -> `[M, H]`; `path` names the layer in taps.
    pub fn forward(&self, g: &mut Recorder, x: Tensor, segments: Tensor, path: &str) -> Tensor {
        let PostNormSizes { hidden, heads, activation, .. } = self.sizes;
        let scale = 1.0 / ((hidden / heads) as f32).sqrt();
        let qkv = self.qkv.forward(g, x); // [M, 3H]
        let context = g.attention(qkv, segments, heads, scale); // [M, H]
        if let Some(name) = self.names.tap_context {
            g.tap(format_args!("{path}.{name}"), context);
        }
        let x = self.out.add(g, context, x); // [M, H]
        let x = self.attention_norm.forward(g, x); // [M, H]
        g.tap(format_args!("{path}.{}", self.names.tap_attention), x);
        let up = self.up.activate(g, x, activation); // [M, F]
        let y = self.down.add(g, up, x); // [M, H]
        let y = self.output_norm.forward(g, y); // [M, H]
        g.tap(format_args!("{path}"), y);
        y
    }
}
