// out[r] = (x[r mod rows], y[r]) side by side. Called by src/ops/concat.rs.

struct Params {
    n: u32,     // elements of the output
    rows: u32,  // of x
    c: u32,     // columns of x
    d: u32,     // columns of y
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

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
    let row = i / (params.c + params.d);
    let column = i % (params.c + params.d);
    if column < params.c {
        out[i] = x[row % params.rows * params.c + column];
    } else {
        out[i] = y[row * params.d + column - params.c];
    }
}
