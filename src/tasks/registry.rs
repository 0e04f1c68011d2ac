//! The tasks, the family that serves each, and the checkpoints that it needs.

use super::family::Kind;
use crate::error::Result;
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
    AutomaticSpeechRecognition,
    AudioClassification,
    AudioFeatureExtraction,
    ImageClassification,
    ObjectDetection,
    ImageSegmentation,
    DepthEstimation,
    ImageFeatureExtraction,
    TextGeneration,
    Text2TextGeneration,
    Summarization,
    Translation,
}

struct Row {
    task: Task,
    /// The first is the task's name, the others are aliases.
    ids: &'static [&'static str],
    kind: Kind,
    /// Ends of the class names in `architectures` whose checkpoints hold what the task needs.
    classes: &'static [&'static str],
    /// What the task needs is in every checkpoint of the family.
    any: bool,
}

const fn row(
    task: Task,
    ids: &'static [&'static str],
    kind: Kind,
    classes: &'static [&'static str],
) -> Row {
    Row { task, ids, kind, classes, any: false }
}

/// The first task of a class is what its checkpoints were made for.
const TASKS: &[Row] = &[
    // Before the texts', whose class names end alike.
    row(
        Task::AutomaticSpeechRecognition,
        &["automatic-speech-recognition", "asr"],
        Kind::Audio,
        &["ForCTC"],
    ),
    row(
        Task::AudioClassification,
        &["audio-classification"],
        Kind::Audio,
        &[
            "Wav2Vec2ForSequenceClassification",
            "HubertForSequenceClassification",
            "WavLMForSequenceClassification",
        ],
    ),
    Row {
        any: true,
        ..row(
            Task::AudioFeatureExtraction,
            &["audio-feature-extraction"],
            Kind::Audio,
            &[
                "Wav2Vec2Model",
                "HubertModel",
                "Wav2Vec2ForPreTraining",
                "ForAudioFrameClassification",
            ],
        )
    },
    row(
        Task::TextClassification,
        &["text-classification", "sentiment-analysis"],
        Kind::Text,
        &["ForSequenceClassification"],
    ),
    row(
        Task::ZeroShotClassification,
        &["zero-shot-classification"],
        Kind::Text,
        &["ForSequenceClassification"],
    ),
    row(
        Task::TokenClassification,
        &["token-classification", "ner"],
        Kind::Text,
        &["ForTokenClassification"],
    ),
    row(Task::QuestionAnswering, &["question-answering"], Kind::Text, &["ForQuestionAnswering"]),
    row(Task::FillMask, &["fill-mask"], Kind::Text, &["ForMaskedLM", "ForPreTraining"]),
    row(
        Task::NextSentencePrediction,
        &["next-sentence-prediction"],
        Kind::Text,
        &["ForNextSentencePrediction", "ForPreTraining"],
    ),
    row(
        Task::TextGeneration,
        &["text-generation"],
        Kind::Generation,
        &["LMHeadModel", "ForCausalLM"],
    ),
    row(
        Task::Text2TextGeneration,
        &["text2text-generation"],
        Kind::Generation,
        &["ForConditionalGeneration", "MTModel"],
    ),
    row(
        Task::Summarization,
        &["summarization"],
        Kind::Generation,
        &["ForConditionalGeneration", "MTModel"],
    ),
    row(
        Task::Translation,
        &["translation"],
        Kind::Generation,
        &["ForConditionalGeneration", "MTModel"],
    ),
    Row {
        any: true,
        ..row(
            Task::FeatureExtraction,
            &["feature-extraction", "embeddings"],
            Kind::Text,
            &["Model"],
        )
    },
    row(
        Task::ImageClassification,
        &["image-classification"],
        Kind::Vision,
        &["ForImageClassification", "ForImageClassificationWithTeacher"],
    ),
    row(Task::ObjectDetection, &["object-detection"], Kind::Vision, &["ForObjectDetection"]),
    row(
        Task::ImageSegmentation,
        &["image-segmentation"],
        Kind::Vision,
        &["ForSegmentation", "ForSemanticSegmentation", "ForUniversalSegmentation"],
    ),
    row(Task::DepthEstimation, &["depth-estimation"], Kind::Vision, &["ForDepthEstimation"]),
    // After text's own: that a checkpoint is of the bare model does not say of which kind.
    Row {
        any: true,
        ..row(Task::ImageFeatureExtraction, &["image-feature-extraction"], Kind::Vision, &["Model"])
    },
];

/// Whether `architecture` ends as one of the row's classes does.
fn serves(row: &Row, architecture: &str) -> bool {
    row.classes.iter().any(|class| architecture.ends_with(class))
}

/// The task that a checkpoint of `architecture` was made for; feature extraction, which needs no
/// head, where that says nothing.
pub fn task_of(architecture: &str) -> Task {
    let row = TASKS.iter().find(|row| serves(row, architecture));
    row.map_or(Task::FeatureExtraction, |row| row.task)
}

impl Task {
    /// The task called `id`; aliases count.
    pub fn from_id(id: &str) -> Result<Self> {
        // translation_en_to_fr is translation; the caller passes the languages as options.
        let pair = id.strip_prefix("translation_").and_then(|pair| pair.split_once("_to_"));
        let id = if pair.is_some_and(|(a, b)| !a.is_empty() && !b.is_empty()) {
            "translation"
        } else {
            id
        };
        let known = TASKS.iter().find(|row| row.ids.contains(&id));
        known.map(|row| row.task).ok_or_else(|| {
            let ids: Vec<&str> = TASKS.iter().map(|row| row.ids[0]).collect();
            err!(Code::Unsupported, "there is no task {id:?}")
                .remedy(format!("tasks: {}", ids.join(", ")))
        })
    }

    fn row(self) -> &'static Row {
        // The table has a row for every task: a test looks.
        TASKS.iter().find(|row| row.task == self).unwrap_or(&TASKS[0])
    }

    /// The task's name.
    pub fn id(self) -> &'static str {
        self.row().ids[0]
    }

    /// The family that serves it.
    pub fn kind(self) -> Kind {
        self.row().kind
    }

    /// Whether a checkpoint whose config.json lists `architectures` can serve the task.
    ///
    /// A checkpoint that lists nothing, or classes unknown here, is taken at its word: missing
    /// tensors will tell. Otherwise the error says what the checkpoint is for.
    pub fn check<S: AsRef<str>>(self, architectures: &[S]) -> Result<()> {
        let row = self.row();
        let known = |architecture: &str| TASKS.iter().any(|row| serves(row, architecture));
        let fits = |a: &S| serves(row, a.as_ref()) || !known(a.as_ref());
        let Some(other) = architectures.first() else { return Ok(()) };
        if row.any || architectures.iter().any(fits) {
            return Ok(());
        }
        let other = other.as_ref();
        let ids: Vec<&str> =
            TASKS.iter().filter(|row| serves(row, other)).map(|row| row.ids[0]).collect();
        let error = err!(Code::Unsupported, "{} needs another checkpoint than {other}", self.id());
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
        for row in TASKS {
            assert_eq!(Task::from_id(row.ids[0]).unwrap(), row.task);
            assert_eq!(row.task.id(), row.ids[0], "one row for each task");
        }
        // Not in the table only if somebody forgot it: the last of the enum is.
        assert_eq!(TASKS.len(), Task::Translation as usize + 1);
        assert_eq!(Task::from_id("ner").unwrap(), Task::TokenClassification);
        assert!(Task::from_id("no-such-task").unwrap_err().remedy.contains("fill-mask"));
    }

    #[test]
    fn another_head_is_refused_with_the_task_it_serves() {
        let error = Task::TextClassification.check(&["BertForMaskedLM"]).unwrap_err();
        assert_eq!(error.code, Code::Unsupported);
        assert!(error.message.contains("BertForMaskedLM"), "{error}");
        assert!(error.remedy.contains("fill-mask"), "{error}");
        assert!(Task::FillMask.check(&["BertForPreTraining"]).is_ok());
        assert!(Task::FeatureExtraction.check(&["BertForMaskedLM"]).is_ok());
        assert!(Task::FillMask.check::<&str>(&[]).is_ok());
        assert!(Task::FillMask.check(&["MyBert"]).is_ok());
        let bare = Task::FillMask.check(&["BertModel"]).unwrap_err();
        assert!(bare.remedy.contains("feature-extraction"), "{bare}");
        assert_eq!(task_of("BertForPreTraining"), Task::FillMask);
        assert_eq!(task_of("BertModel"), Task::FeatureExtraction);
    }
}
