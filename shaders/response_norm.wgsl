// out = x * (1 + weight * n) + bias, n = norms[b, c] / (the mean of norms[b] + eps): the global
// response normalization of ConvNeXt V2. Called by src/ops/pool_rows.rs.
//
//     x, out [B, rows, C], norms [B, C], weight, bias [C]
//
// A workgroup of 64 takes 16 rows of an image; it sums the image's norms first.

struct Params {
    rows: u32,
    c: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> norms: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

var<workgroup> partials: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    var sum = 0.0;
    for (var c = t; c < params.c; c += 64u) {
        sum += norms[group.y * params.c + c];
    }
    partials[t] = sum;
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < 64u; i++) {
        total += partials[i];
    }
    let inverse = 1.0 / (total / f32(params.c) + params.eps);
    let first = group.x * 16u;
    let end = min(first + 16u, params.rows);
    for (var c = t; c < params.c; c += 64u) {
        let factor = 1.0 + weight[c] * norms[group.y * params.c + c] * inverse;
        for (var i = first; i < end; i++) {
            let at = (group.y * params.rows + i) * params.c + c;
            out[at] = x[at] * factor + bias[c];
        }
    }
}
