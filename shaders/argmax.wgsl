// out[r] = the index of the largest of x[r], the first of equals; 0xFFFFFFFF where there is a NaN.
// Called by src/ops/argmax.rs. One workgroup per row.

struct Params {
    rows: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

#include "lib/order.wgsl"

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
    var own = Candidate(0u, 0u);
    for (var i = t; i < params.width; i += ${THREADS}u) {
        let candidate = Candidate(order_key(x[row * params.width + i]), i);
        if before(candidate, own) {
            own = candidate;
        }
    }
    let best = best_of(own, t);
    if t == 0u {
        out[row] = select(best.index, 0xFFFFFFFFu, best.key == NAN_KEY);
    }
}
