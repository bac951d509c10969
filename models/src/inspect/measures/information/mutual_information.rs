//! What two views of an input tell of one another.

use ndarray::{ArrayView2, Axis};

use crate::inspect::Interval;
use crate::inspect::numeric::interval::bootstrap_mean;
use crate::inspect::numeric::products::unit_rows;

/// A lower bound on the mutual information of two views.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Bound {
    /// The bound, in nats.
    pub nats: f64,
    /// Interval over the examples.
    pub interval: Option<Interval>,
    /// The most that it can be, `log n`: a bound near it says "at least".
    pub most: f64,
    /// The temperature of the critic.
    pub temperature: f64,
}

/// InfoNCE (van den Oord and others, 2018, arXiv:1807.03748): `log n + mean log softmax_i`
/// of the cosines of example i's first view with all n second views over a temperature.
///
/// `a` and `b` are `[n, width]`, row by row views of the same inputs. The temperature is the
/// best of 12 on the first half of the examples, the bound is of the second half, so that the
/// choice does not raise it. Unit: nats. Limits: never above `log n` of that half (McAllester
/// and Stratos, 2018, arXiv:1811.04251), and as weak as the critic is. `None` of fewer than 8.
pub fn info_nce(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, seed: u64) -> Option<Bound> {
    let n = a.nrows().min(b.nrows());
    if n < 8 {
        return None;
    }
    let half = n / 2;
    let part = |x: ArrayView2<'_, f32>, from, to| {
        unit_rows(x.slice_axis(Axis(0), ndarray::Slice::from(from..to)))
    };
    let first = part(a, 0, half).dot(&part(b, 0, half).t());
    let second = part(a, half, n).dot(&part(b, half, n).t());
    let temperatures = (0..12).map(|i| 0.01 * 1.5f64.powi(i));
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let (temperature, _) = temperatures
        .map(|t| (t, mean(terms(first.view(), t))))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    let terms = terms(second.view(), temperature);
    Some(Bound {
        nats: mean(terms.clone()),
        interval: bootstrap_mean(&terms, seed),
        most: (terms.len() as f64).ln(),
        temperature,
    })
}

/// `log n + log softmax_i` of each row.
fn terms(cosines: ArrayView2<'_, f32>, temperature: f64) -> Vec<f64> {
    let log_n = (cosines.nrows() as f64).ln();
    let each = cosines.outer_iter().enumerate().map(|(i, row)| {
        let scaled: Vec<f64> = row.iter().map(|&c| f64::from(c) / temperature).collect();
        let most = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scaled.iter().map(|s| (s - most).exp()).sum();
        log_n + scaled[i] - most - sum.ln()
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn equal_views_reach_the_bound_and_unrelated_ones_nothing() {
        let mut random = SplitMix64::new(6);
        let a = Array2::from_shape_simple_fn((200, 32), || random.normal());
        let b = Array2::from_shape_simple_fn((200, 32), || random.normal());
        let same = info_nce(a.view(), a.view(), 1).unwrap();
        assert!((same.nats - 100f64.ln()).abs() < 1e-6 && same.most == 100f64.ln());
        let other = info_nce(a.view(), b.view(), 1).unwrap();
        assert!(other.nats < 0.05, "{other:?}");
        // A collapsed encoder tells nothing.
        let collapsed = Array2::<f32>::ones((200, 4));
        assert!(info_nce(collapsed.view(), collapsed.view(), 1).unwrap().nats.abs() < 1e-9);
        assert!(
            info_nce(crate::inspect::numeric::products::first(a.view(), 6), a.view(), 1).is_none()
        );
    }
}
