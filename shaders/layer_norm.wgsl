// out = activate((x - mean) / sqrt(var + eps) * weight + bias) per row of H. Called by src/ops/layer_norm.rs.
//
// One workgroup of 64 per row; a thread keeps its PER elements in registers between the two sums
// (mean, then the centred squares), so the row is read once.

struct Params {
    rows: u32,
    width: u32,  // H / 4, or H where H is no multiple of 4
    h: u32,
    eps: f32,
}

#if VEC4
alias Element = vec4<f32>;
fn total(v: Element) -> f32 {
    return v.x + v.y + v.z + v.w;
}
#else
alias Element = f32;
fn total(v: Element) -> f32 {
    return v;
}
#endif

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> weight: array<Element>;
@group(0) @binding(3) var<storage, read> bias: array<Element>;
@group(0) @binding(4) var<storage, read_write> out: array<Element>;

#include "lib/reduce.wgsl"
#include "lib/activation.wgsl"

#if VEC4
fn finish(v: Element) -> Element {
    return Element(activate(v.x), activate(v.y), activate(v.z), activate(v.w));
}
#else
fn finish(v: Element) -> Element {
    return activate(v);
}
#endif

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
    let at = row * params.width;
    var sum = 0.0;
#for i in 0..PER
    var v${i} = Element();
    if t + ${i}u * 64u < params.width {
        v${i} = x[at + t + ${i}u * 64u];
    }
    sum += total(v${i});
#endfor
#if SUBGROUPS
    let mean = workgroup_sum(sum, t, lane, lanes) / f32(params.h);
#else
    let mean = workgroup_sum(sum, t) / f32(params.h);
#endif
    var squares = 0.0;
#for i in 0..PER
    if t + ${i}u * 64u < params.width {
        v${i} = v${i} - mean;
        squares += total(v${i} * v${i});
    }
#endfor
#if SUBGROUPS
    let variance = workgroup_sum(squares, t, lane, lanes) / f32(params.h);
#else
    let variance = workgroup_sum(squares, t) / f32(params.h);
#endif
    let r = 1.0 / sqrt(variance + params.eps);
#for i in 0..PER
    if t + ${i}u * 64u < params.width {
        let c = t + ${i}u * 64u;
        out[at + c] = finish(v${i} * r * weight[c] + bias[c]);
    }
#endfor
}
