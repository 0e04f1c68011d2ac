//! The random numbers of sampling: PCG-XSH-RR 64/32, one stream per sequence.
//!
//! Sequence `r` of a call (prompt `r / n`, its return sequence `r % n`, where
//! `n = num_return_sequences`) draws from stream `r` of the generator that `seed` starts, one number
//! per token. So a seed gives the same texts whatever else is in the batch's other rows, on every
//! device that computes the same logits. They are not PyTorch's numbers: those differ between
//! PyTorch's own versions and devices.

/// PCG-XSH-RR 64/32 (O'Neill 2014).
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
    stream: u64,
}

impl Random {
    pub fn new(seed: u64, row: usize) -> Self {
        let mut random = Random { state: 0, stream: (row as u64) << 1 | 1 };
        random.next();
        random.state = random.state.wrapping_add(seed);
        random.next();
        random
    }

    /// A seed nobody chose: the clock, and a counter so that two calls within its resolution
    /// differ.
    pub fn seed() -> u64 {
        use std::sync::atomic::{AtomicU64, Ordering};
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let now = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
        let now = now.map_or(0, |time| time.as_nanos() as u64);
        let calls = CALLS.fetch_add(1, Ordering::Relaxed);
        now.wrapping_add(calls.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(6364136223846793005).wrapping_add(self.stream);
        let shifted = ((old >> 18 ^ old) >> 27) as u32;
        shifted.rotate_right((old >> 59) as u32)
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn uniform(&mut self) -> f64 {
        let high = u64::from(self.next()) << 21;
        let bits = high ^ u64::from(self.next()) >> 11;
        bits as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_reference_implementation() {
        // pcg32_srandom(42, 54), the demo of pcg-c-basic.
        let mut random = Random::new(42, 54);
        let got: Vec<u32> = (0..6).map(|_| random.next()).collect();
        let want = [0xa15c02b7, 0x7b47f409, 0xba1d3330, 0x83d2f293, 0xbfa4784b, 0xcbed606e];
        assert_eq!(got, want);
    }

    #[test]
    fn is_uniform_and_its_streams_differ() {
        let mut sum = [0.0; 2];
        let mut both = [Random::new(1, 0), Random::new(1, 1)];
        let mut equal = 0;
        for _ in 0..10_000 {
            let [a, b] = &mut both;
            let (a, b) = (a.uniform(), b.uniform());
            assert!((0.0..1.0).contains(&a));
            sum[0] += a;
            sum[1] += b;
            equal += usize::from(a == b);
        }
        // Mean of 10,000 uniforms: deviation 0.0029.
        assert!(sum.iter().all(|s| (s / 1e4 - 0.5).abs() < 0.015), "{sum:?}");
        assert_eq!(equal, 0);
    }
}
