//! From the names in a file to the weights that a model declared.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Declared, Fold, Header, Manifest, Piece};
use crate::error::Result;
use crate::{err, Code};

/// The companion of a quantized tensor in a pack.
pub const SCALE: &str = ".scale";

/// What a tensor of a file is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A piece of part `part` of weight `weight`.
    Part { weight: usize, part: usize, piece: Piece },
    /// Another name of a weight that has been found under a better one.
    Again,
    /// Known to the family and not used by this head.
    Skipped,
}

/// What a declared name stands for.
#[derive(Debug, Clone, Copy)]
struct Place {
    weight: usize,
    part: usize,
    piece: Piece,
    /// Its place in the order of preference.
    order: usize,
}

/// Looks names up.
#[derive(Debug)]
pub struct Names {
    declared: BTreeMap<String, Place>,
    /// Names that stand in for declared ones which the file lacks.
    aliases: BTreeMap<String, Place>,
    /// The name that was chosen of those a weight may have, by its order.
    chosen: BTreeMap<usize, usize>,
    /// Weights that a file may lack.
    optional: Vec<usize>,
    /// The base model's prefix with its dot; empty where there is none.
    base: String,
    skip: &'static [&'static str],
}

impl Names {
    pub fn new(manifest: &Manifest) -> Self {
        let mut declared = BTreeMap::new();
        for (weight, w) in manifest.weights.iter().enumerate() {
            for (part, name) in w.names.iter().enumerate() {
                let place = Place { weight, part, piece: Piece::Whole, order: 0 };
                declared.insert(name.clone(), place);
                for (piece, name) in norm_names(w, name) {
                    declared.insert(name, Place { piece, ..place });
                }
            }
            for (i, name) in w.instead.iter().enumerate() {
                let place = Place { weight, part: 0, piece: Piece::Whole, order: i + 1 };
                declared.insert(name.clone(), place);
            }
        }
        let base =
            if manifest.base.is_empty() { String::new() } else { format!("{}.", manifest.base) };
        let (aliases, chosen) = (BTreeMap::new(), BTreeMap::new());
        let all = manifest.weights.iter().enumerate();
        let optional = all.filter(|(_, w)| w.optional).map(|(weight, _)| weight).collect();
        Names { declared, aliases, chosen, optional, base, skip: manifest.skip }
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

    /// Chooses, for every weight that may have several names, the best of those that are there,
    /// unless one was chosen before.
    pub fn choose<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let mut best = BTreeMap::new();
        for place in names.filter_map(|name| self.find(name)) {
            let order = best.entry(place.weight).or_insert(place.order);
            *order = place.order.min(*order);
        }
        for (weight, order) in best {
            self.chosen.entry(weight).or_insert(order);
        }
    }

    /// The role of the tensor `name`; `None` where nobody in the family knows it.
    ///
    /// Tensors of a bare encoder may lack the base model's prefix, and checkpoints converted from
    /// TensorFlow call a LayerNorm's parameters gamma and beta.
    pub fn role(&self, name: &str) -> Option<Role> {
        if let Some(place) = self.find(name) {
            return Some(self.chosen_role(place, place.piece));
        }
        if let Some(place) = name.strip_suffix(SCALE).and_then(|name| self.find(name)) {
            return Some(self.chosen_role(place, Piece::Scale));
        }
        // PyTorch counts the batches that a batch norm has seen, beside its statistics.
        let counted = name.strip_suffix("num_batches_tracked");
        if counted.is_some_and(|stem| self.find(&format!("{stem}running_mean")).is_some()) {
            return Some(Role::Again);
        }
        let bare = name.strip_prefix(&self.base).unwrap_or(name);
        self.skip.iter().any(|pattern| is_skipped(bare, pattern)).then_some(Role::Skipped)
    }

    fn chosen_role(&self, place: Place, piece: Piece) -> Role {
        let Place { weight, part, order, .. } = place;
        match self.chosen.get(&weight) {
            Some(&chosen) if chosen != order => Role::Again,
            _ => Role::Part { weight, part, piece },
        }
    }

    fn find(&self, name: &str) -> Option<Place> {
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
        let mut found = BTreeSet::new();
        for name in names {
            match self.role(name) {
                Some(Role::Part { weight, part, piece }) if piece != Piece::Scale => {
                    // A weight norm comes folded or in two pieces, not both.
                    let others = match piece {
                        Piece::Whole => [Piece::Gain, Piece::Direction],
                        _ => [Piece::Whole; 2],
                    };
                    let clash = others.iter().any(|&other| found.contains(&(weight, part, other)));
                    if !found.insert((weight, part, piece)) || clash {
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
        let mut missing = BTreeMap::new();
        for (name, &Place { weight, part, piece, order }) in &self.declared {
            let has = |piece| found.contains(&(weight, part, piece));
            let whole = has(Piece::Whole) || has(Piece::Gain) && has(Piece::Direction);
            let half = has(Piece::Gain) || has(Piece::Direction);
            // Of a weight norm its whole is named, or what its other half lacks.
            let optional = self.optional.contains(&weight);
            if !whole && !optional && order == 0 && !has(piece) && half != (piece == Piece::Whole) {
                missing.entry((weight, part)).or_insert(name.as_str());
            }
        }
        if !missing.is_empty() {
            let encoder = |name: &&str| name.starts_with(&self.base);
            let headless = !found.is_empty() && !missing.values().any(encoder);
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

/// The names of a weight norm's pieces beside `name`: before PyTorch 2.0, and since.
fn norm_names(declared: &Declared, name: &str) -> Vec<(Piece, String)> {
    if !matches!(declared.fold, Fold::WeightNorm { .. }) {
        return Vec::new();
    }
    let (stem, leaf) = name.rsplit_once('.').unwrap_or(("", name));
    let dot = if stem.is_empty() { "" } else { "." };
    let modern = |i| format!("{stem}{dot}parametrizations.{leaf}.original{i}");
    vec![
        (Piece::Gain, format!("{name}_g")),
        (Piece::Direction, format!("{name}_v")),
        (Piece::Gain, modern(0)),
        (Piece::Direction, modern(1)),
    ]
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
