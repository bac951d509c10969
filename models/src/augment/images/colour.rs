//! Brightness, contrast, saturation and hue, with the formulas of torchvision's functions of
//! these names: brightness `b·p`; contrast `c·p + (1 - c)·m` with `m` the mean grey of the
//! view; saturation `s·p + (1 - s)·g` with `g` the pixel's grey; grey is
//! `0.299 r + 0.587 g + 0.114 b`. They follow one another in this order without rounding
//! between them, as one affine map; then the hue turns on the hexagon of HSV.

/// Weights of red, green and blue in grey (ITU-R BT.601).
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    pub(super) brightness: f32,
    pub(super) contrast: f32,
    pub(super) saturation: f32,
    /// In turns.
    pub(super) hue: f32,
}

impl Default for Change {
    fn default() -> Self {
        Self { brightness: 1.0, contrast: 1.0, saturation: 1.0, hue: 0.0 }
    }
}

impl Change {
    /// Changes grey samples: a table of 256.
    pub(super) fn apply_grey(&self, samples: &mut [u8]) {
        if self.brightness == 1.0 && self.contrast == 1.0 {
            return;
        }
        let mean = self.brightness * means(samples, 1).map(f32::from)[0];
        let mut table = [0u8; 256];
        for (sample, to) in table.iter_mut().enumerate() {
            let bright = self.brightness * sample as f32;
            *to = byte(self.contrast * bright + (1.0 - self.contrast) * mean);
        }
        for sample in samples {
            *sample = table[usize::from(*sample)];
        }
    }

    /// Changes pixels of red, green and blue.
    pub(super) fn apply_colour(&self, samples: &mut [u8]) {
        if *self == Self::default() {
            return;
        }
        let mean: f32 = exact_means(samples).iter().zip(GREY).map(|(m, w)| m * w).sum();
        // p' = s·(c·b·p + o) + (1 - s)·(c·b·grey(p) + o) with o = (1 - c)·b·mean.
        let gain = self.contrast * self.brightness;
        let offset = (1.0 - self.contrast) * self.brightness * mean;
        let (own, shared) = (self.saturation * gain, (1.0 - self.saturation) * gain);
        for block in samples.chunks_mut(3 * LANES) {
            // Whole arrays of one channel, so that the compiler uses vectors.
            let (mut red, mut green, mut blue) = ([0f32; LANES], [0f32; LANES], [0f32; LANES]);
            for (at, pixel) in block.as_chunks::<3>().0.iter().enumerate() {
                [red[at], green[at], blue[at]] = pixel.map(f32::from);
            }
            for at in 0..LANES {
                let grey = red[at] * GREY[0] + green[at] * GREY[1] + blue[at] * GREY[2];
                let base = shared * grey + offset;
                red[at] = (own * red[at] + base).clamp(0.0, 255.0);
                green[at] = (own * green[at] + base).clamp(0.0, 255.0);
                blue[at] = (own * blue[at] + base).clamp(0.0, 255.0);
            }
            if self.hue != 0.0 {
                for at in 0..LANES {
                    [red[at], green[at], blue[at]] =
                        turn_hue([red[at], green[at], blue[at]], self.hue);
                }
            }
            for (at, pixel) in block.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                *pixel = [byte(red[at]), byte(green[at]), byte(blue[at])];
            }
        }
    }
}

/// Pixels that are changed at once.
const LANES: usize = 16;

fn byte(value: f32) -> u8 {
    // `as` saturates.
    (value + 0.5) as u8
}

/// Turns the hue by a share of a whole turn, at most a half either way; value and saturation
/// stay. Without branches.
#[inline(always)]
fn turn_hue([r, g, b]: [f32; 3], turns: f32) -> [f32; 3] {
    let most = larger(larger(r, g), b);
    let least = smaller(smaller(r, g), b);
    let range = most - least;
    // A pixel without colour has no hue, and its range of 0 gives back itself.
    let inverse = 1.0 / larger(range, 1e-6);
    // The hue in sixths of a turn, as in Smith, "Color gamut transform pairs", 1978.
    let of_blue = 4.0 + (r - g) * inverse;
    let of_green = 2.0 + (b - r) * inverse;
    let of_red = (g - b) * inverse;
    let sixth = if most == g { of_green } else { of_blue };
    let sixth = if most == r { of_red } else { sixth };
    // From -1 to 5, and at most 3 further.
    let sixth = sixth + 6.0 * turns;
    let sixth = if sixth < 0.0 { sixth + 6.0 } else { sixth };
    let sixth = if sixth >= 6.0 { sixth - 6.0 } else { sixth };
    // Each channel is the range clipped from a triangle over the circle of hues.
    let unit = |share: f32| smaller(larger(share, 0.0), 1.0);
    let red = unit((sixth - 3.0).abs() - 1.0);
    let green = unit(2.0 - (sixth - 2.0).abs());
    let blue = unit(2.0 - (sixth - 4.0).abs());
    [least + range * red, least + range * green, least + range * blue]
}

/// `f32::max` without its care for values that are not numbers, of which there are none.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The mean of each channel, rounded; for images of 1 and 3 channels.
pub(super) fn means(samples: &[u8], channels: usize) -> [u8; 3] {
    if channels == 3 {
        return exact_means(samples).map(byte);
    }
    let sum: u64 = samples.iter().map(|&sample| u64::from(sample)).sum();
    let count = samples.len().max(1) as u64;
    [((sum + count / 2) / count) as u8; 3]
}

fn exact_means(samples: &[u8]) -> [f32; 3] {
    let pixels = samples.as_chunks::<3>().0;
    let mut sums = [0u64; 3];
    for pixel in pixels {
        for (sum, &sample) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(sample);
        }
    }
    sums.map(|sum| (sum as f64 / pixels.len().max(1) as f64) as f32)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        brightness: f32,
        contrast: f32,
        saturation: f32,
        hue: f32,
        expected: Vec<u8>,
    }

    #[derive(Deserialize)]
    struct Fixture {
        pixels: Vec<u8>,
        cases: Vec<Case>,
    }

    /// `tests/reference/augment/make.py` has torchvision's formulas in NumPy and Python's
    /// `colorsys` for the hue.
    #[test]
    fn changes_are_those_of_the_reference() {
        let text = include_str!("../../../tests/reference/augment/colours.json");
        let fixture: Fixture = serde_json::from_str(text).unwrap();
        for case in fixture.cases {
            let mut pixels = fixture.pixels.clone();
            let Case { brightness, contrast, saturation, hue, expected } = case;
            Change { brightness, contrast, saturation, hue }.apply_colour(&mut pixels);
            for (at, (found, expected)) in pixels.iter().zip(&expected).enumerate() {
                // One step where a value lies at a half.
                assert!(found.abs_diff(*expected) <= 1, "{at}: {found} {expected}, hue {hue}");
            }
            let same = pixels.iter().zip(&expected).filter(|(a, b)| a == b).count();
            assert!(same * 100 >= pixels.len() * 99, "{same} of {}", pixels.len());
        }
    }

    #[test]
    fn grey_images_change_like_colour_images_of_equal_channels() {
        let grey: Vec<u8> = (0..=255).collect();
        let mut colour: Vec<u8> = grey.iter().flat_map(|&g| [g; 3]).collect();
        let change = Change { brightness: 1.3, contrast: 0.6, saturation: 0.2, hue: 0.3 };
        let mut changed = grey.clone();
        change.apply_grey(&mut changed);
        change.apply_colour(&mut colour);
        for (at, &grey) in changed.iter().enumerate() {
            assert!(colour[at * 3..at * 3 + 3].iter().all(|c| c.abs_diff(grey) <= 1), "{at}");
        }
    }
}
