// Kernels that slide over a channels-last image, one thread per output pixel and four channels
// (or one, where C is no multiple of 4).

struct Params {
    pixels: u32,  // output pixels of all images
    in_h: u32,
    in_w: u32,
    width: u32,   // C / 4, or C
    out_h: u32,
    out_w: u32,
    stride_y: u32,
    stride_x: u32,
    pad_y: u32,
    pad_x: u32,
    step_y: u32,  // dilation
    step_x: u32,
#if KERNEL_WIDTH
    kernel_width: u32, // of a row of the kernel, as `width`
#endif
}

#if VEC4
alias Element = vec4<f32>;
#else
alias Element = f32;
#endif

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;

// Where output pixel `pixel` begins: its image's first row, and the row and column of its first
// tap, which wrap around to far beyond the image where they lie above or left of it.
fn corner(pixel: u32) -> vec3<u32> {
    let line = pixel / params.out_w;
    return vec3<u32>(
        line / params.out_h * params.in_h,
        line % params.out_h * params.stride_y - params.pad_y,
        pixel % params.out_w * params.stride_x - params.pad_x,
    );
}
