//! Image processors against Python's, on the same decoded pictures.
//! `tests/goldens/README.md` says how they were made.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;
use tareas::preprocess::image::{ImageProcessor, Picture, Prepared};
use tareas::{Code, Result};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/vision/images")
}

fn processor(cases: &Value, name: &str) -> ImageProcessor {
    let fields = &cases["processors"][name];
    let bytes = fields["config"].to_string();
    ImageProcessor::parse(bytes.as_bytes(), fields["model_type"].as_str().unwrap()).unwrap()
}

/// Levels are whole numbers, so one that is off by one differs by 1/255 over a deviation: 1e-6 is
/// room for nothing but the last bit of a float.
#[test]
fn processors_as_python() {
    let bytes = fs::read(folder().join("values.safetensors")).unwrap();
    let values = SafeTensors::deserialize(&bytes).unwrap();
    let cases: Value =
        serde_json::from_slice(&fs::read(folder().join("cases.json")).unwrap()).unwrap();
    let list = cases["cases"].as_array().unwrap();
    assert!(list.len() > 150);
    let mut wrong = Vec::new();
    for case in list {
        let (name, picture) =
            (case["processor"].as_str().unwrap(), case["picture"].as_str().unwrap());
        let source = values.tensor(&format!("picture.{picture}")).unwrap();
        let [h, w] = [source.shape()[0], source.shape()[1]];
        let source = Picture::new(source.data(), w, h, 3).unwrap();
        let mut got = Vec::new();
        let result = processor(&cases, name).prepare(source, &mut got);
        if case.get("error").is_some() {
            assert_eq!(result.unwrap_err().code, Code::Input, "{name} {picture}");
            continue;
        }
        let prepared = result.unwrap_or_else(|e| panic!("{name} {picture}: {e}"));
        let want = values.tensor(&format!("{name}.{picture}")).unwrap();
        assert_eq!(prepared.size, want.shape()[..2], "{name} {picture}");
        let valid = match case.get("valid") {
            Some(valid) => [0, 1].map(|i| valid[i].as_u64().unwrap() as usize),
            None => prepared.size,
        };
        assert_eq!(prepared.valid, valid, "{name} {picture}");
        let want: Vec<f32> = want
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        assert_eq!(got.len(), want.len());
        let off = got.iter().zip(&want).filter(|(g, w)| (*g - *w).abs() > 1e-6).count();
        if off > 0 {
            wrong.push(format!("{name} {picture}: {off} of {}", got.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn vit(size: usize) -> ImageProcessor {
    let config = format!(r#"{{"image_processor_type": "ViTImageProcessor", "size": {size}}}"#);
    ImageProcessor::parse(config.as_bytes(), "vit").unwrap()
}

fn prepare(processor: &ImageProcessor, picture: Picture<'_>) -> (Prepared, Vec<f32>) {
    let mut pixels = Vec::new();
    let prepared = processor.prepare(picture, &mut pixels).unwrap();
    (prepared, pixels)
}

/// Alpha is dropped, grey stands for all three channels.
#[test]
fn channels() {
    let rgb: Vec<u8> = (0..35 * 20 * 3).map(|i| (i * 7 % 256) as u8).collect();
    let rgba: Vec<u8> = rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], p[0] / 2]).collect();
    let grey: Vec<u8> = rgb.iter().step_by(3).copied().collect();
    let grey_alpha: Vec<u8> = grey.iter().flat_map(|&g| [g, 9]).collect();
    let grey_rgb: Vec<u8> = grey.iter().flat_map(|&g| [g; 3]).collect();
    let processor = vit(16);
    let run = |data: &[u8], c| prepare(&processor, Picture::new(data, 35, 20, c).unwrap()).1;
    assert_eq!(run(&rgb, 3), run(&rgba, 4));
    assert_eq!(run(&grey_rgb, 3), run(&grey, 1));
    assert_eq!(run(&grey_rgb, 3), run(&grey_alpha, 2));
}

#[test]
fn wrong_pictures_are_refused() {
    let code = |result: Result<Picture<'_>>| result.unwrap_err().code;
    assert_eq!(code(Picture::new(&[0; 12], 2, 2, 5)), Code::Input);
    assert_eq!(code(Picture::new(&[0; 12], 2, 2, 0)), Code::Input);
    assert_eq!(code(Picture::new(&[0; 11], 2, 2, 3)), Code::Input);
    assert_eq!(code(Picture::new(&[], 0, 2, 3)), Code::Input);
    assert_eq!(code(Picture::new(&[], usize::MAX, usize::MAX, 4)), Code::Input);
}

/// A crop of a picture that grows to 256 x 2,560,000 pixels computes the crop alone.
#[test]
fn a_strip_does_not_grow_beyond_its_crop() {
    let config = r#"{"image_processor_type": "ConvNextImageProcessor",
        "size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3}"#;
    let processor = ImageProcessor::parse(config.as_bytes(), "convnext").unwrap();
    let strip = vec![128; 10_000 * 3];
    let (prepared, pixels) = prepare(&processor, Picture::new(&strip, 1, 10_000, 3).unwrap());
    assert_eq!(prepared.size, [224, 224]);
    assert!(pixels.iter().all(|&x| (x - (128.0 / 255.0 - 0.5) / 0.5).abs() < 1e-6));
}

/// 192 MB of pixels stay where they are: only rows of the target's width are held beside them.
#[test]
fn a_large_picture() {
    let side = 8000;
    let mut data = vec![0u8; side * side * 3];
    for (y, row) in data.chunks_exact_mut(side * 3).enumerate() {
        row.fill((y * 255 / side) as u8);
    }
    let start = std::time::Instant::now();
    let (prepared, pixels) = prepare(&vit(224), Picture::new(&data, side, side, 3).unwrap());
    println!("{} ms", start.elapsed().as_millis());
    assert_eq!(prepared.size, [224, 224]);
    assert!(pixels[0] < -0.98 && pixels[pixels.len() - 1] > 0.97);
}

#[test]
fn configs_that_make_no_sense() {
    let code = |text: &str| ImageProcessor::parse(text.as_bytes(), "vit").unwrap_err().code;
    for text in [
        "",
        "[]",
        r#"{"size": 0}"#,
        r#"{"size": -3}"#,
        r#"{"size": 1e9}"#,
        r#"{"size": {"height": 3}}"#,
        r#"{"size": "large"}"#,
        r#"{"resample": 6}"#,
        r#"{"resample": "bilinear"}"#,
        r#"{"image_mean": [0.5, 0.5]}"#,
        r#"{"image_std": [0.5, 0, 0.5]}"#,
        r#"{"do_resize": "yes"}"#,
        r#"{"rescale_factor": "1/255"}"#,
        r#"{"image_processor_type": "GLPNImageProcessor", "size_divisor": 0}"#,
        r#"{"image_processor_type": "ConvNextImageProcessor", "size": 224, "crop_pct": 0}"#,
    ] {
        assert_eq!(code(text), Code::Config, "{text}");
    }
    assert_eq!(code(r#"{"image_processor_type": "SamImageProcessor"}"#), Code::Unsupported);
    assert_eq!(ImageProcessor::parse(b"{}", "bert").unwrap_err().code, Code::Config);
}
