// out[q, head] = Σ over levels and points: softmax(scores)[q, head, tap] * value at q's own place
// plus offsets[q, head, tap] (Zhu et al. 2021). Called by src/ops/deformable_attention.rs.
//
//     value, out [M, heads, D], offsets [M, heads, LEVELS, POINTS, 2] (x, y in pixels of the
//     level looked at), scores [M, heads, LEVELS, POINTS]
//
// The M queries are the pixels of the levels, one after the other. Values between pixels are
// bilinear, outside the level zero (grid_sample, align_corners false). One thread per element of D
// or four; the softmax of a head is computed again by each of its threads, from registers.

struct Params {
    count: u32,
    heads: u32,
    d: u32,  // with VEC4 in vec4s
    h0: u32,
    w0: u32,
    h1: u32,
    w1: u32,
    h2: u32,
    w2: u32,
    h3: u32,
    w3: u32,
}

#if VEC4
alias Element = vec4<f32>;
#else
alias Element = f32;
#endif

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> value: array<Element>;
@group(0) @binding(2) var<storage, read> offsets: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> scores: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<Element>;

// The pixel (x, y) of a level that begins at row `start`.
fn pixel(start: u32, h: u32, w: u32, x: f32, y: f32, column: u32) -> Element {
    // false for NaN and for positions far away
    if x >= 0.0 && y >= 0.0 && x < f32(w) && y < f32(h) {
        return value[(start + u32(y) * w + u32(x)) * params.heads * params.d + column];
    }
    return Element();
}

fn sample(start: u32, h: u32, w: u32, x: f32, y: f32, column: u32) -> Element {
    let left = floor(x);
    let top = floor(y);
    let right = x - left;
    let bottom = y - top;
    return (1.0 - bottom) * ((1.0 - right) * pixel(start, h, w, left, top, column)
            + right * pixel(start, h, w, left + 1.0, top, column))
        + bottom * ((1.0 - right) * pixel(start, h, w, left, top + 1.0, column)
            + right * pixel(start, h, w, left + 1.0, top + 1.0, column));
}

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
    let column = at % (params.heads * params.d);
    let first = at / params.d * ${TAPS}u;  // of this query and head
    // The query's own place, as a part of the image.
    var q = at / params.d / params.heads;
    var place = vec2<f32>(0.0);
    var found = false;
#for l in 0..LEVELS
    if !found {
        if q < params.h${l} * params.w${l} {
            place = (vec2<f32>(f32(q % params.w${l}), f32(q / params.w${l})) + 0.5)
                / vec2<f32>(f32(params.w${l}), f32(params.h${l}));
            found = true;
        } else {
            q -= params.h${l} * params.w${l};
        }
    }
#endfor
    var most = scores[first];
    for (var i = 1u; i < ${TAPS}u; i++) {
        most = max(most, scores[first + i]);
    }
    var total = 0.0;
    var sum = Element();
    var start = 0u;
#for l in 0..LEVELS
    for (var i = 0u; i < ${POINTS}u; i++) {
        let tap = first + ${l}u * ${POINTS}u + i;
        let weight = exp(scores[tap] - most);
        total += weight;
        let p = place * vec2<f32>(f32(params.w${l}), f32(params.h${l})) + offsets[tap] - 0.5;
        sum += weight * sample(start, params.h${l}, params.w${l}, p.x, p.y, column);
    }
    start += params.h${l} * params.w${l};
#endfor
    out[at] = sum / total;
}
