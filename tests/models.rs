//! Golden models: small seeded checkpoints made with `transformers`, layer by layer, on the CPU
//! and on the GPU, in every format. `tests/goldens/README.md` says how they were made.

mod common;

use common::{goldens, relative_error, Golden};
use tareas::plan::Runtime;
use tareas::tensor::Format;

/// Every inner value that `transformers` has and we name too, f32 weights.
///
/// Both sides compute in f32 and differ in the order of their sums; the variants are two or three
/// layers of K <= 256, values up to about 10. Rounding of a sum of K terms is about
/// sqrt(K) * 6e-8 of its size; layer norms divide by a deviation that can be small against the
/// residual. 1e-4 of the value's largest magnitude leaves an order of magnitude over what was
/// seen (8e-6) and is three orders below what a wrong epsilon, scale or bias does.
#[test]
fn layer_by_layer_in_fp32() {
    for runtime in common::runtimes() {
        for golden in goldens() {
            let (mut model, _) = golden.load(runtime(), Some(Format::F32));
            let names = golden.tap_names(&model);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            assert!(names.len() >= 3, "{}: {names:?}", golden.name);
            let got = pollster::block_on(model.run_tapped(&golden.batch(), &names)).unwrap();
            for (name, got) in &got.0 {
                golden.compare(name, got, 1e-4);
            }
        }
    }
}

/// The head's output in the formats that round weights, against f32 kernels over the same rounded
/// weights: what is left is the kernels' own error.
///
/// f16: a GPU with `shader-f16` multiplies halves, so activations are rounded to 11 bits too, half
/// a step of 4.9e-4 per layer; 3e-4 was seen on such an adapter, 1e-3 leaves room for cancellation
/// between logits. q8 and q4 kernels may round activations to 7 bits per block of 32: half a step
/// of 1/63 of the block's largest value, about 1 % of a sum. Through two layers, a softmax and the
/// cancellation in a few logits of a random model that grows by about ten at most. A wrong scale
/// or zero point gives errors above 1; the parity table bounds each kernel far tighter.
#[test]
fn outputs_in_every_format() {
    for runtime in common::runtimes() {
        for (format, bound) in [(Format::F16, 1e-3), (Format::Q8, 0.15), (Format::Q4, 0.15)] {
            for golden in goldens() {
                let batch = golden.batch();
                let mut reference = golden.load_rounded(Runtime::cpu(), format);
                let want = pollster::block_on(reference.run(&batch)).unwrap();
                let (mut model, loaded) = golden.load(runtime(), Some(format));
                assert_eq!(loaded, format);
                let got = pollster::block_on(model.run(&batch)).unwrap();
                let error = relative_error(&got, &want);
                assert!(error <= bound, "{} in {format:?}: relative error {error}", golden.name);
            }
        }
    }
}

#[test]
fn a_second_run_replays_the_first_plan() {
    let golden: &Golden = &goldens()[0];
    for runtime in common::runtimes() {
        let (mut model, _) = golden.load(runtime(), Some(Format::F32));
        let batch = golden.batch();
        let first = pollster::block_on(model.run(&batch)).unwrap();
        let before = model.runtime.counters();
        let second = pollster::block_on(model.run(&batch)).unwrap();
        let after = model.runtime.counters();
        assert_eq!(first, second);
        assert_eq!(before.plans, after.plans);
        assert_eq!(before.gpu.pipelines, after.gpu.pipelines);
        assert_eq!(before.gpu.bind_groups, after.gpu.bind_groups);
        assert_eq!(before.gpu.buffers, after.gpu.buffers);
        if model.runtime.is_gpu() {
            assert_eq!(before.gpu.submits + 1, after.gpu.submits);
            assert_eq!(before.gpu.read_backs + 1, after.gpu.read_backs);
        }
    }
}

#[test]
fn an_unknown_tap_is_an_error() {
    let golden = &goldens()[0];
    let (mut model, _) = golden.load(Runtime::cpu(), Some(Format::F32));
    let batch = golden.batch();
    let run = model.run_tapped(&batch, &["encoder.layer.99"]);
    let error = pollster::block_on(run).unwrap_err();
    assert!(error.message.contains("encoder.layer.99"), "{error}");
}
