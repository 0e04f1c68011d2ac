//! Whole vision pipelines, from a decoded picture to the result, against Python's.
//! `tests/goldens/README.md` says how they were made.

mod common;
#[path = "common/pipeline.rs"]
mod pipeline;

use std::fs;

use pollster::block_on;
use safetensors::SafeTensors;
use serde_json::{json, Value};
use tareas::tasks::{Buffer, DeviceChoice, Input, Model, Silent, Task, TaskOutput};
use tareas::tensor::Format;
use tareas::Code;

/// The picture as JavaScript passes it, each pixel `times` by `times`; RGBA, to be cut to RGB.
fn picture(name: &str, times: usize) -> (Value, Vec<u8>) {
    let bytes = fs::read(common::root().join("vision/images/values.safetensors")).unwrap();
    let values = SafeTensors::deserialize(&bytes).unwrap();
    let source = values.tensor(&format!("picture.{name}")).unwrap();
    let [h, w] = [source.shape()[0], source.shape()[1]];
    let mut data = Vec::new();
    for y in 0..h * times {
        for x in 0..w * times {
            let at = (y / times * w + x / times) * 3;
            data.extend_from_slice(&source.data()[at..at + 3]);
            data.push(17);
        }
    }
    (json!({ "width": w * times, "height": h * times, "channels": 4 }), data)
}

fn input(pictures: &[(Value, Vec<u8>)], single: bool) -> Input {
    let mut list: Vec<Value> = pictures.iter().map(|(value, _)| value.clone()).collect();
    for (i, value) in list.iter_mut().enumerate() {
        value["data"] = json!({ "$buffer": i });
    }
    let value = if single { list.remove(0) } else { Value::Array(list) };
    let buffers = pictures.iter().map(|(_, data)| Buffer::U8(data.clone())).collect();
    Input { value, buffers }
}

fn run(model: &mut Model, input: Input, options: &Value) -> TaskOutput {
    block_on(model.family.run(input, options.clone(), &mut Silent)).unwrap()
}

fn devices() -> Vec<DeviceChoice> {
    let mut devices = vec![DeviceChoice::Wasm];
    devices.extend(std::env::var_os("TAREAS_REQUIRE_GPU").map(|_| DeviceChoice::WebGpu));
    devices
}

fn f32s(values: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let data = values.tensor(name).unwrap().data().to_vec();
    data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Within `bound` of the largest magnitude.
fn close(got: &[f32], want: &[f32], bound: f32, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    let size = want.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= bound * size, "{what}: {g}, Python has {w}");
    }
}

#[test]
fn answers_as_python() {
    let mut count = 0;
    for entry in fs::read_dir(common::root().join("vision")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(bytes) = fs::read(folder.join("pipeline.json")) else { continue };
        let golden: Value = serde_json::from_slice(&bytes).unwrap();
        let task = Task::from_id(golden["task"].as_str().unwrap()).unwrap();
        let file = fs::read(folder.join("pipeline.safetensors")).unwrap_or_default();
        let values = (!file.is_empty()).then(|| SafeTensors::deserialize(&file).unwrap());
        for device in devices() {
            let loaded = pipeline::load_model(&folder, task, Some(Format::F32), device);
            let mut model = match loaded {
                // Goldens of an architecture may be there before the architecture is.
                Err(error) if error.message.contains("model_type") => {
                    eprintln!("{}: {error}", folder.display());
                    continue;
                }
                loaded => loaded.unwrap(),
            };
            let cases = golden["cases"].as_array().unwrap();
            for (i, case) in cases.iter().enumerate() {
                let what = format!("{} {i} {device:?}", folder.display());
                let times = case["times"].as_u64().unwrap() as usize;
                let picture = picture(case["image"].as_str().unwrap(), times);
                let got = run(&mut model, input(&[picture], true), &case["options"]);
                check(&got, &case["result"], values.as_ref(), i, &what);
                count += 1;
            }
        }
    }
    assert!(count >= 15);
}

fn check(got: &TaskOutput, want: &Value, values: Option<&SafeTensors<'_>>, i: usize, what: &str) {
    match got {
        TaskOutput::Json(got) => {
            let (got, want) = (got.as_array().unwrap(), want.as_array().unwrap());
            assert_eq!(got.len(), want.len(), "{what}");
            for (got, want) in got.iter().zip(want) {
                assert_eq!(got["label"], want["label"], "{what}");
                let off = got["score"].as_f64().unwrap() - want["score"].as_f64().unwrap();
                assert!(off.abs() < 1e-4, "{what}: {got}, {want}");
            }
        }
        TaskOutput::Tensor { dims, data } => {
            assert_eq!(json!(dims), want["dims"], "{what}");
            close(data, &f32s(values.unwrap(), &format!("{i}.features")), 1e-4, what);
        }
        TaskOutput::Media { value, buffers } => {
            let buffer = |value: &Value| &buffers[value["$buffer"].as_u64().unwrap() as usize];
            let values = values.unwrap();
            if let Some(depth) = value.get("predicted_depth") {
                assert_eq!(depth["dims"], want["dims"], "{what}");
                let Buffer::F32(got) = buffer(&depth["data"]) else { panic!("{what}") };
                close(got, &f32s(values, &format!("{i}.depth")), 1e-3, what);
                let Buffer::U8(got) = buffer(&value["depth"]["data"]) else { panic!("{what}") };
                let picture = values.tensor(&format!("{i}.picture")).unwrap();
                assert!(got.iter().zip(picture.data()).all(|(a, b)| a.abs_diff(*b) <= 1), "{what}");
                return;
            }
            let (got, want) = (value.as_array().unwrap(), want.as_array().unwrap());
            assert_eq!(got.len(), want.len(), "{what}");
            let masks = values.tensor(&format!("{i}.masks")).unwrap();
            let len = masks.shape()[1] * masks.shape()[2];
            for ((got, want), mask) in got.iter().zip(want).zip(masks.data().chunks_exact(len)) {
                assert_eq!(got["label"], want["label"], "{what}");
                let Buffer::U8(got) = buffer(&got["mask"]["data"]) else { panic!("{what}") };
                let both = got.iter().zip(mask).filter(|(a, b)| **a > 0 && **b > 0).count();
                let either = got.iter().zip(mask).filter(|(a, b)| **a > 0 || **b > 0).count();
                assert!(both as f64 >= 0.99 * either as f64, "{what}: {both} of {either}");
            }
        }
    }
}

/// Pictures of different sizes in one call come back in their order, as they do one by one.
#[test]
fn a_list_of_pictures_of_different_sizes() {
    let folder = common::root().join("vision/vit");
    let load = || {
        let task = Task::ImageClassification;
        pipeline::load_model(&folder, task, Some(Format::F32), DeviceChoice::Wasm).unwrap()
    };
    let mut model = load();
    let pictures: Vec<_> =
        ["rgb.png", "rgba.png", "one.png"].into_iter().map(|name| picture(name, 1)).collect();
    let TaskOutput::Json(together) = run(&mut model, input(&pictures, false), &json!({})) else {
        panic!()
    };
    for (picture, want) in pictures.into_iter().zip(together.as_array().unwrap()) {
        let got = run(&mut model, input(&[picture], true), &json!({ "batch_size": 1 }));
        assert_eq!(got, TaskOutput::Json(want.clone()));
    }
    let none = run(&mut model, Input::from(json!([])), &json!({}));
    assert_eq!(none, TaskOutput::Json(json!([])));
}

#[test]
fn inputs_and_options_of_other_forms() {
    let folder = common::root().join("vision/vit");
    let task = Task::ImageClassification;
    let mut model = pipeline::load_model(&folder, task, None, DeviceChoice::Wasm).unwrap();
    let mut code = |input: Input, options: Value| {
        block_on(model.family.run(input, options, &mut Silent)).unwrap_err().code
    };
    let buffers = vec![Buffer::U8(vec![0; 12]), Buffer::F32(vec![0.0; 12])];
    let image = |buffer: usize, width: usize, channels: usize| {
        let data = json!({ "$buffer": buffer });
        let value = json!({ "data": data, "width": width, "height": 2, "channels": channels });
        Input { value, buffers: buffers.clone() }
    };
    for bad in [
        Input::from(json!("a.png")),
        Input::from(json!(null)),
        Input::from(json!([{}])),
        image(0, 3, 3),
        image(0, 2, 5),
        image(1, 2, 3),
        image(7, 2, 3),
    ] {
        assert_eq!(code(bad, json!({})), Code::Input);
    }
    assert_eq!(code(image(0, 2, 3), json!({ "top_q": 1 })), Code::Input);
    assert_eq!(code(image(0, 2, 3), json!({ "function_to_apply": "tanh" })), Code::Input);
    assert_eq!(code(image(0, 2, 3), json!({ "batch_size": 0 })), Code::Input);
}
