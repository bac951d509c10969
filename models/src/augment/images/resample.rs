//! Follows a map once, with bilinear weights in fixed point. What lies beyond the image's
//! border is its nearest pixel.

use std::borrow::Cow;

use offshoot::Image;

use super::geometry::Map;

/// Fractional bits of a place in the image.
const PLACE: u32 = 16;
/// Bits of a bilinear weight.
const WEIGHT: u32 = 8;

/// Pixels `[height, width, C]` that a map looks at.
struct Source<'a> {
    pixels: Cow<'a, [u8]>,
    height: usize,
    width: usize,
}

/// Writes the view `[height, width, C]` of an image of `C` channels.
///
/// Where the view is `n` times or more smaller than what it shows, the image is first averaged
/// over squares of `n` pixels.
pub(super) fn resample<const C: usize>(
    image: &Image,
    map: &Map,
    height: usize,
    width: usize,
    out: &mut [u8],
) {
    let mut map = *map;
    let source = shrink::<C>(image, &mut map, height, width);
    // Half a pixel: from corners to centres, of the view and of the image.
    let (x0, y0) = map.at(0.5, 0.5);
    let (x0, y0) = (fixed(x0 - 0.5), fixed(y0 - 0.5));
    let [xx, xy, yx, yy] = [map.xx, map.xy, map.yx, map.yy].map(fixed);
    if yx == 0 && xy == 0 {
        return upright::<C>(&source, (x0, y0), (xx, yy), width, out);
    }
    for (v, row) in (0i64..).zip(out.chunks_exact_mut(width * C)) {
        let (mut x, mut y) = (x0 + xy * v, y0 + yy * v);
        for pixel in row.as_chunks_mut::<C>().0 {
            let (left, right, wx) = taps(x, source.width);
            let (top, bottom, wy) = taps(y, source.height);
            let (top, bottom) = (top * source.width, bottom * source.width);
            let corner = |at: usize| &source.pixels[at * C..at * C + C];
            let (a, b) = (corner(top + left), corner(top + right));
            let (c, d) = (corner(bottom + left), corner(bottom + right));
            for i in 0..C {
                let above = mix(u32::from(a[i]), u32::from(b[i]), wx);
                let below = mix(u32::from(c[i]), u32::from(d[i]), wx);
                pixel[i] = settle(above, below, wy);
            }
            x += xx;
            y += yx;
        }
    }
}

/// The case without rotation and shear: the columns' places are the same in each row.
fn upright<const C: usize>(
    source: &Source<'_>,
    (x0, y0): (i64, i64),
    (xx, yy): (i64, i64),
    width: usize,
    out: &mut [u8],
) {
    let columns: Vec<(usize, usize, u32)> =
        (0..width as i64).map(|u| taps(x0 + xx * u, source.width)).collect();
    let line = source.width * C;
    for (v, row) in (0i64..).zip(out.chunks_exact_mut(width * C)) {
        let (top, bottom, wy) = taps(y0 + yy * v, source.height);
        let top = &source.pixels[top * line..][..line];
        let bottom = &source.pixels[bottom * line..][..line];
        for (pixel, &(left, right, wx)) in row.as_chunks_mut::<C>().0.iter_mut().zip(&columns) {
            let (a, b) = (&top[left * C..left * C + C], &top[right * C..right * C + C]);
            let (c, d) = (&bottom[left * C..left * C + C], &bottom[right * C..right * C + C]);
            for i in 0..C {
                let above = mix(u32::from(a[i]), u32::from(b[i]), wx);
                let below = mix(u32::from(c[i]), u32::from(d[i]), wx);
                pixel[i] = settle(above, below, wy);
            }
        }
    }
}

/// A place in fixed point. Whatever is far beyond any image stays there.
fn fixed(place: f32) -> i64 {
    (f64::from(place) * f64::from(1u32 << PLACE)).round().clamp(-1e14, 1e14) as i64
}

/// The two pixels of a row or column around a place, and the weight of the second.
#[inline]
fn taps(place: i64, n: usize) -> (usize, usize, u32) {
    let last = n as i64 - 1;
    let place = place.clamp(0, last << PLACE);
    let first = place >> PLACE;
    let weight = (place >> (PLACE - WEIGHT)) as u32 & ((1 << WEIGHT) - 1);
    (first as usize, (first + 1).min(last) as usize, weight)
}

#[inline]
fn mix(a: u32, b: u32, weight: u32) -> u32 {
    a * ((1 << WEIGHT) - weight) + b * weight
}

#[inline]
fn settle(above: u32, below: u32, weight: u32) -> u8 {
    ((mix(above, below, weight) + (1 << (2 * WEIGHT - 1))) >> (2 * WEIGHT)) as u8
}

/// The part of the image that the map looks at, averaged over squares where the view is much
/// smaller; the map is changed to look at it.
fn shrink<'a, const C: usize>(
    image: &'a Image,
    map: &mut Map,
    height: usize,
    width: usize,
) -> Source<'a> {
    // How far apart in the image neighbours in the view are: the smaller of the two, so that
    // nothing becomes coarser than the view.
    let step = map.xx.hypot(map.yx).min(map.xy.hypot(map.yy));
    let factor = step as usize;
    if factor < 2 {
        return Source {
            pixels: Cow::Borrowed(image.pixels()),
            height: image.height(),
            width: image.width(),
        };
    }
    let corners = [(0.0, 0.0), (width as f32, 0.0), (0.0, height as f32)]
        .into_iter()
        .chain([(width as f32, height as f32)])
        .map(|(u, v)| map.at(u, v));
    let (mut low, mut high) = ((f32::MAX, f32::MAX), (f32::MIN, f32::MIN));
    for (x, y) in corners {
        low = (low.0.min(x), low.1.min(y));
        high = (high.0.max(x), high.1.max(y));
    }
    // A square more on every side for the bilinear weights.
    let range = |low: f32, high: f32, n: usize| {
        let first = ((low.max(0.0) as usize).min(n - 1) / factor).saturating_sub(1) * factor;
        let end = (high.max(1.0).min(n as f32) as usize + 2 * factor).min(n);
        (first, (end - first).div_ceil(factor))
    };
    let (left, columns) = range(low.0, high.0, image.width());
    let (top, rows) = range(low.1, high.1, image.height());
    let pixels = squares::<C>(image, (top, left), (rows, columns), factor);
    let inverse = 1.0 / factor as f32;
    *map = Map {
        xx: map.xx * inverse,
        xy: map.xy * inverse,
        x0: (map.x0 - left as f32) * inverse,
        yx: map.yx * inverse,
        yy: map.yy * inverse,
        y0: (map.y0 - top as f32) * inverse,
    };
    Source { pixels: Cow::Owned(pixels), height: rows, width: columns }
}

/// Means of squares; those at the right and lower border may be narrower.
fn squares<const C: usize>(
    image: &Image,
    (top, left): (usize, usize),
    (rows, columns): (usize, usize),
    factor: usize,
) -> Vec<u8> {
    let line = image.width() * C;
    let mut pixels = Vec::with_capacity(rows * columns * C);
    let mut sums = vec![[0u32; C]; columns];
    let taken = (columns * factor).min(image.width() - left);
    for block in 0..rows {
        sums.fill([0; C]);
        let first = top + block * factor;
        let last = (first + factor).min(image.height());
        for row in image.pixels()[first * line..last * line].chunks_exact(line) {
            let row = &row[left * C..(left + taken) * C];
            for (sum, square) in sums.iter_mut().zip(row.chunks(factor * C)) {
                for pixel in square.as_chunks::<C>().0 {
                    for i in 0..C {
                        sum[i] += u32::from(pixel[i]);
                    }
                }
            }
        }
        for (at, sum) in sums.iter().enumerate() {
            let across = factor.min(taken - at * factor);
            let count = ((last - first) * across) as u32;
            pixels.extend(sum.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    pixels
}
