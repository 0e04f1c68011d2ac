// out [B, h, w, C] = the top left part of x [B, height, width, C]. Called by src/ops/concat.rs.

struct Params {
    n: u32,  // elements of the output
    height: u32,
    width: u32,
    c: u32,
    h: u32,
    w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = (group.x + group.y * groups.x) * 64u + t;
    if i >= params.n {
        return;
    }
    let c = i % params.c;
    let pixel = i / params.c;
    let column = pixel % params.w;
    let line = pixel / params.w;
    let row = line / params.h * params.height + line % params.h;
    out[i] = x[(row * params.width + column) * params.c + c];
}
