// A chunk of a weight matrix, bound as 2 (data) and 3 (scales, for q8 and q4), in the layout of
// src/tensor/matrix.rs with K padded to a multiple of 32. FORMAT: f32, f16, q8, q4.

//
// fetch4 and decode4 are apart so that a kernel can ask for words early and wait for them late.

#if FORMAT == f32
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
alias Fetched = vec4<f32>;
#elif FORMAT == f16
@group(0) @binding(2) var<storage, read> weights: array<vec2<u32>>;
alias Fetched = vec2<u32>;
#else
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
// A word and the bits of its block's scale.
alias Fetched = vec2<u32>;
#endif

// Elements 4 k4 .. 4 k4 + 3 of a row of 4 k4s elements, as they are stored.
fn fetch4(row: u32, k4: u32, k4s: u32) -> Fetched {
    let at = row * k4s + k4;
#if FORMAT == q8
    return vec2<u32>(weights[at], bitcast<u32>(scales[at >> 3u]));
#elif FORMAT == q4
    // A word holds eight k: the low nibbles are the first four, the high ones the others.
    return vec2<u32>(weights[at >> 1u] >> ((k4 & 1u) * 4u), bitcast<u32>(scales[at >> 3u]));
#else
    return weights[at];
#endif
}

fn decode4(w: Fetched) -> vec4<f32> {
#if FORMAT == f32
    return w;
#elif FORMAT == f16
    return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y));
#elif FORMAT == q8
    let q = (vec4<i32>(bitcast<i32>(w.x)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
    return vec4<f32>(q) * bitcast<f32>(w.y);
#else
    let q = (vec4<u32>(w.x) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(15u);
    return (vec4<f32>(q) - 8.0) * bitcast<f32>(w.y);
#endif
}
