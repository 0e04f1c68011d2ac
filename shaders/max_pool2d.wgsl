// out[p, c] = the largest x[p + t, c] over the taps t that lie in the image. Called by
// src/ops/max_pool2d.rs.
//
//     x [B, H, W, C], out [B, H', W', C]

#include "lib/window.wgsl"

@group(0) @binding(2) var<storage, read_write> out: array<Element>;

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
    var most = Element() - 3.4028234e38;
    for (var ky = 0u; ky < ${KERNEL_H}u; ky++) {
        for (var kx = 0u; kx < ${KERNEL_W}u; kx++) {
            let py = first.y + ky * params.step_y;
            let px = first.z + kx * params.step_x;
            if py < params.in_h && px < params.in_w {
                most = max(most, x[((first.x + py) * params.in_w + px) * params.width + c]);
            }
        }
    }
    out[e] = most;
}
