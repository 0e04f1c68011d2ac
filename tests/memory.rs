//! Peak memory while a checkpoint streams in: the quantized weights, the largest one, and a few
//! megabytes. A binary of its own, for its counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tareas::checkpoint::{Reader, Scope};
use tareas::tensor::{Format, HostWeight};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        System.dealloc(at, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_stream_is_never_whole_in_memory() {
    // 16 matrices of 4 MB in f32: 64 MB that never exist anywhere at once.
    const COUNT: usize = 16;
    const N: usize = 1024;
    let root = Scope::root("net", &[]);
    let names: Vec<String> = (0..COUNT).map(|i| format!("layer.{i}.weight")).collect();
    for name in &names {
        root.pp("net").matrix(name, N, N);
    }
    let entries: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let (begin, end) = (i * N * N * 4, (i + 1) * N * N * 4);
            format!("\"net.{name}\":{{\"dtype\":\"F32\",\"shape\":[{N},{N}],\"data_offsets\":[{begin},{end}]}}")
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let chunk: Vec<u8> = (0..16384).flat_map(|i| ((i as f32) * 0.37).sin().to_le_bytes()).collect();

    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let mut weights = Vec::new();
    let mut reader = Reader::new(root.manifest(), Some(Format::Q8), Format::Q8);
    reader.begin("model.safetensors", 0).unwrap();
    let mut sink = |_, weight| {
        weights.push(weight);
        Ok(())
    };
    reader.push(&(header.len() as u64).to_le_bytes(), &mut sink).unwrap();
    reader.push(header.as_bytes(), &mut sink).unwrap();
    for _ in 0..COUNT * N * N * 4 / chunk.len() {
        reader.push(&chunk, &mut sink).unwrap();
    }
    reader.end().unwrap();
    reader.finish().unwrap();

    let quantized: usize = weights
        .iter()
        .map(|w| match w {
            HostWeight::Matrix(m) => m.bytes(),
            HostWeight::Vector(v) => 4 * v.len(),
        })
        .sum();
    let peak = PEAK.load(Relaxed) - before;
    let bound = quantized + quantized / COUNT + (4 << 20);
    assert_eq!(weights.len(), COUNT);
    assert!(peak <= bound, "peak {peak} bytes, quantized {quantized}, bound {bound}");
}
