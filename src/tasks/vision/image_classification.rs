//! `image-classification`: the best labels of a picture.

use serde::Deserialize;
use serde_json::{json, Value};

use super::{Info, Item};
use crate::error::Result;
use crate::models::VisionOutput;
use crate::tasks::io::options;
use crate::tasks::scores::{sigmoid, softmax, top_k};
use crate::{err, Code};

options! {
    /// Options of image classification.
    Options {
        /// How many labels to return; null for all. Absent is 5.
        top_k: Option<usize> = Some(5),
        /// What turns logits to scores; absent, the model's configuration decides.
        function_to_apply: Option<Function> = None,
    }
}

/// What turns logits to scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Function {
    Sigmoid,
    Softmax,
    None,
}

/// `[{ label, score }]` by falling score.
pub fn answer(item: &Item<'_>, info: &Info, options: &Options) -> Result<Value> {
    let VisionOutput::Logits(logits) = item else {
        return Err(err!(Code::Internal, "image classification without logits"));
    };
    let mut scores = logits.data.to_vec();
    let multi = info.problem_type.as_deref() == Some("multi_label_classification");
    let default = if multi || scores.len() == 1 { Function::Sigmoid } else { Function::Softmax };
    match options.function_to_apply.unwrap_or(default) {
        Function::Sigmoid => scores.iter_mut().for_each(|x| *x = sigmoid(*x)),
        Function::Softmax => softmax(&mut scores),
        Function::None => {}
    }
    let best = top_k(&scores, options.top_k.unwrap_or(usize::MAX));
    Ok(best.into_iter().map(|i| json!({ "label": info.label(i), "score": scores[i] })).collect())
}
