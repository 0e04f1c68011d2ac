//! `object-detection`: boxes, labels and scores.

use serde_json::{json, Value};

use super::{Info, Item};
use crate::error::Result;
use crate::models::VisionOutput;
use crate::tasks::io::options;
use crate::tasks::scores::{argmax, softmax};
use crate::{err, Code};

options! {
    /// Options of object detection.
    Options {
        /// Scores must exceed it.
        threshold: f32 = 0.5,
        /// Boxes as parts of the picture, 0 to 1, instead of whole pixels.
        percentage: bool = false,
    }
}

/// `[{ score, label, box: { xmin, ymin, xmax, ymax } }]` in the order of the queries, as in Python;
/// pixels are cut toward zero and may lie outside the picture of `size` (height, width).
pub fn answer(
    item: &Item<'_>,
    info: &Info,
    options: &Options,
    [height, width]: [usize; 2],
) -> Result<Value> {
    let VisionOutput::Queries { logits, boxes: Some(boxes), .. } = item else {
        return Err(err!(Code::Internal, "object detection without boxes"));
    };
    let labels = logits.dims.last().copied().unwrap_or(1).max(2);
    let mut results = Vec::new();
    for (logits, at) in logits.data.chunks_exact(labels).zip(boxes.data.chunks_exact(4)) {
        let mut scores = logits.to_vec();
        softmax(&mut scores);
        // The last label stands for no object.
        let label = argmax(&scores[..labels - 1]);
        if scores[label] <= options.threshold {
            continue;
        }
        let (x, y, w, h) = (at[0], at[1], at[2], at[3]);
        let corners = [x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h];
        let corners = if options.percentage {
            corners.map(|part| json!(part))
        } else {
            let sides = [width as f32, height as f32];
            [0, 1, 2, 3].map(|i| json!((corners[i] * sides[i % 2]) as i32))
        };
        let [xmin, ymin, xmax, ymax] = corners;
        results.push(json!({
            "score": scores[label],
            "label": info.label(label),
            "box": { "xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax },
        }));
    }
    Ok(Value::Array(results))
}
