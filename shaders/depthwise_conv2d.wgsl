// out[p, c] = activate(bias[c] + sum_t x[p + t, c] w[t, c]): every channel with a kernel of its
// own. Called by src/ops/depthwise_conv2d.rs.
//
//     x [B, H, W, C], w [KERNEL_H, KERNEL_W, C], out [B, H', W', C]
//
// Neighbouring threads have neighbouring channels: they read runs of memory, and the windows of
// neighbouring pixels meet in the cache.

#include "lib/window.wgsl"
#include "lib/activation.wgsl"

@group(0) @binding(2) var<storage, read> kernel: array<Element>;
#if BIAS
@group(0) @binding(3) var<storage, read> bias: array<Element>;
#endif
@group(0) @binding(4) var<storage, read_write> out: array<Element>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let e = (group.x + group.y * groups.x) * 64u + t;
    let c = e % params.width;
    let pixel = e / params.width;
    if pixel >= params.pixels {
        return;
    }
    let first = corner(pixel);
#if BIAS
    var sum = bias[c];
#else
    var sum = Element();
#endif
    for (var ky = 0u; ky < ${KERNEL_H}u; ky++) {
        let py = first.y + ky * params.step_y;
        if py >= params.in_h {
            continue;
        }
        for (var kx = 0u; kx < ${KERNEL_W}u; kx++) {
            let px = first.z + kx * params.step_x;
            if px < params.in_w {
                let w = kernel[(ky * ${KERNEL_W}u + kx) * params.kernel_width + c];
                sum += x[((first.x + py) * params.in_w + px) * params.width + c] * w;
            }
        }
    }
#if VEC4
    out[e] = vec4<f32>(activate(sum.x), activate(sum.y), activate(sum.z), activate(sum.w));
#else
    out[e] = activate(sum);
#endif
}
