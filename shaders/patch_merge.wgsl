// out[b, y, x, part, c] = in[b, 2 y + part % 2, 2 x + part / 2, c], zero past the edges.
// Called by src/ops/patch_merge.rs; one thread per element.

struct Params {
    count: u32,
    h: u32,  // the input's
    w: u32,
    c: u32,
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
    let at = (group.x + group.y * groups.x) * 64u + t;
    if at >= params.count {
        return;
    }
    let height = (params.h + 1u) / 2u;
    let width = (params.w + 1u) / 2u;
    let part = at / params.c % 4u;
    let pixel = at / params.c / 4u;
    let y = pixel / width % height * 2u + part % 2u;
    let x_at = pixel % width * 2u + part / 2u;
    var v = 0.0;
    if y < params.h && x_at < params.w {
        let image = pixel / (width * height);
        v = x[((image * params.h + y) * params.w + x_at) * params.c + at % params.c];
    }
    out[at] = v;
}
