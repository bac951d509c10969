//! How much of the input, and of the label, a linear decoder reads from an embedding.

use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};

use crate::inspect::Interval;
use crate::inspect::numeric::interval::bootstrap;
use crate::inspect::numeric::{eigen, products};

/// Most examples that the decoder is fitted on and judged by.
pub const MOST_ROWS: usize = 3000;
/// Most numbers of the input that are decoded: its first principal components.
const TARGETS: usize = 64;

/// A share, and its bootstrap interval over the examples that judge; the decoder stays as it is.
pub type Share = (f64, Option<Interval>);

/// The share of the input's variance that ridge regression reads from the embedding, on
/// examples that it was not fitted on: `R² = 1 - Σ‖y - ŷ‖² / Σ‖y - ȳ‖²` (the compression axis
/// of the plane of Tishby and Zaslavsky, 2015, arXiv:1503.02406, made computable by a linear
/// decoder, as the information that a family of predictors can use: Xu and others, 2020,
/// arXiv:2002.10689).
///
/// `x` `[n, width]` are embeddings, `raw` `[n, numbers]` the inputs. Two thirds of the examples
/// fit, the rest judge; the penalty is the best of 7 for a part of the first. Unit: a share, 1
/// is all; may be below 0 where nothing can be read. Limits: of the input's first 64
/// principal components, and linear. `None` of fewer than 30 examples or a constant input.
pub fn input_share(x: ArrayView2<'_, f32>, raw: ArrayView2<'_, f32>) -> Option<Share> {
    let n = x.nrows().min(raw.nrows()).min(MOST_ROWS);
    if n < 30 || raw.ncols() == 0 {
        return None;
    }
    let upto = |x: ArrayView2<'_, f32>| x.slice_axis(Axis(0), Slice::from(..n)).to_owned();
    let targets = components(&upto(raw))?;
    share(&upto(x), &targets)
}

/// The same for classes: the share of the variance of their indicators.
pub fn label_share(x: ArrayView2<'_, f32>, labels: &[usize]) -> Option<Share> {
    let n = x.nrows().min(labels.len()).min(MOST_ROWS);
    let classes = labels[..n].iter().max()? + 1;
    if n < 30 || classes < 2 {
        return None;
    }
    let mut targets = Array2::zeros((n, classes));
    labels[..n].iter().enumerate().for_each(|(i, &class)| targets[[i, class]] = 1.0);
    share(&x.slice_axis(Axis(0), Slice::from(..n)).to_owned(), &targets)
}

/// The first principal components of the rows, in the input's own scale.
fn components(raw: &Array2<f32>) -> Option<Array2<f64>> {
    let centred = products::centred(raw.view());
    let wide = centred.ncols() > centred.nrows();
    let (values, vectors) = if wide {
        eigen_of(products::gram(centred.view()))
    } else {
        eigen_of(products::scatter(centred.view()))
    };
    let first = *values.first()?;
    let kept = values.iter().take(TARGETS).take_while(|&&v| v > first * 1e-9 && v > 1e-12).count();
    let kept_rows = vectors.slice_axis(Axis(0), Slice::from(..kept));
    if kept == 0 {
        return None;
    }
    Some(if wide {
        let mut scores = kept_rows.t().to_owned();
        for (mut column, value) in scores.axis_iter_mut(Axis(1)).zip(&values) {
            column.mapv_inplace(|v| v * value.sqrt());
        }
        scores
    } else {
        centred.mapv(f64::from).dot(&kept_rows.t())
    })
}

fn eigen_of(a: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    eigen::vectors(a)
}

fn share(x: &Array2<f32>, y: &Array2<f64>) -> Option<Share> {
    let n = x.nrows();
    let third = n / 3;
    let rows = |part: std::ops::Range<usize>| part.collect::<Vec<_>>();
    // Interleaved parts: data that is in order is split evenly all the same.
    let order: Vec<usize> = (0..3).flat_map(|start| (start..n).step_by(3)).collect();
    let pick = |part: Vec<usize>| -> Vec<usize> { part.into_iter().map(|i| order[i]).collect() };
    let fit_rows = pick(rows(0..n - 2 * third));
    let tune_rows = pick(rows(n - 2 * third..n - third));
    let test_rows = pick(rows(n - third..n));
    let x = products::centred(x.view()).mapv(f64::from);
    let part = |rows: &[usize]| (x.select(Axis(0), rows), y.select(Axis(0), rows));
    let (fit, tune, test) = (part(&fit_rows), part(&tune_rows), part(&test_rows));
    let decoder = Decoder::new(&fit.0, &fit.1);
    let penalties: Vec<f64> = (-6..=0).map(|e| decoder.scale * 10f64.powi(e)).collect();
    let best = penalties
        .into_iter()
        .map(|p| (p, decoder.errors(p, &tune.0, &tune.1).sum()))
        .min_by(|a, b| a.1.total_cmp(&b.1))?
        .0;
    let both = [fit_rows, tune_rows].concat();
    let (all, target) = part(&both);
    let decoder = Decoder::new(&all, &target);
    let errors = decoder.errors(best, &test.0, &test.1);
    let spreads = (&test.1 - &decoder.y_mean).mapv(|v| v * v).sum_axis(Axis(1));
    let of = |drawn: &[usize]| {
        let sum = |of: &Array1<f64>| drawn.iter().map(|&i| of[i]).sum::<f64>();
        1.0 - sum(&errors) / sum(&spreads)
    };
    let all: Vec<usize> = (0..errors.len()).collect();
    (spreads.sum() > 0.0).then(|| (of(&all), bootstrap(errors.len(), 0, of)))
}

/// Ridge regression for any penalty, from one eigendecomposition.
struct Decoder {
    values: Vec<f64>,
    basis: Array2<f64>,
    projected: Array2<f64>,
    x_mean: Array1<f64>,
    y_mean: Array1<f64>,
    /// The largest eigenvalue.
    scale: f64,
}

impl Decoder {
    fn new(x: &Array2<f64>, y: &Array2<f64>) -> Self {
        let n = x.nrows().max(1) as f64;
        let (x_mean, y_mean) = (x.sum_axis(Axis(0)) / n, y.sum_axis(Axis(0)) / n);
        let (x, y) = (x - &x_mean, y - &y_mean);
        let (values, basis) = eigen::vectors(x.t().dot(&x));
        let projected = basis.dot(&x.t().dot(&y));
        let scale = values.first().copied().unwrap_or(0.0).max(1e-12);
        Self { values, basis, projected, x_mean, y_mean, scale }
    }

    /// The squared error of each example.
    fn errors(&self, penalty: f64, x: &Array2<f64>, y: &Array2<f64>) -> Array1<f64> {
        let mut weights = self.projected.clone();
        for (mut row, value) in weights.outer_iter_mut().zip(&self.values) {
            row /= value.max(0.0) + penalty;
        }
        let predicted = (x - &self.x_mean).dot(&self.basis.t()).dot(&weights) + &self.y_mean;
        (y - &predicted).mapv(|v| v * v).sum_axis(Axis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn all_of_a_rotation_half_of_a_half_nothing_of_noise() {
        let mut random = SplitMix64::new(8);
        let raw = Array2::from_shape_simple_fn((600, 8), || random.normal());
        let mix = Array2::from_shape_simple_fn((8, 8), || random.normal());
        let (all, _) = input_share(raw.dot(&mix).view(), raw.view()).unwrap();
        assert!(all > 0.999, "{all}");
        let (half, interval) =
            input_share(raw.slice_axis(Axis(1), Slice::from(..4)), raw.view()).unwrap();
        assert!(interval.unwrap().contains(0.5), "{interval:?}");
        assert!((half - 0.5).abs() < 0.06, "{half}");
        let noise = Array2::from_shape_simple_fn((600, 8), || random.normal());
        assert!(input_share(noise.view(), raw.view()).unwrap().0.abs() < 0.05);
        let labels: Vec<usize> = raw.outer_iter().map(|r| usize::from(r[0] > 0.0)).collect();
        // The sign of a normal number: 2/π of its variance is linear in it.
        let (label, _) = label_share(raw.view(), &labels).unwrap();
        assert!((label - 2.0 / std::f64::consts::PI).abs() < 0.06, "{label}");
        assert!(input_share(raw.view(), Array2::zeros((600, 3)).view()).is_none());
        assert!(label_share(raw.view(), &[0; 600]).is_none());
    }
}
