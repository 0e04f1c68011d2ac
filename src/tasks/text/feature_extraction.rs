//! `feature-extraction`: the encoder's hidden states, or one vector per text.

use serde::Deserialize;
use serde_json::Value;

use super::encoder::{sequence, Call, Encoder};
use crate::error::Result;
use crate::models::Pooling;
use crate::preprocess::Sequence;
use crate::tasks::io::{self, options, Inputs};
use crate::tasks::TaskOutput;
use crate::{err, Code};

options! {
    /// Options of feature extraction.
    Options {
        /// What becomes of a text's hidden states.
        pooling: Pool = Pool::None,
        /// Scale vectors to length 1.
        normalize: bool = false,
        /// Cut texts that are longer than the model takes; otherwise they are an error.
        truncation: bool = false,
    }
}

/// How a text's hidden states become its features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// All of them.
    None,
    /// Their mean.
    Mean,
    /// The first one's.
    Cls,
}

pub(super) async fn run<E: Encoder>(
    call: &mut Call<'_, E>,
    input: Value,
    options: Options,
) -> Result<TaskOutput> {
    let inputs: Inputs<String> = io::inputs(input, "a string")?;
    let mut sequences: Vec<Sequence> = Vec::with_capacity(inputs.list.len());
    for text in &inputs.list {
        sequences.push(sequence(call.encode(text, None, options.truncation)?));
    }
    let (batch, hidden) = (sequences.len(), call.info.hidden);
    let longest = sequences.iter().map(|s| s.ids.len()).max().unwrap_or(0);
    let (pooling, dims) = match options.pooling {
        Pool::None => (Pooling::None, vec![batch, longest, hidden]),
        Pool::Mean => (Pooling::Mean, vec![batch, hidden]),
        Pool::Cls => (Pooling::Cls, vec![batch, hidden]),
    };
    let mut data = zeros(&dims)?;
    let stride = dims[1..].iter().product::<usize>();
    call.run(
        &sequences,
        |i| i,
        pooling,
        |i, features| {
            let out = &mut data[i * stride..][..features.len()];
            out.copy_from_slice(features);
            if options.normalize {
                out.chunks_exact_mut(hidden).for_each(normalize);
            }
            Ok(())
        },
    )
    .await?;
    Ok(TaskOutput::Tensor { dims, data })
}

/// Zeros of a shape that a caller's texts decide: too large is an error, not an abort.
fn zeros(dims: &[usize]) -> Result<Vec<f32>> {
    let len = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let mut data: Vec<f32> = Vec::new();
    match len.map(|len| (len, data.try_reserve_exact(len))) {
        Some((len, Ok(()))) => {
            data.resize(len, 0.0);
            Ok(data)
        }
        _ => Err(err!(Code::OutOfMemory, "features of shape {dims:?} do not fit in memory")
            .remedy("pass fewer texts at a time, or pooling 'mean'")),
    }
}

/// Scales a vector to length 1; a zero vector stays.
fn normalize(x: &mut [f32]) {
    let norm = x.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    x.iter_mut().for_each(|x| *x /= norm);
}
