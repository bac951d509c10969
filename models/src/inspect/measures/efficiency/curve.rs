//! Accuracy against the number of labels of each class.

use ndarray::{ArrayView2, Axis};
use offshoot_adapters::{Classes, HeadKind};

use super::draws::Draws;
use crate::inspect::Interval;
use crate::inspect::numeric::{interval::student_975, parallel, statistics};

/// The heads that are fitted.
pub const HEADS: [HeadKind; 3] =
    [HeadKind::NearestNeighbors, HeadKind::NearestMean, HeadKind::Ridge];

/// Accuracy at one number of labels.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Point {
    /// Labels of each class.
    pub labels: usize,
    /// Mean accuracy over the draws.
    pub accuracy: f64,
    /// Interval of the mean: Student's over draws, with the error of a finite test set added.
    pub interval: Interval,
    /// Accuracy of each draw.
    pub draws: Vec<f64>,
}

/// The curve of one head (`nearest-neighbors`, `nearest-mean`, or `ridge`, the linear probe).
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Curve {
    /// The head.
    pub head: String,
    /// From one label of each class to as many as there are.
    pub points: Vec<Point>,
}

/// Curves of [`HEADS`] on embeddings (or raw features) `[rows, width]`, over [`Draws`]. Empty
/// where there is nothing to draw from.
pub fn curves(x: ArrayView2<'_, f32>, labels: &[usize], seed: u64) -> Vec<Curve> {
    let Some(draws) = Draws::of(labels, seed) else { return Vec::new() };
    let names: Vec<String> = (0..draws.classes()).map(|c| format!("{c:05}")).collect();
    let tested = x.select(Axis(0), &draws.tested);
    let each = draws.shots.iter().flat_map(|&s| (0..Draws::count(s)).map(move |d| (s, d)));
    let jobs: Vec<(usize, u64)> = each.collect();
    let results = parallel::map(jobs.len(), |job| {
        let (shot, draw) = jobs[job];
        let (rows, y) = draws.examples(shot, draw);
        let learned = x.select(Axis(0), &rows);
        HEADS.map(|kind| {
            let classes = Classes::new(names.clone()).ok()?;
            let found = kind.fit(learned.view(), &y, classes).ok()?.predict(tested.view()).ok()?;
            Some(draws.accuracy(&found))
        })
    });
    let curve = |(place, kind): (usize, HeadKind)| {
        let points = draws.shots.iter().filter_map(|&shot| {
            let of_shot = jobs.iter().zip(&results).filter(|((s, _), _)| *s == shot);
            Point::of(shot, of_shot.filter_map(|(_, found)| found[place]).collect(), &draws)
        });
        Curve { head: kind.name().to_owned(), points: points.collect() }
    };
    HEADS.into_iter().enumerate().map(curve).collect()
}

impl Point {
    /// The point of the accuracies of some draws; `None` of none.
    pub fn of(labels: usize, draws: Vec<f64>, of: &Draws) -> Option<Self> {
        if draws.is_empty() {
            return None;
        }
        let accuracy = statistics::mean(&draws);
        let over_draws = match draws.len() {
            1 => 0.0,
            n => student_975(n - 1) * statistics::deviation(&draws) / (n as f64).sqrt(),
        };
        let over_test = 1.96 * (accuracy * (1.0 - accuracy) / of.tested.len() as f64).sqrt();
        let reach = over_draws.hypot(over_test);
        let interval =
            Interval { low: (accuracy - reach).max(0.0), high: (accuracy + reach).min(1.0) };
        Some(Self { labels, accuracy, interval, draws })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn separate_classes_need_one_label_and_noise_learns_nothing() {
        let mut random = SplitMix64::new(1);
        let labels: Vec<usize> = (0..120).map(|i| i % 3).collect();
        let x = Array2::from_shape_fn((120, 4), |(i, j)| {
            0.05 * random.normal() + if i % 3 == j { 1.0 } else { 0.0 }
        });
        for curve in curves(x.view(), &labels, 1) {
            assert!(curve.points.iter().all(|point| point.accuracy > 0.99), "{curve:?}");
            assert_eq!(curve.points.iter().map(|p| p.labels).max(), Some(27));
        }
        let noise = Array2::from_shape_simple_fn((120, 4), || random.normal());
        for curve in curves(noise.view(), &labels, 1) {
            let last = curve.points.last().unwrap();
            assert!(last.interval.low < 0.45 && last.interval.high > 0.25, "{curve:?}");
        }
        assert!(curves(x.view(), &[0; 120], 1).is_empty());
    }
}
