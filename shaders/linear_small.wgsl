// out = activate(x Wᵀ + bias) + residual for up to 8 rows of x: bound by the bandwidth of reading
// W once. Called by src/ops/linear.rs.
//
// A workgroup of 64 computes 4 output columns for all M_MAX rows. Its threads stride along k, so
// that neighbours read neighbouring words, keep every sum in registers and meet once at the end.

#include "lib/linear.wgsl"
#include "lib/weights.wgsl"

// Sums of column r, row m of thread (or subgroup) t: [4 M_MAX][64].
var<workgroup> partials: array<f32, ${PARTIALS}>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
#if SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) lanes: u32,
#endif
) {
    let n0 = first_column(group.x, 4u);
#for r in 0..4
    let row${r} = weight_row(n0 + ${r}u);
#for m in 0..M_MAX
    var sum${r}_${m} = 0.0;
#endfor
#endfor
    for (var k4 = t; k4 < params.k4s; k4 += 64u) {
#for m in 0..M_MAX
        let x${m} = load_x(${m}u, k4);
#endfor
#for r in 0..4
        {
            let w = decode4(fetch4(row${r}, k4, params.k4s));
#for m in 0..M_MAX
            sum${r}_${m} += dot(w, x${m});
#endfor
        }
#endfor
    }

#if SUBGROUPS
#for r in 0..4
#for m in 0..M_MAX
    sum${r}_${m} = subgroupAdd(sum${r}_${m});
#endfor
#endfor
    let count = (63u + lanes) / lanes;
    let slot = t / lanes;
    let writes = lane == 0u;
#else
    let count = 64u;
    let slot = t;
    let writes = true;
#endif
    if writes {
#for r in 0..4
#for m in 0..M_MAX
        partials[(${r}u * ${M_MAX}u + ${m}u) * 64u + slot] = sum${r}_${m};
#endfor
#endfor
    }
    workgroupBarrier();
    if t < 4u * ${M_MAX}u {
        var sum = 0.0;
        // Each thread starts elsewhere: in step they would all hit one memory bank.
        for (var i = 0u; i < count; i++) {
            sum += partials[t * 64u + (i + t) % count];
        }
        store(t % ${M_MAX}u, n0 + t / ${M_MAX}u, sum);
    }
}
