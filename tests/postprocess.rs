//! Post-processing of vision tasks against Python's, on the same outputs of heads.
//! `tests/goldens/README.md` says how they were made.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::{json, Value};
use tareas::models::{VisionHead, VisionOutput};
use tareas::tasks::vision::{
    depth_estimation, image_classification, image_segmentation, object_detection, Info, View,
};
use tareas::Code;

struct Golden {
    cases: Vec<Value>,
    /// Dims without the batch, and the data.
    values: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    bytes: BTreeMap<String, Vec<u8>>,
}

fn golden() -> Golden {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/vision/post");
    let cases = serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let file = fs::read(folder.join("values.safetensors")).unwrap();
    let (mut values, mut bytes) = (BTreeMap::new(), BTreeMap::new());
    for (name, tensor) in SafeTensors::deserialize(&file).unwrap().iter() {
        if tensor.dtype() == safetensors::Dtype::U8 {
            bytes.insert(name.to_string(), tensor.data().to_vec());
        } else {
            let data = tensor.data().chunks_exact(4);
            let data = data.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            values.insert(name.to_string(), (tensor.shape()[1..].to_vec(), data));
        }
    }
    Golden { cases, values, bytes }
}

fn info(head: VisionHead) -> Info {
    Info { labels: Vec::new(), problem_type: None, head }
}

impl Golden {
    fn view(&self, name: &str) -> View<'_> {
        let (dims, data) = &self.values[name];
        View { dims, data }
    }
}

fn options<T: serde::de::DeserializeOwned>(case: &Value) -> T {
    serde_json::from_value(case["options"].clone()).unwrap()
}

fn size(case: &Value) -> [usize; 2] {
    [0, 1].map(|i| case["size"][i].as_u64().unwrap() as usize)
}

#[test]
fn segments_as_python() {
    let golden = golden();
    let cases = golden.cases.iter().filter(|case| case["task"] == "image-segmentation");
    let mut count = 0;
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let base = case["outputs"].as_str().unwrap();
        let logits = golden.view(&format!("{base}.logits"));
        let masks = || golden.view(&format!("{base}.query_masks"));
        let (head, item) = match case["head"].as_str().unwrap() {
            "semantic" => (VisionHead::Semantic, VisionOutput::Semantic(logits)),
            kind => {
                let universal = kind == "universal";
                let head = if universal { VisionHead::Universal } else { VisionHead::Panoptic };
                (head, VisionOutput::Queries { logits, boxes: None, masks: Some(masks()) })
            }
        };
        let size = size(case);
        let got = image_segmentation::answer(&item, &info(head), &options(case), size).unwrap();
        let want = case["result"].as_array().unwrap();
        assert_eq!(got.len(), want.len(), "{name}");
        let masks = golden.bytes[&format!("{name}.masks")].chunks_exact(size[0] * size[1]);
        for ((got, want), mask) in got.iter().zip(want).zip(masks) {
            assert_eq!(json!(got.label), want["label"], "{name}");
            match (got.score, want["score"].as_f64()) {
                (None, None) => {}
                // Six decimals of sums in another order.
                (Some(got), Some(want)) => {
                    assert!((got - want).abs() < 3e-6, "{name}: {got}, {want}")
                }
                other => panic!("{name}: {other:?}"),
            }
            // A pixel between two masks whose values differ in the last bit may fall either way.
            let off = got.mask.iter().zip(mask).filter(|(a, b)| a != b).count();
            assert!(off <= mask.len() / 500, "{name} {}: {off} of {}", got.label, mask.len());
        }
        count += 1;
    }
    assert!(count > 30);
}

#[test]
fn boxes_as_python() {
    let golden = golden();
    for case in golden.cases.iter().filter(|case| case["task"] == "object-detection") {
        let base = case["outputs"].as_str().unwrap();
        let item = VisionOutput::Queries {
            logits: golden.view(&format!("{base}.logits")),
            boxes: Some(golden.view(&format!("{base}.boxes"))),
            masks: None,
        };
        let info = info(VisionHead::Detection);
        let got = object_detection::answer(&item, &info, &options(case), size(case)).unwrap();
        let (got, want) = (got.as_array().unwrap(), case["result"].as_array().unwrap());
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert_eq!(got["label"], want["label"]);
            assert_eq!(got["box"], want["box"]);
            let off = got["score"].as_f64().unwrap() - want["score"].as_f64().unwrap();
            assert!(off.abs() < 1e-6);
        }
    }
}

#[test]
fn depths_as_python() {
    let golden = golden();
    for case in golden.cases.iter().filter(|case| case["task"] == "depth-estimation") {
        let base = case["outputs"].as_str().unwrap();
        let item = VisionOutput::Depth(golden.view(&format!("{base}.depth")));
        let got = depth_estimation::answer(&item, size(case)).unwrap();
        // Two dims less one that `values` took for a batch.
        let (_, want) = &golden.values[&format!("{base}.predicted_depth")];
        for (got, want) in got.depth.iter().zip(want) {
            assert!((got - want).abs() < 1e-5, "{base}: {got}, {want}");
        }
        // Cut, so that the last bit of a depth is worth a level.
        let want = &golden.bytes[&format!("{base}.picture")];
        assert!(got.picture.iter().zip(want).all(|(a, b)| a.abs_diff(*b) <= 1));
        let off = got.picture.iter().zip(want).filter(|(a, b)| a != b).count();
        assert!(off * 100 <= want.len(), "{base}: {off}");
    }
}

#[test]
fn a_flat_depth_is_black() {
    let item = VisionOutput::Depth(View { dims: &[1, 1], data: &[3.0] });
    let depth = depth_estimation::answer(&item, [1, 2]).unwrap();
    assert_eq!(depth.picture, [0, 0]);
}

#[test]
fn classes() {
    let mut info = info(VisionHead::Classification);
    info.labels = ["a", "b", "c"].map(String::from).to_vec();
    let item = VisionOutput::Logits(View { dims: &[4], data: &[0.0, 2.0, 2.0, -1.0] });
    let run = |info: &Info, options: Value| {
        let options = serde_json::from_value(options).unwrap();
        image_classification::answer(&item, info, &options).unwrap()
    };
    let all = run(&info, json!({}));
    let labels: Vec<&str> =
        all.as_array().unwrap().iter().map(|x| x["label"].as_str().unwrap()).collect();
    // Equal scores keep their order; a label that id2label lacks has a name all the same.
    assert_eq!(labels, ["b", "c", "a", "LABEL_3"]);
    assert_eq!(run(&info, json!({ "top_k": 2 })).as_array().unwrap().len(), 2);
    let raw = run(&info, json!({ "top_k": 1, "function_to_apply": "none" }));
    assert_eq!(raw, json!([{ "label": "b", "score": 2.0 }]));
    info.problem_type = Some("multi_label_classification".into());
    let multi = run(&info, json!({ "top_k": 1 }));
    assert!((multi[0]["score"].as_f64().unwrap() - 0.880_797).abs() < 1e-5);
}

#[test]
fn a_subtask_that_the_model_has_not() {
    let options = serde_json::from_value(json!({ "subtask": "panoptic" })).unwrap();
    let error = image_segmentation::check(&info(VisionHead::Semantic), &options).unwrap_err();
    assert_eq!(error.code, Code::Unsupported);
    assert!(error.remedy.contains("semantic"), "{error}");
}

/// Boxes of no area, beyond the picture, of no finite size: numbers, never a panic.
#[test]
fn boxes_without_area() {
    let boxes = [0.5, 0.5, 0.0, 0.0, 5.0, -3.0, 9.0, 1.0, f32::INFINITY, 0.0, 1.0, 1.0];
    let item = VisionOutput::Queries {
        logits: View { dims: &[3, 2], data: &[9.0, 0.0, 9.0, 0.0, 9.0, 0.0] },
        boxes: Some(View { dims: &[3, 4], data: &boxes }),
        masks: None,
    };
    let options = serde_json::from_value(json!({})).unwrap();
    let got = object_detection::answer(&item, &info(VisionHead::Detection), &options, [10, 20]);
    let got = got.unwrap();
    assert_eq!(got[0]["box"], json!({ "xmin": 10, "ymin": 5, "xmax": 10, "ymax": 5 }));
    assert_eq!(got[1]["box"], json!({ "xmin": 10, "ymin": -35, "xmax": 190, "ymax": -25 }));
}
