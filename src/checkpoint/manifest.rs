//! What a model declares that it needs from a checkpoint.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;

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
    /// Full names, outermost scope first.
    pub names: Vec<String>,
    /// Rows of each part.
    pub rows: usize,
    /// Columns; 1 for a vector.
    pub cols: usize,
    pub kind: Kind,
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

    fn declare(&self, names: &[impl AsRef<str>], rows: usize, cols: usize, kind: Kind) -> WeightId {
        let names = names.iter().map(|name| self.join(name.as_ref())).collect();
        let weights = &mut self.manifest.borrow_mut().weights;
        weights.push(Declared { names, rows, cols, kind });
        WeightId(weights.len() as u32 - 1)
    }

    /// A matrix `[n, k]` in the model's format.
    pub fn matrix(&self, name: &str, n: usize, k: usize) -> WeightId {
        self.declare(&[name], n, k, Kind::Matrix)
    }

    /// A matrix `[n, k]` that is q8 where the model is q4.
    pub fn sensitive(&self, name: &str, n: usize, k: usize) -> WeightId {
        self.declare(&[name], n, k, Kind::Sensitive)
    }

    /// Sensitive matrices `[n, k]` each, stacked into one `[names.len() * n, k]`.
    pub fn stacked(&self, names: &[impl AsRef<str>], n: usize, k: usize) -> WeightId {
        self.declare(names, n, k, Kind::Sensitive)
    }

    /// A matrix `[n, k]` that stays f32 in every format.
    pub fn exact(&self, name: &str, n: usize, k: usize) -> WeightId {
        self.declare(&[name], n, k, Kind::Exact)
    }

    /// A vector `[n]`, f32.
    pub fn vector(&self, name: &str, n: usize) -> WeightId {
        self.declare(&[name], n, 1, Kind::Vector)
    }

    /// Vectors `[n]` each, one after the other.
    pub fn stacked_vector(&self, names: &[impl AsRef<str>], n: usize) -> WeightId {
        self.declare(names, n, 1, Kind::Vector)
    }

    /// What has been declared through this scope and all its relatives.
    pub fn manifest(&self) -> Manifest {
        self.manifest.take()
    }
}
