// out[m] (+)= scale table[index[m] + offset]: one table, or one chunk of its rows, per dispatch; any format.
// Called by src/ops/embedding.rs. ADD: this is not the first table.
//
// One thread per four elements of a row; a row outside this chunk is another dispatch's.

struct Params {
    rows: u32,   // M
    h: u32,
    k4s: u32,    // columns of the table (h padded to a multiple of 32) / 4
    first: u32,  // first row of this chunk
    count: u32,  // rows of this chunk
    offset: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>;
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
    let m = at / k4s;
    let k4 = at % k4s;
    if m >= params.rows {
        return;
    }
    let row = index[m] + params.offset - params.first; // wraps past count for a row before the chunk
    if row >= params.count {
        return;
    }
    let v = params.scale * decode4(fetch4(row, k4, params.k4s));
#for i in 0..4
    if k4 * 4u + ${i}u < params.h {
#if ADD
        out[m * params.h + k4 * 4u + ${i}u] += v[${i}];
#else
        out[m * params.h + k4 * 4u + ${i}u] = v[${i}];
#endif
    }
#endfor
}
