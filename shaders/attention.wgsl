// out[i] = softmax(scale * q[i] Kᵀ) V per head, over the keys of token i's own segment.
// Called by src/ops/attention.rs; the loop itself is in lib/attention.wgsl.
//
//     qkv [M, 3, heads, D], segments [M, 2] (first and one past the last key), out [M, heads, D]

struct Params {
    m: u32,
    heads: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
#if VEC4
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#endif
@group(0) @binding(2) var<storage, read> segments: array<vec2<u32>>;

#include "lib/attention.wgsl"

// Elements 4 d4 .. of token i's query (part 0), key (1) or value (2); zero past D.
fn load(i: u32, part: u32, head: u32, d4: u32) -> vec4<f32> {
    let at = ((i * 3u + part) * params.heads + head);
#if VEC4
    return qkv[at * ${D4}u + d4];
#else
    var v = vec4<f32>(0.0);
#for c in 0..4
    if d4 * 4u + ${c}u < ${D}u {
        v[${c}] = qkv[at * ${D}u + d4 * 4u + ${c}u];
    }
#endfor
    return v;
#endif
}

fn query(i: u32, head: u32, d4: u32) -> vec4<f32> {
    return load(i, 0u, head, d4);
}

fn key(j: u32, head: u32, d4: u32) -> vec4<f32> {
    return load(j, 1u, head, d4);
}

fn value(j: u32, head: u32, d4: u32) -> vec4<f32> {
    return load(j, 2u, head, d4);
}

fn store(i: u32, head: u32, d4: u32, v: vec4<f32>) {
    if d4 >= ${D4}u {
        return;
    }
    let at = i * params.heads + head;
#if VEC4
    out[at * ${D4}u + d4] = v;
#else
#for c in 0..4
    if d4 * 4u + ${c}u < ${D}u {
        out[at * ${D}u + d4 * 4u + ${c}u] = v[${c}];
    }
#endfor
#endif
}

// A query's segment.
struct Row {
    keys: vec2<u32>,
}

fn row_of(i: u32) -> Row {
    return Row(segments[i]);
}

fn score(row: Row, j: u32, head: u32, s: f32) -> f32 {
    return select(UNSEEN, s, j >= row.keys.x && j < row.keys.y);
}

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let query0 = group.x * ${QUERIES}u;
    let last = min(query0 + ${QUERIES}u, params.m) - 1u;
    // Sequences are consecutive: these are the keys of all queries of the tile.
    attend(group.y, query0, last, segments[query0].x, segments[last].y, t);
}
