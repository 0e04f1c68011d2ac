// workgroup_sum: the sum of one value per thread over a workgroup of 64, for every thread.
// Uniform control flow only.

var<workgroup> partials: array<f32, 64>;

#if SUBGROUPS
fn workgroup_sum(value: f32, t: u32, lane: u32, lanes: u32) -> f32 {
    let own = subgroupAdd(value);
    if lane == 0u {
        partials[t / lanes] = own;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < (63u + lanes) / lanes; i++) {
        sum += partials[i];
    }
    workgroupBarrier(); // before the next call writes
    return sum;
}
#else
fn workgroup_sum(value: f32, t: u32) -> f32 {
    partials[t] = value;
    workgroupBarrier();
    for (var stride = 32u; stride > 0u; stride >>= 1u) {
        if t < stride {
            partials[t] += partials[t + stride];
        }
        workgroupBarrier();
    }
    let sum = partials[0];
    workgroupBarrier(); // before the next call writes
    return sum;
}
#endif
