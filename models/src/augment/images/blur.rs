//! A Gaussian blur, rows first and then columns.

/// Blurs samples `[height, width, channels]` by a Gaussian of standard deviation `sigma` in
/// pixels, cut off at three deviations and scaled to sum 1. Beyond the border is the nearest
/// pixel.
pub(super) fn gaussian(
    samples: &mut [u8],
    height: usize,
    width: usize,
    channels: usize,
    sigma: f32,
) {
    let kernel = kernel(sigma, height.max(width));
    if kernel.len() == 1 {
        return;
    }
    let line = width * channels;
    let reach = kernel.len() - 1;
    let pad = reach * channels;
    // A row with its border repeated on both sides.
    let mut padded = vec![0f32; line + 2 * pad];
    let mut across = vec![0f32; samples.len()];
    for (row, out) in samples.chunks_exact(line).zip(across.chunks_exact_mut(line)) {
        for (to, &sample) in padded[pad..].iter_mut().zip(row) {
            *to = f32::from(sample);
        }
        for i in 0..pad {
            padded[i] = f32::from(row[i % channels]);
            padded[pad + line + i] = f32::from(row[line - channels + i % channels]);
        }
        scaled(out, &padded[pad..], kernel[0]);
        for (at, &weight) in kernel.iter().enumerate().skip(1) {
            let (before, after) = (pad - at * channels, pad + at * channels);
            add_pair(out, &padded[before..], &padded[after..], weight);
        }
    }
    let mut sum = vec![0f32; line];
    let row = |at: usize| &across[at * line..(at + 1) * line];
    for (v, out) in samples.chunks_exact_mut(line).enumerate() {
        scaled(&mut sum, row(v), kernel[0]);
        for (at, &weight) in kernel.iter().enumerate().skip(1) {
            let below = (v + at).min(height - 1);
            add_pair(&mut sum, row(v.saturating_sub(at)), row(below), weight);
        }
        for (to, &value) in out.iter_mut().zip(&sum) {
            *to = (value + 0.5) as u8;
        }
    }
}

fn scaled(out: &mut [f32], from: &[f32], weight: f32) {
    for (out, from) in out.iter_mut().zip(from) {
        *out = from * weight;
    }
}

fn add_pair(out: &mut [f32], before: &[f32], after: &[f32], weight: f32) {
    for ((out, before), after) in out.iter_mut().zip(before).zip(after) {
        *out += (before + after) * weight;
    }
}

/// The weight of the middle and of those at distance 1, 2, …; with both sides they sum to 1.
fn kernel(sigma: f32, most: usize) -> Vec<f32> {
    let reach = ((3.0 * sigma).ceil() as usize).min(most);
    if sigma.is_nan() || sigma < 1e-3 {
        return vec![1.0];
    }
    let weight = |at: usize| {
        let z = at as f64 / f64::from(sigma);
        (-0.5 * z * z).exp()
    };
    let total: f64 = weight(0) + 2.0 * (1..=reach).map(weight).sum::<f64>();
    (0..=reach).map(|at| (weight(at) / total) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impulse_becomes_the_gaussian() {
        let (height, width, sigma) = (15, 17, 1.3f64);
        for channels in [1, 3] {
            let mut samples = vec![0u8; height * width * channels];
            samples[(7 * width + 8) * channels] = 255;
            gaussian(&mut samples, height, width, channels, sigma as f32);
            let weight = |d: f64| (-0.5 * (d / sigma).powi(2)).exp();
            let total: f64 = (-4..=4).map(|d| weight(f64::from(d))).sum();
            for v in 0..height {
                for u in 0..width {
                    let (dy, dx) = (v as f64 - 7.0, u as f64 - 8.0);
                    let inside = dy.abs() <= 4.0 && dx.abs() <= 4.0;
                    let exact = 255.0 * weight(dy) * weight(dx) / (total * total);
                    let expected = if inside { exact } else { 0.0 };
                    let pixel = &samples[(v * width + u) * channels..][..channels];
                    assert!((f64::from(pixel[0]) - expected).abs() <= 0.501, "{v} {u}");
                    assert!(pixel[1..].iter().all(|&other| other == 0));
                }
            }
        }
    }

    #[test]
    fn an_even_image_stays_and_a_blur_wider_than_the_image_is_possible() {
        let mut samples = vec![77u8; 3 * 2 * 3];
        gaussian(&mut samples, 3, 2, 3, 40.0);
        assert!(samples.iter().all(|&s| s == 77), "{samples:?}");
        let mut one = vec![9u8];
        gaussian(&mut one, 1, 1, 1, 2.0);
        assert_eq!(one, [9]);
    }
}
