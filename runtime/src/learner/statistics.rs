//! A store's examples as sums, which can be pooled with those of other devices.

use offshoot_adapters::statistics::Statistics;

use super::store::{Labelled, Store};
use crate::error::{Error, Result};

/// How much longer than the clipping length an embedding may be by rounding alone.
const ROUNDING: f64 = 1e-3;

impl Store {
    /// Adds every labelled example, with its weight, to `statistics`: those of no examples, or
    /// of other devices. O(n d²).
    ///
    /// The sums are exact, so stores and statistics on the same grid may be pooled in any order
    /// and grouping. Weights are taken as they are; up to 1,024 on an embedding of unit length,
    /// up to 1 where the statistics are [clipped](Statistics::clipped).
    ///
    /// An embedding longer than the clipping length is refused, not shortened: a head
    /// fitted on shortened embeddings would be used on whole ones.
    ///
    /// ```
    /// # use offshoot::adapters::EncoderTag;
    /// use offshoot::adapters::statistics::Statistics;
    /// # use offshoot::learner::{NewExample, Store, StoreInfo};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("mail.learner");
    /// # let encoder = EncoderTag {
    /// #     digest: "sha256:3f2a".into(),
    /// #     name: "my-encoder".into(),
    /// #     dimensions: 2,
    /// #     prompt: None,
    /// # };
    /// # let info = StoreInfo { encoder, head: "ridge".into(), keeps_text: true };
    /// # let mut store = Store::create(&path, &info, [])?;
    /// store.teach(&NewExample::new(vec![0.6, 0.8], "spam"))?;
    /// let statistics = store.statistics(Statistics::new(2)?)?;
    /// assert_eq!(statistics.counts(), [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Sums`] for an example that does not fit; as [`Store::labelled`].
    pub fn statistics(&self, statistics: Statistics) -> Result<Statistics> {
        add(&self.labelled()?, statistics).map_err(|(row, reason)| Error::Sums {
            example: row,
            path: self.path().to_owned(),
            reason,
        })
    }
}

/// The sums with these examples, or the number of the one that does not fit and why.
fn add(examples: &Labelled, mut statistics: Statistics) -> Result<Statistics, (i64, String)> {
    let rows = examples.embeddings.outer_iter().zip(&examples.ids);
    for ((x, id), (label, &weight)) in rows.zip(examples.labels.iter().zip(&examples.weights)) {
        if let Some(clip) = statistics.clip() {
            let norm = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            if norm > clip * (1.0 + ROUNDING) {
                return Err((
                    id.0,
                    format!(
                        "its embedding is {norm:.3} long and these statistics are of embeddings \
                         of at most {clip}; use an encoder that gives embeddings of that length"
                    ),
                ));
            }
        }
        statistics.add(x, label, weight).map_err(|error| (id.0, error.to_string()))?;
    }
    Ok(statistics)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayView1, array};

    use super::*;
    use crate::learner::ExampleId;

    fn labelled(embeddings: Array2<f32>, weights: &[f64]) -> Labelled {
        let n = embeddings.nrows();
        Labelled {
            revision: 1,
            head: "auto".into(),
            ids: (1..=n as i64).map(ExampleId).collect(),
            embeddings,
            labels: (0..n).map(|i| ["a", "b"][i % 2].to_owned()).collect(),
            weights: weights.to_vec(),
        }
    }

    #[test]
    fn weights_count() {
        let x = array![[0.6f32, 0.8], [1.0, 0.0], [0.0, 1.0]];
        let sums = add(&labelled(x, &[2.0, 0.5, 1.0]), Statistics::new(2).unwrap()).unwrap();
        assert_eq!(sums.weights().to_vec(), [3.0, 0.5]);
        assert_eq!(sums.counts(), [2, 1]);
        let means = sums.means();
        let near = |row: ArrayView1<'_, f64>, to: [f64; 2]| {
            row.iter().zip(to).all(|(a, b)| (a - b).abs() < 1e-7)
        };
        assert!(near(means.row(0), [0.4, 2.6 / 3.0]) && near(means.row(1), [1.0, 0.0]), "{means}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let clipped = || Statistics::clipped(2, 1.0).unwrap();
        let unit = array![[0.6f32, 0.800_000_1], [1.0, 0.0]];
        add(&labelled(unit.clone(), &[1.0, 0.5]), clipped()).unwrap();
        let (id, reason) = add(&labelled(unit.clone(), &[1.0, 1.5]), clipped()).unwrap_err();
        assert!(id == 2 && reason.contains("at most 1"), "{reason}");
        let (id, reason) = add(&labelled(unit * 1.1, &[1.0, 1.0]), clipped()).unwrap_err();
        assert!(id == 1 && reason.contains("1.100 long"), "{reason}");
    }
}
