//! Logistic regression of so many examples that the search begins with a share of them and most
//! of its products are in single precision: it ends at the same optimum all the same.

use ndarray::{Array1, Array2, Axis};
use offshoot_adapters::{ClassWeights, Classes, Error, Head, Logistic};

const CLASSES: usize = 5;

/// Examples around the mean of each class, in classes of very different sizes; all values times
/// `scale` plus `offset`.
fn examples(n: usize, d: usize, scale: f64, offset: f64) -> (Array2<f32>, Vec<usize>) {
    let mut state = 7u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    let means = Array2::from_shape_simple_fn((CLASSES, d), &mut random);
    let y: Vec<usize> = (0..n).map(|_| ((2.0 * random()).abs().powi(3) * 5.0) as usize).collect();
    let noise = Array2::from_shape_simple_fn((n, d), &mut random);
    let x = (means.select(Axis(0), &y) + noise * 3.0) * scale + offset;
    (x.mapv(|v| v as f32), y)
}

fn classes() -> Classes {
    Classes::new((0..CLASSES).map(|class| class.to_string()).collect()).unwrap()
}

/// The largest entry of the gradient of scikit-learn's objective, written out plainly, against
/// the size of what is summed.
fn gradient(head: &Head, x: &Array2<f32>, y: &[usize], c: f64, weights: &[f64]) -> f64 {
    let mut residual = head.predict_proba(x.view()).unwrap();
    for (mut row, &class) in residual.outer_iter_mut().zip(y) {
        row[class] -= 1.0;
        row *= c * weights[class];
    }
    let x = x.mapv(f64::from);
    let mean: Array1<f64> = x.mean_axis(Axis(0)).unwrap();
    // Centred, as the intercepts, whose gradient is 0, allow.
    let z = &x - &mean;
    let coefficients = head.coefficients().unwrap();
    let total = residual.t().dot(&z) + coefficients;
    let size = residual.mapv(f64::abs).t().dot(&z.mapv(f64::abs)) + coefficients.mapv(f64::abs);
    let worst = |a: &Array2<f64>| a.fold(0.0, |m: f64, v| m.max(v.abs()));
    let intercepts =
        residual.sum_axis(Axis(0)).mapv(f64::abs).sum() / residual.mapv(f64::abs).sum();
    (worst(&total) / worst(&size)).max(intercepts)
}

#[test]
fn the_gradient_vanishes_at_the_fit() {
    let (x, y) = examples(6_000, 24, 1.0, 0.0);
    for c in [1e-3, 1.0, 1e3] {
        let config = Logistic { c, tolerance: 1e-9, ..Logistic::default() };
        for weights in [vec![1.0; CLASSES], vec![0.1, 1.0, 2.0, 5.0, 30.0]] {
            let each = ClassWeights::Each(weights.clone());
            let head = config.fit_from(x.view(), &y, classes(), &each, None).unwrap();
            let left = gradient(&head, &x, &y, c, &weights);
            assert!(left < 1e-8, "C = {c}: {left}");
        }
    }
}

#[test]
fn the_scale_of_the_values_is_no_matter() {
    let (x, y) = examples(5_000, 8, 1.0, 0.0);
    let probabilities = |x: &Array2<f32>, c: f64| {
        let config = Logistic { c, tolerance: 1e-9, ..Logistic::default() };
        config.fit(x.view(), &y, classes()).unwrap().predict_proba(x.view()).unwrap()
    };
    let plain = probabilities(&x, 1.0);
    // Powers of two: the values are the same but for their exponents.
    for power in [-60, 8] {
        let scale = 2f64.powi(power);
        let scaled = x.mapv(|v| (f64::from(v) * scale) as f32);
        let found = probabilities(&scaled, scale.powi(-2));
        let difference = (&found - &plain).fold(0.0, |m: f64, v| m.max(v.abs()));
        assert!(difference < 1e-7, "2^{power}: {difference}");
    }
}

#[test]
fn values_far_from_zero_are_centred_first() {
    let (x, y) = examples(5_000, 8, 1.0, 1e4);
    let config = Logistic { tolerance: 1e-9, ..Logistic::default() };
    let head = config.fit(x.view(), &y, classes()).unwrap();
    let left = gradient(&head, &x, &y, 1.0, &[1.0; CLASSES]);
    assert!(left < 1e-8, "{left}");
}

#[test]
fn it_says_where_it_stopped_early() {
    let (x, y) = examples(5_000, 8, 1.0, 0.0);
    let config = Logistic { c: 1e3, max_iterations: 2, ..Logistic::default() };
    let error = config.fit(x.view(), &y, classes()).unwrap_err();
    assert!(matches!(error, Error::NotConverged { iterations: 2, .. }), "{error}");
}
