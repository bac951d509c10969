//! Values that a signal lacks.

use ndarray::Array2;

/// Fills values that are not finite, channel by channel: on the straight line between the
/// nearest ones that are, at the ends the nearest one, and 0 in a channel without any. Gives
/// how many there were.
pub fn fill_missing(signal: &mut Array2<f32>) -> usize {
    let mut missing = 0;
    for mut channel in signal.rows_mut() {
        let finite: Vec<usize> = (0..channel.len()).filter(|&t| channel[t].is_finite()).collect();
        missing += channel.len() - finite.len();
        if finite.len() == channel.len() {
            continue;
        }
        let (Some(&first), Some(&last)) = (finite.first(), finite.last()) else {
            channel.fill(0.0);
            continue;
        };
        let (start, end) = (channel[first], channel[last]);
        (0..first).for_each(|t| channel[t] = start);
        (last + 1..channel.len()).for_each(|t| channel[t] = end);
        for pair in finite.windows(2) {
            let (from, to) = (channel[pair[0]], channel[pair[1]]);
            let steps = (pair[1] - pair[0]) as f32;
            for t in pair[0] + 1..pair[1] {
                channel[t] = from + (to - from) * ((t - pair[0]) as f32 / steps);
            }
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn gaps_are_bridged() {
        let (n, i) = (f32::NAN, f32::INFINITY);
        let mut signal =
            array![[n, 1.0, n, n, 4.0, i], [n, n, n, n, n, n], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]];
        assert_eq!(fill_missing(&mut signal), 10);
        let expected =
            array![[1.0, 1.0, 2.0, 3.0, 4.0, 4.0], [0.0; 6], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]];
        assert_eq!(signal, expected);
        assert_eq!(fill_missing(&mut Array2::zeros((2, 0))), 0);
    }
}
