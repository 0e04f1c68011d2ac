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

var<workgroup> x_tile: array<Four, ${TILE}>;
var<workgroup> w_tile: array<Four, ${TILE}>;

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let tx = t % ${TX}u;
    let ty = t / ${TX}u;
    let row0 = group.y * ${SIDE}u;
    let n0 = first_column(group.x, ${SIDE}u);
#for i in 0..ROWS
#for j in 0..COLUMNS
    var sum${i}_${j} = 0.0;
#endfor
#endfor

    // What this thread brings to the tiles. The next tile's words are asked for before the current
    // one is multiplied, so that memory works while the arithmetic does.
#for i in 0..LOADS
    let at${i} = t + ${i}u * ${THREADS}u;
    let x_row${i} = row0 + at${i} / 8u;
    // Past the last row the values do not matter: their outputs are not stored.
    let w_row${i} = weight_row(n0 + at${i} / 8u);
    var x${i} = load_x(x_row${i}, at${i} % 8u);
    var w${i} = fetch4(w_row${i}, at${i} % 8u, params.k4s);
#endfor

    for (var k0 = 0u; k0 < params.k4s; k0 += 8u) {
#for i in 0..LOADS
        {
            let c = at${i} % 8u;
            let swizzled = (at${i} / 8u) ^ c;
            x_tile[c * ${SIDE}u + swizzled] = pack(x${i});
            w_tile[c * ${SIDE}u + swizzled] = pack(decode4(w${i}));
        }
#endfor
        workgroupBarrier();
        if k0 + 8u < params.k4s {
#for i in 0..LOADS
            x${i} = load_x(x_row${i}, k0 + 8u + at${i} % 8u);
            w${i} = fetch4(w_row${i}, k0 + 8u + at${i} % 8u, params.k4s);
#endfor
        }
        for (var c = 0u; c < 8u; c++) {
            let x_at = c * ${SIDE}u + (ty ^ c);
            let w_at = c * ${SIDE}u + (tx ^ c);
#for j in 0..COLUMNS
            let b${j} = vec4<f32>(w_tile[w_at + ${j}u * ${TX}u]);
#endfor
#for i in 0..ROWS
            {
                let a = vec4<f32>(x_tile[x_at + ${i}u * ${TY}u]);
#for j in 0..COLUMNS
                // Four separate steps become four fused multiply-adds; dot() would add a fifth.
                sum${i}_${j} += a.x * b${j}.x;
                sum${i}_${j} += a.y * b${j}.y;
                sum${i}_${j} += a.z * b${j}.z;
                sum${i}_${j} += a.w * b${j}.w;
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
