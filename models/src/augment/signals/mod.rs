//! Random views of signals. Crop, time warp and the order of segments are one map of time,
//! followed once; then the values are normalised, scaled, given noise and masked. The steps
//! are those of Um and others, 2017 (arXiv:1706.00527).

mod presets;
#[cfg(test)]
mod tests;
mod time;

use ndarray::ArrayView2;

use crate::error::{Error, Result};
use crate::random::SplitMix64;

/// Knots of the smooth random curves.
const KNOTS: usize = 4;

/// How a view of a signal is drawn. A probability or deviation of 0 switches a step off;
/// [`none`](Self::none) has all of them off.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignalAugmentation {
    /// Share of the length that is shown, smallest and largest.
    pub crop: (f32, f32),
    /// Standard deviation of the logarithm of speed, along a smooth curve.
    pub time_warp: f32,
    /// Probability that segments change places.
    pub permutation: f32,
    /// Most segments; their borders are random.
    pub segments: usize,
    /// Standard deviation of the factor of a channel, whose mean is 1.
    pub scaling: f32,
    /// Standard deviation of a factor along a smooth curve, whose mean is 1, a channel.
    pub magnitude_warp: f32,
    /// Standard deviation of noise, in deviations of the channel.
    pub jitter: f32,
    /// Probability that a channel becomes 0; at least one stays.
    pub dropout: f32,
    /// Probability that a stretch of time becomes 0 in all channels.
    pub mask: f32,
    /// Its share of the length, smallest and largest.
    pub mask_share: (f32, f32),
}

impl SignalAugmentation {
    /// Checks that probabilities are between 0 and 1 and ranges are in order.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the setting.
    pub fn validate(&self) -> Result<()> {
        let bad = |name: &str, must: &str| {
            Err(Error::Argument(format!("augmentation of signals: `{name}` must be {must}")))
        };
        for (name, p) in
            [("permutation", self.permutation), ("dropout", self.dropout), ("mask", self.mask)]
        {
            if !(0.0..=1.0).contains(&p) {
                return bad(name, "a probability, from 0 to 1");
            }
        }
        for (name, deviation) in [
            ("time_warp", self.time_warp),
            ("scaling", self.scaling),
            ("magnitude_warp", self.magnitude_warp),
            ("jitter", self.jitter),
        ] {
            if !(0.0..=10.0).contains(&deviation) {
                return bad(name, "from 0 to 10");
            }
        }
        for (name, (low, high), least) in
            [("crop", self.crop, f32::MIN_POSITIVE), ("mask_share", self.mask_share, 0.0)]
        {
            if !(low >= least && low <= high && high <= 1.0) {
                return bad(name, &format!("two numbers in order between {least} and 1"));
            }
        }
        Ok(())
    }

    /// Draws a view of `signal` `[channels, length of its own]`, normalised to
    /// `(value - mean) / deviation` of its channel, and writes it to `out`
    /// `[channels, length]`. A value that is not finite counts as the channel's mean, a
    /// deviation that is not positive as 1. A view that is much shorter than what it shows
    /// is of averages.
    ///
    /// # Errors
    /// [`Error::Argument`] when the signal is empty or the sizes do not fit one another.
    pub fn apply(
        &self,
        signal: ArrayView2<'_, f32>,
        length: usize,
        means: &[f32],
        deviations: &[f32],
        random: &mut SplitMix64,
        out: &mut [f32],
    ) -> Result<()> {
        let (channels, steps) = signal.dim();
        let fits = channels.checked_mul(length) == Some(out.len())
            && means.len() == channels
            && deviations.len() == channels;
        if !fits || out.is_empty() || steps == 0 {
            return Err(Error::Argument(format!(
                "a signal of {channels} channels and {steps} steps does not fit a view of {} values \
                 in {length} steps, {} means and {} deviations",
                out.len(),
                means.len(),
                deviations.len()
            )));
        }
        let (places, step) = self.draw_times(steps, length, random);
        let factor = step as usize;
        for (channel, out) in out.chunks_exact_mut(length).enumerate() {
            let inverse = 1.0 / if deviations[channel] > 0.0 { deviations[channel] } else { 1.0 };
            let normal = |value: f32| {
                let value = (value - means[channel]) * inverse;
                if value.is_finite() { value } else { 0.0 }
            };
            let values: Vec<f32> = signal.row(channel).iter().map(|&value| normal(value)).collect();
            time::follow(&values, &places, factor, out);
        }
        self.change_values(length, random, out);
        Ok(())
    }

    /// Where each step of the view looks, and how far apart neighbours are on average.
    fn draw_times(&self, steps: usize, length: usize, random: &mut SplitMix64) -> (Vec<f32>, f32) {
        let share = random.between(self.crop.0, self.crop.1);
        // At least one step is shown.
        let shown = (steps as f32 * share).clamp(1.0, steps as f32);
        let start = random.unit() * (steps as f32 - shown);
        let mut speeds = vec![1.0; length];
        if self.time_warp > 0.0 {
            let curve = time::curve(length, KNOTS, random);
            let warped = curve.into_iter().map(|value| (self.time_warp * value).exp());
            speeds = warped.collect();
        }
        let total: f32 = speeds.iter().sum();
        let mut passed = 0.0;
        let mut places: Vec<f32> = speeds
            .iter()
            .map(|speed| {
                let middle = passed + 0.5 * speed;
                passed += speed;
                start + middle / total * shown - 0.5
            })
            .collect();
        if self.segments > 1 && random.chance(self.permutation) {
            let count = 2 + random.below(self.segments - 1);
            places = time::permuted(&places, count, random);
        }
        (places, shown / length as f32)
    }

    fn change_values(&self, length: usize, random: &mut SplitMix64, out: &mut [f32]) {
        let channels = out.len() / length;
        for channel in out.chunks_exact_mut(length) {
            if self.scaling > 0.0 {
                let factor = 1.0 + self.scaling * random.normal();
                channel.iter_mut().for_each(|value| *value *= factor);
            }
            if self.magnitude_warp > 0.0 {
                let curve = time::curve(length, KNOTS, random);
                for (value, bend) in channel.iter_mut().zip(curve) {
                    *value *= 1.0 + self.magnitude_warp * bend;
                }
            }
            if self.jitter > 0.0 {
                channel.iter_mut().for_each(|value| *value += self.jitter * random.normal());
            }
        }
        if self.dropout > 0.0 && channels > 1 {
            let stays = random.below(channels);
            for (number, channel) in out.chunks_exact_mut(length).enumerate() {
                if random.chance(self.dropout) && number != stays {
                    channel.fill(0.0);
                }
            }
        }
        if random.chance(self.mask) {
            let share = random.between(self.mask_share.0, self.mask_share.1);
            let masked = ((length as f32 * share).round() as usize).min(length);
            let start = random.below(length - masked + 1);
            for channel in out.chunks_exact_mut(length) {
                channel[start..start + masked].fill(0.0);
            }
        }
    }
}
