//! The sizes that the processors resize to. Python's `int(..)` cuts, its `round(..)` rounds
//! halves to even, and both are kept.

/// `[height, width]`
pub type Size = [usize; 2];

/// The short side becomes `short`, the other follows, unless it would exceed `long`: DETR.
///
/// Where `long` binds, the short side is rounded and the long one computed from the unrounded
/// value.
pub fn shortest_longest([h, w]: Size, short: usize, long: Option<usize>) -> Size {
    let (height, width) = (h as f64, w as f64);
    let (min, max) = (height.min(width), height.max(width));
    let mut size = short as f64;
    let mut exact = size;
    if let Some(long) = long.map(|l| l as f64) {
        if max / min * size > long {
            exact = long * min / max;
            size = exact.round_ties_even();
        }
    }
    let side = size as usize;
    if (h <= w && h == side) || (w <= h && w == side) {
        [h, w]
    } else if w < h {
        [(exact * height / width) as usize, side]
    } else {
        [side, (exact * width / height) as usize]
    }
}

/// The short side becomes `short`, the other follows; where that exceeds `long`, both shrink:
/// ConvNeXT, MaskFormer, Mask2Former.
pub fn shortest([h, w]: Size, short: usize, long: Option<usize>) -> Size {
    let (a, b) = if w <= h { (w, h) } else { (h, w) };
    let mut new = [short, (short as f64 * b as f64 / a as f64) as usize];
    if let Some(long) = long.filter(|&long| new[1] > long) {
        new = [(long as f64 * new[0] as f64 / new[1] as f64) as usize, long];
    }
    if w <= h {
        [new[1], new[0]]
    } else {
        new
    }
}

/// As large as fits in `most`, in the picture's own proportions.
pub fn within([h, w]: Size, most: Size) -> Size {
    let (height, width) = (h as f64, w as f64);
    let scale = (most[0] as f64 / height).min(most[1] as f64 / width);
    [(height * scale) as usize, (width * scale) as usize]
}

/// Both sides down to a multiple of `divisor`: GLPN.
pub fn floor_to(size: Size, divisor: usize) -> Size {
    size.map(|side| side / divisor * divisor)
}

/// Both sides up to a multiple of `divisor`: MaskFormer, Mask2Former (the picture is stretched,
/// not padded).
pub fn ceil_to(size: Size, divisor: usize) -> Size {
    size.map(|side| side.div_ceil(divisor) * divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detr_sizes() {
        // 480 x 640 does not reach 1333; 480 x 1000 does: 1333 * 480 / 1000 = 639.84.
        assert_eq!(shortest_longest([480, 640], 800, Some(1333)), [800, 1066]);
        assert_eq!(shortest_longest([480, 1000], 800, Some(1333)), [640, 1333]);
        assert_eq!(shortest_longest([1000, 480], 800, Some(1333)), [1333, 640]);
        assert_eq!(shortest_longest([800, 900], 800, Some(1333)), [800, 900]);
        assert_eq!(shortest_longest([1, 10000], 800, Some(1333)), [0, 1333]);
    }

    #[test]
    fn other_sizes() {
        assert_eq!(shortest([480, 640], 256, None), [256, 341]);
        assert_eq!(shortest([640, 480], 256, None), [341, 256]);
        assert_eq!(shortest([480, 1000], 800, Some(1333)), [640, 1333]);
        assert_eq!(within([100, 200], [50, 50]), [25, 50]);
        assert_eq!(floor_to([479, 640], 32), [448, 640]);
        assert_eq!(ceil_to([384, 385], 32), [384, 416]);
    }
}
