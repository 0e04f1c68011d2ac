//! `depth-estimation`: a depth per pixel, and a picture of it.

use super::resize::bicubic;
use super::Item;
use crate::error::Result;
use crate::models::VisionOutput;
use crate::tasks::io::options;
use crate::{err, Code};

options! {
    /// Options of depth estimation.
    Options {}
}

/// Depths of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Depth {
    /// `[height, width]`, in the model's unit (metres for GLPN)
    pub depth: Vec<f32>,
    /// `[height, width]`: nearest is 0, farthest 255
    pub picture: Vec<u8>,
}

/// The depths brought to `size` (height, width) by torch's bicubic filter, which may overshoot.
pub fn answer(item: &Item<'_>, size: [usize; 2]) -> Result<Depth> {
    let VisionOutput::Depth(depth) = item else {
        return Err(err!(Code::Internal, "depth estimation without depths"));
    };
    let &[h, w] = depth.dims else {
        return Err(err!(Code::Internal, "depths of shape {:?}", depth.dims));
    };
    let depth = bicubic(depth.data, [h, w], size)?;
    let (min, max) = depth
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), &x| (min.min(x), max.max(x)));
    // Cut, not rounded, as numpy does; a flat depth is 0 / 0, which becomes 0.
    let picture = depth.iter().map(|&x| ((x - min) / (max - min) * 255.0) as u8).collect();
    Ok(Depth { depth, picture })
}
