// out[b, i] = (token i, or patch i - TOKENS of image b) + position i. Called by
// src/ops/class_tokens.rs.
//
//     x [B, places - TOKENS, H], positions [places, row], token0, token1 [H], out [B, places, H]

struct Params {
    n: u32,       // elements of the output
    h: u32,
    places: u32,
    row: u32,     // elements of a row of positions
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<f32>;
#for i in 0..TOKENS
#if i == 0
@group(0) @binding(3) var<storage, read> token0: array<f32>;
#else
@group(0) @binding(4) var<storage, read> token1: array<f32>;
#endif
#endfor
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let e = (group.x + group.y * groups.x) * 64u + t;
    if e >= params.n {
        return;
    }
    let c = e % params.h;
    let row = e / params.h;
    let place = row % params.places;
    let image = row / params.places;
    var v = 0.0;
    if place >= ${TOKENS}u {
        v = x[(image * (params.places - ${TOKENS}u) + place - ${TOKENS}u) * params.h + c];
    }
#for i in 0..TOKENS
    if place == ${i}u {
        v = token${i}[c];
    }
#endfor
    out[e] = v + positions[place * params.row + c];
}
