// out[.., column ..] = x resampled as torch's interpolate does it, + residual; x [B, h, w, C],
// out [B, height, width, ROW]. Called by src/ops/resize.rs; one thread per element or four.
// MODE: nearest, bilinear, aligned (bilinear, corners coincide), bicubic.

struct Params {
    count: u32,
    h: u32,
    w: u32,
    height: u32,
    width: u32,
    // with VEC4 in vec4s
    c: u32,
    row: u32,
    column: u32,
    scale_y: f32,
    scale_x: f32,
}

#if VEC4
alias Element = vec4<f32>;
#else
alias Element = f32;
#endif

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
#if RESIDUAL
@group(0) @binding(2) var<storage, read> residual: array<Element>;
#endif
@group(0) @binding(3) var<storage, read_write> out: array<Element>;

// Where position i lies on the source.
fn source(i: u32, scale: f32) -> f32 {
#if MODE == nearest || MODE == aligned
    return f32(i) * scale;
#elif MODE == bilinear
    return max((f32(i) + 0.5) * scale - 0.5, 0.0);
#else
    return (f32(i) + 0.5) * scale - 0.5;
#endif
}

#if MODE == bicubic
// Cubic convolution with a = -0.75.
fn cubic(t: f32) -> vec4<f32> {
    let far = vec2<f32>(t + 1.0, 2.0 - t);
    let near = vec2<f32>(t, 1.0 - t);
    let f = ((-0.75 * far + 3.75) * far - 6.0) * far + 3.0;
    let n = (1.25 * near - 2.25) * near * near + 1.0;
    return vec4<f32>(f.x, n.x, n.y, f.y);
}
#endif

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
    let image = pixel / (params.width * params.height) * params.h;
    let y = source(pixel / params.width % params.height, params.scale_y);
    let x_at = source(pixel % params.width, params.scale_x);
    let last = vec2<i32>(i32(params.w), i32(params.h)) - 1;
    let first = vec2<i32>(floor(vec2<f32>(x_at, y)));
    var sum = Element();
#if MODE == nearest
    let p = vec2<u32>(min(first, last));
    sum = x[((image + p.y) * params.w + p.x) * params.c + c];
#elif MODE == bicubic
    let part = vec2<f32>(x_at, y) - floor(vec2<f32>(x_at, y));
    let across = cubic(part.x);
    let down = cubic(part.y);
    for (var j = 0; j < 4; j++) {
        for (var i = 0; i < 4; i++) {
            let p = vec2<u32>(clamp(first + vec2<i32>(i - 1, j - 1), vec2<i32>(0), last));
            sum += down[j] * across[i] * x[((image + p.y) * params.w + p.x) * params.c + c];
        }
    }
#else
    let part = vec2<f32>(x_at, y) - vec2<f32>(first);
    let low = vec2<u32>(min(first, last));
    let high = vec2<u32>(min(first + 1, last));
    let top = (image + low.y) * params.w;
    let bottom = (image + high.y) * params.w;
    sum = (1.0 - part.y) * ((1.0 - part.x) * x[(top + low.x) * params.c + c]
            + part.x * x[(top + high.x) * params.c + c])
        + part.y * ((1.0 - part.x) * x[(bottom + low.x) * params.c + c]
            + part.x * x[(bottom + high.x) * params.c + c]);
#endif
    let to = pixel * params.row + params.column + c;
#if RESIDUAL
    sum += residual[to];
#endif
    out[to] = sum;
}
