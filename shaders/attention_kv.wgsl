// out[i] = softmax(scale * q[i] Kᵀ) V per head and image, keys and values from values of their own.
// Called by src/ops/attention_kv.rs; the loop itself is in lib/attention.wgsl.
//
//     q [B, M, heads, D], k and v [B, KEYS, heads, D], mask [B, M, KEYS], out [B, M, heads, D]
//
// q, k and v may each be some columns of wider rows. MASK: a key is hidden from a query where the
// mask is negative; a query whose keys are all hidden sees them all.

struct Params {
    m: u32,
    keys: u32,
    heads: u32,
    scale: f32,
    // first column and width of a row, in vec4s with VEC4, else in floats
    q_first: u32,
    q_width: u32,
    k_first: u32,
    k_width: u32,
    v_first: u32,
    v_width: u32,
}

#if VEC4
alias Element = vec4<f32>;
#else
alias Element = f32;
#endif

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Element>;
@group(0) @binding(2) var<storage, read> k: array<Element>;
@group(0) @binding(3) var<storage, read> v: array<Element>;
#if MASK
@group(0) @binding(4) var<storage, read> mask: array<f32>;
#endif
@group(0) @binding(5) var<storage, read_write> out: array<Element>;

#include "lib/attention.wgsl"

var<private> image: u32;

fn query(i: u32, head: u32, d4: u32) -> vec4<f32> {
    let at = (image * params.m + i) * params.q_width + params.q_first;
#if VEC4
    return q[at + head * ${D4}u + d4];
#else
    var four = vec4<f32>(0.0);
#for c in 0..4
    if d4 * 4u + ${c}u < ${D}u {
        four[${c}] = q[at + head * ${D}u + d4 * 4u + ${c}u];
    }
#endfor
    return four;
#endif
}

fn key(j: u32, head: u32, d4: u32) -> vec4<f32> {
    let at = (image * params.keys + j) * params.k_width + params.k_first;
#if VEC4
    return k[at + head * ${D4}u + d4];
#else
    var four = vec4<f32>(0.0);
#for c in 0..4
    if d4 * 4u + ${c}u < ${D}u {
        four[${c}] = k[at + head * ${D}u + d4 * 4u + ${c}u];
    }
#endfor
    return four;
#endif
}

fn value(j: u32, head: u32, d4: u32) -> vec4<f32> {
    let at = (image * params.keys + j) * params.v_width + params.v_first;
#if VEC4
    return v[at + head * ${D4}u + d4];
#else
    var four = vec4<f32>(0.0);
#for c in 0..4
    if d4 * 4u + ${c}u < ${D}u {
        four[${c}] = v[at + head * ${D}u + d4 * 4u + ${c}u];
    }
#endfor
    return four;
#endif
}

fn store(i: u32, head: u32, d4: u32, four: vec4<f32>) {
    if d4 >= ${D4}u {
        return;
    }
    let at = (image * params.m + i) * params.heads + head;
#if VEC4
    out[at * ${D4}u + d4] = four;
#else
#for c in 0..4
    if d4 * 4u + ${c}u < ${D}u {
        out[at * ${D}u + d4 * 4u + ${c}u] = four[${c}];
    }
#endfor
#endif
}

#if MASK
// Where a query's row of the mask begins, and whether the mask holds for it.
struct Row {
    at: u32,
    masked: bool,
}

var<workgroup> seen: array<u32, ${QUERIES}>;
var<private> first_query: u32;

fn row_of(i: u32) -> Row {
    return Row((image * params.m + i) * params.keys, seen[i - first_query] != 0u);
}

fn score(row: Row, j: u32, head: u32, s: f32) -> f32 {
    return select(s, UNSEEN, row.masked && mask[row.at + j] < 0.0);
}
#else
struct Row {
    i: u32,
}

fn row_of(i: u32) -> Row {
    return Row(i);
}

fn score(row: Row, j: u32, head: u32, s: f32) -> f32 {
    return s;
}
#endif

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    image = group.y / params.heads;
    let query0 = group.x * ${QUERIES}u;
    let last = min(query0 + ${QUERIES}u, params.m) - 1u;
#if MASK
    // Which queries see any key at all: every thread looks at its share of one row.
    first_query = query0;
    let share = ${THREADS}u / ${QUERIES}u;
    let i = t / share;
    partials[t] = 0.0;
    for (var j = t % share; j < params.keys; j += share) {
        if mask[(image * params.m + min(query0 + i, last)) * params.keys + j] >= 0.0 {
            partials[t] = 1.0;
        }
    }
    workgroupBarrier();
    if t < ${QUERIES}u {
        var any = 0.0;
        for (var l = 0u; l < share; l++) {
            any = max(any, partials[t * share + l]);
        }
        seen[t] = u32(any);
    }
    workgroupBarrier();
#endif
    attend(group.y % params.heads, query0, last, 0u, params.keys, t);
}
