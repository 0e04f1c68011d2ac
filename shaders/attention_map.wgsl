// out[q, p, head] = softmax over p and head of scale * q[q, head] . k[p, head]. Called by
// src/ops/attention_map.rs.
//
//     q [Q, heads, D], k [pixels, heads, D], out [Q, pixels, heads]
//
// A workgroup of 256 per query; it writes scores, then what they become.

struct Params {
    pixels: u32,
    heads: u32,
    d: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

var<workgroup> partials: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let n = params.pixels * params.heads;
    let first = group.x * n;
    var most = -3.0e38;
    for (var i = t; i < n; i += 256u) {
        let query = (group.x * params.heads + i % params.heads) * params.d;
        let key = i * params.d;
        var sum = 0.0;
        for (var c = 0u; c < params.d; c++) {
            sum += q[query + c] * k[key + c];
        }
        sum *= params.scale;
        out[first + i] = sum;
        most = max(most, sum);
    }
    partials[t] = most;
    workgroupBarrier();
    for (var stride = 128u; stride > 0u; stride >>= 1u) {
        if t < stride {
            partials[t] = max(partials[t], partials[t + stride]);
        }
        workgroupBarrier();
    }
    most = partials[0];
    workgroupBarrier();
    var total = 0.0;
    for (var i = t; i < n; i += 256u) {
        let p = exp(out[first + i] - most);
        out[first + i] = p;
        total += p;
    }
    partials[t] = total;
    workgroupBarrier();
    for (var stride = 128u; stride > 0u; stride >>= 1u) {
        if t < stride {
            partials[t] += partials[t + stride];
        }
        workgroupBarrier();
    }
    let inverse = 1.0 / partials[0];
    for (var i = t; i < n; i += 256u) {
        out[first + i] *= inverse;
    }
}
