//! Resampling of a channels-last map, and maps of several sizes brought to one and laid side by
//! side.

use crate::cpu::{self, Interpolation};
use crate::error::Result;
use crate::gpu;
use crate::plan::{CpuIo, Op, Recorder, Tensor};

const SHADER: gpu::Shader = gpu::shader!("resize");

#[derive(Debug)]
struct Resize {
    /// Maps side by side; a residual, where there is one, comes after them.
    maps: usize,
    /// `[B, H, W, Σ C_i]`
    out: [usize; 4],
    interpolation: Interpolation,
    residual: bool,
}

impl Recorder {
    /// x `[B, h, w, C]` -> `[B, H, W, C]`, `size` being `[H, W]`, plus `residual` of that shape.
    pub fn resize(
        &mut self,
        x: Tensor,
        size: [usize; 2],
        interpolation: Interpolation,
        residual: Option<Tensor>,
    ) -> Tensor {
        self.resized(&[x], size, interpolation, residual)
    }

    /// Maps `[B, h_i, w_i, C_i]` brought to one size, channels side by side -> `[B, H, W, Σ C_i]`.
    /// A map that has the size already is copied.
    pub fn resize_concat(
        &mut self,
        maps: &[Tensor],
        size: [usize; 2],
        interpolation: Interpolation,
    ) -> Tensor {
        self.resized(maps, size, interpolation, None)
    }

    fn resized(
        &mut self,
        maps: &[Tensor],
        [height, width]: [usize; 2],
        interpolation: Interpolation,
        residual: Option<Tensor>,
    ) -> Tensor {
        let images = maps.first().map_or(0, |x| x.shape.dims()[0]);
        let fits = |x: &Tensor| x.shape.dims().len() == 4 && x.shape.dims()[0] == images;
        self.check(maps.iter().all(fits) && height > 0 && width > 0, || {
            let shapes: Vec<_> = maps.iter().map(|x| x.shape).collect();
            format!("resize: {shapes:?} to {height} x {width}")
        });
        let channels = maps.iter().map(|x| x.shape.last()).sum();
        let shape = [images, height, width, channels];
        let mut reads = maps.to_vec();
        if let Some(r) = residual {
            self.check(r.shape.len() == shape.iter().product::<usize>(), || {
                format!("resize: residual {} against output {shape:?}", r.shape)
            });
            reads.push(r);
        }
        let op =
            Resize { maps: maps.len(), out: shape, interpolation, residual: residual.is_some() };
        self.push(op, &reads, shape)
    }
}

/// The four dimensions of a map.
fn sizes(dims: &[usize]) -> [usize; 4] {
    let mut four = [1; 4];
    four.iter_mut().zip(dims).for_each(|(to, n)| *to = *n);
    four
}

impl Op for Resize {
    fn name(&self) -> &'static str {
        "resize"
    }

    fn run(&self, io: &mut CpuIo<'_>) {
        let [_, height, width, row] = self.out;
        let residual = self.residual.then(|| io.f32(self.maps));
        let mut column = 0;
        for map in 0..self.maps {
            let from = sizes(io.shape(map).dims());
            let to = [height, width, row, column];
            cpu::resize(io.f32(map), from, self.interpolation, residual, io.out, to);
            column += from[3];
        }
    }

    fn encode(&self, io: &mut gpu::Encoder<'_>) -> Result<()> {
        let [images, height, width, row] = self.out;
        let mut column = 0;
        for map in 0..self.maps {
            let [_, h, w, c] = sizes(io.shape(map).dims());
            let vec4 = [c, row, column].iter().all(|n| n % 4 == 0);
            let unit = if vec4 { 4 } else { 1 };
            let count = images * height * width * c / unit;
            let interpolation = match (h, w) == (height, width) {
                true => Interpolation::Nearest, // a copy
                false => self.interpolation,
            };
            let mut bindings = vec![(1, io.read(map)), (3, io.out())];
            if self.residual {
                bindings.push((2, io.read(self.maps)));
            }
            let scale = |from, to| interpolation.scale(from, to).to_bits();
            io.dispatch(gpu::Dispatch {
                shader: &SHADER,
                constants: gpu::Constants::new()
                    .flag("VEC4", vec4)
                    .flag("RESIDUAL", self.residual)
                    .set("MODE", interpolation.name()),
                params: &[
                    count as u32,
                    h as u32,
                    w as u32,
                    height as u32,
                    width as u32,
                    (c / unit) as u32,
                    (row / unit) as u32,
                    (column / unit) as u32,
                    scale(h, height),
                    scale(w, width),
                ],
                bindings: &bindings,
                grid: gpu::rows_grid(count.div_ceil(64)),
                flops: gpu::flops([8, count, unit]),
            })?;
            column += c;
        }
        Ok(())
    }
}
