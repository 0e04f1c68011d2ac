// The A-loader of a convolution: row m of the product is the patch of output pixel m, its k are
// taps times channels, channels last. Nothing of it is ever stored. KERNEL_W: taps in a row.

// x[row, 4 k4 ..], zero past either end and where the patch hangs over the image's edge.
fn load_x(row: u32, k4: u32) -> vec4<f32> {
    var v = vec4<f32>(0.0);
    if row >= params.m || k4 * 4u >= params.k {
        return v;
    }
    let column = row % params.out_w;
    let line = row / params.out_w;
    let image = line / params.out_h * params.in_h;
    // Above or left of the image these wrap around, to far beyond its other edge.
    let y0 = line % params.out_h * params.stride_y - params.pad_y;
    let x0 = column * params.stride_x - params.pad_x;
#if X_VEC4
    let width = params.in_c / 4u;
    let tap = k4 / width;
    let py = y0 + tap / ${KERNEL_W}u * params.step_y;
    let px = x0 + tap % ${KERNEL_W}u * params.step_x;
    if py < params.in_h && px < params.in_w {
        v = x[((image + py) * params.in_w + px) * width + k4 % width];
    }
#else
#for i in 0..4
    {
        let k = k4 * 4u + ${i}u;
        let tap = k / params.in_c;
        let py = y0 + tap / ${KERNEL_W}u * params.step_y;
        let px = x0 + tap % ${KERNEL_W}u * params.step_x;
        if k < params.k && py < params.in_h && px < params.in_w {
            v[${i}] = x[((image + py) * params.in_w + px) * params.in_c + k % params.in_c];
        }
    }
#endfor
#endif
    return v;
}
