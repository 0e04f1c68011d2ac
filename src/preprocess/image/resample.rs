//! Resizing as Pillow does it, to the bit: separable, antialiased, rounded to u8 between the
//! passes, coefficients in fixed point. And as `torchvision` does it on u8
//! tensors, which differs in the coefficients' precision only.
//!
//! A source of any size is read row by row: what is held is one ring of half-resized rows, never
//! another copy of the picture.

use super::Picture;
use crate::error::Result;
use crate::{err, Code};

/// `resample` of `preprocessor_config.json`, Pillow's numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    Nearest,
    Lanczos,
    Bilinear,
    Bicubic,
    Box,
    Hamming,
}

impl Filter {
    /// The filter with Pillow's number `id`.
    pub fn from_id(id: u64) -> Option<Self> {
        use Filter::*;
        [Nearest, Lanczos, Bilinear, Bicubic, Box, Hamming].get(id as usize).copied()
    }

    /// Half the width of the kernel, in pixels of the coarser grid.
    fn support(self) -> f64 {
        match self {
            Filter::Nearest => 0.0,
            Filter::Box => 0.5,
            Filter::Bilinear | Filter::Hamming => 1.0,
            Filter::Bicubic => 2.0,
            Filter::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        use std::f64::consts::PI;
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
        let a = x.abs();
        match self {
            Filter::Nearest => 1.0,
            Filter::Box if x > -0.5 && x <= 0.5 => 1.0,
            Filter::Bilinear if a < 1.0 => 1.0 - a,
            Filter::Hamming if a == 0.0 => 1.0,
            Filter::Hamming if a < 1.0 => {
                let x = a * PI;
                x.sin() / x * (0.54 + 0.46 * x.cos())
            }
            // Keys' cubic with a = -0.5 (torch's own bicubic, without antialiasing, has -0.75).
            Filter::Bicubic if a < 1.0 => ((1.5 * a) - 2.5) * a * a + 1.0,
            Filter::Bicubic if a < 2.0 => (((a - 5.0) * a + 8.0) * a - 4.0) * -0.5,
            Filter::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

/// Whose arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Weights of 22 bits.
    Pillow,
    /// Weights of 16 bits, as `torchvision` computes on a CPU with AVX2.
    Torch,
}

/// Weights of one axis: output `i` reads `counts[i]` inputs from `firsts[i]` on.
#[derive(Debug)]
struct Taps {
    firsts: Vec<usize>,
    counts: Vec<usize>,
    /// `[outputs, width]`
    weights: Vec<i32>,
    width: usize,
    bits: u32,
}

impl Taps {
    /// Weights of outputs `range` of the axis that shrinks or grows from `from` to `to` pixels.
    fn new(from: usize, to: usize, range: [usize; 2], filter: Filter, engine: Engine) -> Self {
        if filter == Filter::Nearest {
            return Taps::nearest(from, to, range, engine);
        }
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let width = support.ceil() as usize * 2 + 1;
        // Writes the weights of output `i`; gives its first input and their number.
        let fill = |i: usize, weights: &mut [f64]| {
            let center = (i as f64 + 0.5) * scale;
            // Casts toward zero, as in C; a negative float becomes 0.
            let first = (center - support + 0.5) as usize;
            let last = ((center + support + 0.5) as usize).min(from);
            let count = last.saturating_sub(first).min(width);
            let mut sum = 0.0;
            for (x, weight) in weights[..count].iter_mut().enumerate() {
                *weight = filter.weight(((x + first) as f64 - center + 0.5) * (1.0 / stretch));
                sum += *weight;
            }
            if sum != 0.0 {
                weights[..count].iter_mut().for_each(|w| *w /= sum);
            }
            (first, count)
        };
        let count = range[1] - range[0];
        let (mut firsts, mut counts) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut exact = vec![0.0; count * width];
        for (i, weights) in exact.chunks_exact_mut(width).enumerate() {
            let (first, count) = fill(range[0] + i, weights);
            firsts.push(first);
            counts.push(count);
        }
        let bits = match engine {
            // 32 bits less 8 of the pixel and 2 for overshoot.
            Engine::Pillow => 22,
            // As many as keep the largest weight of the whole axis below 2^15.
            Engine::Torch => {
                let (mut largest, mut weights) = (0.0f64, vec![0.0; width]);
                for i in 0..to {
                    let (_, count) = fill(i, &mut weights);
                    largest = weights[..count].iter().fold(largest, |m, w| m.max(*w));
                }
                let fits = |bits: &u32| 0.5 + largest * f64::from(1u32 << (bits + 1)) < 32768.0;
                (0..22).find(|bits| !fits(bits)).unwrap_or(22)
            }
        };
        let one = f64::from(1u32 << bits);
        let round = |w: &f64| (w * one + if *w < 0.0 { -0.5 } else { 0.5 }) as i32;
        let weights = exact.iter().map(round).collect();
        Taps { firsts, counts, weights, width, bits }
    }

    fn nearest(from: usize, to: usize, range: [usize; 2], engine: Engine) -> Self {
        let count = range[1] - range[0];
        let mut firsts = Vec::with_capacity(count);
        match engine {
            // Pillow walks: the sum of many steps is not their product.
            Engine::Pillow => {
                let step = from as f64 / to as f64;
                let mut at = step * 0.5;
                for i in 0..range[1] {
                    if i >= range[0] {
                        firsts.push((at as usize).min(from - 1));
                    }
                    at += step;
                }
            }
            Engine::Torch => {
                let step = from as f32 / to as f32;
                let at = |i: usize| (((i as f32 + 0.5) * step).floor() as usize).min(from - 1);
                firsts.extend((range[0]..range[1]).map(at));
            }
        }
        Taps { firsts, counts: vec![1; count], weights: vec![1; count], width: 1, bits: 0 }
    }

    fn of(&self, i: usize) -> (usize, &[i32]) {
        let weights = &self.weights[i * self.width..][..self.counts[i]];
        (self.firsts[i], weights)
    }

    /// A half, in the last bit that is shifted out.
    fn half(&self) -> i32 {
        (1 << self.bits) >> 1
    }

    fn round(&self, sum: i32) -> u8 {
        (sum >> self.bits).clamp(0, 255) as u8
    }

    fn round_all(&self, sums: &[i32], out: &mut [u8]) {
        for (out, &sum) in out.iter_mut().zip(sums) {
            *out = self.round(sum);
        }
    }
}

/// A part of a resized picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// `[from, to)` rows
    pub rows: [usize; 2],
    /// `[from, to)` columns
    pub columns: [usize; 2],
}

/// Resizes `picture` to `size` (height, width) and hands each row of `window`, RGB in u8, to
/// `sink` with its number, counted from the window's top. Nothing outside the window is computed.
pub fn resize(
    picture: Picture<'_>,
    size: [usize; 2],
    window: Window,
    filter: Filter,
    engine: Engine,
    mut sink: impl FnMut(usize, &[u8]),
) -> Result<()> {
    let width = window.columns[1] - window.columns[0];
    let across = (size[1] != picture.width)
        .then(|| Taps::new(picture.width, size[1], window.columns, filter, engine));
    let horizontal = |y: usize, row: &mut [u8]| match &across {
        Some(taps) => resize_row(picture, y, taps, row),
        None => {
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                pixel.copy_from_slice(&picture.rgb(window.columns[0] + x, y));
            }
        }
    };
    if size[0] == picture.height {
        let mut row = buffer::<u8>(width * 3)?;
        for y in window.rows[0]..window.rows[1] {
            horizontal(y, &mut row);
            sink(y - window.rows[0], &row);
        }
        return Ok(());
    }

    let down = Taps::new(picture.height, size[0], window.rows, filter, engine);
    let rows = 0..window.rows[1] - window.rows[0];
    let mut out = buffer::<u8>(width * 3)?;
    if engine == Engine::Pillow && vertical_first(picture, size) {
        let mut sums = buffer::<i32>(picture.width * 3)?;
        let mut row = buffer::<u8>(picture.width * 3)?;
        for y in rows {
            let (first, weights) = down.of(y);
            sums.fill(down.half());
            for (i, &weight) in weights.iter().enumerate() {
                add_row(picture, first + i, weight, &mut sums);
            }
            down.round_all(&sums, &mut row);
            let row = Picture { data: &row, width: picture.width, height: 1, channels: 3 };
            match &across {
                Some(taps) => resize_row(row, 0, taps, &mut out),
                None => out.copy_from_slice(&row.data[window.columns[0] * 3..][..width * 3]),
            }
            sink(y, &out);
        }
        return Ok(());
    }
    // Source row r lies at r % ring: an output row reads `down.width` neighbours at most, and the
    // first of them never goes back.
    let ring = down.width.min(picture.height);
    let stride = width * 3;
    let mut held = buffer::<u8>(ring * stride)?;
    let mut sums = buffer::<i32>(stride)?;
    let mut next = 0;
    for y in rows {
        let (first, weights) = down.of(y);
        next = next.max(first);
        while next < first + weights.len() {
            horizontal(next, &mut held[next % ring * stride..][..stride]);
            next += 1;
        }
        sums.fill(down.half());
        for (i, &weight) in weights.iter().enumerate() {
            let row = &held[(first + i) % ring * stride..][..stride];
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(value);
            }
        }
        down.round_all(&sums, &mut out);
        sink(y, &out);
    }
    Ok(())
}

/// Whether Pillow resizes the columns first. Up to version 12 it never did; 13 does where the
/// height shrinks by more than twice what the width does. Found by trying: 6000 sizes agree.
fn vertical_first(picture: Picture<'_>, [h, w]: [usize; 2]) -> bool {
    let shrinks = |from: usize, to: usize| from as i64 - to as i64;
    let by = shrinks(picture.height, h);
    by > 0 && 2 * shrinks(picture.width, w) < by
}

/// Adds row `y` of `picture`, times `weight`, to `sums`, RGB.
fn add_row(picture: Picture<'_>, y: usize, weight: i32, sums: &mut [i32]) {
    let [_, g, b] = picture.offsets();
    for (sum, pixel) in sums.chunks_exact_mut(3).zip(picture.row(y).chunks_exact(picture.channels))
    {
        sum[0] += weight * i32::from(pixel[0]);
        sum[1] += weight * i32::from(pixel[g]);
        sum[2] += weight * i32::from(pixel[b]);
    }
}

/// Row `y` of `picture`, resized along its length.
fn resize_row(picture: Picture<'_>, y: usize, taps: &Taps, out: &mut [u8]) {
    let row = picture.row(y);
    let channels = picture.channels;
    // Grey is read once for all three.
    let [_, g, b] = picture.offsets();
    for (i, out) in out.chunks_exact_mut(3).enumerate() {
        let (first, weights) = taps.of(i);
        let mut sum = [taps.half(); 3];
        for (pixel, &weight) in row[first * channels..].chunks_exact(channels).zip(weights) {
            sum[0] += weight * i32::from(pixel[0]);
            sum[1] += weight * i32::from(pixel[g]);
            sum[2] += weight * i32::from(pixel[b]);
        }
        for (out, sum) in out.iter_mut().zip(sum) {
            *out = taps.round(sum);
        }
    }
}

/// Zeros whose number a picture decides: too many are an error, not an abort.
pub(super) fn buffer<T: Default + Clone>(len: usize) -> Result<Vec<T>> {
    let mut data = Vec::new();
    if data.try_reserve_exact(len).is_err() {
        let bytes = len.saturating_mul(std::mem::size_of::<T>());
        return Err(err!(Code::OutOfMemory, "{bytes} bytes for a resized image do not fit")
            .remedy("pass a smaller image"));
    }
    data.resize(len, T::default());
    Ok(data)
}
