//! A running call's end towards its caller: pieces of text as they become certain, custom
//! processors and criteria, aborts between tokens.

use serde_json::{json, Value};
use web_time::Instant;

use crate::error::Result;
use crate::generate::stream::TextStream;
use crate::generate::{Beam, Choice, Generated, Watch};
use crate::preprocess::Tokenizer;
use crate::tasks::{AbortHandle, Buffer, Host, Input};
use crate::{err, Code};

/// A turn of the host's event loop costs up to 4 ms in browsers, so not every token gets one.
const TURN: f64 = 0.025;

/// How tokens become text.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    pub skip_special: bool,
    pub cleanup: bool,
}

pub struct Live<'a> {
    pub host: &'a mut dyn Host,
    pub tokenizer: &'a Tokenizer,
    pub abort: AbortHandle,
    pub text: Text,
    /// Send pieces.
    pub stream: bool,
    /// Ask the caller to change scores, and when to stop.
    pub processor: bool,
    pub criteria: bool,
    /// One per text: prompt `i / n`, its return sequence `i % n`.
    pub streams: Vec<TextStream>,
    pub sequences: usize,
    /// Settled tokens of each prompt's beams already sent.
    pub settled: Vec<usize>,
    /// The caller's number of the first prompt.
    pub first: usize,
    pub turned: Instant,
}

impl Live<'_> {
    fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode_as(ids, self.text.skip_special, self.text.cleanup)
    }

    fn piece(&mut self, prompt: usize, sequence: usize, ids: &[u32]) -> Result<String> {
        let at = prompt * self.sequences + sequence;
        let (tokenizer, text) = (self.tokenizer, self.text);
        let Some(stream) = self.streams.get_mut(at) else { return Ok(String::new()) };
        let decode = |ids: &[u32]| tokenizer.decode_as(ids, text.skip_special, text.cleanup);
        stream.push(ids, text.cleanup, decode)
    }

    /// Sends what was held back: of beams, which have only told what they agree on, the best one's
    /// rest; then the end of every text.
    pub fn finish(&mut self, generated: &[Vec<Generated>]) -> Result<()> {
        for (prompt, texts) in generated.iter().enumerate() {
            let Some(best) = texts.first().filter(|text| text.score.is_some()) else { continue };
            let new = best.new_ids().get(self.settled[prompt]..).unwrap_or_default();
            let text = self.piece(prompt, 0, new)?;
            if self.stream && !text.is_empty() {
                let prompt = self.first + prompt;
                self.host.emit(json!({ "prompt": prompt, "sequence": 0, "text": text }))?;
            }
        }
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        for at in 0..self.streams.len() {
            let (tokenizer, text) = (self.tokenizer, self.text);
            let decode = |ids: &[u32]| tokenizer.decode_as(ids, text.skip_special, text.cleanup);
            let piece = self.streams[at].end(decode)?;
            let (prompt, sequence) = (at / self.sequences, at % self.sequences);
            if self.stream {
                self.host.emit(json!({
                    "prompt": self.first + prompt, "sequence": sequence, "text": piece, "done": true,
                }))?;
            }
        }
        Ok(())
    }
}

/// A choice for JavaScript.
pub fn describe(tokenizer: &Tokenizer, choice: &Choice) -> Result<Value> {
    let text = |id: u32| tokenizer.decode_as(&[id], false, false);
    let mut candidates = Vec::with_capacity(choice.top.len());
    for (id, logprob) in &choice.top {
        candidates.push(json!({ "id": id, "text": text(*id)?, "logprob": logprob }));
    }
    let mut token = json!({ "id": choice.id, "text": text(choice.id)? });
    if choice.logprob.is_finite() {
        token["logprob"] = choice.logprob.into();
        token["candidates"] = candidates.into();
    }
    Ok(token)
}

impl Watch for Live<'_> {
    fn processes(&self) -> bool {
        self.processor
    }

    async fn process(&mut self, ids: &[&[u32]], scores: &mut [f32]) -> Result<()> {
        if !self.processor {
            return Ok(());
        }
        let question = Input {
            value: json!({ "ask": "logits_processor", "ids": ids, "scores": { "$buffer": 0 } }),
            buffers: vec![Buffer::F32(scores.to_vec())],
        };
        let answer = self.host.ask(question).await?;
        match answer.buffer(&answer.value) {
            Some(Buffer::F32(new)) if new.len() == scores.len() => {
                scores.copy_from_slice(new);
                Ok(())
            }
            _ => {
                let n = scores.len();
                Err(err!(Code::Input, "the logits_processor did not return {n} scores")
                    .remedy("change the Float32Array it is given, or return one of its length"))
            }
        }
    }

    async fn stop(&mut self, ids: &[&[u32]]) -> Result<Vec<bool>> {
        if !self.criteria {
            return Ok(Vec::new());
        }
        let question = json!({ "ask": "stopping_criteria", "ids": ids });
        let answer = self.host.ask(question.into()).await?.value;
        let list = match &answer {
            Value::Bool(stop) => Some(vec![*stop; ids.len()]),
            Value::Array(list) => list.iter().map(Value::as_bool).collect(),
            _ => None,
        };
        list.filter(|list| list.len() == ids.len()).ok_or_else(|| {
            let n = ids.len();
            err!(Code::Input, "the stopping_criteria returned {answer}")
                .remedy(format!("return a boolean, or {n} of them"))
        })
    }

    fn token(&mut self, prompt: usize, sequence: usize, choice: &Choice) -> Result<()> {
        if !self.stream {
            return Ok(());
        }
        let text = self.piece(prompt, sequence, &[choice.id])?;
        let token = describe(self.tokenizer, choice)?;
        let prompt = self.first + prompt;
        self.host
            .emit(json!({ "prompt": prompt, "sequence": sequence, "text": text, "token": token }))
    }

    /// Sends the text that all beams share, and the beams as they stand.
    fn beams(&mut self, prompt: usize, beams: &[Beam<'_>], settled: usize) -> Result<()> {
        let (true, Some(first)) = (self.stream, beams.first()) else { return Ok(()) };
        let sent = self.settled[prompt];
        let new = first.ids.get(sent..settled).unwrap_or_default();
        let text = if new.is_empty() { String::new() } else { self.piece(prompt, 0, new)? };
        self.settled[prompt] = settled.max(sent);
        let mut list = Vec::with_capacity(beams.len());
        for beam in beams {
            let text = self.decode(beam.ids)?;
            list.push(json!({ "text": text, "score": beam.score, "done": beam.done }));
        }
        let prompt = self.first + prompt;
        self.host.emit(json!({ "prompt": prompt, "sequence": 0, "text": text, "beams": list }))
    }

    async fn turn(&mut self) -> Result<()> {
        if self.turned.elapsed().as_secs_f64() > TURN {
            crate::wait::turn().await;
            self.turned = Instant::now();
        }
        self.abort.check()
    }
}
