//! What holds for any examples.

use ndarray::{Array2, Axis};
use offshoot_adapters::{Classes, Head, HeadKind, Logistic};
use proptest::prelude::*;

/// Examples of 2 to 4 classes, at least one of each, with 1 to 12 dimensions.
fn examples() -> impl Strategy<Value = (Array2<f32>, Vec<usize>, usize)> {
    (2usize..5, 1usize..13, 0usize..16).prop_flat_map(|(k, d, extra)| {
        let n = k + extra;
        let values = prop::collection::vec(-2f32..2.0, n * d);
        let classes = prop::collection::vec(0..k, extra);
        (values, classes).prop_map(move |(values, classes)| {
            let y = (0..k).chain(classes).collect();
            (Array2::from_shape_vec((n, d), values).unwrap(), y, k)
        })
    })
}

fn classes(k: usize) -> Classes {
    Classes::new((0..k).map(|i| i.to_string()).collect()).unwrap()
}

fn fit(kind: HeadKind, x: &Array2<f32>, y: &[usize], k: usize) -> Head {
    if kind == HeadKind::Logistic {
        let config = Logistic { tolerance: 1e-8, ..Logistic::default() };
        return config.fit(x.view(), y, classes(k)).unwrap();
    }
    kind.fit(x.view(), y, classes(k)).unwrap()
}

/// What rounding may change in a probability: the smallest penalty is 1e-5 of the variance, so
/// that leaving an example out, a resolvent's downdate, multiplies the rounding of 64-bit
/// floats by up to 1e10, and the scale that is fitted to the result by the scores' size.
const ROUNDING: f64 = 1e-4;

fn largest_difference(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    (a - b).fold(0.0, |m: f64, d| m.max(d.abs()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_sum_to_one_and_the_likeliest_class_is_predicted((x, y, k) in examples()) {
        for kind in HeadKind::ALL {
            let head = fit(kind, &x, &y, k);
            let probabilities = head.predict_proba(x.view()).unwrap();
            let predicted = head.predict(x.view()).unwrap();
            for (row, &class) in probabilities.outer_iter().zip(&predicted) {
                prop_assert!((row.sum() - 1.0).abs() < 1e-12);
                prop_assert!(row.iter().all(|&p| p <= row[class] + 1e-12), "{kind}: {row}");
            }
        }
    }

    #[test]
    fn the_order_of_examples_does_not_matter((x, y, k) in examples(), seed in any::<u64>()) {
        let mut order: Vec<usize> = (0..y.len()).collect();
        order.sort_by_key(|&i| (i as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let shuffled = x.select(Axis(0), &order);
        let labels: Vec<usize> = order.iter().map(|&i| y[i]).collect();
        for kind in HeadKind::ALL {
            let a = fit(kind, &x, &y, k).predict_proba(x.view()).unwrap();
            let b = fit(kind, &shuffled, &labels, k).predict_proba(x.view()).unwrap();
            let difference = largest_difference(&a, &b);
            prop_assert!(difference < ROUNDING, "{kind}: {difference}");
        }
    }

    #[test]
    fn the_names_of_classes_only_permute_the_columns((x, y, k) in examples()) {
        let turned: Vec<usize> = y.iter().map(|&class| (class + 1) % k).collect();
        for kind in HeadKind::ALL {
            let a = fit(kind, &x, &y, k).predict_proba(x.view()).unwrap();
            let b = fit(kind, &x, &turned, k).predict_proba(x.view()).unwrap();
            let columns: Vec<usize> = (0..k).map(|class| (class + 1) % k).collect();
            let difference = largest_difference(&a, &b.select(Axis(1), &columns));
            prop_assert!(difference < ROUNDING, "{kind}: {difference}");
        }
    }

    /// The optimum does not depend on the space searched: columns of zeros beyond the number
    /// of examples switch the search to the span of the examples.
    #[test]
    fn useless_dimensions_change_nothing((x, y, k) in examples()) {
        let mut wide = Array2::zeros((x.nrows(), x.ncols() + x.nrows()));
        for (mut to, from) in wide.outer_iter_mut().zip(x.outer_iter()) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
        for kind in HeadKind::ALL {
            let a = fit(kind, &x, &y, k).predict_proba(x.view()).unwrap();
            let b = fit(kind, &wide, &y, k).predict_proba(wide.view()).unwrap();
            let difference = largest_difference(&a, &b);
            prop_assert!(difference < ROUNDING, "{kind}: {difference}");
        }
    }

    /// The gradient of scikit-learn's objective, written out plainly, vanishes at the fit.
    #[test]
    fn logistic_is_at_the_optimum((x, y, k) in examples(), log_c in -3f64..3.0) {
        let c = 10f64.powf(log_c);
        let config = Logistic { c, tolerance: 1e-8, ..Logistic::default() };
        let head = config.fit(x.view(), &y, classes(k)).unwrap();
        let mut residual = head.predict_proba(x.view()).unwrap();
        for (mut row, &class) in residual.outer_iter_mut().zip(&y) {
            row[class] -= 1.0;
        }
        // Two classes hold -w/2 and w/2, whose penalty is ‖W‖².
        let penalty = if k == 2 { 2.0 } else { 1.0 };
        let w = head.coefficients().unwrap();
        let gradient = residual.t().dot(&x.mapv(f64::from)) * c + w * penalty;
        let size = w.fold(1.0, |m: f64, v| m.max(v.abs()));
        prop_assert!(gradient.iter().all(|g| g.abs() < 1e-6 * size), "{gradient}");
        prop_assert!(residual.sum_axis(Axis(0)).iter().all(|g| (c * g).abs() < 1e-5 * c.max(1.0)));
    }

    /// Ridge's leave-one-out error is what refitting without each example gives.
    #[test]
    fn ridge_leave_one_out_is_exact((x, y, k) in examples(), log_penalty in -2f64..2.0) {
        let config = offshoot_adapters::Ridge { penalties: vec![10f64.powf(log_penalty)] };
        let Head::Ridge(head) = config.fit(x.view(), &y, classes(k)).unwrap() else {
            unreachable!()
        };
        let (mut total, mut complete) = (0.0, true);
        for left in 0..y.len() {
            let rest: Vec<usize> = (0..y.len()).filter(|&i| i != left).collect();
            let labels: Vec<usize> = rest.iter().map(|&i| y[i]).collect();
            // Without its only example a class cannot be refitted through the public door.
            if !labels.contains(&y[left]) {
                complete = false;
                break;
            }
            let refitted = config.fit(x.select(Axis(0), &rest).view(), &labels, classes(k)).unwrap();
            let row = x.select(Axis(0), &[left]);
            let scores = refitted.decision_function(row.view()).unwrap();
            for (class, score) in scores.iter().enumerate() {
                total += (score - if class == y[left] { 1.0 } else { -1.0 }).powi(2);
            }
        }
        if complete {
            let error = total / (y.len() * k) as f64;
            let found = head.leave_one_out_error();
            prop_assert!((found - error).abs() < 1e-8 * error.max(1.0), "{found}, not {error}");
        }
    }
}
