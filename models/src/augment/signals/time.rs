//! Maps of time, and smooth random curves.

use crate::random::SplitMix64;

/// Writes the values at `places` in steps from 0, on straight lines between neighbours and
/// with the first and last value beyond the ends. With a `factor` of 2 and more the values
/// are first averaged over stretches of so many.
pub(super) fn follow(values: &[f32], places: &[f32], factor: usize, out: &mut [f32]) {
    if factor > 1 {
        let means: Vec<f32> = values
            .chunks(factor)
            .map(|stretch| stretch.iter().sum::<f32>() / stretch.len() as f32)
            .collect();
        // From the middle of a step to the middle of a stretch.
        let scale = 1.0 / factor as f32;
        let places: Vec<f32> = places.iter().map(|place| (place + 0.5) * scale - 0.5).collect();
        return follow(&means, &places, 1, out);
    }
    let last = values.len().saturating_sub(1);
    for (out, &place) in out.iter_mut().zip(places) {
        let place = place.clamp(0.0, last as f32);
        let first = (place as usize).min(last);
        let weight = place - first as f32;
        let (a, b) = (values[first], values[(first + 1).min(last)]);
        *out = if weight == 0.0 { a } else { a + (b - a) * weight };
    }
}

/// A smooth curve through `knots + 2` values of the standard normal distribution at equal
/// distances (Catmull and Rom, 1974).
pub(super) fn curve(length: usize, knots: usize, random: &mut SplitMix64) -> Vec<f32> {
    let values: Vec<f32> = (0..knots + 2).map(|_| random.normal()).collect();
    let last = values.len() - 1;
    let spread = last as f32 / length.saturating_sub(1).max(1) as f32;
    (0..length)
        .map(|t| {
            let place = t as f32 * spread;
            let at = (place as usize).min(last - 1);
            let u = place - at as f32;
            let knot = |i: usize| values[i.saturating_sub(1).min(last)];
            // `knot(at + 1)` is the one before the place.
            let [a, b, c, d] = [knot(at), knot(at + 1), knot(at + 2), knot(at + 3)];
            let (slope, next) = ((c - a) / 2.0, (d - b) / 2.0);
            let (u2, u3) = (u * u, u * u * u);
            b * (2.0 * u3 - 3.0 * u2 + 1.0)
                + slope * (u3 - 2.0 * u2 + u)
                + c * (3.0 * u2 - 2.0 * u3)
                + next * (u3 - u2)
        })
        .collect()
}

/// The places in up to `count` segments of random borders, which follow one another in a
/// random order.
pub(super) fn permuted(places: &[f32], count: usize, random: &mut SplitMix64) -> Vec<f32> {
    let mut borders: Vec<usize> = (1..count).map(|_| random.below(places.len())).collect();
    borders.extend([0, places.len()]);
    borders.sort_unstable();
    let mut segments: Vec<&[f32]> =
        borders.windows(2).map(|pair| &places[pair[0]..pair[1]]).collect();
    random.shuffle(&mut segments);
    segments.concat()
}
