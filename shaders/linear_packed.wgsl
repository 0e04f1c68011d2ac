// out = activate(x Wᵀ + bias) + residual with integer dot products: q8 and q4 weights against
// activations quantized on the way into workgroup memory. Called by src/ops/linear.rs where
// packed_4x8_integer_dot_product is there and has passed the self-test.
//
//     x[m, k] ≈ x_scale[m, k / 32] * xq[m, k],  xq in -127..127
//     out = sum over blocks of x_scale * w_scale * sum over 32 k of xq wq
//
//     | tile (M x N) | threads  | outputs per thread | workgroup memory |
//     | 64 x 64      | 16 x 8   | 8 x 4              | 9 KiB            |
//     | 32 x 32      | 8 x 8    | 4 x 4              | 4.5 KiB          |
//
// K advances by two blocks of 32: every thread brings one block of one row of x and one of W.
// A block is two vec4s of packed words, as [block][half][row].

#include "lib/linear.wgsl"

@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;

var<workgroup> x_tile: array<vec4<u32>, ${TILE}>;      // [2][2][SIDE]
var<workgroup> w_tile: array<vec4<u32>, ${TILE}>;      // [2][2][SIDE]
var<workgroup> x_scales: array<f32, ${SCALES}>;        // [2][SIDE]
var<workgroup> w_scales: array<f32, ${SCALES}>;        // [2][SIDE]

#if FORMAT == q4
// Four nibbles in the low halves of four bytes, 0..15 with zero 8 -> four signed bytes.
fn signed_bytes(nibbles: vec4<u32>) -> vec4<u32> {
    return (nibbles + vec4<u32>(0x78787878u)) ^ vec4<u32>(0x80808080u);
}
#endif

fn largest(v: vec4<f32>) -> f32 {
    let a = max(abs(v.xy), abs(v.zw));
    return max(a.x, a.y);
}

fn quantize(v: vec4<f32>, inverse: f32) -> u32 {
    return pack4xI8(vec4<i32>(round(v * inverse)));
}

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let tx = t % ${TX}u;
    let ty = t / ${TX}u;
    let row0 = group.y * ${SIDE}u;
    let n0 = first_column(group.x, ${SIDE}u);
    let blocks = params.k4s / 8u;
#for i in 0..ROWS
#for j in 0..COLUMNS
    var sum${i}_${j} = 0.0;
#endfor
#endfor

    for (var block0 = 0u; block0 < blocks; block0 += 2u) {
        {
            // load_x gives zeros past the last row and past K.
            let row = t % ${SIDE}u;
            let block = t / ${SIDE}u;
            let k4 = (block0 + block) * 8u;
#for i in 0..8
            let v${i} = load_x(row0 + row, k4 + ${i}u);
#endfor
            var most = 0.0;
#for i in 0..8
            most = max(most, largest(v${i}));
#endfor
            let inverse = select(0.0, 127.0 / most, most > 0.0);
            let at = block * 2u * ${SIDE}u + row;
            x_tile[at] = vec4<u32>(quantize(v0, inverse), quantize(v1, inverse),
                quantize(v2, inverse), quantize(v3, inverse));
            x_tile[at + ${SIDE}u] = vec4<u32>(quantize(v4, inverse), quantize(v5, inverse),
                quantize(v6, inverse), quantize(v7, inverse));
            x_scales[block * ${SIDE}u + row] = most / 127.0;
        }
        {
            // Past the last row the values do not matter (their outputs are not stored); past
            // the last block they meet zeros of x.
            let row = t % ${SIDE}u;
            let block = t / ${SIDE}u;
            let block_at = weight_row(n0 + row) * blocks + min(block0 + block, blocks - 1u);
            let at = block * 2u * ${SIDE}u + row;
#if FORMAT == q8
            w_tile[at] = weights[2u * block_at];
            w_tile[at + ${SIDE}u] = weights[2u * block_at + 1u];
#else
            let w = weights[block_at];
            let low = signed_bytes(w & vec4<u32>(0x0F0F0F0Fu));
            let high = signed_bytes((w >> vec4<u32>(4u)) & vec4<u32>(0x0F0F0F0Fu));
            w_tile[at] = vec4<u32>(low.x, high.x, low.y, high.y);
            w_tile[at + ${SIDE}u] = vec4<u32>(low.z, high.z, low.w, high.w);
#endif
            w_scales[block * ${SIDE}u + row] = scales[block_at];
        }
        workgroupBarrier();
        for (var block = 0u; block < 2u; block++) {
            let x_at = block * 2u * ${SIDE}u + ty;
            let w_at = block * 2u * ${SIDE}u + tx;
#for j in 0..COLUMNS
            let w${j}_0 = w_tile[w_at + ${j}u * ${TX}u];
            let w${j}_1 = w_tile[w_at + ${SIDE}u + ${j}u * ${TX}u];
            let w_scale${j} = w_scales[block * ${SIDE}u + tx + ${j}u * ${TX}u];
#endfor
#for i in 0..ROWS
            {
                let a0 = x_tile[x_at + ${i}u * ${TY}u];
                let a1 = x_tile[x_at + ${SIDE}u + ${i}u * ${TY}u];
                let x_scale = x_scales[block * ${SIDE}u + ty + ${i}u * ${TY}u];
#for j in 0..COLUMNS
                {
                    let q = dot4I8Packed(a0.x, w${j}_0.x) + dot4I8Packed(a0.y, w${j}_0.y)
                        + dot4I8Packed(a0.z, w${j}_0.z) + dot4I8Packed(a0.w, w${j}_0.w)
                        + dot4I8Packed(a1.x, w${j}_1.x) + dot4I8Packed(a1.y, w${j}_1.y)
                        + dot4I8Packed(a1.z, w${j}_1.z) + dot4I8Packed(a1.w, w${j}_1.w);
                    sum${i}_${j} += f32(q) * (x_scale * w_scale${j});
                }
#endfor
            }
#endfor
        }
        workgroupBarrier();
    }

#for j in 0..COLUMNS
    {
        let n = n0 + tx + ${j}u * ${TX}u;
#for i in 0..ROWS
        store(row0 + ty + ${i}u * ${TY}u, n, sum${i}_${j});
#endfor
    }
#endfor
}
