//! `zero-shot-classification`: labels made up by the caller, judged by a model of entailment.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoder::{sequence, Call, Encoder};
use crate::error::Result;
use crate::models::Pooling;
use crate::preprocess::Truncate;
use crate::tasks::io::{self, options, Inputs, Strings};
use crate::tasks::scores::softmax;
use crate::{err, Code};

options! {
    /// Options of zero-shot classification.
    Options {
        /// The sentence that a label is put into, at `{}`.
        hypothesis_template: String = "This example is {}.".into(),
        /// Labels are independent of each other: each gets a score between 0 and 1.
        multi_label: bool = false,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    sequences: Strings,
    candidate_labels: Strings,
}

/// Labels by falling score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ZeroShot {
    pub sequence: String,
    pub labels: Vec<String>,
    pub scores: Vec<f32>,
}

pub(super) async fn run<E: Encoder>(
    call: &mut Call<'_, E>,
    input: Value,
    options: Options,
) -> Result<Value> {
    let expected = "{ sequences, candidate_labels }, strings or lists of strings";
    let Inputs { list, single } = io::inputs::<Input>(input, expected)?;
    let (Some(input), true) = (list.into_iter().next(), single) else {
        return Err(err!(Code::Input, "the input is an array").remedy(format!("pass {expected}")));
    };
    let labels = match input.candidate_labels {
        Strings::Many(labels) => labels,
        Strings::One(labels) => labels
            .split(',')
            .map(str::trim)
            .filter(|label| !label.is_empty())
            .map(String::from)
            .collect(),
    };
    let inputs = match input.sequences {
        Strings::One(text) => Inputs { list: vec![text], single: true },
        Strings::Many(list) => Inputs { list, single: false },
    };
    if labels.is_empty() || inputs.list.iter().any(String::is_empty) {
        let error = err!(Code::Input, "zero-shot-classification got an empty text or no labels");
        return Err(error.remedy("pass at least one label, and texts that are not empty"));
    }
    let template = Template::parse(&options.hypothesis_template)?;
    let hypotheses: Vec<String> = labels.iter().map(|label| template.fill(label)).collect();

    let (most, tokenizer) = (call.tokenizer.max_length(), call.tokenizer);
    let mut sequences = Vec::with_capacity(inputs.list.len() * labels.len());
    for text in &inputs.list {
        for hypothesis in &hypotheses {
            // The text gives way, never the label. One that is too short for that stays whole.
            let pair = Some(hypothesis.as_str());
            let encoding = match tokenizer.truncated(text, pair, Truncate::OnlyFirst, most) {
                Err(e) if e.code == Code::Input => tokenizer.encode(text, pair)?,
                encoding => encoding?,
            };
            sequences.push(sequence(encoding));
        }
    }
    let mut logits: Vec<Vec<f32>> = Vec::with_capacity(sequences.len());
    let n = labels.len();
    call.run(
        &sequences,
        |i| i / n,
        Pooling::None,
        |_, row| {
            logits.push(row.to_vec());
            Ok(())
        },
    )
    .await?;

    let entailment = entailment(&call.info.labels);
    let mut results = Vec::with_capacity(inputs.list.len());
    for (text, logits) in inputs.list.iter().zip(logits.chunks(n)) {
        let scores = score(logits, entailment, options.multi_label);
        // Python reverses a rising sort: of equal scores the later label comes first.
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        order.reverse();
        results.push(io::json(ZeroShot {
            sequence: text.clone(),
            labels: order.iter().map(|&i| labels[i].clone()).collect(),
            scores: order.iter().map(|&i| scores[i]).collect(),
        })?);
    }
    Ok(inputs.shape(results))
}

/// The id of the entailment label; the last one where no name tells, as in Python.
pub fn entailment(labels: &[String]) -> usize {
    let named = labels.iter().position(|label| label.to_lowercase().starts_with("entail"));
    named.unwrap_or(labels.len().saturating_sub(1))
}

/// Scores of the labels of one text. logits: `[labels, L]`.
pub fn score(logits: &[Vec<f32>], entailment: usize, multi_label: bool) -> Vec<f32> {
    if multi_label || logits.len() == 1 {
        // Python's contradiction is label 0, or the last one where 0 is entailment.
        let against = |row: &Vec<f32>| match entailment {
            0 => row.last().copied().unwrap_or_default(),
            _ => row[0],
        };
        let score = |row: &Vec<f32>| {
            let mut pair = [against(row), row[entailment.min(row.len() - 1)]];
            softmax(&mut pair);
            pair[1]
        };
        logits.iter().map(score).collect()
    } else {
        let mut scores: Vec<f32> =
            logits.iter().map(|row| row[entailment.min(row.len() - 1)]).collect();
        softmax(&mut scores);
        scores
    }
}

/// A hypothesis template: Python's `str.format` with one argument.
#[derive(Debug)]
struct Template {
    /// The label goes between the parts.
    parts: Vec<String>,
}

impl Template {
    fn parse(template: &str) -> Result<Self> {
        let bad = |what: &str| {
            let error = err!(Code::Input, "hypothesis_template {template:?} {what}");
            Err(error.remedy("the label goes where {} stands, as in \"This text is {}.\""))
        };
        let mut parts = vec![String::new()];
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            let taken = ["{{", "}}", "{}", "{0}"].iter().find(|token| from.starts_with(**token));
            let Some(token) = taken else { return bad("has a single brace") };
            if let Some(part) = parts.last_mut() {
                part.push_str(before);
                if matches!(*token, "{{" | "}}") {
                    part.push_str(&token[..1]);
                }
            }
            if matches!(*token, "{}" | "{0}") {
                parts.push(String::new());
            }
            rest = &from[token.len()..];
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(rest);
        }
        match parts.len() {
            1 => bad("has no place for the label"),
            _ => Ok(Template { parts }),
        }
    }

    fn fill(&self, label: &str) -> String {
        self.parts.join(label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_follow_format_strings() {
        let fill = |template: &str| Template::parse(template).map(|t| t.fill("x"));
        assert_eq!(fill("It is {}!").unwrap(), "It is x!");
        assert_eq!(fill("{0}, {0}").unwrap(), "x, x");
        assert_eq!(fill("{{{}}}").unwrap(), "{x}");
        for bad in ["no place", "{{}}", "{name}", "}", "{"] {
            assert_eq!(fill(bad).unwrap_err().code, Code::Input, "{bad}");
        }
    }

    #[test]
    fn python_picks_the_label_to_contradict() {
        let names = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        assert_eq!(entailment(&names(&["ENTAILMENT", "neutral", "contradiction"])), 0);
        assert_eq!(entailment(&names(&["contradiction", "neutral", "entailment"])), 2);
        assert_eq!(entailment(&names(&["LABEL_0", "LABEL_1"])), 1);
        let row = vec![vec![2.0, 9.0, 2.0]];
        assert_eq!(score(&row, 0, false), [0.5], "against the last");
        assert_eq!(score(&row, 2, false), [0.5], "against the first");
    }
}
