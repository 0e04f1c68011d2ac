// out = activate((x - mean) / sqrt(var + eps) * weight + bias), mean and variance of one image's
// group of channels; x [B, ROWS, C]. Called by src/ops/group_norm.rs.
//
// One workgroup of 64 per group and image: the sum, the centred squares, the result.

struct Params {
    rows: u32,
    c: u32,
    width: u32,  // channels of a group
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

#include "lib/reduce.wgsl"
#include "lib/activation.wgsl"

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
#if SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) lanes: u32,
#endif
) {
    let first = group.y * params.rows * params.c + group.x * params.width;
    let count = params.rows * params.width;
    var sum = 0.0;
    for (var i = t; i < count; i += 64u) {
        sum += x[first + i / params.width * params.c + i % params.width];
    }
#if SUBGROUPS
    let mean = workgroup_sum(sum, t, lane, lanes) / f32(count);
#else
    let mean = workgroup_sum(sum, t) / f32(count);
#endif
    var squares = 0.0;
    for (var i = t; i < count; i += 64u) {
        let d = x[first + i / params.width * params.c + i % params.width] - mean;
        squares += d * d;
    }
#if SUBGROUPS
    let variance = workgroup_sum(squares, t, lane, lanes) / f32(count);
#else
    let variance = workgroup_sum(squares, t) / f32(count);
#endif
    let r = 1.0 / sqrt(variance + params.eps);
    for (var i = t; i < count; i += 64u) {
        let at = first + i / params.width * params.c + i % params.width;
        let c = group.x * params.width + i % params.width;
        out[at] = activate((x[at] - mean) * r * weight[c] + bias[c]);
    }
}
