//! The best token of every frame, repeats collapsed, blanks dropped.

use super::Vocabulary;

/// The best token of each frame and its probability.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Path {
    pub ids: Vec<u32>,
    pub probabilities: Vec<f32>,
}

impl Path {
    /// Appends the frames of logits `[frames, width]`.
    pub fn extend(&mut self, logits: &[f32], width: usize) {
        for frame in logits.chunks_exact(width.max(1)) {
            let best = crate::tasks::scores::argmax(frame);
            let sum: f32 = frame.iter().map(|x| (x - frame[best]).exp()).sum();
            self.ids.push(best as u32);
            self.probabilities.push(1.0 / sum);
        }
    }
}

/// A piece of text and the frames that it was heard in: `start..end`.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub text: String,
    pub start: usize,
    pub end: usize,
    /// Probability of the text, 0 to 1: of a character, the mean over its frames; of a word, the
    /// geometric mean over its characters.
    pub confidence: f32,
}

/// What was heard.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    pub text: String,
    /// Characters, the spaces between words too.
    pub chars: Vec<Span>,
}

/// `Wav2Vec2CTCTokenizer.decode`.
pub fn decode(path: &Path, vocabulary: &Vocabulary) -> Transcript {
    let mut chars: Vec<Span> = Vec::new();
    let mut text = String::new();
    let mut start = 0;
    while start < path.ids.len() {
        let id = vocabulary.canonical(path.ids[start] as usize);
        let rest = path.ids[start..].iter();
        let run = rest.take_while(|&&next| vocabulary.canonical(next as usize) == id).count();
        let end = start + run;
        if !vocabulary.is_blank(id) {
            let sum: f32 = path.probabilities[start..end].iter().sum();
            let token = vocabulary.text(id).to_string();
            text.push_str(&token);
            chars.push(Span { text: token, start, end, confidence: sum / run as f32 });
        }
        start = end;
    }
    Transcript { text: vocabulary.finish(&text), chars }
}

/// Characters to words (`_get_word_offsets`).
pub fn words(chars: &[Span], space: &str) -> Vec<Span> {
    let mut words: Vec<Span> = Vec::new();
    // Sum of logarithms and number of the characters of the word that is open.
    let mut open: Option<(f32, f32)> = None;
    for char in chars {
        if char.text == space {
            open = None;
            continue;
        }
        let log = char.confidence.max(f32::MIN_POSITIVE).ln();
        match (&mut open, words.last_mut()) {
            (Some((sum, n)), Some(word)) => {
                (*sum, *n) = (*sum + log, *n + 1.0);
                word.text.push_str(&char.text);
                word.end = char.end;
                word.confidence = (*sum / *n).exp();
            }
            _ => {
                open = Some((log, 1.0));
                words.push(char.clone());
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::VocabularyFiles;
    use super::*;

    fn vocabulary() -> Vocabulary {
        let vocab = br#"{"<pad>": 3, "|": 1, "A": 2, "B": 0, "<unk>": 4}"#;
        let files = VocabularyFiles { vocab_json: Some(vocab), ..Default::default() };
        Vocabulary::load(&files, 6).unwrap()
    }

    fn path(ids: &[u32]) -> Path {
        Path { ids: ids.to_vec(), probabilities: vec![0.5; ids.len()] }
    }

    #[test]
    fn repeats_collapse_and_blanks_separate() {
        let v = vocabulary();
        let t = decode(&path(&[1, 2, 2, 3, 2, 0, 1, 1, 3, 1, 0, 3]), &v);
        assert_eq!(t.text, "AAB  B");
        let spans: Vec<_> = t.chars.iter().map(|c| (c.text.as_str(), c.start, c.end)).collect();
        let want = [(" ", 0, 1), ("A", 1, 3), ("A", 4, 5), ("B", 5, 6), (" ", 6, 8), (" ", 9, 10)];
        assert_eq!(spans[..6], want);
        let words = words(&t.chars, v.space());
        let words: Vec<_> = words.iter().map(|w| (w.text.as_str(), w.start, w.end)).collect();
        assert_eq!(words, [("AAB", 1, 6), ("B", 10, 11)]);
    }

    /// Id 5 is in no file: it is the unknown token too, and Python groups by text.
    #[test]
    fn ids_of_the_same_text_collapse() {
        let t = decode(&path(&[4, 5, 5, 4]), &vocabulary());
        assert_eq!((t.text.as_str(), t.chars.len()), ("<unk>", 1));
        assert_eq!(decode(&path(&[]), &vocabulary()), Transcript::default());
        assert_eq!(decode(&path(&[3, 3]), &vocabulary()), Transcript::default());
    }

    #[test]
    fn confidence_is_the_geometric_mean_of_characters() {
        let v = vocabulary();
        let mut p = Path::default();
        // softmax of [ln 3, 0, 0, 0 ..] over 4 of 6 entries
        let low = f32::NEG_INFINITY;
        p.extend(&[3f32.ln(), low, 0.0, low, low, low, 0.0, low, 1.0, low, low, low], 6);
        assert_eq!(p.ids, [0, 2]);
        assert!((p.probabilities[0] - 0.75).abs() < 1e-6);
        let word = &words(&decode(&p, &v).chars, " ")[0];
        assert!((word.confidence - (0.75f32 * 0.731_058_6).sqrt()).abs() < 1e-6);
    }
}
