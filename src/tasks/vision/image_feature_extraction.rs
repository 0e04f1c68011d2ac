//! `image-feature-extraction`: the model's hidden states, or one vector per picture.

use super::Item;
use crate::error::Result;
use crate::models::VisionOutput;
use crate::tasks::io::options;
use crate::tasks::TaskOutput;
use crate::{err, Code};

options! {
    /// Options of image feature extraction.
    Options {
        /// One vector per picture, the model's `pooler_output`, instead of `last_hidden_state`.
        pool: bool = false,
    }
}

/// Features of several pictures.
#[derive(Debug, Default)]
pub struct Features {
    /// Of one picture.
    dims: Option<Vec<usize>>,
    data: Vec<f32>,
}

impl Features {
    /// Adds a picture's features; feature maps become channels first, as in Python.
    pub fn push(&mut self, item: &Item<'_>, options: &Options) -> Result<()> {
        let VisionOutput::Hidden { states, pooled } = item else {
            return Err(err!(Code::Internal, "feature extraction without hidden states"));
        };
        let view = match (options.pool, pooled) {
            (false, _) => states,
            (true, Some(pooled)) => pooled,
            (true, None) => {
                let error = err!(Code::Unsupported, "the model has no pooler for option pool");
                return Err(error.remedy("leave pool out and reduce the hidden states yourself"));
            }
        };
        let dims = match *view.dims {
            [h, w, c] => {
                self.data.extend(
                    (0..c).flat_map(|c| view.data.iter().skip(c).step_by(dims_c(view.dims))),
                );
                vec![c, h, w]
            }
            _ => {
                self.data.extend_from_slice(view.data);
                view.dims.to_vec()
            }
        };
        match &self.dims {
            Some(before) if *before != dims => Err(err!(
                Code::Input,
                "features of two pictures have shapes {before:?} and {dims:?}"
            )
            .remedy("pass pictures of different sizes one at a time, or pool: true")),
            _ => {
                self.dims = Some(dims);
                Ok(())
            }
        }
    }

    pub fn tensor(self, pictures: usize) -> TaskOutput {
        let mut dims = vec![pictures];
        dims.extend(self.dims.unwrap_or_default());
        TaskOutput::Tensor { dims, data: self.data }
    }
}

fn dims_c(dims: &[usize]) -> usize {
    dims.last().copied().unwrap_or(1).max(1)
}
