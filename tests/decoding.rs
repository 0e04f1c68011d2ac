//! Decoding against `transformers` on models that are a table of scores: every token, every score.
//! `tools/goldens_decoding.py` made the goldens.

use std::collections::HashMap;
use std::fs;

use pollster::block_on;
use serde_json::{json, Map, Value};
use tareas::checkpoint::Config;
use tareas::generate::{
    generate, Beam, Choice, Defaults, Finish, Generated, GenerationConfig, Model, Next, Prompt,
    Settings, Unwatched, Watch,
};
use tareas::models::{Answer, TopK, Want};
use tareas::{Code, Error, Result};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/generation/decoding");

/// Scores by the last two tokens, the length and the sum of the source.
struct Table {
    table: Vec<Vec<f32>>,
    rows: Vec<(Vec<u32>, u32)>,
    steps: usize,
    /// Gives no more than what is wanted.
    short: bool,
    /// Answers that were the best few, the best one, all again.
    few: usize,
    best: usize,
    again: usize,
}

impl Table {
    fn new() -> Self {
        let text = fs::read_to_string(format!("{FOLDER}/table.json")).unwrap();
        let table = serde_json::from_str(&text).unwrap();
        Table { table, rows: Vec::new(), steps: 0, short: false, few: 0, best: 0, again: 0 }
    }

    fn short() -> Self {
        Table { short: true, ..Table::new() }
    }

    fn answer(&mut self, want: Want) -> Answer {
        let scores = self.scores();
        let rows = scores.chunks(self.table[0].len());
        let best = |row: &[f32]| -> Vec<u32> {
            let mut order: Vec<u32> = (0..row.len() as u32).collect();
            order.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]));
            order
        };
        match want {
            Want::Argmax if self.short => {
                self.best += 1;
                Answer::Argmax(rows.map(|row| best(row)[0]).collect())
            }
            Want::TopK(k) if self.short => {
                self.few += 1;
                let top = |row: &[f32]| {
                    let ids = best(row)[..k].to_vec();
                    let logits: Vec<f32> = ids.iter().map(|id| row[*id as usize]).collect();
                    let sum: f64 = row.iter().map(|x| f64::from((x - logits[0]).exp())).sum();
                    TopK { ids, logits, log_sum: sum.ln() as f32 }
                };
                Answer::TopK(rows.map(top).collect())
            }
            _ => Answer::Logits(scores),
        }
    }

    fn scores(&self) -> Vec<f32> {
        let row = |(ids, source): &(Vec<u32>, u32)| {
            let n = ids.len();
            let before = if n > 1 { ids[n - 2] } else { 0 };
            let row = 3 * before + 5 * ids[n - 1] + 7 * n as u32 + source;
            self.table[row as usize % self.table.len()].clone()
        };
        self.rows.iter().flat_map(row).collect()
    }
}

impl Model for Table {
    fn vocab(&self) -> usize {
        self.table[0].len()
    }

    async fn start(&mut self, prompts: &[Prompt], next: Next) -> Result<Answer> {
        let sum = |p: &Prompt| p.source.iter().flatten().sum();
        self.rows = prompts.iter().map(|p| (p.ids.clone(), sum(p))).collect();
        Ok(self.answer(next.want))
    }

    async fn step(&mut self, parents: &[u32], tokens: &[u32], next: Next) -> Result<Answer> {
        self.steps += 1;
        let old = std::mem::take(&mut self.rows);
        for (&parent, &token) in parents.iter().zip(tokens) {
            let (mut ids, source) = old[parent as usize].clone();
            ids.push(token);
            self.rows.push((ids, source));
        }
        Ok(self.answer(next.want))
    }

    async fn again(&mut self) -> Result<Answer> {
        self.again += 1;
        Ok(self.answer(Want::Logits))
    }
}

fn config(seq2seq: bool, options: &Value) -> Result<Settings> {
    let mut config = json!({
        "model_type": "table", "vocab_size": 29, "eos_token_id": 2, "pad_token_id": 1,
        "bos_token_id": 0, "max_position_embeddings": 64,
    });
    if seq2seq {
        config["decoder_start_token_id"] = 2.into();
    }
    let config = Config::parse(config.to_string().as_bytes()).unwrap();
    let config = GenerationConfig::new(&config, None, Defaults::Plain, "", None)?;
    config.call(options.as_object().unwrap_or(&Map::new()))
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

fn cases() -> Value {
    serde_json::from_str(&fs::read_to_string(format!("{FOLDER}/cases.json")).unwrap()).unwrap()
}

fn decode(ids: &[u32]) -> Result<String> {
    Ok(ids.iter().map(|id| char::from(b'A' + *id as u8)).collect())
}

fn run(table: &mut Table, prompts: &[Prompt], settings: &Settings) -> Result<Vec<Vec<Generated>>> {
    block_on(generate(table, prompts, settings, &decode, &mut Unwatched))
}

fn close(got: f32, want: &Value) -> bool {
    let want = want.as_f64().unwrap();
    (f64::from(got) - want).abs() <= 2e-6 * want.abs().max(1.0)
}

#[test]
fn tokens_and_scores_are_those_of_transformers() {
    let mut few = 0;
    for case in cases()["cases"].as_array().unwrap() {
        let kwargs = &case["kwargs"];
        let settings = config(case["model"] == "seq2seq", kwargs).unwrap();
        let settings = Settings { output_scores: true, ..settings };
        let (prompts, sources) =
            (case["prompts"].as_array().unwrap(), case["sources"].as_array().unwrap());
        let prompt = |(prompt, source): (&Value, &Value)| Prompt {
            ids: ids(prompt),
            source: source.is_array().then(|| ids(source)),
        };
        let prompts: Vec<Prompt> = prompts.iter().zip(sources).map(prompt).collect();
        // All prompts of a case at once, while Python ran each alone.
        let got = run(&mut Table::new(), &prompts, &settings).unwrap();
        let mut short = Table::short();
        assert_eq!(
            run(&mut short, &prompts, &settings).unwrap(),
            got,
            "{kwargs} from the best few"
        );
        few += short.few;
        for (i, (got, want)) in got.iter().zip(case["results"].as_array().unwrap()).enumerate() {
            let sequences: Vec<&Vec<u32>> = got.iter().map(|text| &text.ids).collect();
            assert_eq!(json!(sequences), want["sequences"], "{kwargs} prompt {i}");
            for (j, text) in got.iter().enumerate() {
                if let Some(score) = text.score {
                    assert!(close(score, &want["scores"][j]), "{kwargs} {i} {score}");
                }
                let want = want["logprobs"][j].as_array().unwrap();
                assert_eq!(text.choices.len(), want.len(), "{kwargs} {i}");
                for (choice, want) in text.choices.iter().zip(want) {
                    // JSON has no infinity: Python writes what ours are not asked to compare.
                    if want.as_f64().is_some() {
                        assert!(close(choice.logprob, want), "{kwargs} {i}: {choice:?} {want}");
                    }
                }
            }
        }
    }
    assert!(few > 100, "{few}");
}

/// The best token or the best few give what all scores give: with tokens ruled out, with scores on
/// request, and where tokens are as good as the last of the best.
#[test]
fn the_best_few_are_enough() {
    let prompts: Vec<Prompt> =
        [[5, 9], [7, 3]].iter().map(|p| Prompt { ids: p.to_vec(), source: None }).collect();
    let sampled = json!({"do_sample": true, "top_k": 5, "seed": 3, "num_return_sequences": 3});
    for (options, kind) in [
        (json!({}), "best"),
        (json!({"forced_eos_token_id": 2, "min_length": 0}), "best"),
        (json!({"min_new_tokens": 4, "no_repeat_ngram_size": 2}), "few"),
        (json!({"bad_words_ids": [[4], [6, 7]], "suppress_tokens": [1, 40]}), "few"),
        (json!({"top_candidates": 3}), "few"),
        (json!({"num_beams": 3}), "few"),
        (json!({"num_beams": 2, "num_return_sequences": 2, "no_repeat_ngram_size": 2}), "few"),
        (sampled.clone(), "few"),
        (json!({"top_p": 0.8, "temperature": 0.7, "output_scores": true}), "few"),
        (json!({"typical_p": 0.7, "min_p": 0.1, "top_candidates": 4}), "few"),
        (json!({"eta_cutoff": 0.02, "epsilon_cutoff": 0.01, "bad_words_ids": [[4]]}), "few"),
        (json!({"top_k": 0}), "logits"),
        (json!({"repetition_penalty": 1.2}), "logits"),
    ] {
        let mut all = json!({"max_new_tokens": 12});
        let only_sampled =
            ["top_p", "top_k", "typical_p", "eta_cutoff"].iter().any(|k| options.get(k).is_some());
        if only_sampled {
            all.as_object_mut().unwrap().extend(sampled.as_object().unwrap().clone());
        }
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let settings = config(false, &all).unwrap();
        for coarse in [false, true] {
            let (mut full, mut short) = (Table::new(), Table::short());
            if coarse {
                for x in full.table.iter_mut().chain(&mut short.table).flatten() {
                    *x = (*x * 2.0).round() / 2.0;
                }
            }
            let want = run(&mut full, &prompts, &settings).unwrap();
            assert_eq!(run(&mut short, &prompts, &settings).unwrap(), want, "{all}");
            let calls = short.steps + 1;
            match kind {
                "best" => assert!(short.best + 1 >= calls, "{all} {}", short.best),
                "few" => assert!(short.few + short.best == calls, "{all} {}", short.few),
                _ => assert_eq!((short.few, short.best), (0, 0), "{all}"),
            }
            let draws_ties = kind == "few" && all.get("do_sample").is_some() && coarse;
            assert_eq!(short.again > 0, draws_ties, "{all} {}", short.again);
        }
    }
}

/// The distribution tokens are drawn from, and that the draws follow it.
#[test]
fn sampling_follows_the_distribution_of_transformers() {
    for case in cases()["sampled"].as_array().unwrap() {
        let mut kwargs = case["kwargs"].clone();
        let want: Vec<f64> =
            case["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect();
        let texts = 4000;
        for (key, value) in [
            ("do_sample", json!(true)),
            ("max_new_tokens", json!(1)),
            ("num_return_sequences", json!(texts)),
            ("top_candidates", json!(29)),
            ("seed", json!(7)),
        ] {
            kwargs[key] = value;
        }
        let settings = config(false, &kwargs).unwrap();
        let prompt = Prompt { ids: ids(&case["prompt"]), source: None };
        let draw = |s: &Settings| run(&mut Table::new(), std::slice::from_ref(&prompt), s);
        let got = draw(&settings).unwrap();
        let top: HashMap<u32, f32> = got[0][0].choices[0].top.iter().copied().collect();
        for (id, want) in want.iter().enumerate() {
            let got = top.get(&(id as u32)).map_or(0.0, |log| f64::from(log.exp()));
            assert!((got - want).abs() < 2e-6, "{kwargs}: token {id} has {got}, not {want}");
        }
        let mut counts = vec![0; want.len()];
        got[0].iter().for_each(|text| counts[text.new_ids()[0] as usize] += 1);
        // Chi-square over at most 28 degrees of freedom: 99.9 % lie below 57; the seed is fixed.
        let mut square = 0.0;
        for (&count, &p) in counts.iter().zip(&want) {
            let mean = p * f64::from(texts);
            assert!(p > 0.0 || count == 0, "{kwargs}: a token of probability 0 was drawn");
            if mean > 1.0 {
                square += (f64::from(count) - mean).powi(2) / mean;
            }
        }
        assert!(square < 57.0, "{kwargs}: chi-square {square}");
        assert_eq!(got, draw(&settings).unwrap(), "a seed gives the same texts again");
        let other = config(false, &{
            kwargs["seed"] = json!(8);
            kwargs
        })
        .unwrap();
        assert_ne!(got, draw(&other).unwrap(), "another seed gives others");
    }
}

#[test]
fn beam_sampling_draws_without_replacement_and_is_seeded() {
    let options = json!({"do_sample": true, "num_beams": 3, "num_return_sequences": 3,
        "max_new_tokens": 8, "seed": 3, "top_k": 0});
    let settings = config(false, &options).unwrap();
    let prompts = [Prompt { ids: vec![5, 9], source: None }];
    let draw = || run(&mut Table::new(), &prompts, &settings).unwrap();
    let (a, b) = (draw(), draw());
    assert_eq!(a, b);
    assert_eq!(a[0].len(), 3);
    assert!(a[0][0].score >= a[0][1].score && a[0][1].score >= a[0][2].score);
    assert!(a[0][0].ids != a[0][1].ids && a[0][1].ids != a[0][2].ids);
}

/// Follows a run, and may interfere.
#[derive(Default)]
struct Follower {
    tokens: Vec<(usize, usize, u32)>,
    settled: Vec<Vec<u32>>,
    ban: Option<u32>,
    stop_at: Option<usize>,
    turns_left: Option<usize>,
}

impl Watch for Follower {
    async fn process(&mut self, ids: &[&[u32]], scores: &mut [f32]) -> Result<()> {
        let width = scores.len() / ids.len();
        for row in scores.chunks_mut(width) {
            if let Some(ban) = self.ban {
                row[ban as usize] = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    async fn stop(&mut self, ids: &[&[u32]]) -> Result<Vec<bool>> {
        Ok(ids.iter().map(|ids| self.stop_at.is_some_and(|n| ids.len() >= n)).collect())
    }

    fn token(&mut self, prompt: usize, sequence: usize, choice: &Choice) -> Result<()> {
        self.tokens.push((prompt, sequence, choice.id));
        Ok(())
    }

    fn beams(&mut self, prompt: usize, beams: &[Beam<'_>], settled: usize) -> Result<()> {
        self.settled.resize(prompt + 1, Vec::new());
        let text = &beams[0].ids[..settled];
        assert!(text.starts_with(&self.settled[prompt]), "what is settled stays");
        self.settled[prompt] = text.to_vec();
        Ok(())
    }

    async fn turn(&mut self) -> Result<()> {
        match &mut self.turns_left {
            Some(0) => Err(Error::new(Code::Aborted, "aborted")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn follow(
    options: Value,
    mut follower: Follower,
) -> (Result<Vec<Vec<Generated>>>, Follower, Table) {
    let settings = config(false, &options).unwrap();
    let prompts =
        [Prompt { ids: vec![5, 9], source: None }, Prompt { ids: vec![8, 4], source: None }];
    let mut table = Table::new();
    let got = block_on(generate(&mut table, &prompts, &settings, &decode, &mut follower));
    (got, follower, table)
}

#[test]
fn tokens_stream_in_order_and_callbacks_interfere() {
    let free = json!({"max_new_tokens": 10, "eos_token_id": null});
    let (got, follower, _) = follow(free.clone(), Follower::default());
    let got = got.unwrap();
    for (prompt, texts) in got.iter().enumerate() {
        let streamed: Vec<u32> =
            follower.tokens.iter().filter(|t| t.0 == prompt).map(|t| t.2).collect();
        assert_eq!(streamed, texts[0].new_ids());
        assert_eq!(texts[0].finish, Some(Finish::Length));
    }
    let banned = got[0][0].new_ids()[3];
    let (got, ..) = follow(free.clone(), Follower { ban: Some(banned), ..Follower::default() });
    assert!(got.unwrap().iter().all(|texts| !texts[0].new_ids().contains(&banned)));
    let (got, ..) = follow(free.clone(), Follower { stop_at: Some(6), ..Follower::default() });
    for texts in got.unwrap() {
        assert_eq!((texts[0].ids.len(), texts[0].finish), (6, Some(Finish::Custom)));
    }
    // An abort between tokens: no further step of the model.
    let (got, _, table) = follow(free, Follower { turns_left: Some(2), ..Follower::default() });
    assert_eq!(got.unwrap_err().code, Code::Aborted);
    assert_eq!(table.steps, 2);
}

#[test]
fn settled_tokens_of_beams_begin_the_result() {
    let options = json!({"max_new_tokens": 20, "num_beams": 4});
    let (got, follower, _) = follow(options, Follower::default());
    for (texts, settled) in got.unwrap().iter().zip(&follower.settled) {
        assert!(texts[0].new_ids().starts_with(settled), "{:?} {settled:?}", texts[0].ids);
    }
}

#[test]
fn stop_strings_end_a_text_where_the_last_token_reaches_into_one() {
    let free = json!({"max_new_tokens": 10, "eos_token_id": null});
    let (got, ..) = follow(free, Follower::default());
    let full = got.unwrap()[0][0].ids.clone();
    let stop = decode(&full[4..6]).unwrap();
    let (got, ..) = follow(
        json!({"max_new_tokens": 10, "eos_token_id": null, "stop_strings": [stop, "zzz"]}),
        Follower::default(),
    );
    let text = &got.unwrap()[0][0];
    assert_eq!(text.ids, full[..text.ids.len()]);
    assert!(text.ids.len() <= 6);
    assert_eq!(text.finish, Some(Finish::StopString));
}

#[test]
fn options_that_are_unknown_contradictory_or_missing_are_refused_by_name() {
    let refused = |options: Value, code: Code, name: &str| {
        let error = config(false, &options).expect_err(&options.to_string());
        assert_eq!(error.code, code, "{options}: {error}");
        assert!(error.message.contains(name), "{options}: {error}");
    };
    refused(json!({"num_beam": 3}), Code::Input, "num_beam");
    refused(json!({"num_beam_groups": 2, "num_beams": 4}), Code::Unsupported, "num_beam_groups");
    refused(json!({"penalty_alpha": 0.6}), Code::Unsupported, "penalty_alpha");
    refused(json!({"constraints": []}), Code::Unsupported, "constraints");
    refused(json!({"force_words_ids": [[1]]}), Code::Unsupported, "force_words_ids");
    refused(json!({"guidance_scale": 1.5}), Code::Unsupported, "guidance_scale");
    refused(json!({"use_cache": false}), Code::Unsupported, "use_cache");
    refused(json!({"output_attentions": true}), Code::Unsupported, "output_attentions");
    refused(json!({"temperature": 0.5}), Code::Input, "temperature");
    refused(json!({"top_p": 0.5, "num_beams": 2}), Code::Input, "top_p");
    refused(json!({"seed": 5}), Code::Input, "seed");
    refused(json!({"do_sample": true, "temperature": 0}), Code::Input, "temperature");
    refused(json!({"do_sample": true, "top_p": 1.2}), Code::Input, "top_p");
    refused(json!({"do_sample": true, "top_k": -1}), Code::Input, "top_k");
    refused(json!({"do_sample": true, "top_k": 2.5}), Code::Input, "top_k");
    refused(json!({"length_penalty": 2.0}), Code::Input, "length_penalty");
    refused(json!({"early_stopping": true}), Code::Input, "early_stopping");
    refused(json!({"early_stopping": "maybe", "num_beams": 2}), Code::Input, "early_stopping");
    refused(json!({"num_return_sequences": 2}), Code::Input, "num_return_sequences");
    refused(
        json!({"num_return_sequences": 3, "num_beams": 2}),
        Code::Input,
        "num_return_sequences",
    );
    refused(json!({"num_beams": 0}), Code::Input, "num_beams");
    refused(json!({"num_beams": "four"}), Code::Input, "num_beams");
    refused(json!({"max_new_tokens": 0}), Code::Input, "max_new_tokens");
    refused(json!({"max_new_tokens": 5, "max_length": 9}), Code::Input, "max_length");
    refused(json!({"max_new_tokens": 5, "min_new_tokens": 6}), Code::Input, "min_new_tokens");
    refused(json!({"max_length": 5, "min_length": 6}), Code::Input, "min_length");
    refused(json!({"repetition_penalty": 0}), Code::Input, "repetition_penalty");
    refused(json!({"bad_words_ids": [3]}), Code::Input, "bad_words_ids");
    refused(json!({"bad_words_ids": [[]]}), Code::Input, "bad_words_ids");
    refused(json!({"stop_strings": ""}), Code::Input, "stop_strings");
    refused(json!({"eos_token_id": "x"}), Code::Input, "eos_token_id");
    refused(json!({"max_time": -1}), Code::Input, "max_time");
    // What changes nothing is no contradiction.
    for fine in [
        json!({"temperature": 1.0, "top_k": 50, "top_p": 1, "num_beams": 1, "use_cache": true}),
        json!({"num_beam_groups": 1, "penalty_alpha": null, "length_penalty": 1}),
    ] {
        config(false, &fine).unwrap();
    }
}

#[test]
fn prompts_and_scores_that_cannot_be_are_clear_errors() {
    let go = |options: Value, ids: Vec<u32>, model: &mut Table| {
        run(model, &[Prompt { ids, source: None }], &config(false, &options).unwrap())
    };
    let refused = |options: Value, ids: Vec<u32>, words: &str| {
        let error = go(options, ids, &mut Table::new()).unwrap_err();
        assert_eq!(error.code, Code::Input, "{error}");
        assert!(error.message.contains(words), "{error}");
    };
    refused(json!({}), vec![], "no tokens");
    refused(json!({}), vec![3, 29], "29");
    refused(json!({}), vec![3; 64], "64 positions");
    refused(json!({"max_new_tokens": 60}), vec![3; 10], "70 tokens");
    refused(json!({"max_length": 10}), vec![3; 10], "max_length");
    refused(json!({"num_beams": 30}), vec![3], "num_beams");
    refused(json!({"bad_words_ids": [[77]]}), vec![3], "bad_words_ids");
    refused(json!({"forced_bos_token_id": 29}), vec![3], "forced_bos_token_id");
    let all: Vec<u32> = (0..29).collect();
    refused(json!({"suppress_tokens": all}), vec![3], "no token");
    // A default that does not fit is cut down to the model's positions.
    let got = go(json!({"eos_token_id": null}), vec![3; 50], &mut Table::new()).unwrap();
    assert_eq!(got[0][0].ids.len(), 64);
    let mut broken = Table::new();
    broken.table.iter_mut().for_each(|row| row[7] = f32::NAN);
    for options in [json!({}), json!({"num_beams": 2}), json!({"do_sample": true})] {
        let error = go(options, vec![3], &mut broken).unwrap_err();
        assert_eq!(error.code, Code::NonFinite, "{error}");
    }
    assert!(go(json!({"remove_invalid_values": true}), vec![3], &mut broken).is_ok());
    assert!(run(&mut broken, &[], &config(false, &json!({})).unwrap()).unwrap().is_empty());
}

#[test]
fn files_tasks_and_calls_have_pythons_precedence() {
    let settings = |config: Value, file: Option<Value>, defaults, task, call: Value| {
        let config = Config::parse(config.to_string().as_bytes()).unwrap();
        let file = file.map(|file| file.to_string());
        let file = file.as_ref().map(String::as_bytes);
        let config = GenerationConfig::new(&config, file, defaults, task, Some(9)).unwrap();
        config.call(call.as_object().unwrap()).unwrap()
    };
    let t5 = json!({"model_type": "t5", "decoder_start_token_id": 0, "task_specific_params": {
        "summarization": {"early_stopping": true, "length_penalty": 2.0, "max_length": 200,
            "min_length": 30, "no_repeat_ngram_size": 3, "num_beams": 4, "prefix": "summarize: "}}});
    let s = settings(t5.clone(), None, Defaults::Seq2Seq, "summarization", json!({}));
    assert_eq!((s.num_beams, s.max_new_tokens, s.max_length), (4, Some(256), Some(200)));
    assert_eq!((s.end(1).unwrap(), s.min_length, s.pad), (257, 30, Some(0)));
    assert_eq!((s.eos, s.no_repeat_ngram_size), (vec![1], 3));
    // A file with max_length of its own: the 256 go.
    let file = json!({"max_length": 142, "num_beams": 6, "min_length": 56, "eos_token_id": 2});
    let bart = json!({"model_type": "bart", "max_position_embeddings": 1024});
    let s = settings(bart.clone(), Some(file.clone()), Defaults::Seq2Seq, "", json!({}));
    assert_eq!((s.num_beams, s.max_new_tokens, s.end(1).unwrap()), (4, None, 142));
    assert_eq!((s.min_length, s.pad, s.forced_eos_token_id), (56, Some(9), None));
    let s = settings(bart.clone(), Some(file), Defaults::Seq2Seq, "", json!({"max_new_tokens": 7}));
    assert_eq!(s.end(1).unwrap(), 8);
    // Without a file the class has its say.
    let s = settings(bart, None, Defaults::Plain, "", json!({}));
    assert_eq!((s.forced_eos_token_id, s.decoder_start), (Some(vec![2]), Some(2)));
    let gpt2 = json!({"model_type": "gpt2", "n_positions": 100});
    let s = settings(gpt2.clone(), None, Defaults::Text, "text-generation", json!({}));
    assert!(s.do_sample && s.temperature == Some(0.7) && s.eos == [50256] && s.pad == Some(9));
    assert_eq!((s.end(10).unwrap(), s.top_k), (100, Some(50)));
    let cold = Some(json!({"temperature": 0.0, "do_sample": true}));
    let s = settings(gpt2, cold, Defaults::Plain, "", json!({}));
    assert!(!s.do_sample);
}
