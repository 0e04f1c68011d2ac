//! From the names in a file to the weights that a model declared.

use std::collections::{BTreeMap, HashSet};

use super::{Header, Manifest};
use crate::error::Result;
use crate::{err, Code};

/// The companion of a quantized tensor in a pack.
pub const SCALE: &str = ".scale";

/// What a tensor of a file is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Part `part` of weight `weight`.
    Part { weight: usize, part: usize },
    /// The scales of that part.
    Scale { weight: usize, part: usize },
    /// Known to the family and not used by this head.
    Skipped,
}

/// Looks names up.
#[derive(Debug)]
pub struct Names {
    declared: BTreeMap<String, (usize, usize)>,
    /// Names that stand in for declared ones which the file lacks.
    aliases: BTreeMap<String, (usize, usize)>,
    base: String,
    skip: &'static [&'static str],
}

impl Names {
    pub fn new(manifest: &Manifest) -> Self {
        let mut declared = BTreeMap::new();
        for (weight, w) in manifest.weights.iter().enumerate() {
            for (part, name) in w.names.iter().enumerate() {
                declared.insert(name.clone(), (weight, part));
            }
        }
        let aliases = BTreeMap::new();
        Names { declared, aliases, base: format!("{}.", manifest.base), skip: manifest.skip }
    }

    /// Learns from a header which tensors stand in for tied ones: a file holds shared memory once,
    /// and writers note the names that they left out, as `{left out: kept}` in its metadata.
    pub fn alias(&mut self, header: &Header) {
        let names: HashSet<&str> = header.tensors.iter().map(|t| t.name.as_str()).collect();
        for (left_out, kept) in &header.metadata {
            let stands_in = names.contains(kept.as_str())
                && !names.contains(left_out.as_str())
                && self.find(kept).is_none();
            if let Some(at) = self.find(left_out).filter(|_| stands_in) {
                self.aliases.insert(kept.clone(), at);
            }
        }
    }

    /// The role of the tensor `name`; `None` where nobody in the family knows it.
    ///
    /// Tensors of a bare encoder may lack the base model's prefix, and checkpoints converted from
    /// TensorFlow call a LayerNorm's parameters gamma and beta.
    pub fn role(&self, name: &str) -> Option<Role> {
        if let Some((weight, part)) = self.find(name) {
            return Some(Role::Part { weight, part });
        }
        if let Some((weight, part)) = name.strip_suffix(SCALE).and_then(|name| self.find(name)) {
            return Some(Role::Scale { weight, part });
        }
        let bare = name.strip_prefix(&self.base).unwrap_or(name);
        self.skip.iter().any(|pattern| is_skipped(bare, pattern)).then_some(Role::Skipped)
    }

    fn find(&self, name: &str) -> Option<(usize, usize)> {
        let declared = |name: &str| {
            let found = self.declared.get(name);
            found.or_else(|| self.declared.get(&format!("{}{name}", self.base))).copied()
        };
        declared(name)
            .or_else(|| declared(&modern(name)?))
            .or_else(|| self.aliases.get(name).copied())
    }

    /// Checks the names of a whole checkpoint: every one has a role, every declared weight is
    /// there.
    pub fn check<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<()> {
        let (mut unknown, mut twice) = (Vec::new(), Vec::new());
        let mut missing: BTreeMap<(usize, usize), &str> =
            self.declared.iter().map(|(name, &at)| (at, name.as_str())).collect();
        for name in names {
            match self.role(name) {
                Some(Role::Part { weight, part }) => {
                    if missing.remove(&(weight, part)).is_none() {
                        twice.push(name);
                    }
                }
                Some(_) => {}
                None => unknown.push(name),
            }
        }
        if !twice.is_empty() {
            let error = err!(Code::Tensor, "the checkpoint has two tensors for {}", listed(&twice));
            return Err(
                error.remedy("old and new names, or names with and without prefix, are mixed")
            );
        }
        if !missing.is_empty() {
            let encoder = |name: &&str| name.starts_with(&self.base);
            let headless = missing.len() < self.declared.len() && !missing.values().any(encoder);
            let names: Vec<&str> = missing.into_values().collect();
            let error = err!(Code::Tensor, "the checkpoint lacks {}", listed(&names));
            return Err(error.remedy(if headless {
                "it has no head for this task: use a checkpoint that was trained for it"
            } else {
                "it was saved from another model than config.json says"
            }));
        }
        if !unknown.is_empty() {
            let error =
                err!(Code::Tensor, "the checkpoint holds unknown tensors: {}", listed(&unknown));
            return Err(
                error.remedy("it was saved from another architecture than config.json says")
            );
        }
        Ok(())
    }
}

/// The name that `transformers` reads `name` as: `LayerNorm.gamma` is `LayerNorm.weight`.
fn modern(name: &str) -> Option<String> {
    let (stem, leaf) = name.rsplit_once('.')?;
    let leaf = match leaf {
        "gamma" => "weight",
        "beta" => "bias",
        _ => return None,
    };
    let owner = stem.rsplit('.').next()?.to_ascii_lowercase();
    owner.contains("norm").then(|| format!("{stem}.{leaf}"))
}

/// Whether a name without its base prefix matches a pattern of [`Manifest::skip`].
fn is_skipped(bare: &str, pattern: &str) -> bool {
    if pattern.ends_with('.') {
        return bare.starts_with(pattern);
    }
    bare.strip_suffix(pattern).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The first eight names, and how many more there are.
pub(super) fn listed(names: &[&str]) -> String {
    let shown = names[..names.len().min(8)].join(", ");
    match names.len() {
        0..=8 => shown,
        n => format!("{shown} and {} more", n - 8),
    }
}
