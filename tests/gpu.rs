//! The GPU device beyond its kernels: what a warm run creates, limits, loss, the self-test.
//!
//! Without a GPU adapter these tests say so and pass, unless `TAREAS_REQUIRE_GPU=1`.

use pollster::block_on;
use tareas::cpu::Activation;
use tareas::gpu::{Acceleration, Device, DeviceOptions, WeightShape};
use tareas::ops::LinearOptions;
use tareas::plan::{HostValue, Recorder, Runtime, WeightId};
use tareas::tensor::{DType, Format, HostWeight, Matrix};
use tareas::{Code, Error, Result};

const FORMATS: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];

fn gpu(options: DeviceOptions) -> Option<Device> {
    match block_on(Device::new(options)) {
        Ok(device) => Some(device),
        Err(error) => {
            let required = std::env::var("TAREAS_REQUIRE_GPU").is_ok_and(|v| v == "1");
            assert!(!required, "TAREAS_REQUIRE_GPU=1 and no GPU: {error}");
            eprintln!("no GPU here, not tested: {error}");
            None
        }
    }
}

fn numbers(seed: u32, n: usize, scale: f32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| scale * next()).collect()
}

fn matrix(seed: u32, format: Format, n: usize, k: usize) -> HostWeight {
    let mut matrix = Matrix::zeros(format, n, k);
    matrix.set_rows(0, &numbers(seed, n * k, 1.7 / (k as f32).sqrt()));
    HostWeight::Matrix(matrix)
}

/// A BERT encoder of one layer between an embedding and a pooler.
struct Encoder {
    runtime: Runtime,
    m: usize,
    h: usize,
    heads: usize,
    ids: Vec<u32>,
    segments: Vec<u32>,
}

const VOCABULARY: usize = 1000;

impl Encoder {
    fn new(device: &Device, format: Format, [m, h, heads]: [usize; 3]) -> Result<Self> {
        let matrices =
            (1..).zip(Encoder::shapes(h)).map(|(seed, [n, k])| matrix(seed, format, n, k));
        let vectors = [vec![1.0; h], numbers(9, 4 * h, 0.1)].map(HostWeight::Vector);
        let mut runtime = Runtime::gpu(device.clone());
        for (id, weight) in matrices.chain(vectors).enumerate() {
            runtime.set_weight(WeightId(id as u32), weight)?;
        }
        let ids = (0..m as u32).map(|i| i * 37 % VOCABULARY as u32).collect();
        let segments = [0, m as u32].repeat(m);
        Ok(Encoder { runtime, m, h, heads, ids, segments })
    }

    /// The shapes of the weights, by id.
    fn shapes(h: usize) -> [[usize; 2]; 6] {
        [[VOCABULARY, h], [3 * h, h], [h, h], [4 * h, h], [h, 4 * h], [h, h]]
    }

    fn record(g: &mut Recorder, [m, h, heads]: [usize; 3]) {
        let [words, qkv, out, up, down, pooler] = [0, 1, 2, 3, 4, 5].map(WeightId);
        let (gamma, bias) = (WeightId(6), WeightId(7));
        let options = |activation, residual| LinearOptions {
            activation,
            residual,
            ..LinearOptions::default()
        };
        let ids = g.input("ids", [m], DType::U32);
        let segments = g.input("segments", [m, 2], DType::U32);
        let first = g.input("first", [1], DType::U32);
        let x = g.embedding(&[(ids, words)], h);
        let a = g.linear(x, qkv, Some(bias), [3 * h, h], options(Activation::None, None));
        let a = g.attention(a, segments, heads, 1.0 / ((h / heads) as f32).sqrt());
        let x = g.linear(a, out, Some(bias), [h, h], options(Activation::None, Some(x)));
        let x = g.layer_norm(x, gamma, bias, 1e-12);
        let f = g.linear(x, up, Some(bias), [4 * h, h], options(Activation::Gelu, None));
        let x = g.linear(f, down, Some(bias), [h, 4 * h], options(Activation::None, Some(x)));
        let x = g.layer_norm(x, gamma, bias, 1e-12);
        let cls = g.gather_rows(x, first);
        let y = g.linear(cls, pooler, Some(bias), [h, h], options(Activation::Tanh, None));
        g.output("last_hidden_state", x);
        g.output("pooled", y);
    }

    fn run(&mut self) -> Result<Vec<f32>> {
        let dims = [self.m, self.h, self.heads];
        let inputs = [
            ("ids", HostValue::U32(&self.ids[..])),
            ("segments", HostValue::U32(&self.segments)),
            ("first", HostValue::U32(&[0])),
        ];
        let record = |g: &mut Recorder| Encoder::record(g, dims);
        let run = self.runtime.run([self.m, 0, 0, 0], record, &inputs);
        let mut outputs = block_on(run)?;
        assert_eq!(outputs.take("pooled")?.len(), self.h);
        outputs.take("last_hidden_state")
    }
}

fn code<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("this was to fail"),
        Err(error) => error,
    }
}

#[test]
fn a_warm_run_creates_nothing_and_submits_once() {
    let Some(device) = gpu(DeviceOptions::default()) else { return };
    let mut encoder = Encoder::new(&device, Format::Q8, [20, 64, 4]).unwrap();
    let first = encoder.run().unwrap();
    let cold = device.counters();
    assert!(cold.pipelines > 0 && cold.pipelines < 20, "{} pipelines", cold.pipelines);
    assert_eq!(encoder.run().unwrap(), first);
    let warm = device.counters();
    assert_eq!(warm.pipelines, cold.pipelines);
    assert_eq!(warm.bind_groups, cold.bind_groups);
    assert_eq!(warm.buffers, cold.buffers);
    assert_eq!(warm.submits, cold.submits + 1);
    assert_eq!(warm.read_backs, cold.read_backs + 1);
    // 7 for the layer; embedding, gather and pooler
    assert_eq!(warm.dispatches, cold.dispatches + 7 + 3);
}

#[test]
fn pipelines_compile_before_the_weights_arrive() {
    let Some(device) = gpu(DeviceOptions::default()) else { return };
    let dims = [20, 64, 4];
    let runtime = Runtime::gpu(device.clone());
    let matrix = |[n, k]: [usize; 2]| WeightShape::Matrix { format: Format::Q8, n, k };
    let mut shapes: Vec<WeightShape> = Encoder::shapes(64).into_iter().map(matrix).collect();
    shapes.extend([WeightShape::Vector; 2]);
    runtime.prepare(|g| Encoder::record(g, dims), &shapes).unwrap();
    let prepared = device.counters().pipelines;
    assert!(prepared > 0);
    Encoder::new(&device, Format::Q8, dims).unwrap().run().unwrap();
    assert_eq!(device.counters().pipelines, prepared);
}

#[test]
fn a_long_plan_is_submitted_in_chunks() {
    let whole = gpu(DeviceOptions::default());
    let chunked = gpu(DeviceOptions { flops_per_submit: Some(1), ..Default::default() });
    let (Some(whole), Some(chunked)) = (whole, chunked) else { return };
    let mut results = [&whole, &chunked]
        .map(|device| Encoder::new(device, Format::F32, [20, 64, 4]).unwrap().run().unwrap());
    assert_eq!(whole.counters().submits, 1);
    // every dispatch but the gather counts flops; the last chunk takes what is left
    assert_eq!(chunked.counters().submits, 9);
    let [a, b] = results.each_mut().map(std::mem::take);
    assert_eq!(a, b);
}

#[test]
fn weights_beyond_the_binding_limit_are_split() {
    let h = 68; // no multiple of 32
    let limit = 16 * 1024;
    let small = DeviceOptions { max_binding: Some(limit), ..Default::default() };
    let (Some(whole), Some(split)) = (gpu(DeviceOptions::default()), gpu(small)) else { return };
    for format in FORMATS {
        let mut a = Encoder::new(&whole, format, [12, h, 2]).unwrap();
        let mut b = Encoder::new(&split, format, [12, h, 2]).unwrap();
        assert_eq!(a.run().unwrap(), b.run().unwrap(), "{format:?}");
        let dispatches = [&a, &b].map(|e| e.runtime.counters().gpu.dispatches);
        assert!(dispatches[1] > dispatches[0], "{format:?}: nothing was split");
    }
}

#[test]
fn what_cannot_be_split_is_refused_with_its_bytes() {
    let small = DeviceOptions { max_binding: Some(1024), ..Default::default() };
    let Some(device) = gpu(small) else { return };
    let error = code(device.upload(matrix(1, Format::F32, 2, 300)));
    assert_eq!(error.code, Code::Unsupported);
    assert!(error.message.contains("1280 bytes"), "{error}");
    let mut encoder = Encoder::new(&device, Format::Q8, [20, 64, 4]).unwrap();
    let error = code(encoder.run());
    assert_eq!(error.code, Code::OutOfMemory);
    assert!(error.message.contains("bytes; this GPU binds 1024 at once"), "{error}");
}

#[test]
fn default_limits_suffice() {
    let Some(device) = gpu(DeviceOptions { default_limits: true, ..Default::default() }) else {
        return;
    };
    assert_eq!(device.caps().max_binding, 128 << 20);
    assert_eq!(device.caps().workgroup_memory, 16 << 10);
    Encoder::new(&device, Format::Q4, [20, 64, 4]).unwrap().run().unwrap();
}

#[test]
fn a_lost_device_says_so_and_a_new_one_works() {
    let Some(device) = gpu(DeviceOptions::default()) else { return };
    let mut encoder = Encoder::new(&device, Format::F32, [20, 64, 4]).unwrap();
    let before = encoder.run().unwrap();
    device.destroy();
    for _ in 0..2 {
        assert_eq!(code(encoder.run()).code, Code::DeviceLost);
    }
    assert_eq!(code(device.upload(HostWeight::Vector(vec![0.0]))).code, Code::DeviceLost);
    let Some(device) = gpu(DeviceOptions::default()) else { return };
    let mut encoder = Encoder::new(&device, Format::F32, [20, 64, 4]).unwrap();
    assert_eq!(encoder.run().unwrap(), before);
}

#[test]
fn the_self_test_passes_with_and_without_accelerations() {
    let baseline = DeviceOptions { disable: Acceleration::ALL.to_vec(), ..Default::default() };
    for options in [DeviceOptions::default(), baseline] {
        let Some(device) = gpu(options) else { return };
        let had = device.caps().in_use();
        block_on(device.self_test(&FORMATS)).unwrap();
        assert_eq!(device.caps().in_use(), had, "{:?}", device.notes());
    }
}

#[test]
fn a_device_that_computes_nonsense_is_refused() {
    let Some(device) = gpu(DeviceOptions { corrupt_self_test: true, ..Default::default() }) else {
        return;
    };
    for format in FORMATS {
        let error = code(block_on(device.self_test(&[format])));
        assert_eq!(error.code, Code::Device);
        assert!(error.message.contains("computes wrong values: linear"), "{error}");
    }
}

#[test]
fn an_acceleration_that_computes_nonsense_is_switched_off() {
    let acceleration = Acceleration::PackedDot;
    let options =
        DeviceOptions { corrupt_acceleration: Some(acceleration), ..DeviceOptions::default() };
    let Some(device) = gpu(options) else { return };
    if !device.caps().has(acceleration) {
        return;
    }
    block_on(device.self_test(&[Format::Q8])).unwrap();
    assert!(!device.caps().has(acceleration));
    assert!(device.notes()[0].starts_with("packed_dot is not used: "), "{:?}", device.notes());
    Encoder::new(&device, Format::Q8, [20, 64, 4]).unwrap().run().unwrap();
}

#[test]
fn a_timed_run_names_its_steps() {
    let Some(device) = gpu(DeviceOptions::default()) else { return };
    let mut encoder = Encoder::new(&device, Format::Q8, [20, 64, 4]).unwrap();
    let plain = encoder.run().unwrap();
    encoder.runtime.set_profile(true);
    assert_eq!(encoder.run().unwrap(), plain);
    assert_eq!(encoder.run().unwrap(), plain);
    if device.caps().timestamps {
        let timings = encoder.runtime.timings();
        let ops: Vec<&str> = timings.iter().map(|t| t.op).collect();
        assert_eq!(ops[..4], ["embedding", "linear", "attention", "linear"]);
        assert!(timings.iter().map(|t| t.ms).sum::<f64>() > 0.0);
    }
}

/// `cargo test --release --test gpu -- --ignored --nocapture`: times of a BERT layer per format.
#[test]
#[ignore = "a measurement"]
fn time_of_a_bert_layer() {
    let baseline = DeviceOptions { disable: Acceleration::ALL.to_vec(), ..Default::default() };
    for options in [DeviceOptions::default(), baseline] {
        let Some(device) = gpu(options) else { return };
        let names: Vec<_> = device.caps().in_use().iter().map(|a| a.name()).collect();
        println!("{} {names:?}, M = 128, H = 768", device.adapter());
        for format in FORMATS {
            let mut encoder = Encoder::new(&device, format, [128, 768, 12]).unwrap();
            let start = std::time::Instant::now();
            encoder.run().unwrap();
            let cold = start.elapsed().as_secs_f64() * 1e3;
            let mut times: Vec<f64> = (0..5)
                .map(|_| {
                    let start = std::time::Instant::now();
                    encoder.run().unwrap();
                    start.elapsed().as_secs_f64() * 1e3
                })
                .collect();
            times.sort_by(f64::total_cmp);
            println!("{:>5}: {:7.1} ms, first {cold:.0} ms", format.name(), times[2]);
            encoder.runtime.set_profile(true);
            encoder.run().unwrap();
            let steps = encoder.runtime.timings();
            let steps: Vec<_> = steps.iter().map(|t| format!("{} {:.1}", t.op, t.ms)).collect();
            println!("       {}", steps.join(", "));
        }
        println!("{:?}", device.counters());
    }
}
