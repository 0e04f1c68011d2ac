//! The pre-norm encoder layer: `x = x + attention(LN(x))`, `x = x + ffn(LN(x))`.

use super::{LayerNorm, Linear, PostNormNames, PostNormSizes};
use crate::checkpoint::Scope;
use crate::plan::{Recorder, Tensor};

#[derive(Debug)]
pub struct PreNormLayer {
    attention_norm: LayerNorm,
    qkv: Linear,
    out: Linear,
    ffn_norm: LayerNorm,
    up: Linear,
    down: Linear,
    names: &'static PostNormNames,
    sizes: PostNormSizes,
}

impl PreNormLayer {
    /// The parts of a post-norm layer, each norm before its block: `attention_norm` before
    /// attention, `output_norm` before the FFN.
    pub fn new(scope: &Scope, names: &'static PostNormNames, sizes: PostNormSizes) -> Self {
        let (h, f) = (sizes.hidden, sizes.intermediate);
        PreNormLayer {
            attention_norm: LayerNorm::new(&scope.pp(names.attention_norm), h, sizes.eps),
            qkv: Linear::stacked(scope, &names.qkv, h, h),
            out: Linear::sensitive(&scope.pp(names.out), h, h),
            ffn_norm: LayerNorm::new(&scope.pp(names.output_norm), h, sizes.eps),
            up: Linear::new(&scope.pp(names.up), f, h),
            down: Linear::new(&scope.pp(names.down), h, f),
            names,
            sizes,
        }
    }

    /// x `[M, H]`, segments `[M, 2]` -> `[M, H]`; `path` names the layer in taps.
    pub fn forward(&self, g: &mut Recorder, x: Tensor, segments: Tensor, path: &str) -> Tensor {
        let PostNormSizes { hidden, heads, activation, .. } = self.sizes;
        let scale = 1.0 / ((hidden / heads) as f32).sqrt();
        let normed = self.attention_norm.forward(g, x); // [M, H]
        g.tap(format_args!("{path}.{}", self.names.attention_norm), normed);
        let qkv = self.qkv.forward(g, normed); // [M, 3H]
        let context = g.attention(qkv, segments, heads, scale); // [M, H]
        let x = self.out.add(g, context, x); // [M, H]
        let normed = self.ffn_norm.forward(g, x); // [M, H]
        g.tap(format_args!("{path}.{}", self.names.output_norm), normed);
        let up = self.up.activate(g, normed, activation); // [M, F]
        let y = self.down.add(g, up, x); // [M, H]
        g.tap(format_args!("{path}"), y);
        y
    }
}
