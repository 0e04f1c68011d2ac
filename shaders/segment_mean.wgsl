// out[b] = mean of x[bounds[b][0] .. bounds[b][1]], x [M, H], no segment empty. Called by
// src/ops/segment_mean.rs; one thread per element, neighbours on neighbouring columns.

struct Params {
    count: u32,  // B
    h: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> bounds: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let at = (group.x + group.y * groups.x) * 64u + t;
    let b = at / params.h;
    if b >= params.count {
        return;
    }
    let segment = bounds[b];
    var sum = 0.0;
    for (var row = segment.x; row < segment.y; row++) {
        sum += x[row * params.h + at % params.h];
    }
    out[at] = sum / f32(segment.y - segment.x);
}
