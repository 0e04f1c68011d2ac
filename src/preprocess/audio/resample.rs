//! Band-limited conversion between sampling rates.
//!
//! One windowed sinc per phase: pass band to 0.9 of the lower rate's Nyquist frequency within
//! 0.1 dB, everything from that Nyquist frequency on at least 80 dB down (the tests measure both).
//! Own code and not a crate: the general resamplers bring several interpolators and a Fourier
//! transform for what is a table and one dot product here.

use std::f64::consts::PI;

use crate::error::Result;
use crate::{err, Code};

/// Highest rate that is taken, in Hz: four times the highest that sound cards have.
const MAX_RATE: u32 = 768_000;
/// Stop band in dB; the window's own design value, 6 dB of reserve over the promise.
const STOP_DB: f64 = 86.0;
/// The transition band, in parts of the lower rate's Nyquist frequency.
const TRANSITION: f64 = 0.1;
/// Rows of the table at most; between them, coefficients are interpolated. The error of a sinc
/// interpolated at 1/512 of its zero crossings is 1e-6 of full scale.
const MAX_PHASES: u64 = 512;

/// Converts a stream of samples, piece by piece; pieces of any size give the same samples.
#[derive(Debug, Clone)]
pub struct Resampler {
    /// Output samples per `down` input samples, in lowest terms.
    up: u64,
    down: u64,
    /// Input samples that one output sample looks at.
    taps: usize,
    phases: u64,
    /// `[phases + 1, taps]`
    table: Vec<f32>,
    /// Input from `start` on that is still needed, with the zeros before the first sample.
    pending: Vec<f32>,
    /// The next output's place: `whole + part / up` input samples behind the start of `pending`.
    whole: u64,
    part: u64,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// Rates in Hz.
    pub fn new(from: u32, to: u32) -> Result<Self> {
        for rate in [from, to] {
            if rate == 0 || rate > MAX_RATE {
                return Err(err!(Code::Input, "a sampling rate of {rate} Hz")
                    .remedy(format!("rates are 1 to {MAX_RATE} Hz")));
            }
        }
        let divisor = gcd(from, to);
        let (up, down) = (u64::from(to / divisor), u64::from(from / divisor));
        let mut it = Resampler {
            up,
            down,
            taps: 1,
            phases: 1,
            table: vec![1.0, 1.0],
            pending: Vec::new(),
            whole: 0,
            part: 0,
            taken: 0,
            given: 0,
        };
        if from != to {
            it.design(f64::from(from.min(to)) / f64::from(from));
        }
        it.pending = vec![0.0; it.before()];
        Ok(it)
    }

    /// Fills the table; `band` is the lower rate over the input's.
    fn design(&mut self, band: f64) {
        // Kaiser's formula, for the length in samples of the lower rate.
        let length = (STOP_DB - 7.95) / (2.285 * TRANSITION * PI) / band;
        let half = (length / 2.0).ceil();
        self.taps = 2 * half as usize;
        self.phases = self.up.min(MAX_PHASES);
        // The middle of the transition band is 6 dB down.
        let cutoff = band * (1.0 - TRANSITION / 2.0);
        let beta = 0.1102 * (STOP_DB - 8.7);
        let scale = 1.0 / bessel(beta);
        let mut row = vec![0.0; self.taps];
        self.table = Vec::with_capacity((self.phases as usize + 1) * self.taps);
        for phase in 0..=self.phases {
            let shift = phase as f64 / self.phases as f64;
            for (i, value) in row.iter_mut().enumerate() {
                // Distance of tap i from the output, in input samples.
                let t = i as f64 - (half - 1.0) - shift;
                let edge = t / half;
                let window = bessel(beta * (1.0 - edge * edge).max(0.0).sqrt()) * scale;
                *value = sinc(cutoff * t) * window;
            }
            // A constant stays what it is in every phase.
            let sum: f64 = row.iter().sum();
            self.table.extend(row.iter().map(|value| (value / sum) as f32));
        }
    }

    /// Zeros before the first input sample.
    fn before(&self) -> usize {
        if self.taps == 1 {
            0
        } else {
            self.taps / 2 - 1
        }
    }

    /// Takes the next samples and appends what they complete.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        self.pending.extend_from_slice(samples);
        self.advance(u64::MAX, out);
    }

    /// Ends the stream: appends the samples that reach over its end, as many as the input lasts.
    pub fn finish(mut self, out: &mut Vec<f32>) {
        let total = (u128::from(self.taken) * u128::from(self.up)).div_ceil(self.down.into());
        self.pending.extend(std::iter::repeat_n(0.0, self.taps));
        self.advance(total as u64 - self.given, out);
    }

    fn advance(&mut self, most: u64, out: &mut Vec<f32>) {
        let mut count = 0;
        while count < most && self.whole as usize + self.taps <= self.pending.len() {
            let window = &self.pending[self.whole as usize..][..self.taps];
            // Phases of the table are exact where there are few; otherwise two rows are mixed.
            let position = self.part * self.phases;
            let (row, rest) = ((position / self.up) as usize, position % self.up);
            let mut y = dot(window, &self.table[row * self.taps..][..self.taps]);
            if rest != 0 {
                let next = dot(window, &self.table[(row + 1) * self.taps..][..self.taps]);
                y += (next - y) * (rest as f32 / self.up as f32);
            }
            out.push(y);
            self.part += self.down;
            self.whole += self.part / self.up;
            self.part %= self.up;
            count += 1;
        }
        self.given += count;
        let done = (self.whole as usize).min(self.pending.len());
        self.pending.drain(..done);
        self.whole -= done as u64;
    }
}

/// A whole clip at another rate, `ceil(len * to / from)` samples.
pub fn resample(samples: Vec<f32>, from: u32, to: u32) -> Result<Vec<f32>> {
    if from == to && from != 0 {
        return Ok(samples);
    }
    let mut resampler = Resampler::new(from, to)?;
    let length = samples.len() as u128 * u128::from(to) / u128::from(from) + 1;
    let mut out = Vec::new();
    if length > isize::MAX as u128 / 4 || out.try_reserve_exact(length as usize).is_err() {
        return Err(err!(Code::OutOfMemory, "{length} samples at {to} Hz do not fit in memory")
            .remedy("pass the audio in parts"));
    }
    resampler.push(&samples, &mut out);
    resampler.finish(&mut out);
    Ok(out)
}

/// Four sums side by side, which the compiler turns into vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 4];
    let (a4, b4) = (a.chunks_exact(4), b.chunks_exact(4));
    let tail: f32 = a4.remainder().iter().zip(b4.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a4.zip(b4) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + tail
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// The modified Bessel function I0, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        gcd(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, rate: u32, len: usize) -> Vec<f32> {
        (0..len).map(|i| (2.0 * PI * hz * i as f64 / f64::from(rate)).cos() as f32).collect()
    }

    /// Amplitude in dB of what is left of a tone of amplitude 1, away from the ends: the root of
    /// twice the mean square, whatever frequency it has turned to.
    fn level(hz: f64, from: u32, to: u32) -> f64 {
        let out = resample(tone(hz, from, from as usize / 2), from, to).unwrap();
        let middle = &out[out.len() / 4..out.len() * 3 / 4];
        let power = middle.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        10.0 * (2.0 * power / middle.len() as f64).log10()
    }

    const RATES: [u32; 9] = [8000, 11025, 16001, 22050, 32000, 44100, 48000, 96000, 192_000];

    #[test]
    fn the_pass_band_is_flat() {
        for from in RATES {
            let nyquist = f64::from(from.min(16000)) / 2.0;
            for part in [0.01, 0.1, 0.37, 0.5, 0.71, 0.85, 0.9] {
                let db = level(nyquist * part, from, 16000);
                assert!(db.abs() < 0.1, "{from} Hz, {part} of Nyquist: {db} dB");
            }
        }
    }

    #[test]
    fn what_would_alias_is_80_db_down() {
        for from in RATES.into_iter().filter(|&rate| rate > 16001) {
            let top = f64::from(from) / 2.0;
            for hz in [8000.0, 8100.0, 8500.0, 9000.0, 10000.0, 12000.0, 15990.0, 16100.0, 21000.0]
            {
                if hz < top {
                    let db = level(hz, from, 16000);
                    assert!(db < -80.0, "{hz} Hz at {from} Hz: {db} dB");
                }
            }
        }
    }

    /// Upwards, the images of a tone must not appear: what differs from the tone itself.
    #[test]
    fn images_are_80_db_down_and_tones_keep_their_phase() {
        for (from, to) in [(8000, 16000), (11025, 16000), (16001, 16000), (44100, 16000)] {
            for hz in [50.0, 1000.0, 3333.0] {
                let out = resample(tone(hz, from, from as usize), from, to).unwrap();
                assert_eq!(out.len(), to as usize);
                let want = tone(hz, to, to as usize);
                let n = out.len();
                let worst =
                    (n / 4..n * 3 / 4).map(|i| (out[i] - want[i]).abs()).fold(0.0, f32::max);
                assert!(worst < 1.2e-3, "{from} to {to}, {hz} Hz: {worst}");
            }
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_samples() {
        let samples: Vec<f32> = (0..5000).map(|i| ((i * i) as f32 * 0.001).sin()).collect();
        for from in [8000, 16000, 44100, 44101, 48000] {
            let whole = resample(samples.clone(), from, 16000).unwrap();
            assert_eq!(whole.len() as u64, (5000 * 16000u64).div_ceil(u64::from(from)));
            for size in [1, 7, 128, 4999] {
                let mut resampler = Resampler::new(from, 16000).unwrap();
                let mut out = Vec::new();
                for piece in samples.chunks(size) {
                    resampler.push(piece, &mut out);
                    assert!(resampler.pending.len() <= resampler.taps + size, "memory grows");
                }
                resampler.finish(&mut out);
                assert_eq!(out, whole, "{from} Hz in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_constant_stays_and_odd_inputs_are_answered() {
        let out = resample(vec![0.5; 4000], 44100, 16000).unwrap();
        let middle = &out[200..out.len() - 200];
        assert!(middle.iter().all(|x| (x - 0.5).abs() < 1e-5));
        assert!(resample(vec![], 48000, 16000).unwrap().is_empty());
        assert_eq!(resample(vec![1.0], 48000, 16000).unwrap().len(), 1);
        assert_eq!(resample(vec![1.0], 1, 16000).unwrap().len(), 16000);
        assert!(resample(vec![1.0], 0, 16000).is_err());
        assert!(Resampler::new(u32::MAX, 16000).is_err());
    }
}
