//! What a model declares that it needs from a checkpoint.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;

use super::{Fold, Layout};
use crate::plan::WeightId;

/// How a weight may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// f32, always: biases, norm parameters.
    Vector,
    /// A matrix in the model's format (f32, f16, q8, q4).
    Matrix,
    /// A matrix that a 4-bit grid hurts most: in the model's format, but q8 where that is q4.
    /// Embedding tables and attention projections: with them in q4 MiniLM's embeddings keep a mean
    /// cosine of 0.972, with them in q8 0.984, for a third of the layers' weights.
    Sensitive,
    /// A matrix that stays f32 whatever the format: position tables, small sensitive heads.
    Exact,
}

/// One weight of a model, made of one or more tensors of the checkpoint stacked along their rows
/// (queries, keys and values become one projection).
#[derive(Debug, Clone)]
pub struct Declared {
    /// Full names, outermost scope first: one per part.
    pub names: Vec<String>,
    /// Names that the only part may have instead, in the order of preference (tied tables).
    pub instead: Vec<String>,
    /// Rows of each part.
    pub rows: usize,
    /// Columns; 1 for a vector.
    pub cols: usize,
    pub kind: Kind,
    /// How a part lies in a checkpoint.
    pub layout: Layout,
    /// What the parts are made into.
    pub fold: Fold,
    /// A checkpoint may lack it; the model then knows what stands for it.
    pub optional: bool,
    /// How many weights its rows are dealt out to, in order: this one and those declared after
    /// it, which have no names and 0 here.
    pub slices: usize,
}

/// Everything a model needs from a checkpoint, in the order of its weight ids.
#[derive(Debug, Default)]
pub struct Manifest {
    pub weights: Vec<Declared>,
    /// Name of the base model (`"bert"`): tensors may come with or without this prefix.
    pub base: &'static str,
    /// What the family knows and this head does not use (other heads, buffers): such tensors are
    /// skipped, anything else that is unknown is an error. A pattern that ends in a dot stands for
    /// a scope, and matches the names that begin with it, without the prefix of the base model;
    /// any other matches a whole name or its last components.
    pub skip: &'static [&'static str],
}

/// A place in the checkpoint's tree of names. `scope.pp("encoder").pp("layer").pp(3)` reads like
/// the checkpoint.
#[derive(Debug, Clone)]
pub struct Scope {
    manifest: Rc<RefCell<Manifest>>,
    path: String,
}

impl Scope {
    /// The root of a model whose tensors may carry the prefix `base`.
    pub fn root(base: &'static str, skip: &'static [&'static str]) -> Self {
        let manifest = Manifest { weights: Vec::new(), base, skip };
        Scope { manifest: Rc::new(RefCell::new(manifest)), path: String::new() }
    }

    /// The scope `name` within this one.
    pub fn pp(&self, name: impl Display) -> Self {
        Scope { manifest: Rc::clone(&self.manifest), path: self.join(name) }
    }

    fn join(&self, name: impl Display) -> String {
        if self.path.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn declare(&self, declared: Declared) -> WeightId {
        let weights = &mut self.manifest.borrow_mut().weights;
        weights.push(declared);
        WeightId(weights.len() as u32 - 1)
    }

    fn parts(&self, names: &[impl AsRef<str>], rows: usize, cols: usize, kind: Kind) -> Declared {
        let names = names.iter().map(|name| self.join(name.as_ref())).collect();
        let (instead, layout, fold) = (Vec::new(), Layout::Rows, Fold::None);
        Declared { names, instead, rows, cols, kind, layout, fold, optional: false, slices: 1 }
    }

    /// Weights declared so far, through this scope and all its relatives: the next id.
    pub fn declared(&self) -> usize {
        self.manifest.borrow().weights.len()
    }

    /// A matrix `[n, k]` in the model's format.
    pub fn matrix(&self, name: &str, n: usize, k: usize) -> WeightId {
        self.declare(self.parts(&[name], n, k, Kind::Matrix))
    }

    /// A matrix `[n, k]` that is q8 where the model is q4.
    pub fn sensitive(&self, name: &str, n: usize, k: usize) -> WeightId {
        self.declare(self.parts(&[name], n, k, Kind::Sensitive))
    }

    /// Sensitive matrices `[n, k]` each, stacked into one `[names.len() * n, k]`.
    pub fn stacked(&self, names: &[impl AsRef<str>], n: usize, k: usize) -> WeightId {
        self.declare(self.parts(names, n, k, Kind::Sensitive))
    }

    /// A sensitive matrix `[count * n, k]` as `count` weights `[n, k]`: projections that a file
    /// stacks and a model applies to different inputs.
    pub fn sliced(&self, name: &str, count: usize, n: usize, k: usize) -> Vec<WeightId> {
        self.slices(self.parts(&[name], count * n, k, Kind::Sensitive), count)
    }

    /// A vector `[count * n]` as `count` weights `[n]`.
    pub fn sliced_vector(&self, name: &str, count: usize, n: usize) -> Vec<WeightId> {
        self.slices(self.parts(&[name], count * n, 1, Kind::Vector), count)
    }

    fn slices(&self, whole: Declared, count: usize) -> Vec<WeightId> {
        let rows = whole.rows / count.max(1);
        let rest = Declared { names: Vec::new(), rows, slices: 0, ..whole.clone() };
        let first = self.declare(Declared { slices: count, ..whole });
        std::iter::once(first).chain((1..count).map(|_| self.declare(rest.clone()))).collect()
    }

    /// A matrix `[n, k]` that stays f32 in every format. The file may have ones in front of its
    /// shape (`[1, P, H]`, `[1, 1, H]`), here and in every other matrix and vector.
    pub fn exact(&self, name: &str, n: usize, k: usize) -> WeightId {
        self.declare(self.parts(&[name], n, k, Kind::Exact))
    }

    /// A vector `[n]`, f32.
    pub fn vector(&self, name: &str, n: usize) -> WeightId {
        self.declare(self.parts(&[name], n, 1, Kind::Vector))
    }

    /// A vector `[n]` that a checkpoint may lack.
    pub fn optional_vector(&self, name: &str, n: usize) -> WeightId {
        let parts = self.parts(&[name], n, 1, Kind::Vector);
        self.declare(Declared { optional: true, ..parts })
    }

    /// Vectors `[n]` each, one after the other.
    pub fn stacked_vector(&self, names: &[impl AsRef<str>], n: usize) -> WeightId {
        self.declare(self.parts(names, n, 1, Kind::Vector))
    }

    /// A sensitive matrix `[n, k]` that a checkpoint holds once or several times, under one or
    /// more of `names` (tied embeddings: `shared.weight`, `encoder.embed_tokens.weight`,
    /// `lm_head.weight`). The first name that is there is read, the others are skipped.
    pub fn tied(&self, names: &[impl AsRef<str>], n: usize, k: usize) -> WeightId {
        let mut declared = self.parts(names, n, k, Kind::Sensitive);
        declared.instead = declared.names.split_off(1.min(names.len()));
        self.declare(declared)
    }

    /// A matrix `[n, k]` in the model's format that the file holds as `[k, n]` (GPT-2's `Conv1D`).
    pub fn transposed(&self, name: &str, n: usize, k: usize) -> WeightId {
        let layout = Layout::Transposed;
        self.declare(Declared { layout, ..self.parts(&[name], n, k, Kind::Matrix) })
    }

    /// Like [`Scope::transposed`], q8 where the model is q4.
    pub fn transposed_sensitive(&self, name: &str, n: usize, k: usize) -> WeightId {
        let layout = Layout::Transposed;
        self.declare(Declared { layout, ..self.parts(&[name], n, k, Kind::Sensitive) })
    }

    /// A convolution that the file holds as `[o, i, taps..]`, as a matrix `[o, taps.. * i]` with
    /// the channels last, in the model's format. A 1x1 convolution is a linear layer `[o, i]`; of
    /// a grouped one `i` is the channels of a group.
    pub fn conv(&self, name: &str, o: usize, i: usize, taps: &[usize]) -> WeightId {
        self.convolution(name, [o, i], taps, Kind::Matrix)
    }

    /// Like [`Scope::conv`], q8 where the model is q4.
    pub fn conv_sensitive(&self, name: &str, o: usize, i: usize, taps: &[usize]) -> WeightId {
        self.convolution(name, [o, i], taps, Kind::Sensitive)
    }

    /// Like [`Scope::conv`], f32 in every format: stems that see pixels, small kernels.
    pub fn conv_exact(&self, name: &str, o: usize, i: usize, taps: &[usize]) -> WeightId {
        self.convolution(name, [o, i], taps, Kind::Exact)
    }

    fn convolution(&self, name: &str, [o, i]: [usize; 2], taps: &[usize], kind: Kind) -> WeightId {
        let cols = taps.iter().product::<usize>() * i;
        let layout = Layout::Taps(taps.to_vec());
        self.declare(Declared { layout, ..self.parts(&[name], o, cols, kind) })
    }

    /// A depthwise convolution that the file holds as `[c, 1, taps..]`, as an f32 matrix
    /// `[taps.., c]` in every format: its weights are few.
    pub fn depthwise(&self, name: &str, c: usize, taps: &[usize]) -> WeightId {
        let layout = Layout::Depthwise(taps.to_vec());
        let rows = taps.iter().product();
        self.declare(Declared { layout, ..self.parts(&[name], rows, c, Kind::Exact) })
    }

    /// The batch norm of this scope, with its running statistics: a vector `[2c]` on the device,
    /// scale then shift, so that `y = x * scale + shift`.
    pub fn batch_norm(&self, c: usize, eps: f32) -> WeightId {
        let names = ["weight", "bias", "running_mean", "running_var"];
        let fold = Fold::BatchNorm { eps };
        self.declare(Declared { fold, ..self.parts(&names, c, 1, Kind::Vector) })
    }

    /// A convolution under weight normalization: `g * v / ||v||` with the norm over all
    /// dimensions of `[o, i, taps..]` but `dim`, then as [`Scope::conv`]. The file holds g and v
    /// as `NAME_g` and `NAME_v` or as `parametrizations.NAME.original0` and `original1`; a pack
    /// of ours, or a file whose norm was removed, holds `NAME`.
    pub fn weight_norm(
        &self,
        name: &str,
        o: usize,
        i: usize,
        taps: &[usize],
        dim: usize,
    ) -> WeightId {
        let cols = taps.iter().product::<usize>() * i;
        let (layout, fold) = (Layout::Taps(taps.to_vec()), Fold::WeightNorm { dim });
        self.declare(Declared { layout, fold, ..self.parts(&[name], o, cols, Kind::Matrix) })
    }

    /// What has been declared through this scope and all its relatives.
    pub fn manifest(&self) -> Manifest {
        self.manifest.take()
    }
}
