// out[i] = softmax(scale * q[i] Kᵀ) V per head, over the keys of token i's own segment.
// Called by src/ops/attention.rs.
//
//     qkv [M, 3, heads, D], segments [M, 2] (first and one past the last key), out [M, heads, D]
//
// A workgroup takes QUERIES queries of one head; they may span sequences. Keys pass by in tiles of
// KEYS under an online softmax: rows keep a running maximum and rescale what they have when it
// grows, so no score is ever stored to global memory. Eight lanes share two query rows:
//
//     scores: lane l has keys l, l + 8, ..; output: lane l has the vec4s l, l + 8, .. of D
//
//     | D      | QUERIES x KEYS | threads |
//     | <= 64  | 16 x 32        | 64      |   the largest tiles that fit 16 KiB; src/ops/attention.rs
//     | <= 128 | 16 x 8         | 64      |   has the list
//
// K and V tiles share their memory. A K tile is [d4][key] with the key's low three bits XORed with
// d4, so that writing along d and reading along keys are both free of bank conflicts; a V tile is
// [key][d4].

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

var<workgroup> queries: array<vec4<f32>, ${QUERY_TILE}>;  // [QUERIES][D4]
var<workgroup> tile: array<vec4<f32>, ${KEY_TILE}>;       // K then V
var<workgroup> weights: array<f32, ${WEIGHT_TILE}>;       // [QUERIES][KEYS]
var<workgroup> partials: array<f32, ${PARTIALS}>;         // [QUERIES][8]

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

fn store(i: u32, head: u32, d4: u32, v: vec4<f32>) {
    if i >= params.m || d4 >= ${D4}u {
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

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let head = group.y;
    let query0 = group.x * ${QUERIES}u;
    let last = min(query0 + ${QUERIES}u, params.m) - 1u;
    // Sequences are consecutive: these are the keys of all queries of the tile.
    let first_key = segments[query0].x;
    let end_key = segments[last].y;

    let lane = t % 8u;
    let pair = t / 8u;
#for r in 0..2
    let i${r} = pair * 2u + ${r}u;
    let segment${r} = segments[min(query0 + i${r}, last)];
    var most${r} = -3.0e38;  // running maximum of the row's scores
    var sum${r} = 0.0;       // this lane's share of the running sum of exponentials
#for c in 0..COLUMNS
    var o${r}_${c} = vec4<f32>(0.0);
#endfor
#endfor

    for (var e = t; e < ${QUERY_TILE}u; e += ${THREADS}u) {
        queries[e] = params.scale * load(min(query0 + e / ${D4}u, last), 0u, head, e % ${D4}u);
    }

    for (var key0 = first_key; key0 < end_key; key0 += ${KEYS}u) {
        workgroupBarrier(); // the tile's last readers are done
        for (var e = t; e < ${KEY_TILE}u; e += ${THREADS}u) {
            let key = e / ${D4}u;
            let d4 = e % ${D4}u;
            let k = load(min(key0 + key, end_key - 1u), 1u, head, d4);
            tile[d4 * ${KEYS}u + (key ^ (d4 & 7u))] = k;
        }
        workgroupBarrier();

#for r in 0..2
#for j in 0..KEYS_PER_LANE
        var s${r}_${j} = 0.0;
#endfor
#endfor
        for (var d4 = 0u; d4 < ${D4}u; d4++) {
            let q0 = queries[i0 * ${D4}u + d4];
            let q1 = queries[i1 * ${D4}u + d4];
            let at = d4 * ${KEYS}u + (lane ^ (d4 & 7u));
#for j in 0..KEYS_PER_LANE
            {
                let k = tile[at + ${j}u * 8u];
                s0_${j} += dot(q0, k);
                s1_${j} += dot(q1, k);
            }
#endfor
        }
#for r in 0..2
        var top${r} = -3.0e38;
#for j in 0..KEYS_PER_LANE
        let key${r}_${j} = key0 + lane + ${j}u * 8u;
        let visible${r}_${j} = key${r}_${j} >= segment${r}.x && key${r}_${j} < segment${r}.y;
        if visible${r}_${j} {
            top${r} = max(top${r}, s${r}_${j});
        }
#endfor
        partials[i${r} * 8u + lane] = top${r};
#endfor
        workgroupBarrier(); // all lanes' maxima are there, and all reads of the K tile are done

#for r in 0..2
        var most_now${r} = most${r};
        for (var l = 0u; l < 8u; l++) {
            most_now${r} = max(most_now${r}, partials[i${r} * 8u + l]);
        }
        let shrink${r} = exp(most${r} - most_now${r});
        most${r} = most_now${r};
        sum${r} *= shrink${r};
#for j in 0..KEYS_PER_LANE
        {
            let p = select(0.0, exp(s${r}_${j} - most${r}), visible${r}_${j});
            sum${r} += p;
            weights[i${r} * ${KEYS}u + lane + ${j}u * 8u] = p;
        }
#endfor
#for c in 0..COLUMNS
        o${r}_${c} *= shrink${r};
#endfor
#endfor
        for (var e = t; e < ${KEY_TILE}u; e += ${THREADS}u) {
            tile[e] = load(min(key0 + e / ${D4}u, end_key - 1u), 2u, head, e % ${D4}u);
        }
        workgroupBarrier();

        for (var key = 0u; key < ${KEYS}u; key++) {
            let p0 = weights[i0 * ${KEYS}u + key];
            let p1 = weights[i1 * ${KEYS}u + key];
#for c in 0..COLUMNS
            {
                let v = tile[key * ${D4}u + min(lane + ${c}u * 8u, ${D4}u - 1u)];
                o0_${c} += p0 * v;
                o1_${c} += p1 * v;
            }
#endfor
        }
    }

    workgroupBarrier();
#for r in 0..2
    partials[i${r} * 8u + lane] = sum${r};
#endfor
    workgroupBarrier();
#for r in 0..2
    var total${r} = 0.0;
    for (var l = 0u; l < 8u; l++) {
        total${r} += partials[i${r} * 8u + l];
    }
#for c in 0..COLUMNS
    store(query0 + i${r}, head, lane + ${c}u * 8u, o${r}_${c} / total${r});
#endfor
#endfor
}
