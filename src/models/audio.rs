//! Speech models behind one door: the registry of architectures, the inputs they share, and the
//! model as tasks see it.

use super::wav2vec2;
use crate::checkpoint::{Config, Manifest, Scope};
use crate::error::Result;
use crate::gpu::WeightShape;
use crate::plan::{HostValue, Outputs, Recorder, Runtime, Tensor};
use crate::tensor::{DType, Format};
use crate::{err, Code};

/// What sits on top of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioHead {
    /// Nothing: hidden states per frame.
    Encoder,
    /// Logits of a character per frame (`ForCTC`).
    Ctc,
    /// Logits of the whole utterance (`ForSequenceClassification`).
    Sequence,
    /// Logits of labels per frame (`ForAudioFrameClassification`).
    Frame,
    /// Logits of the quantizer's codewords per frame, all codebooks side by side
    /// (`ForPreTraining`): see [`AudioModel::codes`].
    Quantizer,
}

/// The recorded inputs of one utterance of T samples and F frames. A batch is a sequence of
/// these: no utterance is padded to another's length, which is what Python computes too (its
/// pipelines run one at a time, and where a model masks padding the answers are the same).
#[derive(Debug, Clone, Copy)]
pub struct AudioInputs {
    /// `[T, 1]`, normalised as the feature extractor's config asks for
    pub wave: Tensor,
    /// `[F, 2]`: every frame belongs to frames 0..F
    pub segments: Tensor,
    /// `[1, 2]`: 0 and F
    pub bounds: Tensor,
    /// Frames that the feature extractor computes at a time, so that its first layers, hundreds
    /// of times longer than its last, are never held as a whole.
    pub chunk: usize,
}

/// How a model cuts samples into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Samples that a frame sees.
    pub receptive_field: usize,
    /// Samples from one frame to the next.
    pub hop: usize,
}

/// Where a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// The head's output.
    #[default]
    Head,
    /// The encoder's hidden states, whatever is on top.
    Hidden,
}

/// What a head gives, read back: `[rows, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioOutput {
    /// Frames; 1 for [`AudioHead::Sequence`].
    pub rows: usize,
    /// Labels, characters or hidden channels.
    pub width: usize,
    pub values: Vec<f32>,
}

/// The quantizer's choice: codebook indices per frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes {
    pub frames: usize,
    /// Codebooks.
    pub groups: usize,
    /// `[frames, groups]`, each below the codewords of a codebook
    pub indices: Vec<u32>,
}

/// A model of a known architecture. HuBERT is a Wav2Vec2 by another name.
#[derive(Debug)]
enum Net {
    Wav2Vec2(wav2vec2::Wav2Vec2),
}

impl Net {
    /// The registry: one line per architecture. Returns what the checkpoint must hold.
    fn new(config: &Config, head: AudioHead) -> Result<(Self, Manifest)> {
        let family = match config.model_type()? {
            "wav2vec2" => wav2vec2::WAV2VEC2,
            "hubert" => wav2vec2::HUBERT,
            other => {
                let error = err!(Code::Unsupported, "model_type {other:?} in config.json");
                return Err(error.remedy("speech models known here: wav2vec2, hubert"));
            }
        };
        let root = Scope::root(family, wav2vec2::SKIP);
        let net = wav2vec2::Wav2Vec2::new(config, &root, family, head)?;
        Ok((Net::Wav2Vec2(net), root.manifest()))
    }

    fn net(&self) -> &wav2vec2::Wav2Vec2 {
        let Net::Wav2Vec2(net) = self;
        net
    }
}

/// What the checkpoint of a speech model with `head` must hold.
pub fn audio_manifest(config: &Config, head: AudioHead) -> Result<Manifest> {
    Net::new(config, head).map(|(_, manifest)| manifest)
}

/// A speech model with its weights on a device.
#[derive(Debug)]
pub struct AudioModel {
    net: Net,
    head: AudioHead,
    /// The format the weights came to, once they are loaded.
    pub format: Option<Format>,
    /// Where the weights are and runs happen; the loader fills it.
    pub runtime: Runtime,
    /// Frames that the feature extractor computes at a time, where the choice for the device is
    /// not wanted. The result does not depend on it.
    pub chunk: Option<usize>,
}

/// The name of the head's output.
const OUTPUT: &str = "logits";

/// Frames of one utterance, at most. Attention grows with their square: beyond about five
/// minutes (at 50 frames a second) one run would take gigabytes.
const MAX_FRAMES: usize = 15_000;

impl AudioModel {
    /// Declares the model: what comes back beside it is what its checkpoint must hold.
    pub fn new(config: &Config, head: AudioHead, runtime: Runtime) -> Result<(Self, Manifest)> {
        let (net, manifest) = Net::new(config, head)?;
        Ok((AudioModel { net, head, format: None, runtime, chunk: None }, manifest))
    }

    /// How samples become frames: 400 and 320 for all published models.
    pub fn framing(&self) -> Framing {
        let one = Framing { receptive_field: 1, hop: 1 };
        self.net.net().kernels().fold(one, |f, [kernel, stride]| Framing {
            receptive_field: f.receptive_field + (kernel - 1) * f.hop,
            hop: f.hop * stride,
        })
    }

    /// Frames that `samples` give; 0 where they are fewer than a frame sees.
    pub fn frames(&self, samples: usize) -> usize {
        let Framing { receptive_field, hop } = self.framing();
        samples.checked_sub(receptive_field).map_or(0, |rest| rest / hop + 1)
    }

    /// Compiles what a GPU needs while the weights (their formats and shapes by id) are still on
    /// their way.
    pub fn prepare(&self, weights: &[WeightShape]) -> Result<()> {
        let Framing { receptive_field, hop } = self.framing();
        // few rows and many use different kernels
        for frames in [4, 250] {
            let samples = receptive_field + (frames - 1) * hop;
            self.runtime.prepare(|g| self.record(g, samples), weights)?;
        }
        Ok(())
    }

    /// The head's output for one utterance: samples at the model's rate, normalised as its
    /// feature extractor's config asks for.
    pub async fn run(&mut self, wave: &[f32]) -> Result<AudioOutput> {
        self.run_part(wave, Part::Head).await
    }

    /// The same, or what the head reads.
    pub async fn run_part(&mut self, wave: &[f32], part: Part) -> Result<AudioOutput> {
        let frames = self.check(wave)?;
        let (segments, bounds) = layout(frames);
        let (net, chunk) = (&self.net, self.chunk());
        let record = |g: &mut Recorder| record(net, g, wave.len(), frames, chunk, part);
        let inputs = inputs(wave, &segments, &bounds);
        let key = [wave.len(), part as usize, 0, 0];
        let mut out = self.runtime.run(key, record, &inputs).await?;
        let values = out.take(OUTPUT)?;
        let one = self.head == AudioHead::Sequence && part == Part::Head;
        let rows = if one { 1 } else { frames };
        Ok(AudioOutput { rows, width: values.len() / rows, values })
    }

    pub fn head(&self) -> AudioHead {
        self.head
    }

    /// Codebooks of the quantizer; 0 for other heads.
    pub fn codebooks(&self) -> usize {
        self.net.net().codebooks()
    }

    /// The codebook indices of each frame, of a model with [`AudioHead::Quantizer`].
    pub async fn codes(&mut self, wave: &[f32]) -> Result<Codes> {
        let groups = self.net.net().codebooks();
        if self.head != AudioHead::Quantizer || groups == 0 {
            return Err(err!(Code::Internal, "codes of a model with the head {:?}", self.head));
        }
        let out = self.run(wave).await?;
        let codewords = (out.width / groups).max(1);
        let indices = out.values.chunks_exact(codewords).map(first_largest).collect();
        Ok(Codes { frames: out.rows, groups, indices })
    }

    /// Runs once with inner values read back too, under the names of `transformers`' modules.
    pub async fn run_tapped(&mut self, wave: &[f32], taps: &[&str]) -> Result<Outputs> {
        let frames = self.check(wave)?;
        let (segments, bounds) = layout(frames);
        let (net, chunk) = (&self.net, self.chunk());
        let record = |g: &mut Recorder| record(net, g, wave.len(), frames, chunk, Part::Head);
        self.runtime.run_tapped(taps, record, &inputs(wave, &segments, &bounds)).await
    }

    fn check(&self, wave: &[f32]) -> Result<usize> {
        let frames = self.frames(wave.len());
        if frames == 0 {
            let least = self.framing().receptive_field;
            let error =
                err!(Code::Input, "{} samples of audio are less than one frame", wave.len());
            return Err(error.remedy(format!("pass at least {least} samples")));
        }
        if frames > MAX_FRAMES {
            let error = err!(
                Code::Input,
                "{} samples of audio at once give {frames} frames, more than {MAX_FRAMES}",
                wave.len()
            );
            return Err(error.remedy("set chunk_length_s, or pass shorter pieces"));
        }
        Ok(frames)
    }

    /// On the CPU a chunk's first layers stay in the cache; a GPU wants as much at once as its
    /// smallest binding limit holds.
    fn chunk(&self) -> usize {
        let default = if self.runtime.is_gpu() { 512 } else { 16 };
        self.chunk.unwrap_or(default).max(1)
    }

    fn record(&self, g: &mut Recorder, samples: usize) {
        record(&self.net, g, samples, self.frames(samples), self.chunk(), Part::Head);
    }
}

/// The codeword with the largest logit, the first of equals.
pub fn first_largest(logits: &[f32]) -> u32 {
    let larger = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    (0..logits.len()).fold(0, larger) as u32
}

fn record(net: &Net, g: &mut Recorder, samples: usize, frames: usize, chunk: usize, part: Part) {
    let x = AudioInputs {
        wave: g.input("wave", [samples, 1], DType::F32),
        segments: g.input("segments", [frames, 2], DType::U32),
        bounds: g.input("bounds", [1, 2], DType::U32),
        chunk,
    };
    let out = net.net().forward(g, &x, part);
    g.output(OUTPUT, out);
}

/// The segments and bounds of one utterance.
fn layout(frames: usize) -> (Vec<u32>, [u32; 2]) {
    let bounds = [0, frames as u32];
    (bounds.repeat(frames), bounds)
}

fn inputs<'a>(
    wave: &'a [f32],
    segments: &'a [u32],
    bounds: &'a [u32],
) -> [(&'static str, HostValue<'a>); 3] {
    [
        ("wave", HostValue::F32(wave)),
        ("segments", HostValue::U32(segments)),
        ("bounds", HostValue::U32(bounds)),
    ]
}
