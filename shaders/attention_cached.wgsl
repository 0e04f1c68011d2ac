// out[i] = softmax(scale q_i . k_j + bias) v_j over the keys that token i sees, per head.
// Called by src/ops/attention_cached.rs.
//
// OVER says where the keys are: `past`: rows of the cache that a table lists, then tokens of this
// run (and token i leaves its own keys and values in the cache); `rows`: consecutive rows of the
// cache; `segments`: tokens of this run (CAUSAL: up to itself). A row of the cache is keys [heads, D], then values.
//
// One workgroup of 64 per token and head. Keys pass by in tiles of 64: each thread takes one key
// for the scores, one column of D for the sums; a running maximum keeps exp in range.

struct Params {
    m: u32,
    heads: u32,
    scale: f32,
    table: u32,  // columns of the bias table
    reach: u32,  // the largest distance with a bucket of its own
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> spans: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#if OVER == past
@group(0) @binding(4) var<storage, read_write> cache: array<f32>;
@group(0) @binding(5) var<storage, read> table: array<u32>;
#elif OVER == rows
@group(0) @binding(4) var<storage, read> cache: array<f32>;
#endif
#if BIAS
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read> buckets: array<u32>;
#endif

var<workgroup> query: array<f32, ${D}>;
var<workgroup> weights: array<f32, 64>;
// Where the row of each key of the tile begins, with the head's offset.
var<workgroup> starts: array<u32, 64>;
var<workgroup> shared_max: f32;

// An element of key j; `past` is the first key that is a token of this run.
#if OVER == past
fn element(j: u32, past: u32, at: u32) -> f32 {
    if j < past {
        return cache[at];
    }
    return q[at];
}
#elif OVER == rows
fn element(j: u32, past: u32, at: u32) -> f32 {
    return cache[at];
}
#else
fn element(j: u32, past: u32, at: u32) -> f32 {
    return q[at];
}
#endif

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = group.x;
    let offset = group.y * ${D}u;
    let h = params.heads * ${D}u;
#if OVER == past
    let start = spans[3u * i];
    let past = spans[3u * i + 1u];
    let fresh = spans[3u * i + 2u];
    let count = past + fresh;
    let own = i * 3u * h + offset;
    // what this run's later steps and runs will read; nobody reads it in this dispatch
    let row = table[start + count - 1u] * 2u * h + offset;
    for (var c = t; c < ${D}u; c += 64u) {
        cache[row + c] = q[own + h + c];
        cache[row + h + c] = q[own + 2u * h + c];
    }
    let here = count - 1u;
#elif OVER == rows
    let first = spans[2u * i];
    let count = spans[2u * i + 1u] - first;
    let own = i * h + offset;
    let here = 0u;
    let past = 0u;
#else
    let first = spans[2u * i];
#if CAUSAL
    let count = i + 1u - first;
#else
    let count = spans[2u * i + 1u] - first;
#endif
    let own = i * 3u * h + offset;
    let here = i - first;
    let past = 0u;
#endif
    for (var c = t; c < ${D}u; c += 64u) {
        query[c] = q[own + c];
    }

    var most = -3.0e38;
    var total = 0.0;
#for c in 0..COLUMNS
    var sum${c} = 0.0;
#endfor
    for (var tile = 0u; tile < count; tile += 64u) {
        workgroupBarrier(); // the query is there; the last tile's weights have been used
        let j = tile + t;
        var score = -3.0e38;
        if j < count {
#if OVER == past
            var at = 0u;
            if j < past {
                at = table[start + j] * 2u * h + offset;
            } else {
                at = (i + 1u + j - count) * 3u * h + h + offset;
            }
#elif OVER == rows
            let at = (first + j) * 2u * h + offset;
#else
            let at = (first + j) * 3u * h + h + offset;
#endif
            starts[t] = at;
            var dots = 0.0;
            for (var c = 0u; c < ${D}u; c++) {
                dots += query[c] * element(j, past, at + c);
            }
            score = dots * params.scale;
#if BIAS
            let reach = i32(params.reach);
            let distance = clamp(i32(j) - i32(here), -reach, reach);
            score += bias[buckets[u32(distance + reach)] * params.table + group.y];
#endif
        }
        weights[t] = score;
        workgroupBarrier();
        if t == 0u {
            var largest = most;
            for (var k = 0u; k < min(64u, count - tile); k++) {
                largest = max(largest, weights[k]);
            }
            shared_max = largest;
        }
        workgroupBarrier();
        let largest = shared_max;
        let shrink = exp(most - largest);
        most = largest;
        weights[t] = select(0.0, exp(score - most), j < count);
        workgroupBarrier();
        total *= shrink;
#for c in 0..COLUMNS
        sum${c} *= shrink;
#endfor
        for (var k = 0u; k < min(64u, count - tile); k++) {
            let weight = weights[k];
            total += weight;
            let at = starts[k] + h;
#for c in 0..COLUMNS
            if t + ${c}u * 64u < ${D}u {
                sum${c} += weight * element(tile + k, past, at + t + ${c}u * 64u);
            }
#endfor
        }
    }
#for c in 0..COLUMNS
    if t + ${c}u * 64u < ${D}u {
        out[i * h + offset + t + ${c}u * 64u] = sum${c} / total;
    }
#endfor
}
