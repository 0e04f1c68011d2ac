// out[to + i] = table[from + i]: rows of a weight in any format. Called by src/ops/table.rs; one
// thread per four elements of a row.

struct Params {
    rows: u32,
    h: u32,
    k4s: u32,   // columns of the table (h padded to a multiple of 32) / 4
    first: u32, // row of the table's chunk
    to: u32,    // row of the output
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

#include "lib/weights.wgsl"

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let k4s = (params.h + 3u) / 4u;
    let at = (group.x + group.y * groups.x) * 64u + t;
    let row = at / k4s;
    let k4 = at % k4s;
    if row >= params.rows {
        return;
    }
    let v = decode4(fetch4(params.first + row, k4, params.k4s));
#for i in 0..4
    if k4 * 4u + ${i}u < params.h {
        out[(params.to + row) * params.h + k4 * 4u + ${i}u] = v[${i}];
    }
#endfor
}
