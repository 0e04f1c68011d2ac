//! Resampling of channels-last maps as torch's `interpolate` does it: no antialiasing.

use super::simd::*;

/// How a map is resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The source pixel that holds the target's top left corner (torch's `nearest`).
    Nearest,
    Bilinear,
    /// The corners of both maps coincide.
    BilinearAligned,
    /// The cubic convolution with a = -0.75; its four taps stop at the border.
    Bicubic,
}

/// The source positions and weights of one target position.
#[derive(Debug, Clone, Copy)]
pub struct Taps {
    pub at: [usize; 4],
    pub weights: [f32; 4],
}

impl Interpolation {
    /// The name in shaders.
    pub fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear => "bilinear",
            Interpolation::BilinearAligned => "aligned",
            Interpolation::Bicubic => "bicubic",
        }
    }

    /// What positions are multiplied by on their way from `to` pixels to `from`.
    pub fn scale(self, from: usize, to: usize) -> f32 {
        match self {
            Interpolation::BilinearAligned if to <= 1 => 0.0,
            Interpolation::BilinearAligned => (from - 1) as f32 / (to - 1) as f32,
            _ => from as f32 / to as f32,
        }
    }

    /// How many of the taps count.
    fn taps(self) -> usize {
        match self {
            Interpolation::Nearest => 1,
            Interpolation::Bilinear | Interpolation::BilinearAligned => 2,
            Interpolation::Bicubic => 4,
        }
    }

    /// The taps of position `i` of `to` over `from` pixels.
    pub fn at(self, i: usize, from: usize, to: usize) -> Taps {
        let scale = self.scale(from, to);
        let x = match self {
            Interpolation::Nearest | Interpolation::BilinearAligned => i as f32 * scale,
            Interpolation::Bilinear => ((i as f32 + 0.5) * scale - 0.5).max(0.0),
            Interpolation::Bicubic => (i as f32 + 0.5) * scale - 0.5,
        };
        let t = x - x.floor();
        let (first, weights) = match self {
            Interpolation::Nearest => (0, [1.0, 0.0, 0.0, 0.0]),
            Interpolation::Bicubic => (-1, cubic(t)),
            _ => (0, [1.0 - t, t, 0.0, 0.0]),
        };
        let first = x.floor() as isize + first;
        let at = std::array::from_fn(|j| (first + j as isize).clamp(0, from as isize - 1) as usize);
        Taps { at, weights }
    }
}

/// Keys' cubic convolution with a = -0.75 at t - 1, t, t + 1, t + 2 pixels.
fn cubic(t: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

/// x `[B, h, w, C]` into the columns `column..column + C` of `out` `[B, H, W, WIDTH]`, plus
/// `residual` of the output's shape.
pub fn resize(
    x: &[f32],
    [b, h, w, c]: [usize; 4],
    interpolation: Interpolation,
    residual: Option<&[f32]>,
    out: &mut [f32],
    [height, width, row, column]: [usize; 4],
) {
    assert!(x.len() >= b * h * w * c && out.len() >= b * height * width * row);
    assert!(column + c <= row && residual.is_none_or(|r| r.len() >= out.len()));
    let taps = interpolation.taps();
    let across: Vec<Taps> = (0..width).map(|i| interpolation.at(i, w, width)).collect();
    for (image, x) in x.chunks_exact((h * w * c).max(1)).take(b).enumerate() {
        for y in 0..height {
            let down = interpolation.at(y, h, height);
            for (i, across) in across.iter().enumerate() {
                let first = ((image * height + y) * width + i) * row + column;
                let to = &mut out[first..first + c];
                let residual = residual.map(|r| &r[first..first + c]);
                if (h, w) == (height, width) {
                    to.copy_from_slice(&x[(y * w + i) * c..][..c]);
                    if let Some(r) = residual {
                        to.iter_mut().zip(r).for_each(|(o, r)| *o += r);
                    }
                } else if taps == 2 {
                    let from = |j: usize| &x[(down.at[j / 2] * w + across.at[j % 2]) * c..][..c];
                    let weight = |j: usize| down.weights[j / 2] * across.weights[j % 2];
                    mix([0, 1, 2, 3].map(from), [0, 1, 2, 3].map(weight), residual, to);
                } else {
                    match residual {
                        Some(r) => to.copy_from_slice(r),
                        None => to.fill(0.0),
                    }
                    for j in 0..taps {
                        for i in 0..taps {
                            let from = &x[(down.at[j] * w + across.at[i]) * c..][..c];
                            let weight = down.weights[j] * across.weights[i];
                            to.iter_mut().zip(from).for_each(|(o, v)| *o += weight * v);
                        }
                    }
                }
            }
        }
    }
}

/// `to = Σ weights[j] from[j] + residual`
fn mix(from: [&[f32]; 4], weights: [f32; 4], residual: Option<&[f32]>, to: &mut [f32]) {
    let n = to.len();
    let bulk = n / 4 * 4;
    let weights = weights.map(splat);
    let sum = |four: [V; 4], start: V| {
        let pairs = [0, 2].map(|j| madd(four[j], weights[j], mul(four[j + 1], weights[j + 1])));
        add(add(pairs[0], pairs[1]), start)
    };
    for i in (0..bulk).step_by(4) {
        // SAFETY: i + 4 <= the length of every slice, which is C.
        unsafe {
            let start = residual.map_or(splat(0.0), |r| load(r.as_ptr().add(i)));
            let four = from.map(|f| load(f.as_ptr().add(i)));
            store(to.as_mut_ptr().add(i), sum(four, start));
        }
    }
    if bulk < n {
        let start = residual.map_or(splat(0.0), |r| load_partial(&r[bulk..], 0.0));
        store_partial(&mut to[bulk..], sum(from.map(|f| load_partial(&f[bulk..], 0.0)), start));
    }
}
