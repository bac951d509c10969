//! Accuracy over labels a class: our heads, and scikit-learn's on the same draws.

use std::fmt::Write;

use ndarray::{ArrayView2, Axis};
use offshoot_adapters::metrics::accuracy;
use offshoot_adapters::{Classes, HeadKind};
use offshoot_models::movies::{self, Reference};

use super::chart::Curve;
use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Unit};

/// Draws of training examples for each number of shots; their seeds are 0, 1, …
const DRAWS: u64 = 10;

/// Our heads, and the names of scikit-learn's counterparts in the reference, where there are.
const HEADS: [(HeadKind, &str, &str); 4] = [
    (HeadKind::Auto, "", ""),
    (HeadKind::Logistic, "logistic", "LogisticRegression"),
    (HeadKind::Ridge, "ridge", "RidgeClassifierCV"),
    (HeadKind::NearestMean, "centroid", "NearestCentroid"),
];

/// What the heads reached.
#[derive(Debug, Clone)]
pub(super) struct Learning {
    /// Labelled examples of each class.
    pub(super) shots: Vec<usize>,
    /// Draws for each of them.
    pub(super) draws: usize,
    /// Texts, of which those that were not drawn are the test set.
    pub(super) texts: usize,
    /// For each of `HEADS` accuracies `[shots, draw]`, 0 to 1.
    ours: Vec<Vec<Vec<f64>>>,
    reference: Reference,
}

impl Learning {
    /// Fits every head on every draw of the embeddings `[texts, dimensions]` and scores it
    /// on the texts that were not drawn.
    pub(super) fn measure(
        embeddings: ArrayView2<'_, f32>,
        labels: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let reference = movies::reference()?;
        let shots = reference.shots.clone();
        let names: Vec<String> = movies::CLASSES.map(String::from).to_vec();
        let fits = HEADS.len() * shots.len() * DRAWS as usize;
        let mut progress = Progress::start("Learning", Unit::Count("heads"), Some(fits as u64));
        let mut ours = vec![vec![Vec::new(); shots.len()]; HEADS.len()];
        for (s, &count) in shots.iter().enumerate() {
            for seed in 0..DRAWS {
                let draw = movies::few_shot(labels, names.len(), count, seed)?;
                let pick = |indices: &[usize]| -> Vec<usize> {
                    indices.iter().map(|&i| labels[i]).collect()
                };
                let (train, test) = (
                    embeddings.select(Axis(0), &draw.train),
                    embeddings.select(Axis(0), &draw.test),
                );
                let (train_labels, test_labels) = (pick(&draw.train), pick(&draw.test));
                for (h, (kind, ..)) in HEADS.iter().enumerate() {
                    interrupt.check(super::AGAIN)?;
                    let classes = Classes::new(names.clone())?;
                    let head = kind.fit(train.view(), &train_labels, classes)?;
                    let predicted = head.predict(test.view())?;
                    ours[h][s].push(accuracy(&test_labels, &predicted)?);
                    progress.add(1);
                }
            }
        }
        progress.finish();
        let (draws, texts) = (DRAWS as usize, labels.len());
        Ok(Self { shots, draws, texts, ours, reference })
    }

    /// For the chart.
    pub(super) fn curves(&self) -> Vec<Curve> {
        HEADS
            .iter()
            .zip(&self.ours)
            .map(|((kind, reference, _), rows)| Curve {
                name: kind.to_string(),
                points: rows.iter().map(|draws| mean_and_error(draws)).collect(),
                reference: self.reference.means(reference),
            })
            .collect()
    }

    /// The accuracies as a table for people: percent, mean ± standard error.
    pub(super) fn table(&self) -> String {
        let mut table = format!(
            "Accuracy in % on the other texts, mean of {} draws ± standard error\n\n{:<22}",
            self.draws, "labels of each class"
        );
        for shots in &self.shots {
            let _ = write!(table, "{shots:>12}");
        }
        table.push('\n');
        let mut line = |name: &str, rows: &[Vec<f64>]| {
            let _ = write!(table, "{name:<22}");
            for draws in rows {
                let (mean, error) = mean_and_error(draws);
                let cell = format!("{:.1} ± {:.1}", 100.0 * mean, 100.0 * error);
                let _ = write!(table, "{cell:>12}");
            }
            table.push('\n');
        };
        for ((kind, reference, sklearn), rows) in HEADS.iter().zip(&self.ours) {
            line(&kind.to_string(), rows);
            if let Some(rows) = self.reference.accuracies.get(*reference) {
                line(&format!("  {sklearn}"), rows);
            }
        }
        table.push_str(
            "\nIndented: scikit-learn on the same draws, on embeddings of sentence-transformers.\n",
        );
        table
    }
}

/// The mean and its standard error, from the sample variance.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = if values.len() > 1 { (squares / (n - 1.0) / n).sqrt() } else { 0.0 };
    (mean, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_error_is_that_of_the_mean() {
        // numpy.std([1, 2, 3, 4], ddof=1) / 2
        let (mean, error) = mean_and_error(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(mean, 2.5);
        assert!((error - 0.645_497_224_367_902_8).abs() < 1e-15);
        assert_eq!(mean_and_error(&[0.5]), (0.5, 0.0));
    }

    #[test]
    fn every_named_counterpart_is_in_the_reference() {
        let reference = movies::reference().unwrap();
        for (kind, name, _) in HEADS.into_iter().filter(|head| !head.1.is_empty()) {
            assert!(reference.accuracies.contains_key(name), "{kind}");
        }
    }
}
