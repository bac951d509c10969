//! How unsure probabilities are.

use ndarray::{ArrayView1, ArrayView2};

use crate::error::Result;
use crate::predictions::check_probabilities;

/// A measure of doubt, each 0 for a sure answer and 1 for equal probabilities.
///
/// # Source
///
/// Settles 2009, *Active Learning Literature Survey*, section 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Uncertainty {
    /// `1 - (p₁ - p₂)` of the two likeliest classes: doubt about which of two.
    Margin,
    /// `-Σₖ pₖ ln pₖ / ln K`: doubt about everything.
    Entropy,
}

impl Uncertainty {
    /// The doubt in each row of probabilities `[examples, classes]`. Cost: n K.
    ///
    /// # Errors
    ///
    /// [`Error::NotProbability`](crate::Error::NotProbability),
    /// [`Error::ProbabilitySum`](crate::Error::ProbabilitySum).
    pub fn of(self, probabilities: ArrayView2<f64>) -> Result<Vec<f64>> {
        check_probabilities(probabilities)?;
        let doubt = |row: ArrayView1<f64>| match self {
            Self::Margin => margin(row),
            Self::Entropy => entropy(row),
        };
        Ok(probabilities.outer_iter().map(doubt).collect())
    }
}

fn margin(row: ArrayView1<f64>) -> f64 {
    let (mut first, mut second) = (0.0, 0.0);
    for &p in row {
        if p > first {
            (first, second) = (p, first);
        } else if p > second {
            second = p;
        }
    }
    (1.0 - (first - second)).clamp(0.0, 1.0)
}

fn entropy(row: ArrayView1<f64>) -> f64 {
    if row.len() < 2 {
        return 0.0;
    }
    let sum: f64 = row.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
    (sum / (row.len() as f64).ln()).clamp(0.0, 1.0)
}

/// Indices of the pool from the most doubtful example to the surest, the first of equals
/// first, from probabilities `[pool, classes]`. Cost: n K + n log n.
///
/// # Errors
///
/// Those of [`Uncertainty::of`].
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::selection::{Uncertainty, uncertain};
///
/// let probabilities = array![[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]];
/// let mut next = uncertain(probabilities.view(), Uncertainty::Margin)?;
/// assert_eq!(next.next(), Some(1));
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
pub fn uncertain(
    probabilities: ArrayView2<f64>,
    by: Uncertainty,
) -> Result<impl ExactSizeIterator<Item = usize> + use<>> {
    let doubts = by.of(probabilities)?;
    let mut order: Vec<usize> = (0..doubts.len()).collect();
    order.sort_by(|&a, &b| doubts[b].total_cmp(&doubts[a]));
    Ok(order.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use ndarray::{Array2, array};

    #[test]
    fn by_hand() {
        let p = array![[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.4, 0.3, 0.3], [0.5, 0.5, 0.0]];
        let margins = Uncertainty::Margin.of(p.view()).unwrap();
        let expected = [1.0, 0.0, 0.9, 1.0];
        assert!(margins.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12));
        let entropies = Uncertainty::Entropy.of(p.view()).unwrap();
        assert!((entropies[0] - 2f64.ln() / 3f64.ln()).abs() < 1e-12);
        assert_eq!(entropies[1], 0.0);
        let by = |by| uncertain(p.view(), by).unwrap().collect::<Vec<_>>();
        assert_eq!(by(Uncertainty::Margin), [0, 3, 2, 1]);
        assert_eq!(by(Uncertainty::Entropy), [2, 0, 3, 1]);
        assert_eq!(Uncertainty::Entropy.of(array![[1.0]].view()).unwrap(), [0.0]);
    }

    #[test]
    fn empty_pools_and_bad_values() {
        let none = Array2::zeros((0, 3));
        assert_eq!(uncertain(none.view(), Uncertainty::Margin).unwrap().len(), 0);
        let bad = array![[f64::NAN, 1.0]];
        let Err(error) = uncertain(bad.view(), Uncertainty::Margin) else { panic!("accepted") };
        assert!(matches!(error, Error::NotProbability { row: 0, class: 0, .. }));
        let wide = Array2::from_elem((2, 10_000), 1e-4);
        assert_eq!(Uncertainty::Entropy.of(wide.view()).unwrap().len(), 2);
    }
}
