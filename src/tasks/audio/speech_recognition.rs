//! `automatic-speech-recognition`: what was said, and when.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chunks::{Chunk, Chunking};
use super::ctc::{self, Hypothesis, Search, Span, Vocabulary};
use super::input::{self, Sound};
use super::{AudioPipeline, SpeechModel};
use crate::error::Result;
use crate::tasks::io::{self, options};
use crate::tasks::Input;
use crate::{err, Code};

options! {
    /// Options of speech recognition.
    Options {
        /// `"char"` or `"word"`: the result has `chunks` with their times.
        return_timestamps: Option<Value> = None,
        /// Seconds that the model hears at a time; 0 is all at once.
        chunk_length_s: f64 = 0.0,
        /// Seconds of a chunk that overlap its neighbours: one number, or left and right. Absent
        /// is a sixth of the chunk.
        stride_length_s: Option<Stride> = None,
        /// Prefixes that beam search keeps; 1 is greedy. Absent is 1, or 100 with a language model
        /// or hot words.
        num_beams: Option<usize> = None,
        /// How many of the texts that beam search found are returned, in `alternatives`.
        num_return_sequences: usize = 1,
        /// The text of an ARPA file.
        language_model: Option<String> = None,
        /// Weight of the language model.
        alpha: f64 = 0.5,
        /// Added for each word that the language model scores.
        beta: f64 = 1.5,
        /// Added for each word that the language model does not know.
        unk_score_offset: f64 = -10.0,
        /// Whether the language model scores the text's begin and end.
        score_boundary: bool = true,
        /// Words that count more.
        hotwords: Vec<String> = Vec::new(),
        hotword_weight: f64 = 10.0,
        /// A prefix this much worse than the best is dropped.
        beam_prune_logp: f64 = -10.0,
        /// A token less likely than this is not tried, unless it is its frame's best.
        token_min_logp: f32 = -5.0,
    }
}

/// Prefixes at most: more find nothing new and cost their number.
const MAX_BEAMS: usize = 10_000;

impl Options {
    /// The unit of times. Python refuses `true` for models of this kind, and so do we.
    fn unit(&self) -> Result<Option<Unit>> {
        match &self.return_timestamps {
            None | Some(Value::Null | Value::Bool(false)) => Ok(None),
            Some(value) if value == "char" => Ok(Some(Unit::Char)),
            Some(value) if value == "word" => Ok(Some(Unit::Word)),
            Some(other) => Err(err!(Code::Input, "return_timestamps is {other}")
                .remedy("a CTC model gives 'char' or 'word' timestamps")),
        }
    }

    /// What beam search looks for; none: greedy.
    fn search(&mut self) -> Result<Option<Search>> {
        let default =
            if self.language_model.is_some() || !self.hotwords.is_empty() { 100 } else { 1 };
        let beams = io::positive("num_beams", self.num_beams.unwrap_or(default))?;
        let returned = io::positive("num_return_sequences", self.num_return_sequences)?;
        if beams > MAX_BEAMS || returned > beams {
            return Err(err!(Code::Input, "num_beams is {beams}, num_return_sequences {returned}")
                .remedy(format!("num_beams is at most {MAX_BEAMS} and no less than the other")));
        }
        if beams == 1 && default == 1 {
            return Ok(None);
        }
        for (name, value) in [
            ("alpha", self.alpha),
            ("beta", self.beta),
            ("unk_score_offset", self.unk_score_offset),
            ("hotword_weight", self.hotword_weight),
        ] {
            if !value.is_finite() {
                return Err(err!(Code::Input, "{name} is {value}"));
            }
        }
        Ok(Some(Search {
            beams,
            prune_logp: self.beam_prune_logp,
            token_min_logp: self.token_min_logp,
            hotwords: std::mem::take(&mut self.hotwords),
            hotword_weight: self.hotword_weight,
            alpha: self.alpha,
            beta: self.beta,
            unk_score_offset: self.unk_score_offset,
            score_boundary: self.score_boundary,
        }))
    }
}

/// The unit of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Char,
    Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Stride {
    Both(f64),
    Each([f64; 2]),
}

/// A piece of the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Piece {
    pub text: String,
    /// Seconds: begin and end.
    pub timestamp: [f64; 2],
    pub confidence: f32,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recognized {
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks: Option<Vec<Piece>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternatives: Option<Vec<Alternative>>,
}

/// A text that may be meant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alternative {
    pub text: String,
    /// Logarithm of its probability, with language model and hot words: what they are ordered by.
    pub score: f64,
    /// Its share among the texts that were found.
    pub confidence: f32,
}

/// Frames to seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Samples from frame to frame.
    pub hop: usize,
    pub rate: u32,
}

impl Clock {
    pub fn seconds(self, frame: usize) -> f64 {
        (frame * self.hop) as f64 / f64::from(self.rate)
    }

    fn piece(self, span: Span) -> Piece {
        let timestamp = [self.seconds(span.start), self.seconds(span.end)];
        Piece { text: span.text, timestamp, confidence: span.confidence }
    }
}

/// Spans of characters as pieces of `unit`.
pub(super) fn pieces(
    chars: Vec<Span>,
    unit: Unit,
    vocabulary: &Vocabulary,
    clock: Clock,
) -> Vec<Piece> {
    let spans = match unit {
        Unit::Char => chars,
        Unit::Word => ctc::words(&chars, vocabulary.space()),
    };
    spans.into_iter().map(|span| clock.piece(span)).collect()
}

pub(super) async fn run<M: SpeechModel>(
    pipeline: &mut AudioPipeline<M>,
    input: Input,
    mut options: Options,
) -> Result<Value> {
    let unit = options.unit()?;
    let search = options.search()?;
    if search.is_some() && unit == Some(Unit::Char) {
        return Err(err!(Code::Input, "return_timestamps is 'char' with beam search")
            .remedy("beam search gives 'word' timestamps"));
    }
    let clock = pipeline.clock();
    let chunking = chunking(&options, clock)?;
    let sounds = input::sounds(&input, clock.rate)?;
    let lm = options.language_model.as_deref();
    let lm = lm.map(|text| pipeline.language_model(text)).transpose()?;
    let mut results = Vec::with_capacity(sounds.list.len());
    for sound in &sounds.list {
        let chunks = cut(sound, chunking);
        let mut path = ctc::Path::default();
        let mut logits = Vec::new();
        for chunk in &chunks {
            let samples = &sound.samples[chunk.start..chunk.end];
            // Less than a frame at the end of a long clip says nothing; a whole clip that short
            // is an error.
            if chunks.len() > 1 && samples.len() < pipeline.model.framing().receptive_field {
                continue;
            }
            let out = pipeline.hear(samples).await?;
            let keep = chunk.frames(clock.hop, out.rows);
            let keep = &out.values[keep.start * out.width..keep.end * out.width];
            match search {
                Some(_) => logits.extend_from_slice(keep),
                None => path.extend(keep, out.width),
            }
        }
        let vocabulary = pipeline.vocabulary()?;
        let result = match &search {
            None => {
                let said = ctc::decode(&path, vocabulary);
                let chunks = unit.map(|unit| pieces(said.chars, unit, vocabulary, clock));
                Recognized { text: said.text, chunks, alternatives: None }
            }
            Some(search) => {
                ctc::log_softmax(&mut logits, vocabulary.len());
                let mut found = ctc::beam_search(&logits, vocabulary, lm.as_deref(), search);
                found.truncate(options.num_return_sequences);
                best(found, unit, clock)
            }
        };
        results.push(io::json(result)?);
    }
    Ok(sounds.shape(results))
}

/// What beam search found, best first, as a result.
fn best(found: Vec<Hypothesis>, unit: Option<Unit>, clock: Clock) -> Recognized {
    let alternative = |one: &Hypothesis| Alternative {
        text: one.text.clone(),
        score: one.score,
        confidence: one.confidence,
    };
    let alternatives = (found.len() > 1).then(|| found.iter().map(alternative).collect());
    let first = found.into_iter().next();
    let (text, words) = first.map_or_else(Default::default, |one| (one.text, one.words));
    let chunks = unit.map(|_| words.into_iter().map(|word| clock.piece(word)).collect());
    Recognized { text, chunks, alternatives }
}

fn chunking(options: &Options, clock: Clock) -> Result<Option<Chunking>> {
    let length = options.chunk_length_s;
    if length == 0.0 {
        return Ok(None);
    }
    let stride = match options.stride_length_s {
        None => [length / 6.0; 2],
        Some(Stride::Both(seconds)) => [seconds; 2],
        Some(Stride::Each(seconds)) => seconds,
    };
    Chunking::new(length, stride, clock.rate, clock.hop).map(Some)
}

fn cut(sound: &Sound, chunking: Option<Chunking>) -> Vec<Chunk> {
    let len = sound.samples.len();
    match (chunking, sound.stride) {
        (Some(chunking), _) => chunking.chunks(len),
        (None, Some([left, right])) => vec![Chunk { start: 0, end: len, left, right }],
        (None, None) => vec![Chunk::whole(len)],
    }
}
