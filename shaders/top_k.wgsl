// out[r] = the indices of the k largest of x[r] (the first of equals before the others), the bits
// of their values, and the bits of ln sum e^(x - the largest). Called by src/ops/top_k.rs.
//
// One workgroup per row. The key of the k-th is found digit by digit, from histograms of 256, then
// which of its equals are among the k; what is not after those is gathered and put in order. So a
// row is passed over eight times, however large k is: a row of a vocabulary is in the cache after
// the first.

struct Params {
    rows: u32,
    width: u32,
    k: u32,
    digits: u32, // of 8 bits, of an index
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

#include "lib/order.wgsl"

var<workgroup> sums: array<f32, ${THREADS}>;
var<workgroup> counts: array<atomic<u32>, 256>;
var<workgroup> picked: vec2<u32>;
var<workgroup> found: array<Candidate, ${MOST}>;
var<workgroup> filled: atomic<u32>;
var<workgroup> most: u32;

// Of the digits counted, the one that the `need`-th largest has; and how many with it are needed.
// Uniform control flow only.
fn pick(need: u32, t: u32) -> vec2<u32> {
    workgroupBarrier();
    if t == 0u {
        var rest = need;
        var digit = 255u;
        for (; digit > 0u; digit--) {
            let count = atomicLoad(&counts[digit]);
            if count >= rest {
                break;
            }
            rest -= count;
        }
        picked = vec2<u32>(digit, rest);
    }
    workgroupBarrier();
    let result = picked;
    for (var i = t; i < 256u; i += ${THREADS}u) {
        atomicStore(&counts[i], 0u);
    }
    workgroupBarrier();
    return result;
}

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

    var need = params.k;
    var last = 0u; // the key of the k-th
    var known = 0u;
    for (var digit = 0u; digit < 4u; digit++) {
        let shift = 24u - 8u * digit;
        for (var i = t; i < params.width; i += ${THREADS}u) {
            let key = order_key(x[at + i]);
            if (key & known) == last {
                atomicAdd(&counts[(key >> shift) & 255u], 1u);
            }
        }
        let digit_and_rest = pick(need, t);
        last |= digit_and_rest.x << shift;
        known |= 255u << shift;
        need = digit_and_rest.y;
    }
    // Among its equals the first come first: the largest of ~index.
    var place = 0u;
    known = 0u;
    for (var digit = params.digits; digit > 0u; digit--) {
        let shift = 8u * (digit - 1u);
        for (var i = t; i < params.width; i += ${THREADS}u) {
            if order_key(x[at + i]) == last && (~i & known) == place {
                atomicAdd(&counts[(~i >> shift) & 255u], 1u);
            }
        }
        let digit_and_rest = pick(need, t);
        place |= digit_and_rest.x << shift;
        known |= 255u << shift;
        need = digit_and_rest.y;
    }

    for (var i = t; i < params.width; i += ${THREADS}u) {
        let key = order_key(x[at + i]);
        if key > last || (key == last && (~i & known) >= place) {
            found[min(atomicAdd(&filled, 1u), ${MOST}u - 1u)] = Candidate(key, i);
        }
    }
    workgroupBarrier();
    for (var own = t; own < params.k; own += ${THREADS}u) {
        let candidate = found[own];
        var rank = 0u;
        for (var other = 0u; other < params.k; other++) {
            rank += u32(before(found[other], candidate));
        }
        out[to + rank] = candidate.index;
        out[to + params.k + rank] = bitcast<u32>(x[at + candidate.index]);
        if rank == 0u {
            most = candidate.index;
        }
    }
    workgroupBarrier();

    let largest = x[at + most];
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
        let key = order_key(largest);
        var bits = bitcast<u32>(log(sums[0]));
        if key == NAN_KEY || ((key & 0x80000000u) == 0u && largest < -3.4e38) {
            bits = bitcast<u32>(largest); // NaN, or nothing but -infinity
        }
        out[to + 2u * params.k] = bits;
    }
}
