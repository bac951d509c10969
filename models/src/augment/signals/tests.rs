//! Views of signals against closed forms.

use ndarray::{Array2, array};

use super::*;

fn ramp(channels: usize, steps: usize) -> Array2<f32> {
    Array2::from_shape_fn((channels, steps), |(c, t)| t as f32 + 100.0 * c as f32)
}

fn view(settings: &SignalAugmentation, signal: &Array2<f32>, length: usize, seed: u64) -> Vec<f32> {
    settings.validate().unwrap();
    let channels = signal.nrows();
    let mut out = vec![0.0; channels * length];
    let (means, deviations) = (vec![0.0; channels], vec![1.0; channels]);
    let mut random = SplitMix64::new(seed);
    settings.apply(signal.view(), length, &means, &deviations, &mut random, &mut out).unwrap();
    out
}

#[test]
fn nothing_switched_on_is_the_normalised_signal_itself() {
    let none = SignalAugmentation::none();
    let signal = array![[1.0, 5.0, 2.0], [0.25, f32::NAN, f32::INFINITY]];
    assert_eq!(view(&none, &signal, 3, 1), [1.0, 5.0, 2.0, 0.25, 0.0, 0.0]);
    let mut out = [0.0; 6];
    let mut random = SplitMix64::new(1);
    none.apply(signal.view(), 3, &[1.0, 1.0], &[2.0, 0.0], &mut random, &mut out).unwrap();
    assert_eq!(out, [0.0, 2.0, 0.5, -0.75, 0.0, 0.0]);
    // Twice and half as many steps: places and means of a straight line are exact.
    let ramp = ramp(1, 8);
    let longer: Vec<f32> = (0..16).map(|t| (t as f32 / 2.0 - 0.25).clamp(0.0, 7.0)).collect();
    assert_eq!(view(&none, &ramp, 16, 1), longer);
    assert_eq!(view(&none, &ramp, 2, 1), [1.5, 5.5]);
    assert_eq!(view(&none, &array![[3.0]], 4, 1), [3.0; 4]);
}

#[test]
fn crops_and_warps_run_forward_through_the_signal() {
    let crop = SignalAugmentation { crop: (0.5, 0.5), ..SignalAugmentation::none() };
    let signal = ramp(2, 100);
    let mut starts = Vec::new();
    for seed in 0..200 {
        let out = view(&crop, &signal, 50, seed);
        assert!(out[..50].windows(2).all(|pair| (pair[1] - pair[0] - 1.0).abs() < 1e-3));
        assert!((0..50).all(|t| (out[50 + t] - out[t] - 100.0).abs() < 1e-3));
        starts.push(out[0]);
    }
    let mean = starts.iter().sum::<f32>() / 200.0;
    assert!((mean - 25.0).abs() < 3.5, "{mean}");
    let warp = SignalAugmentation { time_warp: 0.5, ..SignalAugmentation::none() };
    for seed in 0..50 {
        let out = view(&warp, &ramp(1, 100), 100, seed);
        assert!(out.windows(2).all(|pair| pair[1] >= pair[0]));
        assert!(out[0] < 3.0 && out[99] > 96.0, "{} {}", out[0], out[99]);
        let bend = out.iter().enumerate().map(|(t, v)| (v - t as f32).abs()).fold(0.0, f32::max);
        assert!((0.5..60.0).contains(&bend), "{bend}");
    }
}

#[test]
fn segments_keep_their_values() {
    let permute =
        SignalAugmentation { permutation: 1.0, segments: 5, ..SignalAugmentation::none() };
    let mut moved = 0;
    for seed in 0..50 {
        let mut out = view(&permute, &ramp(1, 40), 40, seed);
        let jumps = out.windows(2).filter(|pair| pair[1] - pair[0] != 1.0).count();
        assert!(jumps <= 4);
        moved += usize::from(jumps > 0);
        out.sort_by(f32::total_cmp);
        assert_eq!(out, ramp(1, 40).into_raw_vec_and_offset().0);
    }
    assert!(moved > 30);
}

#[test]
fn factors_noise_dropout_and_masks_have_their_frequencies() {
    let ones = Array2::from_elem((4, 50), 1.0);
    let spread = |settings: SignalAugmentation, stride: usize| {
        let values: Vec<f32> = (0..500)
            .flat_map(|seed| view(&settings, &ones, 50, seed).into_iter().step_by(stride))
            .collect();
        let n = values.len() as f32;
        let mean = values.iter().sum::<f32>() / n;
        (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n).sqrt())
    };
    let none = SignalAugmentation::none();
    let (mean, deviation) = spread(SignalAugmentation { scaling: 0.2, ..none.clone() }, 50);
    assert!((mean - 1.0).abs() < 0.015 && (deviation - 0.2).abs() < 0.01, "{mean} {deviation}");
    let (mean, deviation) = spread(SignalAugmentation { jitter: 0.3, ..none.clone() }, 1);
    assert!((mean - 1.0).abs() < 0.005 && (deviation - 0.3).abs() < 0.005, "{mean} {deviation}");
    // At the first knot the curve has the knot's own deviation.
    let (mean, deviation) = spread(SignalAugmentation { magnitude_warp: 0.1, ..none.clone() }, 50);
    assert!((mean - 1.0).abs() < 0.008 && (deviation - 0.1).abs() < 0.006, "{mean} {deviation}");
    let dropout = SignalAugmentation { dropout: 0.4, ..none.clone() };
    let (mean, _) = spread(dropout, 50);
    // Three of four channels can go.
    assert!((mean - 0.7).abs() < 0.03, "{mean}");
    let all = SignalAugmentation { dropout: 1.0, ..none.clone() };
    assert_eq!(view(&all, &ones, 50, 3).iter().sum::<f32>(), 50.0);
    let mask = SignalAugmentation { mask: 1.0, mask_share: (0.1, 0.3), ..none };
    for seed in 0..50 {
        let out = view(&mask, &ones, 50, seed);
        let masked = out[..50].iter().filter(|&&v| v == 0.0).count();
        assert!((5..=15).contains(&masked) && out.chunks(50).all(|c| c == &out[..50]));
    }
}

#[test]
fn the_generator_decides_all_and_bad_sizes_are_refused() {
    for settings in [SignalAugmentation::sensors(), SignalAugmentation::shapes()] {
        let signal = ramp(3, 70);
        assert_eq!(view(&settings, &signal, 64, 5), view(&settings, &signal, 64, 5));
        assert_ne!(view(&settings, &signal, 64, 5), view(&settings, &signal, 64, 6));
        let long = view(&settings, &ramp(1, 1_000_000), 64, 5);
        assert!(long.iter().all(|v| v.is_finite()));
        let mut random = SplitMix64::new(1);
        let mut out = [0.0; 8];
        for (channels, steps, length) in [(2, 0, 4), (2, 3, 3), (1, 3, 8)] {
            let signal = ramp(channels, steps);
            let result =
                settings.apply(signal.view(), length, &[0.0; 2], &[1.0; 2], &mut random, &mut out);
            assert!(result.is_err(), "{channels} {steps} {length}");
        }
    }
    let bad = SignalAugmentation { crop: (0.0, 1.0), ..SignalAugmentation::none() };
    assert!(bad.validate().is_err());
}
