//! One op, one file: its shape rule (a method of the recorder), its CPU kernel call and its GPU
//! recipe. The shader of the same name stands in `shaders/`.

mod add;
mod argmax;
mod attention;
mod attention_cached;
mod attention_kv;
mod attention_map;
mod average;
mod class_tokens;
mod concat;
mod concat_rows;
mod conv1d;
mod conv1d_group_norm;
mod conv2d;
mod deformable_attention;
mod depthwise_conv2d;
mod embedding;
mod gated_sum;
mod gather_rows;
mod group_norm;
mod layer_norm;
mod layer_sum;
mod linear;
mod max_pool2d;
mod multiply;
mod patch_merge;
mod pool_rows;
mod product;
mod resize;
mod rms_norm;
mod scale;
mod segment_mean;
mod sine_positions;
mod slice_rows;
mod table;
pub(crate) mod top_k;
mod window_attention;

pub use attention_cached::RelativeBias;
pub use attention_kv::{AttentionKv, Columns};
pub use conv1d_group_norm::GroupNormWeights;
pub use embedding::Lookup;
pub use linear::{Affine, LinearOptions};
pub use window_attention::WindowAttention;
