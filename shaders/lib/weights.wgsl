// A chunk of a weight matrix, bound as 2 (data) and 3 (scales, for q8 and q4), in the layout of
// src/tensor/matrix.rs with K padded to a multiple of 32. FORMAT: f32, f16, q8, q4.

#if FORMAT == f32
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
#elif FORMAT == f16
@group(0) @binding(2) var<storage, read> weights: array<vec2<u32>>;
#else
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
#endif

// Elements 4 k4 .. 4 k4 + 3 of a row of 4 k4s elements.
fn weight4(row: u32, k4: u32, k4s: u32) -> vec4<f32> {
#if FORMAT == f32
    return weights[row * k4s + k4];
#elif FORMAT == f16
    let w = weights[row * k4s + k4];
    return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y));
#elif FORMAT == q8
    let w = bitcast<i32>(weights[row * k4s + k4]);
    let q = (vec4<i32>(w) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
    return vec4<f32>(q) * scales[(row * k4s + k4) >> 3u];
#else
    // A word holds eight k: the low nibbles are the first four, the high ones the others.
    let w = weights[(row * k4s + k4) >> 1u] >> ((k4 & 1u) * 4u);
    let q = (vec4<u32>(w) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(15u);
    return (vec4<f32>(q) - 8.0) * scales[(row * k4s + k4) >> 3u];
#endif
}
