//! Where somebody speaks: the level of 20 ms frames against a floor that follows the room.

/// Frames per second.
const FRAMES: u32 = 50;
/// A frame this far above the floor begins speech; speech goes on down to `STAY_DB`.
const START_DB: f32 = 9.0;
const STAY_DB: f32 = 5.0;
/// Nothing below this level is speech, in dB of full scale.
const QUIET_DB: f32 = -60.0;
/// The floor is never thought higher than this: speech may begin with the first frame.
const LOUDEST_FLOOR_DB: f32 = -35.0;
/// Loud frames in a row that begin speech: a click is shorter.
const ONSET: u32 = 3;

/// A change that [`VoiceDetector::push`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Speech begins at this sample of the stream.
    Start(u64),
    /// Speech ended at this sample; said when the pause has lasted.
    End(u64),
}

/// Finds speech in a stream of samples.
#[derive(Debug, Clone)]
pub struct VoiceDetector {
    /// Samples of a frame.
    frame: usize,
    /// Frames of silence that end speech.
    hangover: u32,
    pending: Vec<f32>,
    /// Frames so far.
    count: u64,
    floor: f32,
    level: f32,
    loud: u32,
    still: u32,
    speaking: bool,
}

impl VoiceDetector {
    /// `rate` in Hz; speech ends after `pause` seconds of silence.
    pub fn new(rate: u32, pause: f32) -> Self {
        VoiceDetector {
            frame: (rate / FRAMES).max(1) as usize,
            hangover: ((pause * FRAMES as f32).round() as u32).max(1),
            pending: Vec::new(),
            count: 0,
            floor: LOUDEST_FLOOR_DB,
            level: -100.0,
            loud: 0,
            still: 0,
            speaking: false,
        }
    }

    /// Whether somebody speaks.
    pub fn speaking(&self) -> bool {
        self.speaking
    }

    /// Level of the last frame, in dB of full scale.
    pub fn level(&self) -> f32 {
        self.level
    }

    /// Takes the next samples and appends what changed in them.
    pub fn push(&mut self, mut samples: &[f32], events: &mut Vec<Voice>) {
        while self.pending.len() + samples.len() >= self.frame {
            let (now, rest) = samples.split_at(self.frame - self.pending.len());
            self.pending.extend_from_slice(now);
            samples = rest;
            self.level = level(&self.pending);
            self.pending.clear();
            events.extend(self.step());
        }
        self.pending.extend_from_slice(samples);
    }

    fn step(&mut self) -> Option<Voice> {
        self.count += 1;
        let margin = if self.speaking { STAY_DB } else { START_DB };
        let loud = self.level > (self.floor + margin).max(QUIET_DB);
        // Down at once, up slowly: 3 dB a second in a pause, 0.5 dB while somebody speaks, so
        // that a fan that is switched on does not count as speech for ever.
        if self.level < self.floor {
            self.floor += (self.level.max(-90.0) - self.floor) * 0.5;
        } else {
            let rise = if self.speaking { 0.01 } else { 0.06 };
            self.floor = (self.floor + rise).min(self.level).min(LOUDEST_FLOOR_DB + 10.0);
        }
        let at = |frames: u64| frames * self.frame as u64;
        if loud {
            self.loud += 1;
            self.still = 0;
        } else {
            self.loud = 0;
            self.still += 1;
        }
        if !self.speaking && self.loud >= ONSET {
            self.speaking = true;
            return Some(Voice::Start(at(self.count - u64::from(ONSET))));
        }
        if self.speaking && self.still >= self.hangover {
            self.speaking = false;
            return Some(Voice::End(at(self.count - u64::from(self.still))));
        }
        None
    }
}

/// Power of a frame without its mean, in dB of full scale.
fn level(frame: &[f32]) -> f32 {
    let n = frame.len() as f32;
    let mean = frame.iter().sum::<f32>() / n;
    let power = frame.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n;
    10.0 * (power + 1e-10).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `seconds` of a tone of amplitude `loud` in noise of amplitude `noise`.
    fn sound(seconds: f32, loud: f32, noise: f32, seed: &mut u32) -> Vec<f32> {
        (0..(seconds * 16000.0) as usize)
            .map(|i| {
                *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let random = (*seed >> 8) as f32 / (1 << 23) as f32 - 1.0;
                (i as f32 * 0.1).sin() * loud + random * noise + 0.05
            })
            .collect()
    }

    fn events(sounds: &[Vec<f32>], piece: usize) -> Vec<Voice> {
        let all: Vec<f32> = sounds.concat();
        let mut detector = VoiceDetector::new(16000, 0.5);
        let mut events = Vec::new();
        all.chunks(piece).for_each(|part| detector.push(part, &mut events));
        events
    }

    #[test]
    fn speech_is_found_in_quiet_and_in_noisy_rooms() {
        for (loud, noise) in [(0.3, 0.0), (0.3, 0.001), (0.5, 0.03), (0.02, 0.0005)] {
            let seed = &mut 1;
            let sounds = [
                sound(2.0, 0.0, noise, seed),
                sound(1.0, loud, noise, seed),
                sound(0.3, 0.0, noise, seed), // a short pause is part of the speech
                sound(1.0, loud, noise, seed),
                sound(2.0, 0.0, noise, seed),
            ];
            let found = events(&sounds, 1000);
            assert_eq!(found, events(&sounds, 77));
            let [Voice::Start(start), Voice::End(end)] = found[..] else {
                panic!("{loud} {noise}: {found:?}")
            };
            assert!(start.abs_diff(32000) <= 640, "{loud} {noise}: start {start}");
            assert!(end.abs_diff(68800) <= 640, "{loud} {noise}: end {end}");
        }
    }

    #[test]
    fn silence_clicks_and_a_fan_are_not_speech() {
        let seed = &mut 1;
        assert!(events(&[vec![0.0; 160_000]], 320).is_empty());
        assert!(events(&[sound(20.0, 0.0, 0.05, seed)], 320).is_empty());
        let mut click = vec![0.0; 64000];
        click[30000..30200].fill(0.9);
        assert!(events(&[click], 320).is_empty());
        // A fan may be taken for speech when it starts, not for ever.
        let fan = events(&[sound(3.0, 0.0, 0.001, seed), sound(60.0, 0.0, 0.02, seed)], 320);
        assert!(!matches!(fan.last(), Some(Voice::Start(_))), "{fan:?}");
    }

    #[test]
    fn speech_may_begin_with_the_first_sample() {
        let seed = &mut 1;
        let found = events(&[sound(1.0, 0.3, 0.001, seed), sound(1.0, 0.0, 0.001, seed)], 320);
        assert_eq!(found[0], Voice::Start(0));
        assert!(matches!(found[1], Voice::End(end) if end.abs_diff(16000) <= 640), "{found:?}");
    }
}
