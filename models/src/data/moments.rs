//! Means and deviations of channels, for normalisation.

use super::check::spread;
use super::{Dataset, Example};
use crate::error::{Error, Result};

/// Mean and standard deviation of each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Means.
    pub means: Vec<f32>,
    /// Standard deviations; 1 for a channel of one value only.
    pub deviations: Vec<f32>,
}

/// The moments of up to `sample` examples, spread evenly: of signals of `channels` in their
/// own units, values that are not finite left out; of images, brought to `channels` of 1 or
/// 3, in units of 255, so that white is 1. Examples that cannot be read or have other
/// channels are passed over. The same on any number of processors.
///
/// # Errors
/// [`Error::Argument`] when no example is left, or the set holds texts.
pub fn moments(dataset: &dyn Dataset, sample: usize, channels: usize) -> Result<Moments> {
    let parts = spread(dataset, sample, |dataset, index| sums(&dataset.get(index).ok()?, channels));
    let mut total = vec![Sums::default(); channels];
    for part in parts.into_iter().flatten() {
        for (total, part) in total.iter_mut().zip(part) {
            total.add(part);
        }
    }
    if total.is_empty() || total.iter().any(|sums| sums.count == 0.0) {
        return Err(Error::Argument(format!(
            "no example of {sample} has values in {channels} channels, of which the normalisation \
             could be made"
        )));
    }
    let means = total.iter().map(|sums| sums.mean as f32).collect();
    let deviation = |sums: &Sums| (sums.squares / sums.count).sqrt() as f32;
    let deviations = total.iter().map(deviation).map(|d| if d > 0.0 { d } else { 1.0 });
    Ok(Moments { means, deviations: deviations.collect() })
}

/// Count, mean, and sum of squared distances from it.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Sums {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (count, sum) = values.clone().fold((0.0, 0.0), |(n, sum), v| (n + 1.0, sum + v));
        if count == 0.0 {
            return Self::default();
        }
        let mean = sum / count;
        Self { count, mean, squares: values.map(|v| (v - mean) * (v - mean)).sum() }
    }

    /// Of both together (Chan, Golub and LeVeque, 1979).
    fn add(&mut self, other: Self) {
        let count = self.count + other.count;
        if other.count == 0.0 {
            return;
        }
        let apart = other.mean - self.mean;
        self.mean += apart * other.count / count;
        self.squares += other.squares + apart * apart * self.count * other.count / count;
        self.count = count;
    }
}

/// The sums of each channel of one example.
fn sums(example: &Example, channels: usize) -> Option<Vec<Sums>> {
    match example {
        Example::Signal(signal) if signal.nrows() == channels => {
            let finite = |row: ndarray::ArrayView1<'_, f32>| {
                let values: Vec<f64> =
                    row.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v)).collect();
                Sums::of(values.into_iter())
            };
            Some(signal.rows().into_iter().map(finite).collect())
        }
        Example::Image(image) => {
            let image = image.with_channels(channels).ok()?;
            let channel = |c: usize| {
                let samples = image.pixels().iter().skip(c).step_by(channels);
                Sums::of(samples.map(|&sample| f64::from(sample) / 255.0))
            };
            Some((0..channels).map(channel).collect())
        }
        Example::Signal(_) | Example::Text(_) => None,
    }
}
