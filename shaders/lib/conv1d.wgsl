// The A-loader of a convolution over time: row m of the product is a window of frames of x, its
// k are taps times channels, channels last. CONV == rows: windows lie wholly within x and are
// consecutive values of it. CONV == windows: frames past either end are zeros, and each group of
// channels has its own windows.

// x[row, 4 k4 ..], zero past either end.
fn load_x(row: u32, k4: u32) -> vec4<f32> {
    var v = vec4<f32>(0.0);
    if row >= params.m || k4 * 4u >= params.k {
        return v;
    }
    // Before the first frame this wraps around, to far beyond the last.
    let frame0 = params.first + row * params.stride;
#if CONV == rows
#if X_VEC4
    v = x[frame0 * (params.channels / 4u) + k4];
#else
    let at = frame0 * params.channels + k4 * 4u;
#for i in 0..4
    if k4 * 4u + ${i}u < params.k {
        v[${i}] = x[at + ${i}u];
    }
#endfor
#endif
#else
#if X_VEC4
    let width = params.group_channels / 4u;
    let frame = frame0 + k4 / width;
    if frame < params.frames {
        v = x[frame * (params.channels / 4u) + group_index * width + k4 % width];
    }
#else
    let width = params.group_channels;
#for i in 0..4
    {
        let k = k4 * 4u + ${i}u;
        let frame = frame0 + k / width;
        if k < params.k && frame < params.frames {
            v[${i}] = x[frame * params.channels + group_index * width + k % width];
        }
    }
#endfor
#endif
#endif
    return v;
}
