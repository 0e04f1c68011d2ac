//! The model as tasks see it, and how a task's sequences become runs.

use std::future::Future;

use crate::error::Result;
use crate::models::{Head, Pooling};
use crate::preprocess::batch::{self, Limits, RUN_TOKENS};
use crate::preprocess::{Batch, Encoding, Sequence, Tokenizer, Truncate};
use crate::tasks::AbortHandle;
use crate::{err, Code};

/// Vocabulary logits read back per run at most, in numbers (64 MB): a text full of masks is cut
/// into several runs.
const RUN_LOGITS: usize = 1 << 24;

/// What tasks know of a model.
#[derive(Debug, Clone)]
pub struct Info {
    /// `architectures[0]` of config.json, for error messages.
    pub architecture: String,
    pub head: Head,
    /// `id2label` of config.json in id order.
    pub labels: Vec<String>,
    pub problem_type: Option<String>,
    pub hidden: usize,
    pub limits: Limits,
    /// The device wants few distinct sizes: batches are padded.
    pub padded: bool,
}

/// A text model on its device.
pub trait Encoder {
    fn info(&self) -> Info;

    /// Runs one ragged batch. The output, row by row:
    ///
    /// - a sequence, next-sentence or masked head: logits `[R, L]` of the batch's rows;
    /// - a token or question head: logits `[M, L]` of every token;
    /// - the bare encoder: hidden states `[M, H]`, `[B, H]` or `[B, H]` as `batch.pooling` says.
    fn run(&mut self, batch: &Batch) -> impl Future<Output = Result<Vec<f32>>>;

    /// Lets the host's event loop turn between two runs, so that an abort can arrive.
    fn pause(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// What the rows of a model's output stand for.
#[derive(Clone, Copy)]
enum Unit {
    Row,
    Token,
    Sequence,
}

fn unit(head: Head, pooling: Pooling) -> Unit {
    match (head, pooling) {
        (Head::Sequence | Head::NextSentence | Head::Masked, _) => Unit::Row,
        (Head::Token | Head::Question, _) | (Head::Encoder, Pooling::None) => Unit::Token,
        (Head::Encoder, Pooling::Mean | Pooling::Cls) => Unit::Sequence,
    }
}

/// One call of a pipeline: what tasks need to tokenize and run.
pub(super) struct Call<'a, E> {
    pub encoder: &'a mut E,
    pub tokenizer: &'a Tokenizer,
    pub info: &'a Info,
    pub abort: &'a AbortHandle,
    /// Sequences of a run at most.
    pub batch_size: Option<usize>,
}

impl<E: Encoder> Call<'_, E> {
    /// Encodes a text or a pair; cut to the model's length where `truncation` says so.
    pub fn encode(&self, text: &str, pair: Option<&str>, truncation: bool) -> Result<Encoding> {
        if truncation {
            let most = self.tokenizer.max_length();
            self.tokenizer.truncated(text, pair, Truncate::LongestFirst, most)
        } else {
            self.tokenizer.encode(text, pair)
        }
    }

    /// Runs `sequences` in their order, several at a time, and hands each one's output
    /// (`[rows, L]`, `[tokens, L]` or `[H]`) to `sink` with its index.
    ///
    /// `texts` says which of the caller's texts a sequence belongs to, for error messages.
    pub async fn run(
        &mut self,
        sequences: &[Sequence],
        texts: impl Fn(usize) -> usize,
        pooling: Pooling,
        mut sink: impl FnMut(usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let count = sequences.len();
        let text_count = count.checked_sub(1).map_or(0, |last| texts(last) + 1);
        for (i, sequence) in sequences.iter().enumerate() {
            batch::check(sequence, self.info.limits, texts(i), text_count)?;
        }
        let unit = unit(self.info.head, pooling);
        let most = self.batch_size.unwrap_or(usize::MAX).max(1);
        let width = if self.info.head == Head::Masked { self.info.limits.vocab } else { 1 };
        let mut next = 0;
        while next < count {
            self.abort.check()?;
            let first = next;
            let mut batch = Batch::new(pooling);
            while let Some(sequence) = sequences.get(next) {
                let full = batch.tokens + sequence.ids.len() > RUN_TOKENS
                    || (batch.head_rows + sequence.rows.len()) * width > RUN_LOGITS
                    || batch.sequences >= most;
                if full && batch.sequences > 0 {
                    break;
                }
                batch.push(sequence);
                next += 1;
            }
            let real = match unit {
                Unit::Row => batch.head_rows,
                Unit::Token => batch.tokens,
                Unit::Sequence => batch.sequences,
            };
            if self.info.padded {
                let pad = self.tokenizer.special().pad.unwrap_or(0);
                batch.pad(if (pad as usize) < self.info.limits.vocab { pad } else { 0 });
            }
            let rows = match unit {
                Unit::Row => batch.rows.len(),
                Unit::Token => batch.ids.len(),
                Unit::Sequence => batch.bounds.len() / 2,
            };
            if real == 0 {
                continue;
            }
            let output = self.encoder.run(&batch).await?;
            let question = self.info.head == Head::Question;
            if output.is_empty() || output.len() % rows != 0 || question && output.len() != 2 * rows
            {
                let got = output.len();
                return Err(err!(
                    Code::Internal,
                    "the model returned {got} numbers for {rows} rows"
                ));
            }
            let width = output.len() / rows;
            if output[..real * width].iter().any(|x| x.is_nan()) {
                let error = err!(Code::NonFinite, "the model's output is not a number");
                return Err(error.remedy("try dtype 'fp32': the weights may overflow in less"));
            }
            let mut at = 0;
            for (i, sequence) in sequences[first..next].iter().enumerate() {
                let rows = match unit {
                    Unit::Row => sequence.rows.len(),
                    Unit::Token => sequence.ids.len(),
                    Unit::Sequence => 1,
                };
                sink(first + i, &output[at * width..(at + rows) * width])?;
                at += rows;
            }
            if next < count {
                self.encoder.pause().await;
            }
        }
        self.abort.check()
    }
}

/// A sequence whose head looks at every token.
pub(super) fn all_tokens(encoding: &Encoding) -> Sequence {
    let (ids, type_ids) = (encoding.ids.clone(), encoding.type_ids.clone());
    Sequence { ids, type_ids, rows: Vec::new() }
}

/// How many rows of a masked head fit in one run.
pub(super) fn masks_per_run(vocab: usize) -> usize {
    (RUN_LOGITS / vocab.max(1)).max(1)
}

/// A sequence whose head looks at its first token.
pub(super) fn sequence(encoding: Encoding) -> Sequence {
    Sequence { ids: encoding.ids, type_ids: encoding.type_ids, rows: vec![0] }
}
