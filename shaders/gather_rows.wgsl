// out[r] = x[rows[r]], x [M, H]. Called by src/ops/gather_rows.rs; one thread per element.

struct Params {
    count: u32,  // R
    h: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let at = (group.x + group.y * groups.x) * 64u + t;
    let r = at / params.h;
    if r < params.count {
        out[at] = x[rows[r] * params.h + at % params.h];
    }
}
