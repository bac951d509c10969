//! Affine maps from the pixels of a view to places in the image.

use crate::random::SplitMix64;

/// Where an output pixel looks: `x = xx·u + xy·v + x0`, `y = yx·u + yy·v + y0`, of the view's
/// `u` to the right and `v` downwards. All in pixels, from the upper left corner, so that a
/// pixel's centre is at a half.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Map {
    pub(super) xx: f32,
    pub(super) xy: f32,
    pub(super) x0: f32,
    pub(super) yx: f32,
    pub(super) yy: f32,
    pub(super) y0: f32,
}

/// A part of an image, in pixels from the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Crop {
    pub(super) top: f32,
    pub(super) left: f32,
    pub(super) height: f32,
    pub(super) width: f32,
}

impl Map {
    /// The view `[height, width]` shows a crop.
    pub(super) fn crop(crop: Crop, height: f32, width: f32) -> Self {
        Self {
            xx: crop.width / width,
            xy: 0.0,
            x0: crop.left,
            yx: 0.0,
            yy: crop.height / height,
            y0: crop.top,
        }
    }

    /// Left for right.
    pub(super) fn mirror(width: f32) -> Self {
        Self { xx: -1.0, xy: 0.0, x0: width, yx: 0.0, yy: 1.0, y0: 0.0 }
    }

    /// The content is sheared to the right by `tan(shear)` a pixel downwards, scaled, turned
    /// counter-clockwise by `angle` about the centre, and shifted by `(down, right)`. This is
    /// the inverse of that change, since it says where a pixel comes from.
    pub(super) fn affine(
        angle: f32,
        shear: f32,
        scale: f32,
        (down, right): (f32, f32),
        height: f32,
        width: f32,
    ) -> Self {
        let (sin, cos) = angle.sin_cos();
        let tan = shear.tan();
        // Turned back: with v downwards, counter-clockwise is (u, v) → (u cos + v sin,
        // v cos - u sin), and its inverse has the other sign of sin. Then the shear is undone.
        let (yx, yy) = (sin / scale, cos / scale);
        let (xx, xy) = (cos / scale - tan * yx, -sin / scale - tan * yy);
        let (cx, cy) = (width / 2.0 + right, height / 2.0 + down);
        Self {
            xx,
            xy,
            x0: width / 2.0 - xx * cx - xy * cy,
            yx,
            yy,
            y0: height / 2.0 - yx * cx - yy * cy,
        }
    }

    /// First `inner`, which maps the view into itself, then this.
    pub(super) fn after(&self, inner: &Self) -> Self {
        Self {
            xx: self.xx * inner.xx + self.xy * inner.yx,
            xy: self.xx * inner.xy + self.xy * inner.yy,
            x0: self.xx * inner.x0 + self.xy * inner.y0 + self.x0,
            yx: self.yx * inner.xx + self.yy * inner.yx,
            yy: self.yx * inner.xy + self.yy * inner.yy,
            y0: self.yx * inner.x0 + self.yy * inner.y0 + self.y0,
        }
    }

    /// Where a point of the view lies in the image.
    pub(super) fn at(&self, u: f32, v: f32) -> (f32, f32) {
        (self.xx * u + self.xy * v + self.x0, self.yx * u + self.yy * v + self.y0)
    }
}

/// A crop of random area, shape and place (Szegedy and others, 2015, arXiv:1409.4842). Ten
/// draws may be larger than the image; then it is the largest centred one of a shape within
/// the range.
pub(super) fn draw_crop(
    height: f32,
    width: f32,
    scale: (f32, f32),
    ratio: (f32, f32),
    random: &mut SplitMix64,
) -> Crop {
    if scale.0 >= 1.0 {
        return Crop { top: 0.0, left: 0.0, height, width };
    }
    for _ in 0..10 {
        let area = height * width * random.between(scale.0, scale.1);
        let shape = random.between(ratio.0.ln(), ratio.1.ln()).exp();
        let (rows, columns) = ((area / shape).sqrt(), (area * shape).sqrt());
        if rows <= height && columns <= width {
            let top = random.unit() * (height - rows);
            let left = random.unit() * (width - columns);
            return Crop { top, left, height: rows, width: columns };
        }
    }
    let shape = (width / height).clamp(ratio.0, ratio.1);
    let rows = height.min(width / shape);
    let columns = width.min(height * shape);
    Crop { top: (height - rows) / 2.0, left: (width - columns) / 2.0, height: rows, width: columns }
}
