//! The model as `generate` drives it.
//!
//! A run starts with no texts, or with those that the last one left ([`Lanes::end`]); one that failed
//! or was stopped leaves none.

use crate::error::Result;
use crate::generate::{Model, Next, Prompt};
use crate::models::{Answer, Feed, SeqModel, SeqTicket, Want};

pub struct Lanes<'a> {
    model: &'a mut SeqModel,
    /// The tokens of each lane.
    texts: Vec<Vec<u32>>,
    /// A step that reads what the last one chose, begun before that was known here.
    ahead: Option<SeqTicket>,
}

impl<'a> Lanes<'a> {
    pub fn new(model: &'a mut SeqModel) -> Self {
        Lanes { model, texts: Vec::new(), ahead: None }
    }

    /// Goes on from the texts that [`Lanes::end`] gave: a prompt that begins as one of them is only
    /// read from where it differs.
    pub fn after(model: &'a mut SeqModel, texts: Vec<Vec<u32>>) -> Self {
        Lanes { model, texts, ahead: None }
    }

    /// The texts whose keys the model keeps.
    pub fn end(mut self) -> Vec<Vec<u32>> {
        if self.ahead.take().is_some() {
            self.back();
        }
        self.texts
    }

    /// Takes up, for each prompt, what it has in common with a text that is there; how many tokens.
    fn resume(&mut self, prompts: &[Prompt]) -> Result<Vec<usize>> {
        let texts = std::mem::take(&mut self.texts);
        let mut parents = Vec::with_capacity(prompts.len());
        let mut known = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            // the last token is read in any case: scores come of it
            let (_, ids) = prompt.ids.split_last().unwrap_or((&0, &[]));
            let common = |text: &Vec<u32>| text.iter().zip(ids).take_while(|(a, b)| a == b).count();
            let best = texts.iter().map(common).enumerate().max_by_key(|(_, common)| *common);
            let (parent, common) = best.unwrap_or_default();
            parents.push(parent as u32);
            known.push(common);
        }
        if known.iter().all(|common| *common == 0) || texts.len() != self.model.lanes() {
            self.model.begin(&(0..prompts.len()).collect::<Vec<_>>())?;
            return Ok(vec![0; prompts.len()]);
        }
        self.model.fork(&parents)?;
        known.iter().enumerate().for_each(|(i, common)| self.model.truncate(i, *common));
        Ok(known)
    }

    /// Every lane forgets its last token.
    fn back(&mut self) {
        for i in 0..self.model.lanes() {
            self.model.truncate(i, self.model.len(i) - 1);
        }
    }

    /// Begins the step after `ticket` where it may, then reads `ticket`.
    async fn answer(&mut self, ticket: SeqTicket, next: Next) -> Result<Answer> {
        let most = self.model.info().positions.unwrap_or(usize::MAX);
        let room = (0..self.model.lanes()).all(|i| self.model.len(i) < most);
        // A CPU computes a step when it is submitted: nothing is gained, and the last is lost.
        if next.ahead && next.want == Want::Argmax && room && self.model.can_run_ahead() {
            self.ahead = Some(self.model.submit(Feed::Chosen, Want::Argmax)?);
        }
        self.model.read(ticket).await
    }
}

impl Model for Lanes<'_> {
    fn vocab(&self) -> usize {
        self.model.info().vocab
    }

    async fn start(&mut self, prompts: &[Prompt], next: Next) -> Result<Answer> {
        let sources: Vec<&[u32]> = prompts.iter().filter_map(|p| p.source.as_deref()).collect();
        if !sources.is_empty() {
            self.texts.clear(); // their decoder's keys are of another source
            self.model.encode(&sources).await?;
        }
        let known = self.resume(prompts)?;
        let ids: Vec<&[u32]> = prompts.iter().zip(known).map(|(p, n)| &p.ids[n..]).collect();
        self.texts = prompts.iter().map(|p| p.ids.clone()).collect();
        let ticket = self.model.submit(Feed::Ids(&ids), next.want)?;
        self.answer(ticket, next).await
    }

    async fn step(&mut self, parents: &[u32], tokens: &[u32], next: Next) -> Result<Answer> {
        let same = parents.len() == self.model.lanes()
            && parents.iter().enumerate().all(|(i, parent)| *parent as usize == i);
        let ticket = match self.ahead.take() {
            Some(ticket) if same && next.want == Want::Argmax => ticket,
            other => {
                if other.is_some() {
                    self.back();
                }
                self.model.fork(parents)?;
                let ids: Vec<&[u32]> = tokens.chunks(1).collect();
                self.model.submit(Feed::Ids(&ids), next.want)?
            }
        };
        if !same {
            let old = std::mem::take(&mut self.texts);
            self.texts = parents.iter().map(|parent| old[*parent as usize].clone()).collect();
        }
        self.texts.iter_mut().zip(tokens).for_each(|(text, token)| text.push(*token));
        self.answer(ticket, next).await
    }

    async fn again(&mut self) -> Result<Answer> {
        if self.ahead.take().is_some() {
            self.back();
        }
        self.back();
        let ids: Vec<&[u32]> = self.texts.iter().map(|ids| &ids[ids.len() - 1..]).collect();
        self.model.step(Feed::Ids(&ids), Want::Logits).await
    }
}
