//! `image-segmentation`: masks with labels; semantic, instance or panoptic.
//!
//! Nothing of the size of the picture times the number of masks or labels is ever held: each row
//! of the picture is computed from the few rows of the model's output that it lies between.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::resize::{bilinear, mix_row, nearest, pairs, zeros, Pair};
use super::{Info, Item, View};
use crate::error::Result;
use crate::models::{VisionHead, VisionOutput};
use crate::tasks::io::options;
use crate::tasks::scores::{argmax, sigmoid, softmax, top_k};
use crate::{err, Code};

options! {
    /// Options of image segmentation. Defaults are Python's pipeline's.
    Options {
        /// Absent: panoptic where the model has it, else semantic.
        subtask: Option<Subtask> = None,
        /// Scores must exceed it (instances of Mask2Former may equal it).
        threshold: f64 = 0.9,
        /// A mask's pixels reach it.
        mask_threshold: f32 = 0.5,
        /// The part of a mask that no other mask covers must exceed it.
        overlap_mask_area_threshold: f64 = 0.5,
        /// Labels whose segments become one (panoptic).
        label_ids_to_fuse: Option<Vec<usize>> = None,
        /// Height and width of the masks, one pair per picture; absent, the pictures' own.
        target_sizes: Option<Vec<[usize; 2]>> = None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subtask {
    Semantic,
    Instance,
    Panoptic,
}

impl Options {
    /// The size of each picture's masks.
    pub fn targets(&self, sizes: &[[usize; 2]]) -> Result<Vec<[usize; 2]>> {
        let Some(targets) = &self.target_sizes else { return Ok(sizes.to_vec()) };
        if targets.len() != sizes.len() {
            let (n, m) = (targets.len(), sizes.len());
            return Err(err!(Code::Input, "{n} target_sizes for {m} images"));
        }
        if targets.iter().flatten().any(|side| !(1..=1 << 16).contains(side)) {
            return Err(err!(Code::Input, "target_sizes {targets:?}")
                .remedy("pass [height, width] per image, 1 to 65536 each"));
        }
        Ok(targets.clone())
    }
}

/// One segment of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub label: String,
    /// `None` for semantic segments.
    pub score: Option<f64>,
    /// `[height, width]`, 255 where the segment is
    pub mask: Vec<u8>,
}

/// Fails with [`Code::Unsupported`] where the model has no such subtask.
pub fn check(info: &Info, options: &Options) -> Result<Subtask> {
    let masks = matches!(info.head, VisionHead::Panoptic | VisionHead::Universal);
    match options.subtask {
        None if masks => Ok(Subtask::Panoptic),
        None | Some(Subtask::Semantic) => Ok(Subtask::Semantic),
        Some(subtask) if masks => Ok(subtask),
        Some(subtask) => Err(err!(
            Code::Unsupported,
            "subtask {:?} needs a model with masks per object",
            format!("{subtask:?}").to_lowercase()
        )
        .remedy("this one has subtask \"semantic\"")),
    }
}

/// The segments of one picture, their masks of `size` (height, width).
pub fn answer(
    item: &Item<'_>,
    info: &Info,
    options: &Options,
    size: [usize; 2],
) -> Result<Vec<Segment>> {
    let subtask = check(info, options)?;
    match item {
        VisionOutput::Semantic(logits) => {
            let &[h, w, labels] = logits.dims else { return Err(shape("logits", logits)) };
            let row = |y: usize, out: &mut [f32]| {
                out.copy_from_slice(&logits.data[y * w * labels..][..w * labels]);
            };
            semantic(row, [h, w, labels], info, size)
        }
        VisionOutput::Queries { logits, masks: Some(masks), .. } => {
            let &[queries, labels] = logits.dims else { return Err(shape("logits", logits)) };
            let &[n, h, w] = masks.dims else { return Err(shape("masks", masks)) };
            if n != queries || labels < 2 || h * w == 0 {
                return Err(shape("masks", masks));
            }
            let queries = Queries {
                logits: logits.data,
                labels: labels - 1,
                masks: masks.data,
                size: [h, w],
                between: (info.head == VisionHead::Universal).then_some([384, 384]),
            };
            match subtask {
                Subtask::Semantic => queries.semantic(info, size),
                Subtask::Instance if info.head == VisionHead::Universal => {
                    queries.instances(info, options, size)
                }
                Subtask::Instance => queries.segments(info, options, &[], size),
                Subtask::Panoptic => {
                    let fuse = options.label_ids_to_fuse.as_deref().unwrap_or_default();
                    queries.segments(info, options, fuse, size)
                }
            }
        }
        _ => Err(err!(Code::Internal, "image segmentation without masks")),
    }
}

fn shape(name: &str, view: &View<'_>) -> crate::Error {
    err!(Code::Internal, "{name} of shape {:?}", view.dims)
}

/// What a model with masks per query gives for one picture.
struct Queries<'a> {
    /// `[Q, labels + 1]`
    logits: &'a [f32],
    /// L, without the one that stands for no object.
    labels: usize,
    /// `[Q, h, w]`
    masks: &'a [f32],
    size: [usize; 2],
    /// Mask2Former's masks are brought to this size first.
    between: Option<[usize; 2]>,
}

impl Queries<'_> {
    /// Query `q`'s mask logits at the size that post-processing starts from.
    fn mask(&self, q: usize) -> Result<(Vec<f32>, [usize; 2])> {
        let len = self.size[0] * self.size[1];
        let mask = &self.masks[q * len..][..len];
        Ok(match self.between {
            Some(size) => (bilinear(mask, self.size, size)?, size),
            None => (mask.to_vec(), self.size),
        })
    }

    /// Probabilities of each query over the labels, no object last.
    fn probabilities(&self) -> Vec<Vec<f32>> {
        let scores = self.logits.chunks_exact(self.labels + 1).map(|logits| {
            let mut scores = logits.to_vec();
            softmax(&mut scores);
            scores
        });
        scores.collect()
    }

    /// Panoptic segments (and DETR's instances): every pixel goes to the mask that is largest
    /// there, times its score.
    fn segments(
        &self,
        info: &Info,
        options: &Options,
        fuse: &[usize],
        size: [usize; 2],
    ) -> Result<Vec<Segment>> {
        struct Kept {
            label: usize,
            score: f32,
            mask: Vec<f32>,
        }
        let mut kept = Vec::new();
        let mut from = self.size;
        for (q, scores) in self.probabilities().iter().enumerate() {
            let label = argmax(scores);
            if label == self.labels || scores[label] <= options.threshold as f32 {
                continue;
            }
            let (mut mask, at) = self.mask(q)?;
            mask.iter_mut().for_each(|x| *x = sigmoid(*x));
            from = at;
            kept.push(Kept { label, score: scores[label], mask });
        }
        // Which of the kept masks each pixel belongs to, and the areas.
        let [height, width] = size;
        let mut owner: Vec<u16> = zeros(height, width)?;
        let (mut owned, mut whole) = (vec![0usize; kept.len()], vec![0usize; kept.len()]);
        let (down, across) = (pairs(from[0], height), pairs(from[1], width));
        let (mut row, mut best) = (vec![0.0; width], vec![0.0f32; width]);
        for (owners, y) in owner.chunks_exact_mut(width).zip(&down) {
            best.fill(f32::NEG_INFINITY);
            for (k, Kept { score, mask, .. }) in kept.iter().enumerate() {
                mix_row(mask, from[1], y, &across, &mut row);
                for ((x, best), owner) in row.iter().zip(&mut best).zip(owners.iter_mut()) {
                    let x = x * score;
                    whole[k] += usize::from(x >= options.mask_threshold);
                    if x > *best {
                        (*best, *owner) = (x, k as u16);
                    }
                }
            }
            if !kept.is_empty() {
                owners.iter().for_each(|&k| owned[k as usize] += 1);
            }
        }
        // Segment ids: a fused label takes the id that it had.
        let mut ids: Vec<Option<usize>> = vec![None; kept.len()];
        let (mut fused, mut found) = (BTreeMap::new(), Vec::new());
        let mut id = 0;
        for (k, Kept { label, score, .. }) in kept.iter().enumerate() {
            let part = owned[k] as f32 / whole[k] as f32;
            if owned[k] == 0
                || whole[k] == 0
                || f64::from(part) <= options.overlap_mask_area_threshold
            {
                continue;
            }
            // Python keeps counting from the last id it used, fused or not.
            id = fused.get(label).copied().unwrap_or(id + 1);
            if fuse.contains(label) {
                fused.insert(*label, id);
            }
            ids[k] = Some(id);
            found.push((id, *label, *score));
        }
        let of = |id: usize| -> Result<Vec<u8>> {
            let mut mask: Vec<u8> = zeros(height, width)?;
            for (mask, &k) in mask.iter_mut().zip(&owner) {
                *mask = if ids[k as usize] == Some(id) { 255 } else { 0 };
            }
            Ok(mask)
        };
        found
            .into_iter()
            .map(|(id, label, score)| {
                let (label, score) = (info.label(label), Some(rounded(score)));
                Ok(Segment { label, score, mask: of(id)? })
            })
            .collect()
    }

    /// Mask2Former's instances: the best pairs of query and label; later ones lie over earlier
    /// ones.
    fn instances(&self, info: &Info, options: &Options, size: [usize; 2]) -> Result<Vec<Segment>> {
        let probabilities = self.probabilities();
        let scores: Vec<f32> =
            probabilities.iter().flat_map(|scores| &scores[..self.labels]).copied().collect();
        let [height, width] = size;
        let mut owner: Vec<u32> = zeros(height, width)?;
        let mut found = Vec::new();
        for at in top_k(&scores, probabilities.len()) {
            let (query, label) = (at / self.labels, at % self.labels);
            let (mask, from) = self.mask(query)?;
            let inside = mask.iter().filter(|&&x| x > 0.0);
            // In f64: one f32 sum over 147,456 pixels is off in the sixth digit.
            let (count, sum) =
                inside.fold((0.0, 0.0), |(n, sum), &x| (n + 1.0, sum + f64::from(sigmoid(x))));
            let score = scores[at] * (sum / (count + 1e-6)) as f32;
            if f64::from(score) < options.threshold {
                continue;
            }
            let (rows, columns) = (nearest(from[0], height), nearest(from[1], width));
            let id = found.len() as u32 + 1;
            let mut any = false;
            for (owners, &y) in owner.chunks_exact_mut(width).zip(&rows) {
                let row = &mask[y * from[1]..][..from[1]];
                for (owner, &x) in owners.iter_mut().zip(&columns) {
                    if row[x] > 0.0 {
                        (*owner, any) = (id, true);
                    }
                }
            }
            if any {
                found.push((label, score));
            }
        }
        let segment = |(i, (label, score)): (usize, (usize, f32))| {
            let id = i as u32 + 1;
            let mask = owner.iter().map(|&o| if o == id { 255 } else { 0 }).collect();
            Segment { label: info.label(label), score: Some(rounded(score)), mask }
        };
        Ok(found.into_iter().enumerate().map(segment).collect())
    }

    /// Labels per pixel: each query's label probabilities, weighed by its mask.
    fn semantic(&self, info: &Info, size: [usize; 2]) -> Result<Vec<Segment>> {
        let probabilities = self.probabilities();
        let [h, w] = self.between.unwrap_or(self.size);
        let (down, across) = (pairs(self.size[0], h), pairs(self.size[1], w));
        let (labels, len) = (self.labels, self.size[0] * self.size[1]);
        let mut mask = vec![0.0; w];
        let row = |y: usize, out: &mut [f32]| {
            out.fill(0.0);
            for (q, scores) in probabilities.iter().enumerate() {
                let source = &self.masks[q * len..][..len];
                match self.between {
                    Some(_) => mix_row(source, self.size[1], &down[y], &across, &mut mask),
                    None => mask.copy_from_slice(&source[y * w..][..w]),
                }
                for (&x, out) in mask.iter().zip(out.chunks_exact_mut(labels)) {
                    let part = sigmoid(x);
                    for (out, score) in out.iter_mut().zip(scores) {
                        *out += score * part;
                    }
                }
            }
        };
        semantic(row, [h, w, labels], info, size)
    }
}

/// The label of each pixel is the largest logit after bilinear resizing; segments come by label
/// id, those alone that are present. `row` writes row y `[w, labels]` of the logits.
fn semantic(
    mut row: impl FnMut(usize, &mut [f32]),
    [h, w, labels]: [usize; 3],
    info: &Info,
    [height, width]: [usize; 2],
) -> Result<Vec<Segment>> {
    let mut map: Vec<u32> = zeros(height, width)?;
    let (down, across) = (pairs(h, height), pairs(w, width));
    // The two rows that output rows lie between, and their numbers.
    let mut held: [(usize, Vec<f32>); 2] =
        [(usize::MAX, zeros(w, labels)?), (usize::MAX, zeros(w, labels)?)];
    let mut line: Vec<f32> = zeros(w, labels)?;
    for (out, y) in map.chunks_exact_mut(width).zip(&down) {
        if held[0].0 != y.first && held[1].0 == y.first {
            held.swap(0, 1);
        }
        for (slot, wanted) in held.iter_mut().zip([y.first, y.second]) {
            if slot.0 != wanted {
                row(wanted, &mut slot.1);
                slot.0 = wanted;
            }
        }
        for ((line, &a), &b) in line.iter_mut().zip(&held[0].1).zip(&held[1].1) {
            *line = y.mix(a, b);
        }
        for (out, x) in out.iter_mut().zip(&across) {
            *out = largest(&line[x.first * labels..], &line[x.second * labels..], labels, x);
        }
    }
    let mut present = vec![false; labels];
    map.iter().for_each(|&label| present[label as usize] = true);
    let labels = (0..labels).filter(|&label| present[label]);
    let segment = |id: usize| {
        let mask = map.iter().map(|&x| if x as usize == id { 255 } else { 0 }).collect();
        Segment { label: info.label(id), score: None, mask }
    };
    Ok(labels.map(segment).collect())
}

/// The first largest of the labels between `a` and `b`.
fn largest(a: &[f32], b: &[f32], labels: usize, x: &Pair) -> u32 {
    let (mut best, mut at) = (f32::NEG_INFINITY, 0);
    for (label, (&a, &b)) in a[..labels].iter().zip(&b[..labels]).enumerate() {
        let value = x.mix(a, b);
        if value > best {
            (best, at) = (value, label);
        }
    }
    at as u32
}

/// Six decimals, as Python's `round`.
fn rounded(score: f32) -> f64 {
    (f64::from(score) * 1e6).round_ties_even() / 1e6
}
