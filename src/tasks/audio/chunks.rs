//! Long audio in overlapping pieces, as Python's `chunk_iter` and `rescale_stride` cut it.

use crate::error::Result;
use crate::{err, Code};

/// Samples `start..end` of a clip, of which `left` at its beginning and `right` at its end only
/// give context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    pub start: usize,
    pub end: usize,
    pub left: usize,
    pub right: usize,
}

/// How a clip is cut, in samples; each is a multiple of the model's samples per frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunking {
    length: usize,
    left: usize,
    right: usize,
}

impl Chunking {
    /// `chunk_length_s` and `stride_length_s` in seconds; `ratio` samples per frame.
    pub fn new(length_s: f64, stride_s: [f64; 2], rate: u32, ratio: usize) -> Result<Self> {
        let samples = |name: &str, seconds: f64| {
            if !seconds.is_finite() || !(0.0..=1e6).contains(&seconds) {
                return Err(
                    err!(Code::Input, "{name} is {seconds}").remedy("pass seconds, at least 0")
                );
            }
            let frames = (seconds * f64::from(rate) / ratio as f64).round_ties_even();
            Ok(frames as usize * ratio)
        };
        let length = samples("chunk_length_s", length_s)?;
        let left = samples("stride_length_s", stride_s[0])?;
        let right = samples("stride_length_s", stride_s[1])?;
        if length <= left + right {
            return Err(err!(
                Code::Input,
                "chunk_length_s {length_s} leaves nothing between strides of {} and {} s",
                stride_s[0],
                stride_s[1]
            )
            .remedy("stride_length_s is the overlap on each side; their sum must be less"));
        }
        Ok(Chunking { length, left, right })
    }

    /// The chunks of a clip of `len` samples.
    pub fn chunks(&self, len: usize) -> Vec<Chunk> {
        let step = self.length - self.left - self.right;
        let mut chunks = Vec::new();
        for start in (0..len).step_by(step) {
            let end = (start + self.length).min(len);
            let last = start + self.length >= len;
            let left = if start == 0 { 0 } else { self.left };
            let right = if last { 0 } else { self.right };
            if end - start > left {
                chunks.push(Chunk { start, end, left, right });
            }
            if last {
                break;
            }
        }
        chunks
    }
}

impl Chunk {
    /// All of a clip of `len` samples.
    pub fn whole(len: usize) -> Self {
        Chunk { start: 0, end: len, left: 0, right: 0 }
    }

    /// The frames to keep of the `frames` that the model gave for this chunk.
    ///
    /// Python keeps all of them of a clip that is not cut; that comes out here too, as there are
    /// never more than `len / ratio`.
    pub fn frames(&self, ratio: usize, frames: usize) -> std::ops::Range<usize> {
        let len = (self.end - self.start) as f64;
        let total = (len * (1.0 / ratio as f64)).round_ties_even();
        let scaled = |n: usize| (n as f64 / len * total).round_ties_even() as usize;
        let end = (total as usize).saturating_sub(scaled(self.right)).min(frames);
        scaled(self.left).min(end)..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Python: `chunk_iter` with 16 kHz, ratio 320, and `rescale_stride`.
    #[test]
    fn cuts_as_python_does() {
        let chunking = Chunking::new(1.0, [1.0 / 6.0; 2], 16000, 320).unwrap();
        assert_eq!(chunking, Chunking { length: 16000, left: 2560, right: 2560 });
        let chunks = chunking.chunks(40000);
        let cuts: Vec<_> = chunks.iter().map(|c| (c.start, c.end, c.left, c.right)).collect();
        assert_eq!(
            cuts,
            [
                (0, 16000, 0, 2560),
                (10880, 26880, 2560, 2560),
                (21760, 37760, 2560, 2560),
                (32640, 40000, 2560, 0)
            ]
        );
        // 16000 samples give 49 frames of 50 nominal ones.
        assert_eq!(chunks[0].frames(320, 49), 0..42);
        assert_eq!(chunks[1].frames(320, 49), 8..42);
        assert_eq!(chunks[3].frames(320, 22), 8..22);
        // A rest that is shorter than its own overlap is left out.
        assert_eq!(chunking.chunks(16000 + 1).len(), 2);
        assert_eq!(chunking.chunks(10880 + 2560).len(), 1);
        assert!(chunking.chunks(0).is_empty());
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for (length, stride) in [(1.0, [0.5, 0.5]), (1.0, [0.9, 0.3]), (-1.0, [0.0; 2])] {
            assert!(Chunking::new(length, stride, 16000, 320).is_err());
        }
        assert!(Chunking::new(f64::NAN, [0.0; 2], 16000, 320).is_err());
        assert!(Chunking::new(0.001, [0.0; 2], 16000, 320).is_err());
    }
}
