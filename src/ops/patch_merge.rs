//! Every 2 x 2 pixels become one with four times the channels: Swin's patch merging.

use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("patch_merge");

#[derive(Debug)]
struct PatchMerge {
    /// B, H, W, C of the input.
    from: [usize; 4],
}

impl Recorder {
    /// x `[B, H, W, C]` -> `[B, ⌈H / 2⌉, ⌈W / 2⌉, 4 C]`: the pixels (0, 0), (1, 0), (0, 1), (1, 1)
    /// (row, column) side by side; what lies past an odd edge is zero.
    pub fn patch_merge(&mut self, x: Tensor) -> Tensor {
        let from = match x.shape.dims() {
            &[b, h, w, c] => [b, h, w, c],
            _ => [0; 4],
        };
        self.check(x.shape.dims().len() == 4, || format!("patch_merge: x {}", x.shape));
        let [b, h, w, c] = from;
        self.push(PatchMerge { from }, &[x], [b, h.div_ceil(2), w.div_ceil(2), 4 * c])
    }
}

impl Op for PatchMerge {
    fn name(&self) -> &'static str {
        "patch_merge"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let (x, [_, h, w, c]) = (io.f32(0), self.from);
        let [height, width] = [h.div_ceil(2), w.div_ceil(2)];
        if c == 0 {
            return;
        }
        for (at, to) in io.out.chunks_exact_mut(c).enumerate() {
            let (pixel, part) = (at / 4, at % 4);
            let y = pixel / width % height * 2 + part % 2;
            let x_at = pixel % width * 2 + part / 2;
            if y < h && x_at < w {
                let image = pixel / (width * height);
                to.copy_from_slice(&x[((image * h + y) * w + x_at) * c..][..c]);
            } else {
                to.fill(0.0);
            }
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let [_, h, w, c] = self.from;
        let count = io.out_shape().len();
        io.dispatch(gpu::Dispatch {
            shader: &SHADER,
            constants: gpu::Constants::new(),
            params: &[count as u32, h as u32, w as u32, c as u32],
            bindings: &[(1, io.read(0)), (2, io.out())],
            grid: gpu::rows_grid(count.div_ceil(64)),
            flops: 0,
        })
    }
}
