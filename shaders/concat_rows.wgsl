// out[at ..] = part. Called by src/ops/concat_rows.rs, once per part.

struct Params {
    count: u32,  // values of the part
    at: u32,     // where they go
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> part: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = (group.x + group.y * groups.x) * 64u + t;
    if i < params.count {
        out[params.at + i] = part[i];
    }
}
