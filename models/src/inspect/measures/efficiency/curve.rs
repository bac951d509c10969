//! Accuracy against the number of labels of each class.

use ndarray::{ArrayView2, Axis};
use offshoot_adapters::{Classes, HeadKind};

use crate::inspect::Interval;
use crate::inspect::numeric::{interval::student_975, parallel, statistics};
use crate::random::SplitMix64;

/// Most examples that are predicted.
const MOST_TESTED: usize = 1500;
/// Most examples that a head learns from.
const MOST_LEARNED: usize = 2000;
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

/// Curves of [`HEADS`] on embeddings (or raw features) `[rows, width]`. Up to 1,500 examples,
/// at most a third, are predicted and never learned from; the others are drawn from: 10 times
/// up to 8 labels of each class, 5 times up to 64, then 3 times. Empty where fewer than 2
/// classes have 3 examples. The draws depend on the labels and the seed alone, so curves of
/// two encoders are of the same draws.
pub fn curves(x: ArrayView2<'_, f32>, labels: &[usize], seed: u64) -> Vec<Curve> {
    let k = labels.iter().max().map_or(0, |most| most + 1);
    let mut random = SplitMix64::stream(seed, "labels", &[]);
    let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); k];
    labels.iter().enumerate().for_each(|(i, &class)| of_class[class].push(i));
    of_class.retain(|rows| rows.len() > 2);
    if of_class.len() < 2 {
        return Vec::new();
    }
    let total: usize = of_class.iter().map(Vec::len).sum();
    let share = (MOST_TESTED as f64 / total as f64).min(1.0 / 3.0);
    let mut test = Vec::new();
    for rows in &mut of_class {
        random.shuffle(rows);
        let tested = ((rows.len() as f64 * share) as usize).max(1);
        test.extend(rows.split_off(rows.len() - tested));
    }
    let least = of_class.iter().map(Vec::len).min().unwrap_or(0);
    let most = least.min(MOST_LEARNED / of_class.len()).max(1);
    let mut shots: Vec<usize> =
        std::iter::successors(Some(1), |s| Some(s * 2)).take_while(|&s| s < most).collect();
    shots.push(most);
    let names: Vec<String> = (0..of_class.len()).map(|c| format!("{c:05}")).collect();
    let place = |class: usize| of_class.iter().position(|rows| labels[rows[0]] == class);
    let truth: Vec<Option<usize>> = test.iter().map(|&i| place(labels[i])).collect();
    let tested = x.select(Axis(0), &test);
    let mut jobs = Vec::new();
    for &shot in &shots {
        let draws = if shot <= 8 {
            10
        } else if shot <= 64 {
            5
        } else {
            3
        };
        jobs.extend((0..draws).map(|draw| (shot, draw)));
    }
    let results = parallel::map(jobs.len(), |job| {
        let (shot, draw) = jobs[job];
        let mut random = SplitMix64::stream(seed, "draw", &[shot as u64, draw]);
        let (mut rows, mut y) = (Vec::new(), Vec::new());
        for (class, pool) in of_class.iter().enumerate() {
            let mut pool = pool.clone();
            random.shuffle(&mut pool);
            rows.extend(pool.iter().take(shot));
            y.extend(std::iter::repeat_n(class, shot.min(pool.len())));
        }
        let learned = x.select(Axis(0), &rows);
        HEADS.map(|kind| {
            let classes = Classes::new(names.clone()).ok()?;
            let found = kind.fit(learned.view(), &y, classes).ok()?.predict(tested.view()).ok()?;
            let right = found.iter().zip(&truth).filter(|(a, b)| Some(**a) == **b).count();
            Some(right as f64 / test.len() as f64)
        })
    });
    let curve = |(place, kind): (usize, HeadKind)| {
        let points = shots.iter().filter_map(|&shot| {
            let of_shot = jobs.iter().zip(&results).filter(|((s, _), _)| *s == shot);
            let draws: Vec<f64> = of_shot.filter_map(|(_, found)| found[place]).collect();
            point(shot, draws, test.len())
        });
        Curve { head: kind.name().to_owned(), points: points.collect() }
    };
    HEADS.into_iter().enumerate().map(curve).collect()
}

fn point(labels: usize, draws: Vec<f64>, tested: usize) -> Option<Point> {
    if draws.is_empty() {
        return None;
    }
    let accuracy = statistics::mean(&draws);
    let over_draws = match draws.len() {
        1 => 0.0,
        n => student_975(n - 1) * statistics::deviation(&draws) / (n as f64).sqrt(),
    };
    let over_test = 1.96 * (accuracy * (1.0 - accuracy) / tested as f64).sqrt();
    let reach = over_draws.hypot(over_test);
    let interval = Interval { low: (accuracy - reach).max(0.0), high: (accuracy + reach).min(1.0) };
    Some(Point { labels, accuracy, interval, draws })
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

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
