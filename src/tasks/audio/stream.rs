//! Listening: a stream of samples in, words out, first as guesses and then for good.
//!
//! Voice activity cuts the stream into utterances. While one lasts, the model hears all of it (the
//! last seconds of a long one) again and again; a word is final when enough sound has followed it
//! that hearing more does not change it, or when the utterance ends. A final word never changes.

use serde::{Deserialize, Serialize};

use super::ctc::{self, Span, Vocabulary};
use super::speech_recognition::Piece;
use super::{Ears, SpeechModel};
use crate::error::Result;
use crate::preprocess::audio::voice::Voice;
use crate::preprocess::audio::{Resampler, VoiceDetector};
use crate::{err, Code};

/// How to listen; all in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Silence that ends an utterance.
    pub pause_s: f32,
    /// Sound after a word that makes it final.
    pub settle_s: f32,
    /// New sound between two guesses, at least.
    pub update_s: f32,
    /// What the model hears at once, at most.
    pub window_s: f32,
    /// Cut by voice activity; otherwise everything is speech.
    pub voice_activity: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            pause_s: 0.6,
            settle_s: 0.35,
            update_s: 0.2,
            window_s: 10.0,
            voice_activity: true,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        for (name, value, least, most) in [
            ("pause_s", self.pause_s, 0.1, 10.0),
            ("settle_s", self.settle_s, 0.0, 5.0),
            ("update_s", self.update_s, 0.0, 10.0),
            ("window_s", self.window_s, 2.0, 60.0),
        ] {
            if !(least..=most).contains(&value) {
                return Err(err!(Code::Input, "{name} is {value}")
                    .remedy(format!("{name} is {least} to {most} seconds")));
            }
        }
        Ok(())
    }
}

/// Sound before an utterance that the model hears too: the level rises later than the voice.
const LEAD_S: f32 = 0.3;
/// Sound before what is not final yet that gives context.
const CONTEXT_S: f32 = 2.0;
/// Samples that voice activity looks at before anything else is decided.
const STEP_S: f32 = 0.1;

/// What a step brought.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Heard {
    /// Words that are final now; `utterance` counts from 0.
    #[serde(rename = "final")]
    pub words: Vec<Final>,
    /// What follows them, as far as it is known: may change.
    pub partial: Vec<Piece>,
    pub speaking: bool,
    /// Level of the last 20 ms, in dB of full scale.
    pub level: f32,
    /// Seconds of sound that were taken in.
    pub time: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Final {
    #[serde(flatten)]
    pub word: Piece,
    pub utterance: u64,
}

/// One stream.
#[derive(Debug)]
pub struct Stream {
    settings: Settings,
    rate: u32,
    hop: usize,
    source: Option<(u32, Resampler)>,
    voice: VoiceDetector,
    /// Samples at the model's rate that were not looked at yet.
    incoming: Vec<f32>,
    /// What the model hears: samples from `start` of the stream on.
    window: Vec<f32>,
    start: u64,
    /// Where voice activity counts from.
    base: u64,
    /// Everything before this sample is final.
    settled: u64,
    /// End of what the model heard last.
    heard: u64,
    speaking: bool,
    /// The utterance ended and was not heard to its end yet.
    over: bool,
    utterance: u64,
    /// Final words that were not handed over yet: an error between two runs must not lose them.
    finals: Vec<Final>,
    partial: Vec<Piece>,
}

impl Stream {
    /// A stream for a model that hears `rate` Hz and gives a frame per `hop` samples.
    pub fn new(settings: Settings, rate: u32, hop: usize) -> Result<Self> {
        settings.check()?;
        Ok(Stream {
            settings,
            rate,
            hop,
            source: None,
            voice: VoiceDetector::new(rate, settings.pause_s),
            incoming: Vec::new(),
            window: Vec::new(),
            start: 0,
            base: 0,
            settled: 0,
            heard: 0,
            speaking: !settings.voice_activity,
            over: false,
            utterance: 0,
            finals: Vec::new(),
            partial: Vec::new(),
        })
    }

    /// The first sample comes `seconds` after the stream's beginning.
    pub fn starting_at(mut self, seconds: f64) -> Self {
        let frames = seconds.clamp(0.0, 1e9) * f64::from(self.rate) / self.hop as f64;
        self.base = frames.round() as u64 * self.hop as u64;
        (self.start, self.settled, self.heard) = (self.base, self.base, self.base);
        self
    }

    /// Takes the next samples of the stream, at `rate` Hz.
    pub fn push(&mut self, samples: &[f32], rate: u32) -> Result<()> {
        match &mut self.source {
            Some((from, resampler)) if *from == rate => resampler.push(samples, &mut self.incoming),
            source => {
                // The microphone changed: the rest of the old one first.
                if let Some((_, old)) = source.take() {
                    old.finish(&mut self.incoming);
                }
                let (_, resampler) = source.insert((rate, Resampler::new(rate, self.rate)?));
                resampler.push(samples, &mut self.incoming);
            }
        }
        Ok(())
    }

    /// Hears what has come; `end` makes everything final.
    pub(super) async fn step<M: SpeechModel>(
        &mut self,
        ears: &mut Ears<'_, M>,
        vocabulary: &Vocabulary,
        end: bool,
    ) -> Result<Heard> {
        if end {
            if let Some((_, resampler)) = self.source.take() {
                resampler.finish(&mut self.incoming);
            }
        }
        self.take(ears, vocabulary).await?;
        if end {
            if self.speaking {
                self.finish(ears, vocabulary).await?;
            }
        } else if self.speaking
            && self.end() - self.heard >= self.samples(self.settings.update_s).max(1) as u64
        {
            self.hear(ears, vocabulary, Until::Settled).await?;
        }
        Ok(Heard {
            words: std::mem::take(&mut self.finals),
            partial: self.partial.clone(),
            speaking: self.voice.speaking(),
            level: self.voice.level(),
            time: self.end() as f64 / f64::from(self.rate),
        })
    }

    /// Looks at what has come, in small pieces: utterances end in the middle of it. After an error
    /// the next call goes on where this one stopped.
    async fn take<M: SpeechModel>(
        &mut self,
        ears: &mut Ears<'_, M>,
        vocabulary: &Vocabulary,
    ) -> Result<()> {
        loop {
            if self.over {
                self.finish(ears, vocabulary).await?;
            }
            if !self.speaking {
                self.forget(self.end().saturating_sub(self.samples(LEAD_S) as u64));
            } else if self.window.len() >= self.samples(self.settings.window_s) {
                self.hear(ears, vocabulary, Until::Full).await?;
            }
            if self.incoming.is_empty() {
                return Ok(());
            }
            let next = self.samples(STEP_S).min(self.incoming.len());
            let mut events = Vec::new();
            self.voice.push(&self.incoming[..next], &mut events);
            self.window.extend(self.incoming.drain(..next));
            if !self.settings.voice_activity {
                continue;
            }
            for event in events {
                match event {
                    Voice::Start(at) => self.begin(self.base + at),
                    Voice::End(_) => self.over = true,
                }
            }
        }
    }

    fn samples(&self, seconds: f32) -> usize {
        (seconds * self.rate as f32).round() as usize
    }

    /// The end of what was taken in, in samples of the stream.
    fn end(&self) -> u64 {
        self.start + self.window.len() as u64
    }

    /// Drops samples before `at`, whole frames only: a frame is cut at the same places each time
    /// that the model hears it.
    fn forget(&mut self, at: u64) {
        let at = at - at % self.hop as u64;
        let n = (at.saturating_sub(self.start) as usize).min(self.window.len());
        self.window.drain(..n);
        self.start += n as u64;
        self.settled = self.settled.max(self.start);
    }

    fn begin(&mut self, at: u64) {
        self.speaking = true;
        self.forget(at.saturating_sub(self.samples(LEAD_S) as u64));
        self.heard = self.start;
    }

    /// The utterance is over: all of it is final.
    async fn finish<M: SpeechModel>(
        &mut self,
        ears: &mut Ears<'_, M>,
        vocabulary: &Vocabulary,
    ) -> Result<()> {
        self.hear(ears, vocabulary, Until::End).await?;
        self.speaking = !self.settings.voice_activity;
        self.over = false;
        self.utterance += 1;
        self.settled = self.end();
        self.forget(self.end());
        Ok(())
    }

    async fn hear<M: SpeechModel>(
        &mut self,
        ears: &mut Ears<'_, M>,
        vocabulary: &Vocabulary,
        until: Until,
    ) -> Result<()> {
        self.heard = self.end();
        let mut chars = Vec::new();
        let mut frames = 0;
        if self.window.len() >= ears.framing().receptive_field {
            let out = ears.hear(&self.window).await?;
            frames = out.rows;
            let first = ((self.settled - self.start) as usize).div_ceil(self.hop).min(frames);
            let mut path = ctc::Path::default();
            path.extend(&out.values[first * out.width..], out.width);
            chars = ctc::decode(&path, vocabulary).chars;
            for char in &mut chars {
                (char.start, char.end) = (char.start + first, char.end + first);
            }
        }
        let space = vocabulary.space();
        let settle = self.samples(self.settings.settle_s).div_ceil(self.hop);
        let sure = |span: &Span| until == Until::End || span.end + settle <= frames;
        let all = ctc::words(&chars, space);
        let firm = all.iter().take_while(|word| sure(word)).last().map_or(0, |word| word.end);
        let mut firm = chars.iter().take_while(|char| char.end <= firm).count();
        let first = all.first().map_or(frames, |word| word.start);
        if until == Until::Full && firm == 0 && first < frames / 2 {
            // Seconds without a gap between words: letters must do.
            firm = chars.iter().take_while(|char| sure(char)).count();
        }
        let rest = chars.split_off(firm);
        let words = ctc::words(&chars, space);
        if let Some(last) = words.last() {
            // Halfway to what follows: a letter that lasts a frame longer next time is not heard
            // as another word.
            let next = rest.iter().find(|char| char.text != space);
            let next = next.map_or(frames.max(last.end), |char| char.start);
            let frame = last.end + (next - last.end) / 2;
            self.settled = self.start + (frame * self.hop) as u64;
        }
        let rest = ctc::words(&rest, space);
        let utterance = self.utterance;
        let finals =
            words.into_iter().map(|w| Final { word: self.piece(w, vocabulary), utterance });
        let finals: Vec<Final> = finals.collect();
        self.finals.extend(finals);
        self.partial = rest.into_iter().map(|word| self.piece(word, vocabulary)).collect();
        if until == Until::Full {
            // What is not final is kept, with sound before it; a window without words is silence.
            let context = self.samples(CONTEXT_S) as u64;
            let unsure = match self.partial.is_empty() {
                true => self.end(),
                false => self.settled,
            };
            let oldest = self.end() - (self.window.len() / 2) as u64;
            self.forget(unsure.saturating_sub(context).max(oldest));
        }
        Ok(())
    }

    fn piece(&self, word: Span, vocabulary: &Vocabulary) -> Piece {
        let seconds =
            |frame: usize| (self.start + (frame * self.hop) as u64) as f64 / f64::from(self.rate);
        Piece {
            text: vocabulary.finish(&word.text),
            timestamp: [seconds(word.start), seconds(word.end)],
            confidence: word.confidence,
        }
    }
}

/// Why the model hears the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// A guess while the utterance lasts.
    Settled,
    /// The window is full.
    Full,
    /// The utterance is over.
    End,
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::models::{AudioHead, AudioOutput, Framing, Part};
    use crate::preprocess::audio::FeatureExtractor;
    use crate::tasks::audio::ctc::VocabularyFiles;
    use crate::tasks::AbortHandle;

    const HOP: usize = 320;

    /// Hears a letter in how loud a frame is.
    #[derive(Default)]
    struct Fake {
        runs: usize,
        fails_at: Option<usize>,
        longest: usize,
    }

    impl SpeechModel for Fake {
        fn framing(&self) -> Framing {
            Framing { receptive_field: 400, hop: HOP }
        }

        fn head(&self) -> AudioHead {
            AudioHead::Ctc
        }

        async fn run(&mut self, wave: &[f32], _: Part) -> Result<AudioOutput> {
            self.runs += 1;
            self.longest = self.longest.max(wave.len());
            if self.fails_at == Some(self.runs) {
                return Err(err!(Code::Device, "the model failed"));
            }
            let rows = (wave.len() - 400) / HOP + 1;
            let mut values = vec![0.0; rows * 10];
            for (row, frame) in values.chunks_exact_mut(10).zip(wave.chunks(HOP)) {
                let loud = frame.iter().map(|x| x.abs()).sum::<f32>() / HOP as f32;
                row[(loud * 10.0).round() as usize] = 5.0;
            }
            Ok(AudioOutput { rows, width: 10, values })
        }
    }

    fn now<F: Future>(future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("a fake model does not wait"),
        }
    }

    struct Room {
        model: Fake,
        extractor: FeatureExtractor,
        vocabulary: Vocabulary,
        stream: Stream,
    }

    impl Room {
        fn new(settings: Settings) -> Self {
            let vocab = br#"{"<pad>": 0, "|": 1, "B": 2, "C": 3, "D": 4, "E": 5, "F": 6}"#;
            let files = VocabularyFiles { vocab_json: Some(vocab), ..Default::default() };
            Room {
                model: Fake::default(),
                extractor: FeatureExtractor::parse(br#"{"do_normalize": false}"#).unwrap(),
                vocabulary: Vocabulary::load(&files, 10).unwrap(),
                stream: Stream::new(settings, 16000, HOP).unwrap(),
            }
        }

        fn step(&mut self, end: bool) -> Result<Heard> {
            let Room { model, extractor, vocabulary, stream } = self;
            let abort = &AbortHandle::default();
            now(stream.step(&mut Ears { model, extractor, abort }, vocabulary, end))
        }
    }

    /// Frames of the letters: each letter lasts two, `.` is silence, `|` ends a word.
    fn speak(text: &str) -> Vec<f32> {
        let loud = |letter| match letter {
            '.' => 0.0,
            '|' => 0.1,
            letter => (letter as u8 - b'A' + 1) as f32 / 10.0,
        };
        let frames = text.chars().flat_map(|letter| [loud(letter); 2 * HOP]);
        frames.enumerate().map(|(i, a)| if i % 2 == 0 { a } else { -a }).collect()
    }

    /// Words that became final, with the stream's time when they did.
    fn listen(room: &mut Room, sound: &[f32], piece: usize) -> Vec<(Final, f64)> {
        let mut words = Vec::new();
        for part in sound.chunks(piece) {
            room.stream.push(part, 16000).unwrap();
            let heard = room.step(false).unwrap();
            words.extend(heard.words.into_iter().map(|word| (word, heard.time)));
        }
        let heard = room.step(true).unwrap();
        assert!(heard.partial.is_empty());
        words.extend(heard.words.into_iter().map(|word| (word, heard.time)));
        words
    }

    fn text(words: &[(Final, f64)]) -> String {
        let words: Vec<&str> = words.iter().map(|(w, _)| w.word.text.as_str()).collect();
        words.join(" ")
    }

    #[test]
    fn words_become_final_soon_with_their_times() {
        let pause = ".".repeat(60);
        let sound = speak(&format!("{pause}BCD||EF||BFB{pause}DD|E{pause}"));
        for piece in [320, 800, 4321] {
            let mut room = Room::new(Settings::default());
            let words = listen(&mut room, &sound, piece);
            assert_eq!(text(&words), "BCD EF BFB D E", "pieces of {piece}");
            let first = &words[0].0.word;
            assert!((first.timestamp[0] - 2.4).abs() <= 0.021, "{first:?}");
            assert!((first.timestamp[1] - 2.52).abs() <= 0.021, "{first:?}");
            let numbers: Vec<u64> = words.iter().map(|(word, _)| word.utterance).collect();
            assert_eq!(numbers, [0, 0, 0, 1, 1]);
            for (word, time) in &words {
                let late = time - word.word.timestamp[1];
                assert!(late < 0.7 + piece as f64 / 16000.0, "{word:?} after {late} s");
            }
        }
    }

    #[test]
    fn speech_without_a_pause_is_heard_to_its_end() {
        let sound = speak(&"BCD|EF|FEDCB||CC|".repeat(90));
        let mut room = Room::new(Settings::default());
        let words = listen(&mut room, &sound, 1600);
        assert_eq!(text(&words), "BCD EF FEDCB C ".repeat(90).trim());
        assert!(words.windows(2).all(|w| w[0].0.word.timestamp[1] <= w[1].0.word.timestamp[0]));
        // No gap to cut at: what there is becomes final when the window is full.
        let endless = speak(&"BC".repeat(600));
        let mut room = Room::new(Settings::default());
        let words = listen(&mut room, &endless, 1600);
        assert_eq!(text(&words).replace(' ', "").len(), 1200);
        assert!(room.model.longest <= 11 * 16000);
    }

    /// Pieces of five seconds, as after a model that is slow: an hour in constant memory.
    #[test]
    fn an_hour_keeps_to_its_memory() {
        let minute = speak(&format!("{}{}", "BCD||EF||".repeat(130), ".".repeat(330)));
        let mut room = Room::new(Settings::default());
        let mut words = 0;
        for _ in 0..60 {
            for part in minute.chunks(80_000) {
                room.stream.push(part, 16000).unwrap();
                words += room.step(false).unwrap().words.len();
                let Stream { window, incoming, .. } = &room.stream;
                assert!(window.capacity() <= 400_000 && incoming.capacity() <= 200_000);
            }
        }
        assert_eq!(words + room.step(true).unwrap().words.len(), 60 * 260);
    }

    #[test]
    fn an_error_loses_nothing() {
        let pause = ".".repeat(40);
        let sound = speak(&format!("{pause}BCD||EF{pause}BF||E{pause}DD|E{pause}"));
        for fails_at in 1..8 {
            let mut room = Room::new(Settings { update_s: 1.0, ..Settings::default() });
            room.model.fails_at = Some(fails_at);
            let mut words = Vec::new();
            let mut errors = 0;
            for part in sound.chunks(40_000) {
                room.stream.push(part, 16000).unwrap();
                match room.step(false) {
                    Ok(heard) => words.extend(heard.words.into_iter().map(|word| (word, 0.0))),
                    Err(_) => errors += 1,
                }
            }
            match room.step(true) {
                Ok(heard) => words.extend(heard.words.into_iter().map(|word| (word, 0.0))),
                Err(_) => {
                    errors += 1;
                    words.extend(room.step(true).unwrap().words.into_iter().map(|w| (w, 0.0)));
                }
            }
            assert!(errors <= 1);
            assert_eq!(text(&words), "BCD EF BF E D E", "run {fails_at} fails");
        }
    }

    #[test]
    fn silence_costs_no_run_and_settings_are_checked() {
        let mut room = Room::new(Settings::default());
        assert!(listen(&mut room, &vec![0.0; 160_000], 1600).is_empty());
        assert_eq!(room.model.runs, 0);
        assert!(Stream::new(Settings { pause_s: 0.0, ..Settings::default() }, 16000, HOP).is_err());
        let nan = Settings { window_s: f32::NAN, ..Settings::default() };
        assert!(Stream::new(nan, 16000, HOP).is_err());
        let all = Settings { voice_activity: false, ..Settings::default() };
        let mut room = Room::new(all);
        room.stream = room.stream.starting_at(100.0);
        let words = listen(&mut room, &speak("BC|D"), 100);
        assert_eq!(text(&words), "BC D");
        assert_eq!(words[0].0.word.timestamp, [100.0, 100.08]);
    }
}
