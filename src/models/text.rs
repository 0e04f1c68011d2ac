//! Text encoders behind one door: the registry of architectures, the inputs they share, and the
//! model as tasks see it.

use super::{bart, bert, distilbert};
use crate::checkpoint::{Config, Manifest, Scope};
use crate::error::Result;
use crate::gpu::WeightShape;
use crate::plan::{HostValue, Outputs, Recorder, Runtime, Tensor};
use crate::preprocess::Batch;
use crate::tensor::DType;
use crate::{err, Code};

/// What sits on top of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Head {
    /// Nothing: hidden states.
    Encoder,
    /// Logits per sequence.
    Sequence,
    /// Logits per token.
    Token,
    /// Start and end logits per token.
    Question,
    /// Vocabulary logits at masked tokens.
    Masked,
    /// Whether the second sentence follows the first.
    NextSentence,
}

/// How the bare encoder's hidden states become its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pooling {
    /// Hidden states `[M, H]`.
    #[default]
    None,
    /// The mean over each sequence's tokens, `[B, H]`.
    Mean,
    /// The first token of each sequence, `[B, H]`.
    Cls,
}

/// The recorded inputs of a ragged batch: B sequences, M tokens in all, laid end to end.
#[derive(Debug, Clone, Copy)]
pub struct TextInputs {
    /// `[M]`, each below the vocabulary's size
    pub ids: Tensor,
    /// `[M]`
    pub type_ids: Tensor,
    /// `[M]`, counted from 0 in each sequence
    pub positions: Tensor,
    /// `[M, 2]`: the rows of the token's own sequence
    pub segments: Tensor,
    /// `[R]`: the rows a head looks at (`[CLS]` tokens, masked tokens)
    pub rows: Tensor,
    /// `[B, 2]`: the rows of each sequence
    pub bounds: Tensor,
    pub pooling: Pooling,
}

impl TextInputs {
    /// Records the inputs of a batch of `m` tokens, `r` rows and `b` sequences.
    pub fn new(g: &mut Recorder, m: usize, r: usize, b: usize, pooling: Pooling) -> Self {
        TextInputs {
            ids: g.input("ids", [m], DType::U32),
            type_ids: g.input("type_ids", [m], DType::U32),
            positions: g.input("positions", [m], DType::U32),
            segments: g.input("segments", [m, 2], DType::U32),
            rows: g.input("rows", [r], DType::U32),
            bounds: g.input("bounds", [b, 2], DType::U32),
            pooling,
        }
    }

    /// h `[M, H]` -> `[M, H]` or `[B, H]`.
    pub fn pool(&self, g: &mut Recorder, h: Tensor) -> Tensor {
        match self.pooling {
            Pooling::None => h,
            Pooling::Mean => g.segment_mean(h, self.bounds),
            Pooling::Cls => g.gather_rows(h, self.rows),
        }
    }
}

/// An encoder of a known architecture.
#[derive(Debug)]
enum Net {
    Bert(bert::Bert),
    DistilBert(distilbert::DistilBert),
    Bart(bart::BartClassifier),
}

impl Net {
    /// The registry: one line per architecture. Returns what the checkpoint must hold.
    fn new(config: &Config, head: Head) -> Result<(Self, Manifest)> {
        Ok(match config.model_type()? {
            "bert" => {
                let root = Scope::root(bert::BASE, bert::SKIP);
                (Net::Bert(bert::Bert::new(config, &root, head)?), root.manifest())
            }
            "distilbert" => {
                let root = Scope::root(distilbert::BASE, distilbert::SKIP);
                let net = distilbert::DistilBert::new(config, &root, head)?;
                (Net::DistilBert(net), root.manifest())
            }
            "bart" if head == Head::Sequence => {
                let root = Scope::root(bart::BASE, bart::SKIP);
                (Net::Bart(bart::BartClassifier::new(config, &root)?), root.manifest())
            }
            other => {
                let error = err!(Code::Unsupported, "model_type {other:?} in config.json");
                return Err(
                    error.remedy("text models known here: bert, distilbert; bart as a classifier")
                );
            }
        })
    }

    fn forward(&self, g: &mut Recorder, x: &TextInputs) -> Tensor {
        match self {
            Net::Bert(net) => net.forward(g, x),
            Net::DistilBert(net) => net.forward(g, x),
            Net::Bart(net) => {
                let shifted = g.input("shifted", x.ids.shape, DType::U32);
                net.forward(g, x, shifted)
            }
        }
    }
}

/// What the checkpoint of a text model with `head` must hold.
pub fn text_manifest(config: &Config, head: Head) -> Result<Manifest> {
    Net::new(config, head).map(|(_, manifest)| manifest)
}

/// A text encoder with its weights on a device.
#[derive(Debug)]
pub struct TextModel {
    net: Net,
    /// Where the weights are and runs happen; the loader fills it.
    pub runtime: Runtime,
}

impl TextModel {
    /// Declares the model: what comes back beside it is what its checkpoint must hold.
    pub fn new(config: &Config, head: Head, runtime: Runtime) -> Result<(Self, Manifest)> {
        let (net, manifest) = Net::new(config, head)?;
        Ok((TextModel { net, runtime }, manifest))
    }

    /// H, the width of hidden states.
    pub fn hidden(&self) -> usize {
        match &self.net {
            Net::Bert(net) => net.hidden(),
            Net::DistilBert(net) => net.hidden(),
            Net::Bart(net) => net.hidden(),
        }
    }

    /// Compiles what a GPU needs for a short batch and for a long one, while the weights (their
    /// formats and shapes by id) are still on their way.
    pub fn prepare(&self, weights: &[WeightShape]) -> Result<()> {
        // One token bucket uses the kernels for few rows, sixteen those for many.
        for m in [32, 512] {
            let sizes = [m, 1, 1];
            self.runtime.prepare(|g| record(&self.net, g, sizes, Pooling::None), weights)?;
        }
        Ok(())
    }

    /// The head's output for a batch, row-major: `[R, L]` for heads on sequences and masks,
    /// `[M, L]` for heads on tokens, `[M, H]` or `[B, H]` for the bare encoder.
    pub async fn run(&mut self, batch: &Batch) -> Result<Vec<f32>> {
        let sizes = sizes(batch);
        let (net, pooling) = (&self.net, batch.pooling);
        let record = |g: &mut Recorder| record(net, g, sizes, pooling);
        let key = [sizes[0], sizes[1], sizes[2], pooling as usize];
        let read = Read::new(net, batch);
        self.runtime.run(key, record, &read.inputs(batch)).await?.take(OUTPUT)
    }

    /// Runs once with inner values read back too, under the names of `transformers`' modules.
    pub async fn run_tapped(&mut self, batch: &Batch, taps: &[&str]) -> Result<Outputs> {
        let sizes = sizes(batch);
        let (net, pooling) = (&self.net, batch.pooling);
        let record = |g: &mut Recorder| record(net, g, sizes, pooling);
        let read = Read::new(net, batch);
        self.runtime.run_tapped(taps, record, &read.inputs(batch)).await
    }
}

/// The name of the head's output.
const OUTPUT: &str = "logits";

/// M, R and B.
fn sizes(batch: &Batch) -> [usize; 3] {
    [batch.ids.len(), batch.rows.len(), batch.bounds.len() / 2]
}

fn record(net: &Net, g: &mut Recorder, [m, r, b]: [usize; 3], pooling: Pooling) {
    let x = TextInputs::new(g, m, r, b, pooling);
    let out = net.forward(g, &x);
    g.output(OUTPUT, out);
}

/// What a decoder reads of a batch; empty for encoders.
#[derive(Default)]
struct Read {
    shifted: Vec<u32>,
    ends: Option<Vec<u32>>,
}

impl Read {
    fn new(net: &Net, batch: &Batch) -> Self {
        match net {
            Net::Bart(net) => Read { shifted: net.shifted(batch), ends: Some(net.ends(batch)) },
            _ => Read::default(),
        }
    }

    fn inputs<'a>(&'a self, batch: &'a Batch) -> [(&'static str, HostValue<'a>); 7] {
        [
            ("ids", HostValue::U32(&batch.ids)),
            ("type_ids", HostValue::U32(&batch.type_ids)),
            ("positions", HostValue::U32(&batch.positions)),
            ("segments", HostValue::U32(&batch.segments)),
            ("rows", HostValue::U32(self.ends.as_ref().unwrap_or(&batch.rows))),
            ("bounds", HostValue::U32(&batch.bounds)),
            ("shifted", HostValue::U32(&self.shifted)),
        ]
    }
}
