//! When a text ends: end tokens, the length, the time, stop strings.

use web_time::Instant;

use super::config::Settings;
use super::{Decode, Finish};
use crate::error::Result;

pub(super) struct Stop<'a> {
    eos: &'a [u32],
    strings: &'a [String],
    /// Tokens at the end of a text that can hold a stop string: a character may take four, and
    /// the token it ends in may go on.
    window: usize,
    until: Option<(Instant, f64)>,
    decode: Decode<'a>,
}

impl<'a> Stop<'a> {
    pub fn new(settings: &'a Settings, decode: Decode<'a>) -> Self {
        let longest = settings.stop_strings.iter().map(|s| s.len()).max().unwrap_or(0);
        Stop {
            eos: &settings.eos,
            strings: &settings.stop_strings,
            window: longest + 8,
            until: settings.max_time.map(|seconds| (Instant::now(), seconds)),
            decode,
        }
    }

    /// Whether `ids` is a whole text now; `end` is the length at which it is anyway.
    pub fn check(&self, ids: &[u32], end: usize) -> Result<Option<Finish>> {
        if ids.last().is_some_and(|last| self.eos.contains(last)) {
            return Ok(Some(Finish::Eos));
        }
        if !self.strings.is_empty() && self.ends_in_stop_string(ids)? {
            return Ok(Some(Finish::StopString));
        }
        if ids.len() >= end {
            return Ok(Some(Finish::Length));
        }
        let over = |(start, seconds): (Instant, f64)| start.elapsed().as_secs_f64() > seconds;
        Ok(self.until.is_some_and(over).then_some(Finish::Time))
    }

    /// A stop string reaches into the last token's text, as in Python: one that stands further
    /// back does not count. It may begin in the prompt.
    fn ends_in_stop_string(&self, ids: &[u32]) -> Result<bool> {
        let ids = &ids[ids.len().saturating_sub(self.window)..];
        let Some((_, before)) = ids.split_last() else { return Ok(false) };
        let (before, text) = ((self.decode)(before)?, (self.decode)(ids)?);
        // What the last token changed: its own text, or the rest of a character begun before.
        let same = before.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        let reaches =
            |stop: &String| text.rmatch_indices(stop).any(|(at, _)| at + stop.len() > same);
        Ok(self.strings.iter().any(reaches))
    }
}
