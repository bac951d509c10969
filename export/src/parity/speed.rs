//! Samples a second of two encoders, in turn.

use std::time::Instant;

use offshoot::Encoder;
use serde::Serialize;

use super::{Inputs, OnProgress, Pair, ParityOptions, Sample};
use crate::archive::check_stop;
use crate::error::Result;

/// Samples a second of runs in turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Speed {
    /// Samples of a run.
    pub texts: usize,
    /// Runs of each encoder.
    pub rounds: usize,
    /// Medians, in samples a second.
    pub texts_a_second: Pair,
    /// Median over the rounds of how much faster the changed encoder was in that round.
    pub ratio: f64,
}

/// Times both encoders on the same samples, source first in even rounds. A round before
/// the first is not counted.
pub(super) fn measure(
    encoders: [&Encoder; 2],
    samples: &[Sample],
    options: &ParityOptions,
    progress: OnProgress<'_>,
) -> Result<Option<Speed>> {
    if options.rounds == 0 || options.timed_texts == 0 {
        return Ok(None);
    }
    let step = samples.len().div_ceil(options.timed_texts).max(1);
    let inputs = Inputs::of(encoders[0], samples.iter().step_by(step).map(|s| &s.input))?;
    let mut seconds = [Vec::new(), Vec::new()];
    for round in 0..=options.rounds {
        progress("Timing", round as u64, options.rounds as u64);
        for turn in 0..2 {
            check_stop(options.stop.as_deref())?;
            let which = (turn + round) % 2;
            let start = Instant::now();
            inputs.embed(encoders[which])?;
            if round > 0 {
                seconds[which].push(start.elapsed().as_secs_f64());
            }
        }
    }
    let ratios = seconds[0].iter().zip(&seconds[1]).map(|(before, after)| before / after);
    let ratio = median(ratios.collect());
    let [before, after] = seconds.map(|seconds| inputs.len() as f64 / median(seconds));
    Ok(Some(Speed {
        texts: inputs.len(),
        rounds: options.rounds,
        texts_a_second: Pair { before, after },
        ratio,
    }))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(vec![]).is_nan());
    }
}
