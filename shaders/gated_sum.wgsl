// out[r, c] = a[r, c] * gates[r, 0] + b[r, c] * gates[r, 1]. Called by src/ops/gated_sum.rs; one
// thread per element.

struct Params {
    count: u32,
    c: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> gates: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let at = (group.x + group.y * groups.x) * 64u + t;
    if at < params.count {
        let g = gates[at / params.c];
        out[at] = a[at] * g.x + b[at] * g.y;
    }
}
