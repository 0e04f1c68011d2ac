//! Peak memory while a checkpoint streams in: the quantized weights, the largest one, and a few
//! megabytes. A binary of its own, for its counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tareas::checkpoint::{Manifest, Packer, Reader, Scope};
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

/// 16 matrices of 4 MB in f32: 64 MB that never exist anywhere at once.
const COUNT: usize = 16;
const N: usize = 1024;

fn manifest() -> Manifest {
    let root = Scope::root("net", &[]);
    for i in 0..COUNT {
        root.pp("net").matrix(&format!("layer.{i}.weight"), N, N);
    }
    root.manifest()
}

/// The file, chunk by chunk.
fn stream(mut push: impl FnMut(&[u8])) {
    let entries: Vec<String> = (0..COUNT)
        .map(|i| {
            let (begin, end) = (i * N * N * 4, (i + 1) * N * N * 4);
            format!(
                "\"net.layer.{i}.weight\":{{\"dtype\":\"F32\",\"shape\":[{N},{N}],\"data_offsets\":[{begin},{end}]}}"
            )
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    push(&(header.len() as u64).to_le_bytes());
    push(header.as_bytes());
    let chunk: Vec<u8> = (0..16384).flat_map(|i| ((i as f32) * 0.37).sin().to_le_bytes()).collect();
    for _ in 0..COUNT * N * N * 4 / chunk.len() {
        push(&chunk);
    }
}

/// The most that `run` holds at once, beyond what is held already.
fn peak(run: impl FnOnce()) -> usize {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    run();
    PEAK.load(Relaxed) - before
}

// One test: the counters are of the whole process.
#[test]
fn a_stream_is_never_whole_in_memory() {
    const SLACK: usize = 4 << 20;
    let mut weights = Vec::new();
    let kept = peak(|| {
        let mut reader = Reader::new(manifest(), Some(Format::Q8), Format::Q8);
        reader.begin("model.safetensors", 0).unwrap();
        let mut sink = |_, weight| {
            weights.push(weight);
            Ok(())
        };
        stream(|chunk| reader.push(chunk, &mut sink).unwrap());
        reader.end().unwrap();
        reader.finish().unwrap();
    });
    let bytes = |w: &HostWeight| match w {
        HostWeight::Matrix(m) => m.bytes(),
        HostWeight::Vector(v) => 4 * v.len(),
    };
    let quantized: usize = weights.iter().map(bytes).sum();
    assert_eq!(weights.len(), COUNT);
    let bound = quantized + quantized / COUNT + SLACK;
    assert!(kept <= bound, "peak {kept} bytes, quantized {quantized}, bound {bound}");
    drop(weights);

    // A device of its own takes each weight away: what stays is one weight.
    let taken = peak(|| {
        let mut reader = Reader::new(manifest(), Some(Format::Q8), Format::Q8);
        reader.begin("model.safetensors", 0).unwrap();
        stream(|chunk| reader.push(chunk, &mut |_, _| Ok(())).unwrap());
        reader.end().unwrap();
        reader.finish().unwrap();
    });
    let bound = quantized / COUNT + SLACK;
    assert!(taken <= bound, "peak {taken} bytes, bound {bound}");

    // Making a pack holds the pack; reading one holds its scales (they come first) and one weight.
    let mut pack = Vec::with_capacity(quantized + (1 << 20));
    let packing = peak(|| {
        let mut packer = Packer::new(manifest(), Format::Q8);
        packer.begin("model.safetensors", 0).unwrap();
        stream(|chunk| packer.push(chunk).unwrap());
        packer.end().unwrap();
        let write = |chunk: &[u8]| {
            pack.extend_from_slice(chunk);
            Ok(())
        };
        packer.finish(write).unwrap();
    });
    let bound = quantized + 2 * quantized / COUNT + SLACK;
    assert!(packing <= bound, "peak {packing} bytes, bound {bound}");
    let mut count = 0;
    let reading = peak(|| {
        let mut reader = Reader::new(manifest(), None, Format::F32);
        reader.begin("model.safetensors", pack.len() as u64).unwrap();
        for chunk in pack.chunks(65_536) {
            let mut sink = |_, _| {
                count += 1;
                Ok(())
            };
            reader.push(chunk, &mut sink).unwrap();
        }
        reader.end().unwrap();
        assert_eq!(reader.finish().unwrap(), Format::Q8);
    });
    assert_eq!(count, COUNT);
    let scales = COUNT * N * Format::Q8.row_scales(N) * size_of::<f32>();
    let bound = scales + N * N + SLACK;
    assert!(reading <= bound, "peak {reading} bytes, bound {bound}");
}
