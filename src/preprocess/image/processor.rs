//! Resize, crop, rescale, normalise, pad: a picture becomes pixel values.

use super::config::{Class, Resize, Settings};
use super::geometry::{self, Size};
use super::resample::{buffer, resize, Window};
use super::{Engine, Picture};
use crate::error::Result;
use crate::{err, Code};

/// Most pixels of one prepared image: 64 million, 768 MB as f32.
const MAX_PIXELS: usize = 1 << 26;

/// An image processor as a repository configures it.
#[derive(Debug, Clone)]
pub struct ImageProcessor {
    settings: Settings,
    /// Pixel value of a level, per channel: rescaling and normalising in one look.
    levels: [[f32; 256]; 3],
}

/// The sizes of a prepared image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    /// `[H, W]` of the pixel values.
    pub size: Size,
    /// The part at the top left that is no padding.
    pub valid: Size,
}

/// From the resized picture's rows (or columns) to the output's.
#[derive(Debug, Clone, Copy)]
struct Crop {
    /// `[from, to)` of the resized picture
    window: [usize; 2],
    /// Where that begins in the output.
    at: usize,
    /// Length of the output.
    len: usize,
}

impl ImageProcessor {
    /// Reads `preprocessor_config.json`; `model_type` decides where it names no class.
    ///
    /// # Errors
    /// [`Code::Config`] for values that make no sense, [`Code::Unsupported`] for a processor that
    /// is not known here.
    pub fn parse(bytes: &[u8], model_type: &str) -> Result<Self> {
        let settings = Settings::parse(bytes, model_type)?;
        let levels = levels(&settings);
        Ok(ImageProcessor { settings, levels })
    }

    /// The sizes that a picture of `size` (height, width) is prepared to.
    ///
    /// # Errors
    /// [`Code::Input`] where a side would become 0, as of a very long strip, or all too large.
    pub fn sizes(&self, size: Size) -> Result<Prepared> {
        let resized = self.resized(size)?;
        let [valid_h, valid_w] = match self.settings.crop {
            Some(crop) => crop,
            None => resized,
        };
        let size = match self.settings.pad {
            Some([h, w]) if valid_h > h || valid_w > w => {
                return Err(err!(
                    Code::Input,
                    "an image resized to {valid_w} x {valid_h} does not fit pad_size {w} x {h}"
                ));
            }
            Some(size) => size,
            None => [valid_h, valid_w],
        };
        if size[0] * size[1] > MAX_PIXELS {
            let [h, w] = size;
            return Err(err!(Code::Input, "an image that becomes {w} x {h} pixels for the model")
                .remedy("pass a smaller image"));
        }
        Ok(Prepared { size, valid: [valid_h, valid_w] })
    }

    fn resized(&self, [h, w]: Size) -> Result<Size> {
        let size = match self.settings.resize {
            None => [h, w],
            Some(Resize::Exact(size)) => size,
            Some(Resize::ShortestLongest { short, long }) => {
                geometry::shortest_longest([h, w], short, long)
            }
            Some(Resize::Shortest { short, long }) => geometry::shortest([h, w], short, long),
            Some(Resize::Within(most)) => geometry::within([h, w], most),
            Some(Resize::Floor(divisor)) => geometry::floor_to([h, w], divisor),
        };
        let size = match self.settings.ceil {
            Some(divisor) => geometry::ceil_to(size, divisor),
            None => size,
        };
        if size.contains(&0) {
            let [th, tw] = size;
            return Err(err!(Code::Input, "an image of {w} x {h} pixels becomes {tw} x {th}")
                .remedy("the model's image processor cannot take one so small or so narrow"));
        }
        Ok(size)
    }

    /// Appends the pixel values `[H, W, 3]` of `picture` to `out`.
    pub fn prepare(&self, picture: Picture<'_>, out: &mut Vec<f32>) -> Result<Prepared> {
        let source = [picture.height(), picture.width()];
        let [h, w] = self.resized(source)?;
        let prepared = self.sizes(source)?;
        let [out_h, out_w] = prepared.size;
        let (rows, columns) = match self.settings.crop {
            Some([ch, cw]) => (self.crop(h, ch), self.crop(w, cw)),
            None => {
                (Crop { window: [0, h], at: 0, len: h }, Crop { window: [0, w], at: 0, len: w })
            }
        };
        let start = out.len();
        let len = out_h * out_w * 3;
        if out.try_reserve_exact(len).is_err() {
            return Err(err!(Code::OutOfMemory, "pixel values {out_h} x {out_w} x 3 do not fit")
                .remedy("pass fewer or smaller images at a time"));
        }
        out.resize(start + len, 0.0);
        let out = &mut out[start..];
        // A crop beyond the picture is black before it is normalised, a padding is 0 after.
        if rows.window[1] - rows.window[0] < rows.len
            || columns.window[1] - columns.window[0] < columns.len
        {
            let mut black = buffer::<u8>(columns.len * 3)?;
            black.fill(0);
            for y in 0..rows.len {
                self.level(&black, &mut out[y * out_w * 3..][..columns.len * 3]);
            }
        }
        let window = Window { rows: rows.window, columns: columns.window };
        let Settings { filter, engine, .. } = self.settings;
        resize(picture, [h, w], window, filter, engine, |y, row| {
            let at = ((rows.at + y) * out_w + columns.at) * 3;
            self.level(row, &mut out[at..][..row.len()]);
        })?;
        Ok(prepared)
    }

    /// `len` of `size` pixels about the centre; where there are fewer, black on both sides.
    fn crop(&self, size: usize, len: usize) -> Crop {
        let convnext = self.settings.class == Class::ConvNext;
        if size >= len {
            let rest = size - len;
            // torchvision's own crop rounds halves to even.
            let from = match self.settings.engine {
                Engine::Torch if convnext => (rest as f64 / 2.0).round_ties_even() as usize,
                _ => rest / 2,
            };
            return Crop { window: [from, from + len], at: 0, len };
        }
        let at = match self.settings.engine {
            Engine::Pillow => (len - size).div_ceil(2),
            Engine::Torch => (len - size) / 2,
        };
        Crop { window: [0, size], at, len }
    }

    fn level(&self, row: &[u8], out: &mut [f32]) {
        let [r, g, b] = &self.levels;
        for (out, pixel) in out.chunks_exact_mut(3).zip(row.chunks_exact(3)) {
            out[0] = r[pixel[0] as usize];
            out[1] = g[pixel[1] as usize];
            out[2] = b[pixel[2] as usize];
        }
    }
}

/// The arithmetic of the two engines on one level, in their own precision.
fn levels(settings: &Settings) -> [[f32; 256]; 3] {
    let level = |channel: usize, level: usize| -> f32 {
        let scale = settings.scale;
        let mean_std = settings.mean_std.map(|[mean, std]| [mean[channel], std[channel]]);
        match (settings.engine, mean_std) {
            (Engine::Torch, Some([mean, std])) => {
                // Mean and deviation are brought to the level's scale instead.
                let up = scale.map_or(1.0, |scale| (1.0 / scale) as f32);
                (level as f32 - mean as f32 * up) / (std as f32 * up)
            }
            (Engine::Torch, None) => level as f32 * scale.unwrap_or(1.0) as f32,
            (Engine::Pillow, mean_std) => {
                let x = (level as f64 * scale.unwrap_or(1.0)) as f32;
                mean_std.map_or(x, |[mean, std]| (x - mean as f32) / std as f32)
            }
        }
    };
    std::array::from_fn(|channel| std::array::from_fn(|l| level(channel, l)))
}
