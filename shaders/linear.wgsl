// out = activate(x Wᵀ + bias) + residual, register-tiled; any weight format, dequantized as it
// enters workgroup memory. Called by src/ops/linear.rs for more than 8 rows of x.
//
//     | tile (M x N) | threads  | outputs per thread | workgroup memory |
//     | 64 x 64      | 16 x 8   | 8 x 4              | 16 KiB           |
//     | 32 x 32      | 8 x 8    | 4 x 4              | 8 KiB            |
//
// K advances by 32. Tiles hold vec4s of four consecutive k as [k4][row], the row's low three bits
// XORed with k4: neighbouring threads write along k and read along rows, both without bank
// conflicts and without padding past the default 16 KiB.

#include "lib/linear.wgsl"
#include "lib/weights.wgsl"

#if HALF_TILES
// f16 only in workgroup memory: half the traffic; sums stay f32.
alias Four = vec4<f16>;
fn pack(v: vec4<f32>) -> Four {
    return Four(clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0)));
}
#else
alias Four = vec4<f32>;
fn pack(v: vec4<f32>) -> Four {
    return v;
}
#endif

var<workgroup> x_tile: array<Four, ${X_TILE}>;
var<workgroup> w_tile: array<Four, ${W_TILE}>;

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let tx = t % ${TX}u;
    let ty = t / ${TX}u;
    let row0 = group.y * ${TILE_M}u;
    let n0 = group.x * ${TILE_N}u;
#for i in 0..ROWS
#for j in 0..COLUMNS
    var sum${i}_${j} = 0.0;
#endfor
#endfor

    for (var k0 = 0u; k0 < params.k4s; k0 += 8u) {
#for i in 0..X_LOADS
        {
            let e = t + ${i}u * ${THREADS}u;
            let row = e / 8u;
            let c = e % 8u;
            x_tile[c * ${TILE_M}u + (row ^ c)] = pack(load_x(row0 + row, k0 + c));
        }
#endfor
#for i in 0..W_LOADS
        {
            let e = t + ${i}u * ${THREADS}u;
            let row = e / 8u;
            let c = e % 8u;
            // Past the last row the values do not matter: their outputs are not stored.
            let w = weight4(min(n0 + row, params.n - 1u), k0 + c, params.k4s);
            w_tile[c * ${TILE_N}u + (row ^ c)] = pack(w);
        }
#endfor
        workgroupBarrier();
        for (var c = 0u; c < 8u; c++) {
            let x_at = c * ${TILE_M}u + (ty ^ c);
            let w_at = c * ${TILE_N}u + (tx ^ c);
#for j in 0..COLUMNS
            let w${j} = vec4<f32>(w_tile[w_at + ${j}u * ${TX}u]);
#endfor
#for i in 0..ROWS
            {
                let a = vec4<f32>(x_tile[x_at + ${i}u * ${TY}u]);
#for j in 0..COLUMNS
                // Four separate steps become four fused multiply-adds; dot() would add a fifth.
                sum${i}_${j} += a.x * w${j}.x;
                sum${i}_${j} += a.y * w${j}.y;
                sum${i}_${j} += a.z * w${j}.z;
                sum${i}_${j} += a.w * w${j}.w;
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
