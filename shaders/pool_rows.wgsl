// out[b, c] = the mean of x[b, i, c] over i, or the Euclidean norm (NORM). Called by
// src/ops/pool_rows.rs.
//
//     x [B, rows, C], out [B, C]
//
// A workgroup takes eight channels of an image; its eight lanes per channel meet at the end.

struct Params {
    rows: u32,
    c: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

var<workgroup> partials: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let c = group.x * 8u + t % 8u;
    var sum = 0.0;
    if c < params.c {
        for (var i = t / 8u; i < params.rows; i += 8u) {
            let v = x[(group.y * params.rows + i) * params.c + c];
#if NORM
            sum += v * v;
#else
            sum += v;
#endif
        }
    }
    partials[t] = sum;
    workgroupBarrier();
    if t < 8u && c < params.c {
        var total = 0.0;
        for (var i = 0u; i < 8u; i++) {
            total += partials[t + i * 8u];
        }
#if NORM
        out[group.y * params.c + c] = sqrt(total);
#else
        out[group.y * params.c + c] = total / f32(params.rows);
#endif
    }
}
