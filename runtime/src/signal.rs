//! Signals as encoders read them.

use ndarray::{Array2, ArrayView2};

/// A signal `[channels, samples]` with another number of samples, by linear interpolation:
/// the first and the last sample stay where they are. One sample is that of the middle, and
/// a signal without samples becomes zeros.
///
/// Nothing is filtered, so that a rate which falls below twice a frequency of the signal
/// folds it back (aliasing).
pub fn resample(signal: ArrayView2<'_, f32>, length: usize) -> Array2<f32> {
    let (channels, samples) = signal.dim();
    let Some(last) = samples.checked_sub(1) else { return Array2::zeros((channels, length)) };
    if length == samples {
        return signal.to_owned();
    }
    let step = match length {
        0 | 1 => 0.0,
        _ => last as f64 / (length - 1) as f64,
    };
    let start = if length == 1 { last as f64 / 2.0 } else { 0.0 };
    Array2::from_shape_fn((channels, length), |(channel, i)| {
        let at = (start + i as f64 * step).min(last as f64);
        let left = at.floor() as usize;
        let share = (at - left as f64) as f32;
        let (a, b) = (signal[[channel, left]], signal[[channel, (left + 1).min(last)]]);
        // Not `a + share * (b - a)`, whose difference may overflow.
        if share == 0.0 { a } else { a * (1.0 - share) + b * share }
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn lines_stay_lines_and_ends_stay() {
        let x = array![[0.0f32, 1.0, 2.0, 3.0], [4.0, 2.0, 0.0, -2.0]];
        assert_eq!(
            resample(x.view(), 7),
            array![[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0], [4.0, 3.0, 2.0, 1.0, 0.0, -1.0, -2.0]]
        );
        assert_eq!(resample(x.view(), 2), array![[0.0, 3.0], [4.0, -2.0]]);
        assert_eq!(resample(x.view(), 4), x);
        assert_eq!(resample(x.view(), 1), array![[1.5], [1.0]]);
        assert_eq!(resample(x.view(), 0).dim(), (2, 0));
    }

    #[test]
    fn odd_sizes_and_large_values() {
        assert_eq!(resample(Array2::zeros((3, 0)).view(), 5), Array2::<f32>::zeros((3, 5)));
        assert_eq!(resample(array![[7.0f32]].view(), 3), array![[7.0, 7.0, 7.0]]);
        let x = array![[f32::MAX, -f32::MAX]];
        assert_eq!(resample(x.view(), 3), array![[f32::MAX, 0.0, -f32::MAX]]);
    }
}
