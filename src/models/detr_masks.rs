//! DETR's panoptic head: where each query looks becomes a mask, refined over ever finer maps of
//! the backbone. Names follow `transformers`' `DetrMaskHeadSmallConv` and `DetrMHAttentionMap`.

use super::detr::four;
use crate::checkpoint::Scope;
use crate::cpu::{Activation, Interpolation, Window};
use crate::error::Result;
use crate::layers::{Conv2d, Linear};
use crate::plan::{Recorder, Tensor, WeightId};
use crate::{err, Code};

/// Fixed in the model's code.
const EPS: f32 = 1e-5;
const GROUPS: usize = 8;
/// Elements of the largest inner value: queries go through the head some at a time, or 100 of them
/// at 800 x 1066 would take 700 MB a map. This is 64 MB, which every GPU binds at once.
const MOST: usize = 16 << 20;
/// Queries at a time where maps are small.
const QUERIES: usize = 16;

#[derive(Debug)]
pub struct MaskHead {
    query: Linear,
    key: Linear,
    heads: usize,
    hidden: usize,
    /// Five convolutions, each with its group norm; between them maps grow.
    layers: Vec<Layer>,
    adapters: [Conv2d; 3],
    out: Conv2d,
    /// Channels of the finest maps.
    finest: usize,
}

#[derive(Debug)]
struct Layer {
    convolution: Conv2d,
    norm: [WeightId; 2],
    groups: usize,
}

impl MaskHead {
    /// `channels` are those of the backbone's stages.
    pub fn new(root: &Scope, hidden: usize, heads: usize, channels: &[usize]) -> Result<Self> {
        let &[c0, c1, c2, _] = channels else {
            return Err(err!(Code::Unsupported, "a panoptic DETR over {} maps", channels.len())
                .remedy("its backbone must have four stages"));
        };
        let wide = hidden + heads;
        if wide % GROUPS != 0 || hidden % 16 != 0 {
            return Err(err!(
                Code::Config,
                "d_model {hidden} and {heads} heads in a panoptic DETR"
            )
            .remedy("their sum must be a multiple of 8, and d_model of 16"));
        }
        let scope = root.pp("mask_head");
        let three = Window::square(3, 1, 1);
        let widths = [wide, wide, hidden / 2, hidden / 4, hidden / 8, hidden / 16];
        let layers = (1..6)
            .map(|i| {
                let [input, output] = [widths[i - 1], widths[i]];
                let norm = scope.pp(format!("gn{i}"));
                Layer {
                    convolution: Conv2d::new(&scope.pp(format!("lay{i}")), [output, input], three),
                    norm: [norm.vector("weight", output), norm.vector("bias", output)],
                    groups: GROUPS.min(output),
                }
            })
            .collect();
        let adapter = |i: usize, input: usize, output: usize| {
            let scope = scope.pp(format!("adapter{i}"));
            Conv2d::new(&scope, [output, input], Window::square(1, 1, 0))
        };
        let attention = root.pp("bbox_attention");
        Ok(MaskHead {
            query: Linear::sensitive(&attention.pp("q_linear"), hidden, hidden),
            key: Linear::sensitive(&attention.pp("k_linear"), hidden, hidden),
            heads,
            hidden,
            layers,
            adapters: [
                adapter(1, c2, widths[2]),
                adapter(2, c1, widths[3]),
                adapter(3, c0, widths[4]),
            ],
            out: Conv2d::new(&scope.pp("out_lay"), [1, widths[5]], three),
            finest: widths[4],
        })
    }

    /// objects `[B, Q, H]`, memory `[B * h * w, H]`, features `[B, h, w, H]`, the backbone's other
    /// maps, the coarsest first -> logits `[B, Q, h', w']` of the finest map's size.
    pub fn forward(
        &self,
        g: &mut Recorder,
        objects: Tensor,
        memory: Tensor,
        features: Tensor,
        maps: &[Tensor],
    ) -> Tensor {
        let [b, h, w, _] = four(features.shape);
        let queries = objects.shape.rows() / b;
        let q = self.query.forward(g, objects); // [B, Q, H]
        let k = self.key.forward(g, memory); // [B * h * w, H]
        let scale = 1.0 / ((self.hidden / self.heads) as f32).sqrt();
        let adapted: Vec<Tensor> =
            self.adapters.iter().zip(maps).map(|(adapter, map)| adapter.forward(g, *map)).collect();
        let [_, height, width, _] = adapted.last().map_or([1; 4], |map| four(map.shape));
        let coarse = h * w * (self.hidden + self.heads);
        let largest = coarse.max(height * width * self.finest);
        let at_once = (MOST / largest.max(1)).clamp(1, QUERIES);

        // Rows of each image and some queries at a time, one after the other.
        let mut masks = Vec::new(); // [some, h', w', 1] each
        for image in 0..b {
            let of_image = |g: &mut Recorder, x: Tensor| {
                let [images, h, w, c] = four(x.shape);
                match images {
                    1 => x,
                    _ => g.slice_rows(x, image * h * w, [1, h, w, c]),
                }
            };
            let k = g.slice_rows(k, image * h * w, [h * w, self.hidden]);
            let features = of_image(g, features);
            let adapted: Vec<Tensor> = adapted.iter().map(|map| of_image(g, *map)).collect();
            for first in (0..queries).step_by(at_once) {
                let n = at_once.min(queries - first);
                let q = g.slice_rows(q, image * queries + first, [n, self.hidden]);
                let map = g.attention_map(q, k, [h, w], self.heads, scale); // [n, h, w, heads]
                if image == 0 && first == 0 {
                    g.tap(format_args!("bbox_attention"), map);
                }
                let x = g.concat_channels(features, map); // [n, h, w, H + heads]
                masks.push(self.refine(g, x, &adapted)); // [n, h', w', 1]
            }
        }
        let masks = g.concat_rows(&masks); // [B * Q * h' * w', 1]
        g.scale(masks, 1.0, [b, queries, height, width])
    }

    /// x `[n, h, w, H + heads]` -> `[n, h', w', 1]`.
    fn refine(&self, g: &mut Recorder, x: Tensor, adapted: &[Tensor]) -> Tensor {
        let n = four(x.shape)[0];
        let mut x = x;
        for (i, layer) in self.layers.iter().enumerate() {
            // the first two layers work on one size
            if let Some(map) = i.checked_sub(2).and_then(|i| adapted.get(i)) {
                let [_, h, w, _] = four(map.shape);
                let grown = g.resize(x, [h, w], Interpolation::Nearest, None);
                x = g.add(grown, *map); // [n, h, w, C], the map repeats
            }
            let y = layer.convolution.forward(g, x);
            let [weight, bias] = layer.norm;
            x = g.group_norm(y, weight, bias, layer.groups, EPS, Activation::Relu);
        }
        g.check(four(x.shape)[0] == n, || format!("masks {} of {n} queries", x.shape));
        self.out.forward(g, x)
    }
}
