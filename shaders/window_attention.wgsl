// Attention within the shifted windows of a channels-last map (Liu et al. 2021, Swin).
// Called by src/ops/window_attention.rs; the loop itself is in lib/attention.wgsl.
//
//     qkv [B, H, W, 3, heads, D], padding [3, heads, D], bias [(2 SIDE - 1)², heads] in rows of
//     BIAS_WIDTH, out [B, H, W, heads, D]
//
// The map is padded right and below to whole windows of SIDE x SIDE (pixels of the padding hold
// the bias of the projection, which is what a zero becomes) and rolled by SHIFT towards the top
// left; neither is ever stored. Token i of a window attends to all its tokens, with a bias for
// their relative position, and -100 between tokens that only the roll brought together.

struct Params {
    height: u32,
    width: u32,
    heads: u32,
    scale: f32,
    across: u32,  // windows in a row, and in an image
    windows: u32,
    tiles: u32,   // tiles of queries in a window
}

#if VEC4
alias Element = vec4<f32>;
#else
alias Element = f32;
#endif

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<Element>;
@group(0) @binding(2) var<storage, read> padding: array<Element>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<Element>;

#include "lib/attention.wgsl"

const SIDE = ${SIDE}u;
const SHIFT = ${SHIFT}u;
const OUTSIDE = 0xFFFFFFFFu;

var<private> image: u32;
// top left of the window on the rolled map
var<private> y0: u32;
var<private> x0: u32;

// Token i's pixel, or OUTSIDE for one of the padding.
fn pixel(i: u32) -> u32 {
    let down = params.windows / params.across * SIDE;
    let right = params.across * SIDE;
    let y = (y0 + i / SIDE + SHIFT) % down;
    let x = (x0 + i % SIDE + SHIFT) % right;
    if y >= params.height || x >= params.width {
        return OUTSIDE;
    }
    return (image * params.height + y) * params.width + x;
}

// Which of the regions that may see each other token i is in.
fn region(i: u32) -> u32 {
#if SHIFT == 0
    return 0u;
#else
    let down = params.windows / params.across * SIDE;
    let right = params.across * SIDE;
    let y = y0 + i / SIDE;
    let x = x0 + i % SIDE;
    return 3u * (u32(y >= down - SIDE) + u32(y >= down - SHIFT))
        + u32(x >= right - SIDE) + u32(x >= right - SHIFT);
#endif
}

fn load(i: u32, part: u32, head: u32, d4: u32) -> vec4<f32> {
    let p = pixel(i);
    let in_padding = part * params.heads + head;
    let at = p * 3u * params.heads + in_padding;
#if VEC4
    if p == OUTSIDE {
        return padding[in_padding * ${D4}u + d4];
    }
    return qkv[at * ${D4}u + d4];
#else
    var four = vec4<f32>(0.0);
#for c in 0..4
    if d4 * 4u + ${c}u < ${D}u {
        if p == OUTSIDE {
            four[${c}] = padding[in_padding * ${D}u + d4 * 4u + ${c}u];
        } else {
            four[${c}] = qkv[at * ${D}u + d4 * 4u + ${c}u];
        }
    }
#endfor
    return four;
#endif
}

fn query(i: u32, head: u32, d4: u32) -> vec4<f32> {
    return load(i, 0u, head, d4);
}

fn key(j: u32, head: u32, d4: u32) -> vec4<f32> {
    return load(j, 1u, head, d4);
}

fn value(j: u32, head: u32, d4: u32) -> vec4<f32> {
    return load(j, 2u, head, d4);
}

fn store(i: u32, head: u32, d4: u32, four: vec4<f32>) {
    let p = pixel(i);
    if d4 >= ${D4}u || p == OUTSIDE {
        return;
    }
    let at = p * params.heads + head;
#if VEC4
    out[at * ${D4}u + d4] = four;
#else
#for c in 0..4
    if d4 * 4u + ${c}u < ${D}u {
        out[at * ${D}u + d4 * 4u + ${c}u] = four[${c}];
    }
#endfor
#endif
}

struct Row {
    y: u32,
    x: u32,
    region: u32,
}

fn row_of(i: u32) -> Row {
    return Row(i / SIDE + SIDE - 1u, i % SIDE + SIDE - 1u, region(i));
}

fn score(row: Row, j: u32, head: u32, s: f32) -> f32 {
    let at = (row.y - j / SIDE) * (2u * SIDE - 1u) + row.x - j % SIDE;
    return s + bias[at * ${BIAS_WIDTH}u + head] + select(-100.0, 0.0, region(j) == row.region);
}

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let window = group.x / params.tiles;
    image = window / params.windows;
    y0 = window % params.windows / params.across * SIDE;
    x0 = window % params.across * SIDE;
    let query0 = group.x % params.tiles * ${QUERIES}u;
    let last = min(query0 + ${QUERIES}u, SIDE * SIDE) - 1u;
    attend(group.y, query0, last, 0u, SIDE * SIDE, t);
}
