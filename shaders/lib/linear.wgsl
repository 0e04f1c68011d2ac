// What the linear kernels share: parameters, the activations' side, the epilogue.
//
//     out[m, column + n] = activate(sum_k x[m, k] w[n, k] + bias[column + n]) + residual[m, column + n]
//
// AFFINE: gain multiplies what is activated by a layer scale, norm is a batch norm (scales, then
// shifts). RESIDUAL: none, or added before the activation (first) or after it (last). CONV: x is an image, and a
// row of the product a patch of it (lib/conv.wgsl); or a signal, and a row a window of it
// (lib/conv1d.wgsl), perhaps one per group of channels: n is then the columns of a group.
//
// A weight too large for one binding comes in chunks of rows, one dispatch each; `column` is the
// first row of the chunk.

struct Params {
    m: u32,       // rows of x
    n: u32,       // rows of this chunk of the weight
    k: u32,       // columns of x
    k4s: u32,     // columns of the weight (k padded to a multiple of 32) / 4
    column: u32,  // first output column of this chunk
    width: u32,   // columns of the output
#if CONV == rows || CONV == windows
    frames: u32,          // of the signal
    channels: u32,
    group_channels: u32,
    first: u32,           // where the first window begins
    stride: u32,          // frames from one window to the next
#elif CONV
    in_h: u32,    // the image
    in_w: u32,
    in_c: u32,
    out_h: u32,   // output pixels
    out_w: u32,
    stride_y: u32,
    stride_x: u32,
    pad_y: u32,   // rows of zeros above the image
    pad_x: u32,   // columns of zeros to its left
    step_y: u32,  // dilation
    step_x: u32,
#endif
}

@group(0) @binding(0) var<uniform> params: Params;
#if X_VEC4
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
#endif
#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#endif
#if RESIDUAL != none
@group(0) @binding(5) var<storage, read> residual: array<f32>;
#endif
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
#if AFFINE != none
@group(0) @binding(7) var<storage, read> affine: array<f32>;
#endif

#include "lib/activation.wgsl"

#if CONV == windows
var<private> group_index: u32;
#endif

// The first column of tile `tile` of `side` columns, within its group.
fn first_column(tile: u32, side: u32) -> u32 {
#if CONV == windows
    let tiles = (params.n + side - 1u) / side;
    group_index = tile / tiles;
    return tile % tiles * side;
#else
    return tile * side;
#endif
}

// Column n of the group as a column of the chunk.
fn of_group(n: u32) -> u32 {
#if CONV == windows
    return group_index * params.n + n;
#else
    return n;
#endif
}

// The weight's row for column n, the last one past the end.
fn weight_row(n: u32) -> u32 {
    return of_group(min(n, params.n - 1u));
}

#if CONV == rows || CONV == windows
#include "lib/conv1d.wgsl"
#elif CONV
#include "lib/conv.wgsl"
#else
// x[row, 4 k4 ..], zero past either end.
fn load_x(row: u32, k4: u32) -> vec4<f32> {
    var v = vec4<f32>(0.0);
#if X_VEC4
    if row < params.m && k4 * 4u < params.k {
        v = x[row * (params.k / 4u) + k4];
    }
#else
    if row < params.m {
        let at = row * params.k + k4 * 4u;
#for i in 0..4
        if k4 * 4u + ${i}u < params.k {
            v[${i}] = x[at + ${i}u];
        }
#endfor
    }
#endif
    return v;
}
#endif

// Stores output (row, n) unless it lies past the end.
fn store(row: u32, n: u32, sum: f32) {
    if row < params.m && n < params.n {
        let column = params.column + of_group(n);
        var y = sum;
#if BIAS
        y += bias[column];
#endif
#if AFFINE == gain
        y *= affine[column];
#elif AFFINE == norm
        y = y * affine[column] + affine[params.width + column];
#endif
#if RESIDUAL == first
        y = activate(y + residual[row * params.width + column]);
#elif RESIDUAL == last
        y = activate(y) + residual[row * params.width + column];
#else
        y = activate(y);
#endif
        out[row * params.width + column] = y;
    }
}
