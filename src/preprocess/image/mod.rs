//! Pictures to pixel values, exactly as the repository's `preprocessor_config.json` says and as
//! Python's image processors compute it.
//!
//! | file | what |
//! |---|---|
//! | `resample.rs` | Pillow's resize, to the bit |
//! | `geometry.rs` | the sizes that the processors resize to |
//! | `config.rs` | `preprocessor_config.json`, old styles and defaults included |
//! | `processor.rs` | resize, crop, rescale, normalise, pad |

mod config;
mod geometry;
mod processor;
mod resample;

pub use processor::{ImageProcessor, Prepared};
pub use resample::{resize, Engine, Filter, Window};

use crate::error::Result;
use crate::{err, Code};

/// Longest side of a picture, in pixels.
pub const MAX_SIDE: usize = 1 << 16;

/// A decoded picture that stands upright: rows from the top, channels last, u8.
///
/// One channel is grey, two are grey and alpha, three RGB, four RGBA. Alpha is dropped, not
/// blended, as in `PIL.Image.convert("RGB")`.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    data: &'a [u8],
    width: usize,
    height: usize,
    channels: usize,
}

impl<'a> Picture<'a> {
    /// Fails with [`Code::Input`] where the sizes do not fit the data.
    pub fn new(data: &'a [u8], width: usize, height: usize, channels: usize) -> Result<Self> {
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return Err(err!(Code::Input, "an image of {width} x {height} pixels")
                .remedy(format!("sides must be 1 to {MAX_SIDE} pixels")));
        }
        if !(1..=4).contains(&channels) {
            return Err(err!(Code::Input, "an image with {channels} channels").remedy(
                "channels must be 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA), stored last",
            ));
        }
        let bytes = width as u64 * height as u64 * channels as u64;
        if data.len() as u64 != bytes {
            let len = data.len();
            return Err(err!(
                Code::Input,
                "an image of {width} x {height} pixels and {channels} channels has {len} bytes, not {bytes}"
            )
            .remedy("data must hold height x width x channels values, one byte each"));
        }
        Ok(Picture { data, width, height, channels })
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    fn row(&self, y: usize) -> &'a [u8] {
        let stride = self.width * self.channels;
        &self.data[y * stride..][..stride]
    }

    /// Where red, green and blue stand in a pixel.
    fn offsets(&self) -> [usize; 3] {
        if self.channels < 3 {
            [0, 0, 0]
        } else {
            [0, 1, 2]
        }
    }

    fn rgb(&self, x: usize, y: usize) -> [u8; 3] {
        let pixel = &self.row(y)[x * self.channels..];
        self.offsets().map(|c| pixel[c])
    }
}
