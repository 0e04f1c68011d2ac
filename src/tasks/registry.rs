//! The tasks, and which models serve them.

use crate::error::Result;
use crate::models::Head;
use crate::{err, Code};

/// A task id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    TextClassification,
    ZeroShotClassification,
    TokenClassification,
    QuestionAnswering,
    FillMask,
    FeatureExtraction,
    NextSentencePrediction,
}

/// A task, its ids (the first is its name, the others are aliases) and the head it needs.
const TASKS: &[(Task, &[&str], Head)] = &[
    (Task::TextClassification, &["text-classification", "sentiment-analysis"], Head::Sequence),
    (Task::ZeroShotClassification, &["zero-shot-classification"], Head::Sequence),
    (Task::TokenClassification, &["token-classification", "ner"], Head::Token),
    (Task::QuestionAnswering, &["question-answering"], Head::Question),
    (Task::FillMask, &["fill-mask"], Head::Masked),
    (Task::FeatureExtraction, &["feature-extraction", "embeddings"], Head::Encoder),
    (Task::NextSentencePrediction, &["next-sentence-prediction"], Head::NextSentence),
];

/// Ends of class names in `architectures`, and the heads that such a checkpoint holds; the first
/// is what it was made for.
const ARCHITECTURES: &[(&str, &[Head])] = &[
    ("ForSequenceClassification", &[Head::Sequence]),
    ("ForTokenClassification", &[Head::Token]),
    ("ForQuestionAnswering", &[Head::Question]),
    ("ForMaskedLM", &[Head::Masked]),
    ("ForPreTraining", &[Head::Masked, Head::NextSentence]),
    ("ForNextSentencePrediction", &[Head::NextSentence]),
    ("Model", &[Head::Encoder]),
];

/// The head that a checkpoint of `architecture` was made for; the bare encoder where that says
/// nothing.
pub fn head_of(architecture: &str) -> Head {
    let row = ARCHITECTURES.iter().find(|(end, _)| architecture.ends_with(end));
    row.map_or(Head::Encoder, |(_, heads)| heads[0])
}

impl Task {
    /// The task called `id`; aliases count.
    pub fn from_id(id: &str) -> Result<Self> {
        let known = TASKS.iter().find(|(_, ids, _)| ids.contains(&id));
        known.map(|(task, ..)| *task).ok_or_else(|| {
            let ids: Vec<&str> = TASKS.iter().map(|(_, ids, _)| ids[0]).collect();
            err!(Code::Unsupported, "there is no task {id:?}")
                .remedy(format!("tasks: {}", ids.join(", ")))
        })
    }

    fn row(self) -> &'static (Task, &'static [&'static str], Head) {
        // The table has a row for every task: a test looks.
        TASKS.iter().find(|(task, ..)| *task == self).unwrap_or(&TASKS[0])
    }

    /// The task's name.
    pub fn id(self) -> &'static str {
        self.row().1[0]
    }

    /// What must sit on top of the encoder.
    pub fn head(self) -> Head {
        self.row().2
    }

    /// The head to load for this task from a checkpoint whose config.json lists `architectures`.
    ///
    /// The bare encoder is in every checkpoint, so feature extraction takes any. A checkpoint
    /// that lists nothing, or classes unknown here, is taken at its word: missing tensors will
    /// tell. Otherwise the error says what the checkpoint is for.
    pub fn check<S: AsRef<str>>(self, architectures: &[S]) -> Result<Head> {
        let wanted = self.head();
        if wanted == Head::Encoder {
            return Ok(wanted);
        }
        let mut others: Vec<(&str, Head)> = Vec::new();
        for architecture in architectures.iter().map(AsRef::as_ref) {
            let row = ARCHITECTURES.iter().find(|(end, _)| architecture.ends_with(end));
            match row {
                None => return Ok(wanted),
                Some((_, heads)) if heads.contains(&wanted) => return Ok(wanted),
                Some((_, heads)) => others.push((architecture, heads[0])),
            }
        }
        let Some((architecture, head)) = others.first() else { return Ok(wanted) };
        let ids: Vec<&str> =
            TASKS.iter().filter(|(.., h)| h == head).map(|(_, ids, _)| ids[0]).collect();
        let error =
            err!(Code::Unsupported, "{} needs another checkpoint than {architecture}", self.id());
        Err(error.remedy(format!(
            "this one is for {}; pick a model with a head for {}",
            ids.join(" and "),
            self.id()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_its_row() {
        use Task::*;
        let all = [
            TextClassification,
            ZeroShotClassification,
            TokenClassification,
            QuestionAnswering,
            FillMask,
            FeatureExtraction,
            NextSentencePrediction,
        ];
        for task in all {
            assert_eq!(Task::from_id(task.id()).unwrap(), task);
        }
        assert_eq!(TASKS.len(), all.len());
        assert_eq!(Task::from_id("ner").unwrap(), TokenClassification);
        assert!(Task::from_id("image-to-text").unwrap_err().remedy.contains("fill-mask"));
    }

    #[test]
    fn another_head_is_refused_with_the_task_it_serves() {
        let error = Task::TextClassification.check(&["BertForMaskedLM"]).unwrap_err();
        assert_eq!(error.code, Code::Unsupported);
        assert!(error.message.contains("BertForMaskedLM"), "{error}");
        assert!(error.remedy.contains("fill-mask"), "{error}");
        assert_eq!(Task::FillMask.check(&["BertForPreTraining"]).unwrap(), Head::Masked);
        assert_eq!(Task::FeatureExtraction.check(&["BertForMaskedLM"]).unwrap(), Head::Encoder);
        assert_eq!(Task::FillMask.check::<&str>(&[]).unwrap(), Head::Masked);
        assert_eq!(Task::FillMask.check(&["MyBert"]).unwrap(), Head::Masked);
        let bare = Task::FillMask.check(&["BertModel"]).unwrap_err();
        assert!(bare.remedy.contains("feature-extraction"), "{bare}");
    }
}
