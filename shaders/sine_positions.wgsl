// out[pixel, c] = sin or cos of the pixel's y (the first half of the columns) or x, + table[c].
// Called by src/ops/sine_positions.rs for one level at a time; one thread per element.

struct Params {
    count: u32,
    h: u32,
    w: u32,
    c: u32,
    first: u32,  // element of the output
    row: u32,    // element of the table
}

@group(0) @binding(0) var<uniform> params: Params;
#if TABLE
@group(0) @binding(1) var<storage, read> table: array<f32>;
#endif
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
    let c = at % params.c;
    let pixel = at / params.c;
    let middle = params.c / 2u;
    var n = params.w;
    var i = pixel % params.w;
    if c < middle {
        n = params.h;
        i = pixel / params.w;
    }
    let position = f32(i + 1u) / (f32(n) + 1e-6) * 6.2831853;
    // 10000 to the power of the pair's share, which is at most 1
    let share = f32((c % middle) / 2u * 2u) / f32(middle);
    let angle = position * exp2(share * -13.287712);
    var v = select(cos(angle), sin(angle), c % 2u == 0u);
#if TABLE
    v += table[params.row + c];
#endif
    out[params.first + at] = v;
}
