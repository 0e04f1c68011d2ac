//! Prefix beam search: the texts that most alignments add up to, by words with a language model
//! and hot words. Scores and pruning are those of pyctcdecode, which `transformers` calls.

use std::collections::HashMap;

use super::arpa::{Arpa, Context};
use super::{Span, Vocabulary};

/// pyctcdecode's limits of a frame's log probabilities.
const LEAST: f32 = -34.538_776; // ln 1e-15
/// Letters of a usual word: longer unknown ones cost more.
const WORD: usize = 6;
const LN_10: f64 = std::f64::consts::LN_10;

/// What is searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Prefixes that are kept.
    pub beams: usize,
    /// A prefix this much worse than the best is dropped.
    pub prune_logp: f64,
    /// A token below this is not tried, unless it is its frame's best.
    pub token_min_logp: f32,
    /// Words that count more.
    pub hotwords: Vec<String>,
    pub hotword_weight: f64,
    /// Weight of the language model.
    pub alpha: f64,
    /// Added for each word.
    pub beta: f64,
    /// Added for each unknown word.
    pub unk_score_offset: f64,
    /// Whether a text's begin and end are scored.
    pub score_boundary: bool,
}

/// A text that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    pub text: String,
    pub words: Vec<Span>,
    /// Log of the sum over all alignments that were kept.
    pub logit_score: f64,
    /// The same with the language model and hot words: what texts are ordered by.
    pub score: f64,
    /// This text's share among those that were found.
    pub confidence: f32,
}

/// Log softmax of logits `[frames, width]`, as pyctcdecode clips it.
pub fn log_softmax(logits: &mut [f32], width: usize) {
    for frame in logits.chunks_exact_mut(width.max(1)) {
        let max = frame.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = frame.iter().map(|x| (x - max).exp()).sum();
        frame.iter_mut().for_each(|x| *x = (*x - max - sum.ln()).clamp(LEAST, 0.0));
    }
}

/// A text of whole words: a node of the tree of all texts.
struct Text {
    parent: usize,
    /// The part that became its last word.
    word: usize,
    /// Sum over its words.
    lm: f64,
    hot: f64,
    context: Context,
}

/// The letters since the last space: a node of the tree of all parts.
struct Part {
    text: String,
    score: f64,
}

/// Frames of the words so far, shared between prefixes.
#[derive(Clone, Copy)]
struct Heard {
    before: usize,
    start: usize,
    end: usize,
}

/// pyctcdecode's beam.
#[derive(Clone, Copy)]
struct Beam {
    text: usize,
    /// A word that ended in this frame, 0 for none.
    next: usize,
    part: usize,
    last: Last,
    /// Index of the frames of its words, 0 for none.
    heard: usize,
    /// Frames of the part; no part without a start.
    frames: Option<(usize, usize)>,
    logit: f64,
    score: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Last {
    Nothing,
    Blank,
    Token(usize),
}

struct Searcher<'a> {
    search: &'a Search,
    lm: Option<&'a Arpa>,
    vocabulary: &'a Vocabulary,
    hotwords: Vec<&'a str>,
    texts: Vec<Text>,
    text_ids: HashMap<(usize, usize), usize>,
    parts: Vec<Part>,
    part_ids: HashMap<String, usize>,
    heard: Vec<Heard>,
}

/// The best texts for log probabilities `[frames, vocabulary]`, best first.
pub fn beam_search(
    log_probs: &[f32],
    vocabulary: &Vocabulary,
    lm: Option<&Arpa>,
    search: &Search,
) -> Vec<Hypothesis> {
    let hotwords = search.hotwords.iter().flat_map(|words| words.split_whitespace()).collect();
    let context = lm.map_or_else(Vec::new, |lm| lm.start(search.score_boundary));
    let mut it = Searcher {
        search,
        lm,
        vocabulary,
        hotwords,
        texts: vec![Text { parent: 0, word: 0, lm: 0.0, hot: 0.0, context }],
        text_ids: HashMap::new(),
        parts: vec![Part { text: String::new(), score: 0.0 }],
        part_ids: HashMap::from([(String::new(), 0)]),
        heard: vec![Heard { before: 0, start: 0, end: 0 }],
    };
    let mut beams = vec![Beam {
        text: 0,
        next: 0,
        part: 0,
        last: Last::Nothing,
        heard: 0,
        frames: None,
        logit: 0.0,
        score: 0.0,
    }];
    for (frame, column) in log_probs.chunks_exact(vocabulary.len().max(1)).enumerate() {
        beams = it.step(frame, column, &beams);
    }
    it.finish(beams)
}

impl Searcher<'_> {
    fn step(&mut self, frame: usize, column: &[f32], beams: &[Beam]) -> Vec<Beam> {
        let best = crate::tasks::scores::argmax(column);
        let mut merged = Merged::default();
        for (id, &p) in column.iter().enumerate() {
            if p < self.search.token_min_logp && id != best {
                continue;
            }
            for beam in beams {
                let mut new = self.extend(beam, frame, id);
                new.logit = beam.logit + f64::from(p);
                self.settle(&mut new);
                merged.add(new);
            }
        }
        self.prune(merged.beams)
    }

    /// `beam` with token `id` in `frame`.
    fn extend(&mut self, beam: &Beam, frame: usize, id: usize) -> Beam {
        let id = self.vocabulary.canonical(id);
        let mut new = *beam;
        if self.vocabulary.is_blank(id) {
            new.last = Last::Blank;
        } else if beam.last == Last::Token(id) {
            if let Some((_, end)) = &mut new.frames {
                *end = frame + 1;
            }
        } else if self.vocabulary.text(id) == self.vocabulary.space() {
            new.last = Last::Token(id);
            new.heard = self.hear(beam);
            (new.next, new.part, new.frames) = (beam.part, 0, None);
        } else {
            new.last = Last::Token(id);
            new.part = self.longer(beam.part, id);
            new.frames = Some((beam.frames.map_or(frame, |(start, _)| start), frame + 1));
        }
        new
    }

    /// The frames of the beam's words, the one that is open too.
    fn hear(&mut self, beam: &Beam) -> usize {
        match beam.frames {
            Some((start, end)) if beam.part != 0 => {
                self.heard.push(Heard { before: beam.heard, start, end });
                self.heard.len() - 1
            }
            _ => beam.heard,
        }
    }

    /// The part `part` with one more token.
    fn longer(&mut self, part: usize, id: usize) -> usize {
        let text = format!("{}{}", self.parts[part].text, self.vocabulary.text(id));
        if let Some(&known) = self.part_ids.get(&text) {
            return known;
        }
        let score = self.part_score(&text);
        self.parts.push(Part { text: text.clone(), score });
        self.part_ids.insert(text, self.parts.len() - 1);
        self.parts.len() - 1
    }

    /// What an unfinished word is worth: its share of a hot word, or what it costs to be unknown.
    fn part_score(&self, part: &str) -> f64 {
        let letters = part.chars().count() as f64;
        let longer = self.hotwords.iter().filter(|word| word.starts_with(part));
        if let Some(shortest) = longer.map(|word| word.chars().count()).min() {
            return self.search.hotword_weight * letters / shortest as f64;
        }
        match self.lm {
            Some(lm) if !lm.begins(part) => {
                self.search.unk_score_offset * (letters / WORD as f64).max(1.0)
            }
            _ => 0.0,
        }
    }

    /// Joins a word that ended to the beam's text and scores it.
    fn settle(&mut self, beam: &mut Beam) {
        if beam.next != 0 {
            beam.text = self.longer_text(beam.text, beam.next);
            beam.next = 0;
        }
    }

    fn longer_text(&mut self, text: usize, word: usize) -> usize {
        if let Some(&known) = self.text_ids.get(&(text, word)) {
            return known;
        }
        let hot = self.hotwords.contains(&self.parts[word].text.as_str());
        let (lm, context) = self.word_score(text, &self.parts[word].text, false);
        let parent = &self.texts[text];
        self.texts.push(Text {
            parent: text,
            word,
            lm: parent.lm + lm,
            hot: parent.hot + if hot { self.search.hotword_weight } else { 0.0 },
            context,
        });
        self.text_ids.insert((text, word), self.texts.len() - 1);
        self.texts.len() - 1
    }

    /// What the language model says of `word` after `text`.
    fn word_score(&self, text: usize, word: &str, last: bool) -> (f64, Context) {
        let Some(lm) = self.lm else { return (0.0, Context::new()) };
        let search = self.search;
        let (score, context) = lm.score(&self.texts[text].context, word);
        let mut score = f64::from(score);
        if !lm.knows(word) {
            score += search.unk_score_offset;
        }
        if last && search.score_boundary {
            score += f64::from(lm.score(&context, "</s>").0);
        }
        (search.alpha * score * LN_10 + search.beta, context)
    }

    fn prune(&self, mut beams: Vec<Beam>) -> Vec<Beam> {
        for beam in &mut beams {
            let text = &self.texts[beam.text];
            beam.score = beam.logit + text.lm + text.hot + self.parts[beam.part].score;
        }
        self.best(beams)
    }

    fn best(&self, mut beams: Vec<Beam>) -> Vec<Beam> {
        let best = beams.iter().map(|beam| beam.score).fold(f64::NEG_INFINITY, f64::max);
        beams.retain(|beam| beam.score >= best + self.search.prune_logp);
        beams.sort_by(|a, b| b.score.total_cmp(&a.score));
        beams.truncate(self.search.beams);
        beams
    }

    fn finish(mut self, beams: Vec<Beam>) -> Vec<Hypothesis> {
        let mut merged = Merged::default();
        // The text before its last word, which is scored anew with the end of the text.
        let mut before = HashMap::new();
        for beam in beams {
            let mut new = Beam { heard: self.hear(&beam), last: Last::Nothing, ..beam };
            (new.next, new.part, new.frames) = (beam.part, 0, None);
            self.settle(&mut new);
            before.insert(new.text, (beam.text, beam.part));
            merged.add(new);
        }
        let mut beams = merged.beams;
        for beam in &mut beams {
            let (text, word) = before[&beam.text];
            let (lm, _) = self.word_score(text, &self.parts[word].text, true);
            beam.score = beam.logit + self.texts[text].lm + lm + self.texts[beam.text].hot;
        }
        let beams = self.best(beams);
        let top = beams.first().map_or(0.0, |beam| beam.score);
        let total: f64 = beams.iter().map(|beam| (beam.score - top).exp()).sum();
        let share = |beam: &Beam| ((beam.score - top).exp() / total) as f32;
        let all: Vec<(Vec<Span>, f32)> =
            beams.iter().map(|beam| (self.words(beam), share(beam))).collect();
        // A word is as sure as the texts together that have it at about the same time.
        let sure = |word: &Span| {
            let same = |other: &Span| {
                other.text == word.text && other.start < word.end && word.start < other.end
            };
            let having = all.iter().filter(|(words, _)| words.iter().any(same));
            having.map(|(_, share)| share).sum::<f32>().min(1.0)
        };
        let results = beams.iter().zip(&all).map(|(beam, (words, confidence))| {
            let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            let words = words.iter().map(|word| Span { confidence: sure(word), ..word.clone() });
            Hypothesis {
                text: self.vocabulary.finish(&texts.join(self.vocabulary.space())),
                words: words.collect(),
                logit_score: beam.logit,
                score: beam.score,
                confidence: *confidence,
            }
        });
        results.collect()
    }

    /// The words of a finished beam.
    fn words(&self, beam: &Beam) -> Vec<Span> {
        let (mut text, mut heard) = (beam.text, beam.heard);
        let mut words = Vec::new();
        while text != 0 {
            let Heard { before, start, end } = self.heard[heard];
            let word = self.parts[self.texts[text].word].text.clone();
            words.push(Span { text: word, start, end, confidence: 0.0 });
            (text, heard) = (self.texts[text].parent, before);
        }
        words.reverse();
        words
    }
}

/// Beams of the same letters and last token, their alignments added up.
#[derive(Default)]
struct Merged {
    beams: Vec<Beam>,
    places: HashMap<(usize, usize, Last), usize>,
}

impl Merged {
    /// The frames of words are those of the alignment that was added last, as in pyctcdecode.
    fn add(&mut self, beam: Beam) {
        let key = (beam.text, beam.part, beam.last);
        match self.places.get(&key) {
            Some(&place) => {
                let (a, b) = (self.beams[place].logit, beam.logit);
                let logit = a.max(b) + (a.min(b) - a.max(b)).exp().ln_1p();
                self.beams[place] = Beam { logit, ..beam };
            }
            None => {
                self.places.insert(key, self.beams.len());
                self.beams.push(beam);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::VocabularyFiles;
    use super::*;

    fn vocabulary() -> Vocabulary {
        let vocab = br#"{"<pad>": 0, "|": 1, "A": 2, "B": 3}"#;
        let files = VocabularyFiles { vocab_json: Some(vocab), ..Default::default() };
        Vocabulary::load(&files, 4).unwrap()
    }

    fn search() -> Search {
        Search {
            beams: 10_000,
            prune_logp: f64::NEG_INFINITY,
            token_min_logp: f32::NEG_INFINITY,
            hotwords: vec![],
            hotword_weight: 10.0,
            alpha: 0.5,
            beta: 1.5,
            unk_score_offset: -10.0,
            score_boundary: true,
        }
    }

    /// Some logits that look random.
    fn logits(frames: usize, seed: u32) -> Vec<f32> {
        let noise = |i: usize| ((i as u32 * 7919 + seed * 104_729) as f32 * 0.37).sin() * 3.0;
        let mut logits: Vec<f32> = (0..frames * 4).map(noise).collect();
        log_softmax(&mut logits, 4);
        logits
    }

    /// Every alignment of five frames, one by one.
    #[test]
    fn sums_over_all_alignments() {
        let v = vocabulary();
        for seed in 0..6 {
            let p = logits(5, seed);
            let mut sums: HashMap<String, f64> = HashMap::new();
            for path in 0..4usize.pow(5) {
                let ids: Vec<usize> = (0..5).map(|t| path / 4usize.pow(t) % 4).collect();
                let mut text = String::new();
                for t in 0..5 {
                    if ids[t] != 0 && (t == 0 || ids[t] != ids[t - 1]) {
                        text.push_str(v.text(ids[t]));
                    }
                }
                let words: Vec<&str> = text.split_whitespace().collect();
                let log: f64 = (0..5).map(|t| f64::from(p[t * 4 + ids[t]])).sum();
                *sums.entry(words.join(" ")).or_default() += log.exp();
            }
            let found = beam_search(&p, &v, None, &search());
            assert_eq!(found.len(), sums.len());
            for one in &found {
                let want = sums[&one.text].ln();
                assert!((one.logit_score - want).abs() < 1e-5, "{one:?} {want}");
                assert!((f64::from(one.confidence) - sums[&one.text]).abs() < 1e-5);
            }
            assert!(found.windows(2).all(|w| w[0].score >= w[1].score));
        }
    }

    #[test]
    fn words_keep_their_frames() {
        let v = vocabulary();
        let ids = [0, 2, 2, 0, 3, 1, 1, 3, 0];
        let mut p: Vec<f32> = ids
            .iter()
            .flat_map(|&id| (0..4).map(move |i| if i == id { 9.0 } else { 0.0 }))
            .collect();
        log_softmax(&mut p, 4);
        let usual = Search { beams: 8, token_min_logp: -5.0, prune_logp: -10.0, ..search() };
        let best = &beam_search(&p, &v, None, &usual)[0];
        assert_eq!(best.text, "AB B");
        let words: Vec<_> = best.words.iter().map(|w| (w.text.as_str(), w.start, w.end)).collect();
        assert_eq!(words, [("AB", 1, 5), ("B", 7, 8)]);
        assert!(best.words.iter().all(|word| word.confidence > 0.9));
        assert!(beam_search(&[], &v, None, &search())[0].text.is_empty());
    }

    #[test]
    fn hot_words_and_language_models_turn_the_scale() {
        let v = vocabulary();
        // "A" is a little better than "B" by sound.
        let mut p = vec![0.0, -9.0, 1.0, 0.8, 3.0, -9.0, 0.0, 0.0];
        log_softmax(&mut p, 4);
        let text = |lm: Option<&Arpa>, s: &Search| beam_search(&p, &v, lm, s)[0].text.clone();
        assert_eq!(text(None, &search()), "A");
        assert_eq!(text(None, &Search { hotwords: vec!["B".into()], ..search() }), "B");
        let arpa = "\\data\\\n\\1-grams:\n-2\tA\t0\n-0.1\tB\t0\n-1\t<s>\t0\n-1\t</s>\n\\end\\\n";
        let lm = Arpa::parse(arpa).unwrap();
        assert_eq!(text(Some(&lm), &search()), "B");
        assert_eq!(text(Some(&lm), &Search { alpha: 0.0, ..search() }), "A");
    }

    /// What pyctcdecode 0.5.0 finds for random logits (`tools/goldens_beams.py`).
    #[test]
    fn finds_what_pyctcdecode_finds() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/audio/beams.json");
        let golden: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let lm = Arpa::parse(golden["arpa"].as_str().unwrap()).unwrap();
        let vocab = br#"{"<pad>": 0, "|": 1, "A": 2, "B": 3, "C": 4}"#;
        let files = VocabularyFiles { vocab_json: Some(vocab), ..Default::default() };
        let v = Vocabulary::load(&files, 5).unwrap();
        for (i, case) in golden["cases"].as_array().unwrap().iter().enumerate() {
            let list = |name: &str| case[name].as_array().unwrap().clone();
            let mut logits: Vec<f32> =
                list("logits").iter().map(|x| x.as_f64().unwrap() as f32).collect();
            log_softmax(&mut logits, 5);
            let search = Search {
                beams: case["beams"].as_u64().unwrap() as usize,
                prune_logp: -10.0,
                token_min_logp: -5.0,
                hotwords: list("hotwords").iter().map(|w| w.as_str().unwrap().into()).collect(),
                alpha: case["alpha"].as_f64().unwrap(),
                beta: case["beta"].as_f64().unwrap(),
                score_boundary: case["boundary"].as_bool().unwrap(),
                ..search()
            };
            let lm = (case["lm"] == true).then_some(&lm);
            let found = beam_search(&logits, &v, lm, &search);
            for (want, got) in list("result").iter().zip(&found) {
                assert_eq!(want["text"], got.text.as_str(), "case {i}");
                for (name, got) in [("logit_score", got.logit_score), ("score", got.score)] {
                    let want = want[name].as_f64().unwrap();
                    assert!((want - got).abs() < 1e-4, "case {i} {name}: {want} {got}");
                }
                let words: Vec<_> = got.words.iter().map(|w| (&w.text, w.start, w.end)).collect();
                assert_eq!(serde_json::to_value(words).unwrap(), want["words"], "case {i}");
            }
            assert!(found.len() >= list("result").len(), "case {i}");
        }
    }
}
