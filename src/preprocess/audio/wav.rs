//! WAV files: RIFF, RIFX, RF64; integers of 8 to 32 bits, floats, A-law and mu-law.
//!
//! Headers are read as players read them: sizes that lie are cut to what is there, so a file that
//! was truncated, or streamed with sizes of 0 or -1, gives the samples it has.

use crate::error::{Error, Result};
use crate::{err, Code};

/// Sound as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Samples per second.
    pub rate: u32,
    pub channels: usize,
    /// `[frames, channels]`, full scale at -1 and 1.
    pub samples: Vec<f32>,
}

impl Clip {
    /// The mean of the channels, `[frames]`.
    pub fn mono(self) -> Vec<f32> {
        if self.channels <= 1 {
            return self.samples;
        }
        let scale = 1.0 / self.channels as f32;
        self.samples.chunks_exact(self.channels).map(|f| f.iter().sum::<f32>() * scale).collect()
    }
}

/// Whether bytes begin as a WAV file does.
pub fn is_wav(bytes: &[u8]) -> bool {
    bytes.len() >= 12
        && matches!(&bytes[..4], b"RIFF" | b"RIFX" | b"RF64" | b"BW64")
        && &bytes[8..12] == b"WAVE"
}

#[derive(Clone, Copy, PartialEq)]
enum Coding {
    Integer,
    Float,
    ALaw,
    MuLaw,
}

#[derive(Clone, Copy)]
struct Format {
    coding: Coding,
    rate: u32,
    channels: usize,
    /// Bytes of one sample of one channel.
    width: usize,
}

/// Numbers in the file's byte order.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

impl Order {
    fn u16(self, b: &[u8]) -> u16 {
        let b = [b[0], b[1]];
        if self.big {
            u16::from_be_bytes(b)
        } else {
            u16::from_le_bytes(b)
        }
    }

    fn u32(self, b: &[u8]) -> u32 {
        let b = [b[0], b[1], b[2], b[3]];
        if self.big {
            u32::from_be_bytes(b)
        } else {
            u32::from_le_bytes(b)
        }
    }
}

fn broken(message: &str) -> Error {
    err!(Code::Input, "the WAV file {message}").remedy("save it again, as 16-bit PCM if possible")
}

/// Reads a WAV file.
pub fn decode(bytes: &[u8]) -> Result<Clip> {
    if !is_wav(bytes) {
        return Err(err!(Code::Input, "the audio is not a WAV file ({} bytes)", bytes.len())
            .remedy("other formats are decoded by the browser; elsewhere pass WAV or samples"));
    }
    let order = Order { big: &bytes[..4] == b"RIFX" };
    let mut format = None;
    let mut at = 12;
    while bytes.len() - at >= 8 {
        let (id, size) = (&bytes[at..at + 4], order.u32(&bytes[at + 4..]) as usize);
        let rest = &bytes[at + 8..];
        let body = &rest[..size.min(rest.len())];
        match id {
            b"fmt " => format = Some(read_format(order, body)?),
            b"data" => {
                let format = format.ok_or_else(|| broken("has no format before its samples"))?;
                // A recorder that streams cannot know the size: 0 and -1 mean "to the end". So
                // does the marker of the 64-bit forms.
                let data = if size == 0 || size >= 0xffff_ff00 { rest } else { body };
                return Ok(read_samples(order, format, data));
            }
            _ => {}
        }
        // Chunks begin at even offsets.
        at = (at + 8).saturating_add(size.saturating_add(size & 1)).min(bytes.len());
    }
    Err(broken(if format.is_some() { "has no samples" } else { "has no format" }))
}

fn read_format(order: Order, body: &[u8]) -> Result<Format> {
    if body.len() < 16 {
        return Err(broken("has a format that is cut short"));
    }
    let mut tag = order.u16(body);
    let channels = order.u16(&body[2..]) as usize;
    let rate = order.u32(&body[4..]);
    let block = order.u16(&body[12..]) as usize;
    let bits = order.u16(&body[14..]) as usize;
    if tag == 0xfffe {
        // Extensible: the real tag opens a GUID behind the channel mask.
        if body.len() < 26 {
            return Err(broken("has a format that is cut short"));
        }
        tag = order.u16(&body[24..]);
    }
    let coding = match tag {
        1 => Coding::Integer,
        3 => Coding::Float,
        6 => Coding::ALaw,
        7 => Coding::MuLaw,
        other => {
            return Err(err!(Code::Unsupported, "the WAV file's coding is {other:#06x}")
                .remedy("save it as PCM or float"))
        }
    };
    if channels == 0 {
        return Err(broken("has no channels"));
    }
    if rate == 0 {
        return Err(broken("has a sampling rate of 0"));
    }
    // 24 bits may lie in 4 bytes, which only the size of a frame tells; a frame too small for
    // its bits is a lie.
    let packed = bits.div_ceil(8);
    let width = if block % channels == 0 && block / channels >= packed.max(1) {
        block / channels
    } else {
        packed
    };
    let known = match coding {
        Coding::Integer => (1..=4).contains(&width),
        Coding::Float => width == 4 || width == 8,
        Coding::ALaw | Coding::MuLaw => width == 1,
    };
    if !known {
        return Err(err!(Code::Unsupported, "the WAV file's samples have {bits} bits")
            .remedy("save it as PCM of 8 to 32 bits or float of 32 or 64"));
    }
    Ok(Format { coding, rate, channels, width })
}

/// Whole frames only: a last one that is cut short is dropped.
fn read_samples(order: Order, format: Format, data: &[u8]) -> Clip {
    let Format { coding, rate, channels, width } = format;
    let frames = data.len() / (width * channels);
    let data = &data[..frames * width * channels];
    let sample = |bytes: &[u8]| -> f32 {
        // The bytes at the top of a word, whatever their number.
        let mut word = [0; 8];
        if order.big {
            word[..width].copy_from_slice(bytes);
        } else {
            word[8 - width..].copy_from_slice(bytes);
            word.reverse();
        }
        let word = u64::from_be_bytes(word);
        match (coding, width) {
            (Coding::Integer, 1) => (bytes[0] as f32 - 128.0) / 128.0,
            (Coding::Integer, _) => ((word >> 32) as i32 as f64 / 2_147_483_648.0) as f32,
            (Coding::Float, 4) => f32::from_bits((word >> 32) as u32),
            (Coding::Float, _) => f64::from_bits(word) as f32,
            (Coding::ALaw, _) => a_law(bytes[0]),
            (Coding::MuLaw, _) => mu_law(bytes[0]),
        }
    };
    Clip { rate, channels, samples: data.chunks_exact(width).map(sample).collect() }
}

/// ITU-T G.711: sign, 3 bits of exponent, 4 of mantissa, every other bit inverted.
fn a_law(byte: u8) -> f32 {
    let byte = byte ^ 0x55;
    let (exponent, mantissa) = ((byte >> 4) & 7, i32::from(byte & 15));
    let step = (mantissa << 4) + 8;
    let size = if exponent == 0 { step } else { (step + 256) << (exponent - 1) };
    signed(size, byte & 0x80 != 0)
}

/// ITU-T G.711: sign, 3 bits of exponent, 4 of mantissa, inverted, with a bias of 132.
fn mu_law(byte: u8) -> f32 {
    let byte = !byte;
    let size = (((i32::from(byte & 15) << 3) + 132) << ((byte >> 4) & 7)) - 132;
    signed(size, byte & 0x80 == 0)
}

fn signed(size: i32, positive: bool) -> f32 {
    (if positive { size } else { -size }) as f32 / 32768.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one `fmt ` and one `data` chunk.
    fn file(fmt: &[u8], data: &[u8], data_size: u32) -> Vec<u8> {
        let mut out = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        out.extend((fmt.len() as u32).to_le_bytes());
        out.extend(fmt);
        out.extend(b"LIST\x03\0\0\0abc\0data");
        out.extend(data_size.to_le_bytes());
        out.extend(data);
        out
    }

    fn fmt(tag: u16, channels: u16, rate: u32, width: u16, bits: u16) -> Vec<u8> {
        let mut out = tag.to_le_bytes().to_vec();
        out.extend(channels.to_le_bytes());
        out.extend(rate.to_le_bytes());
        out.extend((rate.wrapping_mul(u32::from(channels * width))).to_le_bytes());
        out.extend((channels * width).to_le_bytes());
        out.extend(bits.to_le_bytes());
        out
    }

    fn samples(tag: u16, width: u16, bits: u16, data: &[u8]) -> Vec<f32> {
        let bytes = file(&fmt(tag, 1, 16000, width, bits), data, data.len() as u32);
        let clip = decode(&bytes).unwrap();
        assert_eq!((clip.rate, clip.channels), (16000, 1));
        clip.samples
    }

    #[test]
    fn every_width_and_coding() {
        assert_eq!(samples(1, 1, 8, &[0, 128, 255, 192]), [-1.0, 0.0, 127.0 / 128.0, 0.5]);
        assert_eq!(samples(1, 2, 16, &[0, 0x80, 0, 0x40, 1, 0]), [-1.0, 0.5, 1.0 / 32768.0]);
        assert_eq!(samples(1, 3, 24, &[0, 0, 0x80, 0, 0, 0x40]), [-1.0, 0.5]);
        assert_eq!(samples(1, 4, 24, &[0, 0, 0, 0x80, 0, 0, 0, 0x40]), [-1.0, 0.5]);
        assert_eq!(samples(1, 4, 32, &[0, 0, 0, 0x80, 0, 0, 0, 0xc0]), [-1.0, -0.5]);
        assert_eq!(samples(3, 4, 32, &0.25f32.to_le_bytes()), [0.25]);
        assert_eq!(samples(3, 8, 64, &(-0.75f64).to_le_bytes()), [-0.75]);
        // G.711: silence, the largest values, and one in between (tables of the standard).
        assert_eq!(
            samples(6, 1, 8, &[0xd5, 0xaa, 0x2a]),
            [8.0, 32256.0, -32256.0].map(|x| x / 32768.0)
        );
        assert_eq!(
            samples(7, 1, 8, &[0xff, 0x80, 0x00]),
            [0.0, 32124.0, -32124.0].map(|x| x / 32768.0)
        );
    }

    #[test]
    fn extensible_and_big_endian_files() {
        let mut extensible = fmt(0xfffe, 1, 48000, 4, 32);
        extensible.extend([22, 0, 32, 0, 4, 0, 0, 0]);
        extensible.extend([3, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
        let clip = decode(&file(&extensible, &0.5f32.to_le_bytes(), 4)).unwrap();
        assert_eq!((clip.rate, clip.samples), (48000, vec![0.5]));

        let mut big = b"RIFX\0\0\0\0WAVEfmt \0\0\0\x10\0\x01\0\x01\0\0\x1f\x40".to_vec();
        big.extend(b"\0\0\x3e\x80\0\x02\0\x10data\0\0\0\x04\x40\0\x80\0");
        let clip = decode(&big).unwrap();
        assert_eq!((clip.rate, clip.samples), (8000, vec![0.5, -1.0]));
    }

    #[test]
    fn sizes_that_lie_give_what_is_there() {
        let fmt = fmt(1, 2, 8000, 2, 16);
        let data = [0, 0x40, 0, 0xc0, 0, 0x20, 0, 0x20, 7];
        for size in [0, u32::MAX, 9, 4000] {
            let clip = decode(&file(&fmt, &data, size)).unwrap();
            assert_eq!(clip.samples, [0.5, -0.5, 0.25, 0.25], "size {size}");
            assert_eq!(clip.mono(), [0.0, 0.25]);
        }
        // A frame size that lies is not believed.
        let mut lying = fmt.clone();
        lying[12] = 1;
        assert_eq!(decode(&file(&lying, &data, 9)).unwrap().samples.len(), 4);
        // No samples at all is a clip of length 0, as in a player.
        assert!(decode(&file(&fmt, &[], 0)).unwrap().samples.is_empty());
    }

    #[test]
    fn files_that_cannot_be_read_say_why() {
        let good = file(&fmt(1, 1, 16000, 2, 16), &[0, 0], 2);
        for (n, word) in
            [(4, "not a WAV"), (12, "no format"), (30, "cut short"), (40, "no samples")]
        {
            let error = decode(&good[..n]).unwrap_err();
            assert_eq!(error.code, Code::Input);
            assert!(error.message.contains(word), "{n}: {error}");
        }
        for (fmt, word) in [
            (fmt(1, 0, 16000, 2, 16), "channels"),
            (fmt(1, 1, 0, 2, 16), "rate"),
            (fmt(0x11, 1, 16000, 1, 4), "0x0011"),
            (fmt(1, 1, 16000, 5, 40), "40 bits"),
            (fmt(3, 1, 16000, 2, 16), "16 bits"),
            (fmt(1, 1, 16000, 0, 0), "0 bits"),
        ] {
            let error = decode(&file(&fmt, &[0, 0], 2)).unwrap_err();
            assert!(error.message.contains(word), "{word}: {error}");
        }
        // Every byte of a header may be anything: an error or a clip, no panic.
        for at in 0..good.len() {
            for value in [0, 1, 3, 127, 128, 254, 255] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = decode(&bad);
                let _ = decode(&bad[..at]);
            }
        }
    }
}
