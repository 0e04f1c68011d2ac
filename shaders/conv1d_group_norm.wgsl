// Of the convolution y[t, o] = sum_k x[t stride + k] w[o, k]:
//     scale[o] = gamma[o] / sqrt(var(y[., o]) + eps),  shift[o] = beta[o] - mean(y[., o]) scale[o]
// Called by src/ops/conv1d_group_norm.rs.
//
// A workgroup of 256 takes 16 channels, each shared by 16 threads that stride along time. It goes
// over the signal twice, for the mean and for the centred squares, and keeps none of y: computing
// ten products again costs less than reading a sum back.

struct Params {
    windows: u32,
    stride: u32,
    n: u32,       // rows of this chunk of the weight
    k4s: u32,     // columns of the weight (k padded to a multiple of 32) / 4
    column: u32,  // first channel of this chunk
    width: u32,   // channels
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> gamma: array<f32>;
@group(0) @binding(5) var<storage, read> beta: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

#include "lib/weights.wgsl"

var<workgroup> partials: array<f32, 256>;  // [CHANNELS][LANES]

fn lane_sum(value: f32, t: u32) -> f32 {
    partials[t] = value;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < ${LANES}u; i++) {
        sum += partials[t / ${LANES}u * ${LANES}u + i];
    }
    workgroupBarrier(); // before the next call writes
    return sum;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t % ${LANES}u;
    let channel = group.x * ${CHANNELS}u + t / ${LANES}u;
    let row = min(channel, params.n - 1u);
    var w: array<f32, ${K}>;
    for (var k = 0u; k < ${K}u; k++) {
        w[k] = decode4(fetch4(row, k / 4u, params.k4s))[k % 4u];
    }

    var sum = 0.0;
    for (var i = lane; i < params.windows; i += ${LANES}u) {
        var y = 0.0;
        for (var k = 0u; k < ${K}u; k++) {
            y += x[i * params.stride + k] * w[k];
        }
        sum += y;
    }
    let mean = lane_sum(sum, t) / f32(params.windows);

    var squares = 0.0;
    for (var i = lane; i < params.windows; i += ${LANES}u) {
        var y = 0.0;
        for (var k = 0u; k < ${K}u; k++) {
            y += x[i * params.stride + k] * w[k];
        }
        squares += (y - mean) * (y - mean);
    }
    let variance = lane_sum(squares, t) / f32(params.windows);

    if lane == 0u && channel < params.n {
        let column = params.column + channel;
        let scale = gamma[column] / sqrt(variance + params.eps);
        out[column] = scale;
        out[params.width + column] = beta[column] - mean * scale;
    }
}
