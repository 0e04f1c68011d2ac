// out[i, j] = a[i] · b[j]; a [M, K], b [N, K]. Called by src/ops/product.rs.
//
// A workgroup of 8 x 8 threads makes 32 x 32 outputs, 4 x 4 each, K in steps of 16. Tiles hold
// vec4s of four consecutive k as [k4][row], the row's low three bits XORed with k4.

struct Params {
    m: u32,
    n: u32,
    k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
#if VEC4
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
#endif
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

var<workgroup> a_tile: array<vec4<f32>, 128>;
var<workgroup> b_tile: array<vec4<f32>, 128>;

fn load_a(row: u32, k4: u32) -> vec4<f32> {
    var v = vec4<f32>(0.0);
#if VEC4
    if k4 * 4u < params.k {
        v = a[min(row, params.m - 1u) * (params.k / 4u) + k4];
    }
#else
#for i in 0..4
    if k4 * 4u + ${i}u < params.k {
        v[${i}] = a[min(row, params.m - 1u) * params.k + k4 * 4u + ${i}u];
    }
#endfor
#endif
    return v;
}

fn load_b(row: u32, k4: u32) -> vec4<f32> {
    var v = vec4<f32>(0.0);
#if VEC4
    if k4 * 4u < params.k {
        v = b[min(row, params.n - 1u) * (params.k / 4u) + k4];
    }
#else
#for i in 0..4
    if k4 * 4u + ${i}u < params.k {
        v[${i}] = b[min(row, params.n - 1u) * params.k + k4 * 4u + ${i}u];
    }
#endfor
#endif
    return v;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let tx = t % 8u;
    let ty = t / 8u;
    let i0 = group.y * 32u;
    let j0 = group.x * 32u;
#for i in 0..4
#for j in 0..4
    var sum${i}_${j} = 0.0;
#endfor
#endfor
    for (var k0 = 0u; k0 * 4u < params.k; k0 += 4u) {
#for l in 0..2
        {
            let at = t + ${l}u * 64u;
            let c = at % 4u;
            a_tile[c * 32u + ((at / 4u) ^ c)] = load_a(i0 + at / 4u, k0 + c);
            b_tile[c * 32u + ((at / 4u) ^ c)] = load_b(j0 + at / 4u, k0 + c);
        }
#endfor
        workgroupBarrier();
        for (var c = 0u; c < 4u; c++) {
#for j in 0..4
            let b${j} = b_tile[c * 32u + ((tx + ${j}u * 8u) ^ c)];
#endfor
#for i in 0..4
            {
                let a = a_tile[c * 32u + ((ty + ${i}u * 8u) ^ c)];
#for j in 0..4
                sum${i}_${j} += dot(a, b${j});
#endfor
            }
#endfor
        }
        workgroupBarrier();
    }
#for i in 0..4
#for j in 0..4
    if i0 + ty + ${i}u * 8u < params.m && j0 + tx + ${j}u * 8u < params.n {
        out[(i0 + ty + ${i}u * 8u) * params.n + j0 + tx + ${j}u * 8u] = sum${i}_${j};
    }
#endfor
#endfor
}
