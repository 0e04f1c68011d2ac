//! Models that write: the registry of decoders and encoder-decoders, and one door to them all.
//!
//! A [`SeqModel`] holds texts as lanes. [`SeqModel::submit`] appends tokens to every lane and
//! starts a run; [`SeqModel::read`] gets what was wanted of it: scores, the best tokens, or the
//! best one. [`SeqModel::fork`] lets lanes continue others (beams). What the lanes have read stays
//! in the cache until [`SeqModel::begin`].

use super::lanes::Lanes;
use super::{bart, gpt2, t5};
use crate::checkpoint::{Config, Manifest, Scope};
use crate::error::Result;
use crate::gpu::WeightShape;
use crate::plan::{HostValue, Outputs, PlanKey, Recorder, Runtime, Tensor, Ticket, WeightId};
use crate::tensor::{DType, Format, HostWeight};
use crate::{err, Code};

/// Tokens of one run; longer prompts take several. A caller who wants to look for an abort in
/// between feeds a long prompt in pieces of this.
pub const CHUNK: usize = 256;
/// Rows of the cache at first.
const ROWS: usize = 256;
/// On a GPU, runs of more than this many tokens are filled up to a multiple of [`STEP`], so that
/// few plans are needed.
const EXACT: usize = 8;
const STEP: usize = 32;

/// What generation knows of a model.
#[derive(Debug, Clone)]
pub struct SeqInfo {
    /// V
    pub vocab: usize,
    pub encoder_decoder: bool,
    /// Tokens that a lane holds at most; `None` where positions are relative.
    pub positions: Option<usize>,
    /// The same of the encoder.
    pub source_positions: Option<usize>,
}

/// The tokens that a run appends to the lanes.
#[derive(Debug, Clone, Copy)]
pub enum Feed<'a> {
    /// At least one token per lane.
    Ids(&'a [&'a [u32]]),
    /// One per lane: what the last run, with [`Want::Argmax`], chose. It never leaves the device,
    /// so the next run can be submitted before the last is read.
    Chosen,
}

/// What is wanted of a run, of the token after the last of each lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Nothing,
    Logits,
    Argmax,
    TopK(usize),
}

/// What came out of it, lane by lane.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Nothing,
    /// `[lanes, V]`
    Logits(Vec<f32>),
    /// The token of the largest logit, the first of equals; `u32::MAX` where one is NaN.
    Argmax(Vec<u32>),
    TopK(Vec<TopK>),
}

/// The best tokens of one lane.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    /// Largest logit first, then lowest id.
    pub ids: Vec<u32>,
    /// Their logits.
    pub logits: Vec<f32>,
    /// `ln Σ e^(logit - the largest)` over the vocabulary: the logit less the largest less this is
    /// a log-probability. NaN where a logit is.
    pub log_sum: f32,
}

/// A run under way.
#[derive(Debug)]
pub struct SeqTicket {
    ticket: Ticket,
    want: Want,
}

/// The recorded inputs of a decoder's run: M tokens of all lanes.
#[derive(Debug, Clone, Copy)]
pub struct StepInputs {
    /// `[M]`
    pub ids: Tensor,
    /// `[M]`, counted from 0 in each lane
    pub positions: Tensor,
    /// `[M, 3]` and the table they refer to, see `attention_cached`
    pub spans: Tensor,
    pub table: Tensor,
    /// `[M, 2]`: the encoder's rows of the token's source
    pub sources: Option<Tensor>,
    /// `[R]`: the last token of each lane, where it is not every token
    pub rows: Option<Tensor>,
}

impl StepInputs {
    /// The rows of h `[M, H]` that scores are wanted of, `[R, H]`.
    pub fn last(&self, g: &mut Recorder, h: Tensor) -> Tensor {
        match self.rows {
            Some(rows) => g.gather_rows(h, rows),
            None => h,
        }
    }
}

/// The recorded inputs of an encoder's run: S tokens of all sources.
#[derive(Debug, Clone, Copy)]
pub struct SourceInputs {
    /// `[S]`
    pub ids: Tensor,
    /// `[S]`, counted from 0 in each source
    pub positions: Tensor,
    /// `[S, 2]`: the rows of the token's own source
    pub segments: Tensor,
}

/// An architecture: what it records. Caches are states named `kv.LAYER` and `cross.LAYER`.
pub trait SeqNet: std::fmt::Debug {
    fn info(&self) -> SeqInfo;
    /// Layers of the decoder, and 2 H of a row of its caches.
    fn cache(&self) -> (usize, usize);
    /// The encoder, which keeps `cross.LAYER`.
    fn encode(&self, _g: &mut Recorder, _x: &SourceInputs) {}
    /// The decoder: hidden states `[M, H]` before what the head takes.
    fn decode(&self, g: &mut Recorder, x: &StepInputs) -> Tensor;
    /// Hidden states `[R, H]` to logits `[R, V]`.
    fn head(&self, g: &mut Recorder, h: Tensor) -> Tensor;
    /// Weights that no checkpoint holds; their ids follow the manifest's.
    fn own_weights(&self) -> Vec<HostWeight> {
        Vec::new()
    }
}

/// The registry: one line per architecture. Returns what the checkpoint must hold.
fn net(config: &Config) -> Result<(Box<dyn SeqNet>, Manifest)> {
    Ok(match config.model_type()? {
        "gpt2" => {
            let root = Scope::root(gpt2::BASE, gpt2::SKIP);
            (Box::new(gpt2::Gpt2::new(config, &root)?), root.manifest())
        }
        "bart" | "mbart" | "marian" => {
            let root = Scope::root(bart::BASE, bart::SKIP);
            let style = match config.model_type()? {
                "bart" => bart::Style::Bart,
                "mbart" => bart::Style::MBart,
                _ => bart::Style::Marian,
            };
            (Box::new(bart::Bart::new(config, &root, style)?), root.manifest())
        }
        "t5" => {
            let root = Scope::root(t5::BASE, t5::SKIP);
            (Box::new(t5::T5::new(config, &root)?), root.manifest())
        }
        other => {
            let error = err!(Code::Unsupported, "model_type {other:?} in config.json");
            let known = "models that write text known here: gpt2, bart, mbart, marian, t5";
            return Err(error.remedy(known));
        }
    })
}

/// What the checkpoint of a model that generates text must hold.
pub fn seq_manifest(config: &Config) -> Result<Manifest> {
    net(config).map(|(_, manifest)| manifest)
}

/// A model with its weights on a device, and the texts it has read.
#[derive(Debug)]
pub struct SeqModel {
    net: Box<dyn SeqNet>,
    info: SeqInfo,
    lanes: Lanes,
    /// Rows of each source in the encoder's keys.
    sources: Vec<[u32; 2]>,
    /// Rows that the caches have room for.
    room: usize,
    /// Vectors that are zero where the checkpoint lacks them.
    optional: Vec<(WeightId, usize)>,
    /// The id of the net's first own weight, until they are on the device.
    own: Option<u32>,
    /// The format the weights came to, once they are loaded.
    pub format: Option<Format>,
    /// Where the weights are and runs happen; the loader fills it.
    pub runtime: Runtime,
}

/// The inputs of a run on the host.
#[derive(Debug, Default)]
struct Step {
    ids: Vec<u32>,
    positions: Vec<u32>,
    spans: Vec<u32>,
    sources: Vec<u32>,
    rows: Vec<u32>,
    chosen: bool,
}

impl SeqModel {
    /// Declares the model: what comes back beside it is what its checkpoint must hold.
    pub fn new(config: &Config, runtime: Runtime) -> Result<(Self, Manifest)> {
        let (net, manifest) = net(config)?;
        let model = SeqModel {
            info: net.info(),
            net,
            lanes: Lanes::default(),
            sources: Vec::new(),
            room: 0,
            own: Some(manifest.weights.len() as u32),
            optional: optional(&manifest),
            format: None,
            runtime,
        };
        Ok((model, manifest))
    }

    /// Moves the weights that no checkpoint holds to the device: before the first run, by itself.
    pub fn set_own_weights(&mut self) -> Result<()> {
        if let Some(first) = self.own.take() {
            for (id, len) in std::mem::take(&mut self.optional) {
                if !self.runtime.has_weight(id) {
                    self.runtime.set_weight(id, HostWeight::Vector(vec![0.0; len]))?;
                }
            }
            for (id, weight) in (first..).zip(self.net.own_weights()) {
                self.runtime.set_weight(WeightId(id), weight)?;
            }
        }
        Ok(())
    }

    pub fn info(&self) -> &SeqInfo {
        &self.info
    }

    /// Compiles what a GPU needs for a step and for a prompt, while the weights (their formats and
    /// shapes by id) are still on their way.
    pub fn prepare(&self, weights: &[WeightShape]) -> Result<()> {
        let mut weights = weights.to_vec();
        weights.extend(self.net.own_weights().iter().map(|weight| match weight {
            HostWeight::Vector(_) => WeightShape::Vector,
            HostWeight::Matrix(m) => WeightShape::Matrix { format: m.format, n: m.n, k: m.k },
        }));
        for (m, r, want) in [(1, 1, Want::Argmax), (STEP, 1, Want::Logits)] {
            let record = |g: &mut Recorder| record(&*self.net, g, [m, r], false, want);
            self.runtime.prepare(record, &weights)?;
        }
        if self.info.encoder_decoder {
            self.runtime.prepare(|g| record_source(&*self.net, g, 2 * STEP), &weights)?;
        }
        Ok(())
    }

    /// Reads `sources` with the encoder; its keys are kept for the lanes. Forgets all lanes.
    pub async fn encode(&mut self, sources: &[&[u32]]) -> Result<()> {
        let source = self.source(sources)?;
        let s = source.ids.len();
        let net = &*self.net;
        let record = |g: &mut Recorder| record_source(net, g, s);
        self.runtime.run(source_key(s), record, &source.inputs()).await?;
        Ok(())
    }

    /// [`SeqModel::encode`] with inner values read back.
    pub async fn encode_tapped(&mut self, sources: &[&[u32]], taps: &[&str]) -> Result<Outputs> {
        let source = self.source(sources)?;
        let s = source.ids.len();
        let net = &*self.net;
        let record = |g: &mut Recorder| record_source(net, g, s);
        self.runtime.run_tapped(taps, record, &source.inputs()).await
    }

    fn source(&mut self, sources: &[&[u32]]) -> Result<Step> {
        if !self.info.encoder_decoder {
            return Err(err!(Code::Internal, "this model has no encoder"));
        }
        self.begin(&[])?;
        self.set_own_weights()?;
        let mut step = Step::default();
        let mut bounds = Vec::with_capacity(sources.len());
        for (i, ids) in sources.iter().enumerate() {
            self.check_ids(ids, &format!("source {i}"))?;
            self.check_length(ids.len(), self.info.source_positions, &format!("source {i}"))?;
            let first = step.ids.len() as u32;
            let bound = [first, first + ids.len() as u32];
            step.ids.extend_from_slice(ids);
            step.positions.extend(0..ids.len() as u32);
            ids.iter().for_each(|_| step.spans.extend(bound));
            bounds.push(bound);
        }
        if step.ids.is_empty() {
            return Err(err!(Code::Input, "nothing to encode"));
        }
        let real = step.ids.len();
        if self.runtime.is_gpu() {
            let padded = real.next_multiple_of(STEP);
            step.ids.resize(padded, 0);
            step.positions.extend(0..(padded - real) as u32);
            (real..padded).for_each(|_| step.spans.extend([real as u32, padded as u32]));
        }
        self.sources = bounds;
        Ok(step)
    }

    /// Forgets all texts; lane i is new and empty and writes about source `sources[i]` (which
    /// decoders alone ignore).
    pub fn begin(&mut self, sources: &[usize]) -> Result<()> {
        if self.info.encoder_decoder {
            if let Some(source) = sources.iter().find(|s| **s >= self.sources.len()) {
                let known = self.sources.len();
                return Err(err!(Code::Internal, "source {source} of {known}"));
            }
        }
        self.lanes.begin(sources);
        Ok(())
    }

    /// The new lane i continues the old lane `parents[i]`; lanes may so be copied and dropped. No
    /// keys move.
    pub fn fork(&mut self, parents: &[u32]) -> Result<()> {
        self.lanes.fork(parents)
    }

    /// Lane `i` forgets all but its first `len` tokens.
    pub fn truncate(&mut self, i: usize, len: usize) {
        self.lanes.truncate(i, len);
    }

    /// Whether the lanes can go on with [`Feed::Chosen`] while the last run is still under way.
    pub fn can_run_ahead(&self) -> bool {
        self.runtime.is_gpu() && self.lanes() <= EXACT
    }

    /// Lanes there are.
    pub fn lanes(&self) -> usize {
        self.lanes.count()
    }

    /// Tokens that lane `i` has read.
    pub fn len(&self, i: usize) -> usize {
        self.lanes.len(i)
    }

    /// Whether there are no lanes.
    pub fn is_empty(&self) -> bool {
        self.lanes.count() == 0
    }

    /// Appends tokens to every lane and starts the run.
    ///
    /// # Errors
    /// [`Code::Input`] for unknown tokens and lanes that would grow past the model's positions;
    /// the lanes are then as they were.
    pub fn submit(&mut self, feed: Feed<'_>, want: Want) -> Result<SeqTicket> {
        let before: Vec<usize> = (0..self.lanes()).map(|i| self.len(i)).collect();
        let (ticket, _) = self.start(feed, want, None).inspect_err(|_| {
            before.iter().enumerate().for_each(|(i, len)| self.lanes.truncate(i, *len));
        })?;
        let ticket = ticket.ok_or_else(|| err!(Code::Internal, "nothing was submitted"))?;
        Ok(SeqTicket { ticket, want })
    }

    /// What was wanted of a run.
    pub async fn read(&mut self, ticket: SeqTicket) -> Result<Answer> {
        let mut outputs = self.runtime.read(ticket.ticket).await?;
        Ok(match ticket.want {
            Want::Nothing => Answer::Nothing,
            Want::Logits => Answer::Logits(outputs.take(LOGITS)?),
            Want::Argmax => Answer::Argmax(outputs.take_u32(CHOSEN)?),
            Want::TopK(k) => {
                let packed = outputs.take_u32(TOP)?;
                let floats = |bits: &[u32]| bits.iter().map(|b| f32::from_bits(*b)).collect();
                Answer::TopK(
                    packed
                        .chunks_exact(2 * k + 1)
                        .map(|row| TopK {
                            ids: row[..k].to_vec(),
                            logits: floats(&row[k..2 * k]),
                            log_sum: f32::from_bits(row[2 * k]),
                        })
                        .collect(),
                )
            }
        })
    }

    /// [`SeqModel::submit`] and [`SeqModel::read`].
    pub async fn step(&mut self, feed: Feed<'_>, want: Want) -> Result<Answer> {
        let ticket = self.submit(feed, want)?;
        self.read(ticket).await
    }

    /// One run with inner values read back, and the logits.
    pub async fn step_tapped(&mut self, feed: Feed<'_>, taps: &[&str]) -> Result<Outputs> {
        let (_, tapped) = self.start(feed, Want::Logits, Some(taps))?;
        let (step, sizes) = tapped.ok_or_else(|| err!(Code::Internal, "nothing to tap"))?;
        let net = &*self.net;
        let record = |g: &mut Recorder| record(net, g, sizes, step.chosen, Want::Logits);
        self.runtime.run_tapped(taps, record, &step.inputs()).await
    }

    /// Submits the runs that `feed` takes; with `taps` the last one is left to the caller.
    #[allow(clippy::type_complexity)]
    fn start(
        &mut self,
        feed: Feed<'_>,
        want: Want,
        taps: Option<&[&str]>,
    ) -> Result<(Option<Ticket>, Option<(Step, [usize; 2])>)> {
        let lanes = self.lanes.count();
        let new: Vec<usize> = match feed {
            Feed::Chosen => vec![1; lanes],
            Feed::Ids(ids) => ids.iter().map(|ids| ids.len()).collect(),
        };
        self.set_own_weights()?;
        if lanes == 0 || new.len() != lanes {
            return Err(err!(Code::Internal, "tokens for {} lanes of {lanes}", new.len()));
        }
        if let Want::TopK(k) = want {
            let most = self.info.vocab.min(MOST_BEST);
            if k == 0 || k > most {
                return Err(err!(Code::Internal, "the best {k} tokens, of at most {most}"));
            }
        }
        for (i, new) in new.iter().enumerate() {
            let what = format!("text {i}");
            self.check_length(self.lanes.len(i) + new, self.info.positions, &what)?;
            if let Feed::Ids(ids) = feed {
                self.check_ids(ids[i], &what)?;
            }
        }
        // Runs of up to CHUNK tokens; lanes are cut where a run is full.
        let mut done = vec![0; lanes];
        loop {
            let mut step = Step { chosen: matches!(feed, Feed::Chosen), ..Step::default() };
            let left: usize = new.iter().zip(&done).map(|(n, d)| n - d).sum();
            // the last tokens of all lanes go together, in the last run
            let last = left <= CHUNK.max(lanes);
            let mut budget = if last { left } else { CHUNK.min(left - lanes) };
            for i in 0..lanes {
                let rest = new[i] - done[i];
                let count = if last { rest } else { (rest - 1).min(budget) };
                budget -= count;
                if count == 0 {
                    continue;
                }
                let (past, source) = (self.lanes.len(i), self.lanes.source(i));
                self.lanes.grow(i, count);
                if let Feed::Ids(ids) = feed {
                    step.ids.extend_from_slice(&ids[i][done[i]..done[i] + count]);
                }
                for t in 0..count {
                    step.positions.push((past + t) as u32);
                    step.spans.extend([0, past as u32, t as u32 + 1]);
                    if self.info.encoder_decoder {
                        step.sources.extend(self.sources[source]);
                    }
                }
                // lanes may move in the table until the last has grown
                step.rows.push(i as u32);
                done[i] += count;
            }
            let mut lane_of = std::mem::take(&mut step.rows).into_iter();
            let mut lane = 0;
            for (t, span) in step.spans.chunks_exact_mut(3).enumerate() {
                if span[2] == 1 {
                    lane = lane_of.next().unwrap_or(0) as usize;
                    if t > 0 && last {
                        step.rows.push(t as u32 - 1);
                    }
                }
                span[0] = self.lanes.start(lane) as u32;
            }
            let m = step.positions.len();
            if last {
                step.rows.push(m as u32 - 1);
            }
            let want = if last { want } else { Want::Nothing };
            let sizes = self.fill(&mut step, m)?;
            if last && taps.is_some() {
                return Ok((None, Some((step, sizes))));
            }
            let (net, chosen) = (&*self.net, step.chosen);
            let record = |g: &mut Recorder| record(net, g, sizes, chosen, want);
            let ticket = self.runtime.submit(key(sizes, chosen, want), record, &step.inputs())?;
            if last {
                return Ok((Some(ticket), None));
            }
        }
    }

    /// Fills a step up to what plans are made for, makes room for it in the caches and tells the
    /// device where rows are. Returns M and R.
    fn fill(&mut self, step: &mut Step, m: usize) -> Result<[usize; 2]> {
        let padded = if self.runtime.is_gpu() && m > EXACT { m.next_multiple_of(STEP) } else { m };
        if !step.chosen {
            step.ids.resize(padded, 0);
        }
        if padded > m && step.chosen {
            return Err(err!(Code::Input, "{m} texts at once on a GPU: {EXACT} at most"));
        }
        step.positions.resize(padded, 0);
        (m..padded).for_each(|_| step.spans.extend([0, 0, 1]));
        if self.info.encoder_decoder {
            (m..padded).for_each(|_| step.sources.extend([0, 1]));
        }
        if self.lanes.rows() > self.room {
            let rows = self.lanes.rows().next_power_of_two().max(ROWS);
            let (layers, width) = self.net.cache();
            for layer in 0..layers {
                self.runtime.reserve(&format!("kv.{layer}"), DType::F32, rows * width)?;
            }
            self.room = rows;
        }
        if let Some((at, entries)) = self.lanes.table() {
            self.runtime.write_state(TABLE, at, HostValue::U32(entries))?;
        }
        Ok([padded, step.rows.len()])
    }

    fn check_ids(&self, ids: &[u32], what: &str) -> Result<()> {
        if ids.is_empty() {
            return Err(err!(Code::Input, "{what} has no tokens"));
        }
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.info.vocab) {
            let vocab = self.info.vocab;
            let error = err!(Code::Input, "{what} holds the token {id}, the model knows {vocab}");
            return Err(error.remedy("the tokenizer belongs to another model"));
        }
        Ok(())
    }

    fn check_length(&self, len: usize, most: Option<usize>, what: &str) -> Result<()> {
        match most {
            Some(most) if len > most => {
                let error = err!(Code::Input, "{what} has {len} tokens, the model reads {most}");
                Err(error.remedy("shorten it, or generate fewer tokens"))
            }
            _ => Ok(()),
        }
    }
}

fn optional(manifest: &Manifest) -> Vec<(WeightId, usize)> {
    let weights = manifest.weights.iter().enumerate().filter(|(_, w)| w.optional);
    weights.map(|(id, w)| (WeightId(id as u32), w.rows)).collect()
}

/// The most that [`Want::TopK`] finds.
pub const MOST_BEST: usize = crate::ops::top_k::MOST;

const LOGITS: &str = "logits";
const CHOSEN: &str = "chosen";
const TOP: &str = "top";
const TABLE: &str = "table";

fn source_key(s: usize) -> PlanKey {
    [s, 0, 0, usize::MAX]
}

fn key([m, r]: [usize; 2], chosen: bool, want: Want) -> PlanKey {
    let want = match want {
        Want::Nothing => 0,
        Want::Logits => 1,
        Want::Argmax => 2,
        Want::TopK(k) => 2 + k,
    };
    [m, r, usize::from(chosen), want]
}

fn record_source(net: &dyn SeqNet, g: &mut Recorder, s: usize) {
    let x = SourceInputs {
        ids: g.input("ids", [s], DType::U32),
        positions: g.input("positions", [s], DType::U32),
        segments: g.input("spans", [s, 2], DType::U32),
    };
    net.encode(g, &x);
}

fn record(net: &dyn SeqNet, g: &mut Recorder, [m, r]: [usize; 2], chosen: bool, want: Want) {
    let ids =
        if chosen { g.state(CHOSEN, [m], DType::U32) } else { g.input("ids", [m], DType::U32) };
    let positions = g.input("positions", [m], DType::U32);
    let spans = g.input("spans", [m, 3], DType::U32);
    let table = g.state(TABLE, [1], DType::U32);
    let encoder_decoder = net.info().encoder_decoder;
    let sources = encoder_decoder.then(|| g.input("sources", [m, 2], DType::U32));
    let rows = (r != m && want != Want::Nothing).then(|| g.input("rows", [r], DType::U32));
    let x = StepInputs { ids, positions, spans, table, sources, rows };
    let h = net.decode(g, &x); // [M, H]
    if want == Want::Nothing {
        return;
    }
    let h = x.last(g, h); // [R, H]
    let logits = net.head(g, h); // [R, V]
    match want {
        Want::Nothing => {}
        Want::Logits => g.output(LOGITS, logits),
        Want::Argmax => {
            let chosen = g.argmax(logits); // [R]
            let chosen = g.keep(CHOSEN, chosen);
            g.output(CHOSEN, chosen);
        }
        Want::TopK(k) => {
            let top = g.top_k(logits, k); // [R, 2k + 1]
            g.output(TOP, top);
        }
    }
}

impl Step {
    fn inputs(&self) -> [(&'static str, HostValue<'_>); 5] {
        [
            ("ids", HostValue::U32(&self.ids)),
            ("positions", HostValue::U32(&self.positions)),
            ("spans", HostValue::U32(&self.spans)),
            ("sources", HostValue::U32(&self.sources)),
            ("rows", HostValue::U32(&self.rows)),
        ]
    }
}
