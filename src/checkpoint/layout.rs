//! How a weight lies in a checkpoint's file, and the arithmetic that makes it the matrix or the
//! vector that a device holds.

use super::header::Entry;
use super::{Declared, Kind};
use crate::error::Result;
use crate::{err, Code};

/// How the values of a tensor become rows `[rows, cols]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// `[rows, cols]`, or `[rows]` for a vector: as it is.
    Rows,
    /// `[cols, rows]`, the other way round (GPT-2's `Conv1D`).
    Transposed,
    /// A convolution `[O, I, taps..]`: rows `[O, taps.. * I]`, channels last.
    Taps(Vec<usize>),
    /// A depthwise convolution `[C, 1, taps..]`: rows `[taps.., C]`.
    Depthwise(Vec<usize>),
}

/// What is computed from the tensors of a weight before it is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fold {
    /// Nothing: the tensors are the weight, stacked along their rows.
    None,
    /// Scale and shift `[2C]` from a batch norm's weight, bias, mean and variance.
    BatchNorm { eps: f32 },
    /// `g * v / ||v||`, the norm over all dimensions but `dim`.
    WeightNorm { dim: usize },
}

/// What a tensor is to its part of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// All of it.
    Whole,
    /// The scales of its quantized data, in a pack.
    Scale,
    /// The magnitude g of a weight norm.
    Gain,
    /// The direction v of a weight norm.
    Direction,
}

/// Where the floats of a tensor go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Rows, as they come.
    Rows,
    /// Rows of `[I, taps]` that become `[taps, I]`.
    Taps(usize),
    /// Held until the end, then turned.
    Transposed,
    /// Held until the other one of a weight norm is there.
    Gain,
    Direction,
}

impl Declared {
    /// Rows and columns of the weight on its device.
    pub fn shape(&self) -> [usize; 2] {
        let rows = match self.fold {
            Fold::BatchNorm { .. } => 2 * self.rows,
            Fold::None | Fold::WeightNorm { .. } if self.slices == 0 => self.rows,
            Fold::None | Fold::WeightNorm { .. } => self.names.len() * self.rows / self.slices,
        };
        [rows, self.cols]
    }

    /// The shape in a checkpoint of the tensor that is `piece` of a part.
    fn shape_in_file(&self, piece: Piece) -> Vec<usize> {
        let (rows, cols) = (self.rows, self.cols);
        let mut shape = match &self.layout {
            Layout::Rows if self.kind == Kind::Vector => vec![rows],
            Layout::Rows => vec![rows, cols],
            Layout::Transposed => vec![cols, rows],
            Layout::Taps(taps) => {
                [&[rows, cols / taps.iter().product::<usize>().max(1)], &taps[..]].concat()
            }
            Layout::Depthwise(taps) => [&[cols, 1], &taps[..]].concat(),
        };
        if let (Piece::Gain, Fold::WeightNorm { dim }) = (piece, self.fold) {
            for (i, d) in shape.iter_mut().enumerate() {
                *d = if i == dim { *d } else { 1 };
            }
        }
        shape
    }

    /// Where the floats of `entry` go, after a look at its shape. A pack holds matrices as a
    /// device does; what stood outside the manifest of its writer lies in it as it was.
    pub(super) fn route(
        &self,
        file: &str,
        entry: &Entry,
        piece: Piece,
        pack: bool,
    ) -> Result<Route> {
        let dense = [self.rows, self.cols];
        if pack && piece == Piece::Whole && self.kind != Kind::Vector && same(&entry.shape, &dense)
        {
            return Ok(Route::Rows);
        }
        let shape = self.shape_in_file(piece);
        // Leading ones are a matter of broadcasting: [1, P, H] is a table [P, H]. With ones in
        // front a convolution would be another one, so it has its rank or is refused.
        let loose = matches!(self.layout, Layout::Rows | Layout::Transposed);
        if !same(if loose { without_ones(&entry.shape, shape.len()) } else { &entry.shape }, &shape)
        {
            return Err(misfit(file, entry, &shape));
        }
        Ok(match (piece, &self.layout) {
            (Piece::Gain, _) => Route::Gain,
            (Piece::Direction, _) => Route::Direction,
            (_, Layout::Rows) => Route::Rows,
            (_, Layout::Transposed | Layout::Depthwise(_)) => Route::Transposed,
            (_, Layout::Taps(taps)) => match taps.iter().product() {
                1 => Route::Rows,
                taps => Route::Taps(taps),
            },
        })
    }
}

/// The error that `entry` has another shape than `shape`.
pub fn misfit(file: &str, entry: &Entry, shape: &[usize]) -> crate::Error {
    let (name, has) = (&entry.name, &entry.shape);
    err!(Code::Tensor, "{file}: {name} has the shape {has:?}, config.json asks for {shape:?}")
        .remedy("config.json and the weights are of different models")
}

pub fn same(shape: &[u64], wanted: &[usize]) -> bool {
    shape.iter().copied().eq(wanted.iter().map(|&d| d as u64))
}

/// `shape` without the ones in front that make it longer than `rank`.
fn without_ones(mut shape: &[u64], rank: usize) -> &[u64] {
    while shape.len() > rank && shape[0] == 1 {
        shape = &shape[1..];
    }
    shape
}

/// Rows of `[I, taps]` to rows of `[taps, I]`, `cols` values each.
pub fn channels_last(rows: &[f32], cols: usize, taps: usize, out: &mut Vec<f32>) {
    let channels = cols / taps;
    out.clear();
    for row in rows.chunks_exact(cols.max(1)) {
        for tap in 0..taps {
            out.extend((0..channels).map(|i| row[i * taps + tap]));
        }
    }
}

/// Columns `first..first + count` of `values` (`[cols, rows]`) as rows of `cols` values.
pub fn turned(values: &[f32], rows: usize, first: usize, count: usize, out: &mut Vec<f32>) {
    out.clear();
    for row in first..first + count {
        out.extend(values.chunks_exact(rows).map(|file_row| file_row[row]));
    }
}

/// `[2C]`, scale then shift, from the `[4C]` of a batch norm: weight, bias, mean, variance.
pub fn batch_norm(name: &str, values: &[f32], eps: f32) -> Result<Vec<f32>> {
    let c = values.len() / 4;
    let mut out = vec![0.0; 2 * c];
    for i in 0..c {
        let [weight, bias, mean, variance] = [0, 1, 2, 3].map(|j| f64::from(values[j * c + i]));
        let scale = weight / (variance + f64::from(eps)).sqrt();
        (out[i], out[c + i]) = (scale as f32, (bias - mean * scale) as f32);
        if !(out[i].is_finite() && out[c + i].is_finite()) {
            return Err(err!(
                Code::NonFinite,
                "the batch norm of {name} has no finite scale for channel {i}: weight {weight}, \
                 variance {variance}"
            )
            .remedy("the checkpoint is damaged or diverged in training: use another revision"));
        }
    }
    Ok(out)
}

/// `v * g / ||v||` in place, for `v` of `shape` and the norm over all dimensions but `dim`.
pub fn weight_norm(
    name: &str,
    v: &mut [f32],
    g: &[f32],
    shape: &[usize],
    dim: usize,
) -> Result<()> {
    let inner: usize = shape[dim + 1..].iter().product();
    let of = |i: usize| i / inner.max(1) % g.len().max(1);
    let mut squares = vec![0.0f64; g.len()];
    for (i, &x) in v.iter().enumerate() {
        squares[of(i)] += f64::from(x) * f64::from(x);
    }
    if let Some(at) = squares.iter().position(|&s| s == 0.0) {
        return Err(err!(Code::NonFinite, "the direction of {name} has the norm 0 at {at}")
            .remedy("the checkpoint is damaged or diverged in training: use another revision"));
    }
    let factors: Vec<f64> = g.iter().zip(&squares).map(|(&g, s)| f64::from(g) / s.sqrt()).collect();
    for (i, x) in v.iter_mut().enumerate() {
        *x = (f64::from(*x) * factors[of(i)]) as f32;
    }
    Ok(())
}

impl Declared {
    /// The taps of a convolution; 1 for anything else.
    pub(super) fn taps(&self) -> usize {
        match &self.layout {
            Layout::Taps(taps) => taps.iter().product(),
            _ => 1,
        }
    }

    /// Folds a weight norm whose `v` is in the file's order.
    pub(super) fn weight_norm(&self, name: &str, v: &mut [f32], g: &[f32]) -> Result<()> {
        match self.fold {
            Fold::WeightNorm { dim } => {
                weight_norm(name, v, g, &self.shape_in_file(Piece::Whole), dim)
            }
            Fold::None | Fold::BatchNorm { .. } => Ok(()),
        }
    }
}
