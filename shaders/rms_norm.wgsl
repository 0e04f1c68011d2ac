// out = scale x / sqrt(mean(x^2) + eps) * weight per row of H. Called by src/ops/rms_norm.rs.
//
// One workgroup of 64 per row; a thread keeps its PER elements in registers.

struct Params {
    rows: u32,
    h: u32,
    eps: f32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

#include "lib/reduce.wgsl"

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
#if SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) lanes: u32,
#endif
) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return; // the whole workgroup
    }
    let at = row * params.h;
    var squares = 0.0;
#for i in 0..PER
    var v${i} = 0.0;
    if t + ${i}u * 64u < params.h {
        v${i} = x[at + t + ${i}u * 64u];
    }
    squares += v${i} * v${i};
#endfor
#if SUBGROUPS
    let mean = workgroup_sum(squares, t, lane, lanes) / f32(params.h);
#else
    let mean = workgroup_sum(squares, t) / f32(params.h);
#endif
    let r = params.scale / sqrt(mean + params.eps);
#for i in 0..PER
    if t + ${i}u * 64u < params.h {
        let c = t + ${i}u * 64u;
        out[at + c] = v${i} * r * weight[c];
    }
#endfor
}
