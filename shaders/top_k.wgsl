// out[r] = the indices of the k largest of x[r] (the first of equals before the others), the bits
// of their values, and the bits of ln sum e^x. Called by src/ops/top_k.rs.
//
// One workgroup per row, which passes over the row once per place: k is small, and a row of a
// vocabulary is in the cache after the first time.

struct Params {
    rows: u32,
    width: u32,
    k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

#include "lib/order.wgsl"

var<workgroup> sums: array<f32, ${THREADS}>;

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return; // the whole workgroup
    }
    let at = row * params.width;
    let to = row * (2u * params.k + 1u);
    var last = Candidate(0xFFFFFFFFu, 0u);
    var most = Candidate(0u, 0u);
    for (var place = 0u; place < params.k; place++) {
        var own = Candidate(0u, 0u);
        for (var i = t; i < params.width; i += ${THREADS}u) {
            let candidate = Candidate(order_key(x[at + i]), i);
            if before(candidate, own) && (place == 0u || before(last, candidate)) {
                own = candidate;
            }
        }
        last = best_of(own, t);
        if place == 0u {
            most = last;
        }
        if t == 0u {
            out[to + place] = last.index;
            out[to + params.k + place] = bitcast<u32>(x[at + last.index]);
        }
    }

    let largest = x[at + most.index];
    var total = 0.0;
    for (var i = t; i < params.width; i += ${THREADS}u) {
        total += exp(x[at + i] - largest);
    }
    sums[t] = total;
    workgroupBarrier();
    for (var stride = ${THREADS}u / 2u; stride > 0u; stride >>= 1u) {
        if t < stride {
            sums[t] += sums[t + stride];
        }
        workgroupBarrier();
    }
    if t == 0u {
        var bits = bitcast<u32>(largest + log(sums[0]));
        if most.key == NAN_KEY || ((most.key & 0x80000000u) == 0u && largest < -3.4e38) {
            bits = bitcast<u32>(largest); // NaN, or nothing but -infinity
        }
        out[to + 2u * params.k] = bits;
    }
}
