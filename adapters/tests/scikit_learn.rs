//! The heads equal scikit-learn's on real embeddings.

mod support;

use ndarray::{Array2, Axis};
use offshoot_adapters::{Head, Logistic, NearestMean, Ridge};
use serde_json::Value;
use support::{case, film_names, npy, numbers, reviews};

struct Case {
    x: Array2<f32>,
    y: Vec<usize>,
    test: Array2<f32>,
    films: usize,
    reference: Value,
}

fn open(name: &str) -> Case {
    let reference = case(name);
    let size = |key: &str| reference[key].as_u64().unwrap() as usize;
    let films = size("films");
    let (x, y, test) = reviews(films, size("shots"), size("dimensions"));
    Case { x, y, test, films, reference }
}

fn largest_difference(a: impl IntoIterator<Item = f64>, b: impl IntoIterator<Item = f64>) -> f64 {
    let (a, b): (Vec<_>, Vec<_>) = (a.into_iter().collect(), b.into_iter().collect());
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Coefficients and intercepts as scikit-learn shapes them: one row for two classes, the
/// difference of the rows times `factor`.
fn sklearn_shape(head: &Head, factor: f64) -> (Array2<f64>, Vec<f64>) {
    let (w, b) = (head.coefficients().unwrap(), head.intercepts().unwrap());
    if w.nrows() == 2 {
        let row = (&w.row(1) - &w.row(0)) * factor;
        return (row.insert_axis(Axis(0)), vec![(b[1] - b[0]) * factor]);
    }
    (w.clone(), b.to_vec())
}

fn check_logistic(case: &Case, key: &str, coefficients: Option<&str>) {
    let reference = &case.reference[key];
    let c = reference["c"].as_f64().unwrap();
    let config = Logistic { c, tolerance: 1e-7, ..Logistic::default() };
    let head = config.fit(case.x.view(), &case.y, film_names(case.films)).unwrap();
    let (w, b) = sklearn_shape(&head, 1.0);
    let scale = w.iter().map(|v| v * v).sum::<f64>().sqrt().max(1.0);
    if let Some(file) = coefficients {
        let expected = npy(file).mapv(f64::from);
        // The fixture is rounded to f32: 6e-8 of the largest coefficient.
        let difference = largest_difference(w, expected);
        assert!(difference < 1e-6 * scale, "{key}: coefficients differ by {difference}");
    }
    let difference = largest_difference(b, numbers(&reference["intercepts"]));
    assert!(difference < 1e-6 * scale, "{key}: intercepts differ by {difference}");
    let probabilities = head.predict_proba(case.test.view()).unwrap();
    let difference = largest_difference(probabilities, numbers(&reference["probabilities"]));
    assert!(difference < 1e-6, "{key}: probabilities differ by {difference}");
}

#[test]
fn logistic_with_fewer_examples_than_dimensions() {
    check_logistic(&open("wide"), "logistic", Some("wide_logistic_coefficients.npy"));
}

#[test]
fn logistic_defaults_reach_the_optimum_to_five_digits() {
    let case = open("wide");
    let head = Logistic::default().fit(case.x.view(), &case.y, film_names(case.films)).unwrap();
    let expected = npy("wide_logistic_coefficients.npy").mapv(f64::from);
    let difference = largest_difference(head.coefficients().unwrap().iter().copied(), expected);
    assert!(difference < 1e-5, "coefficients differ by {difference}");
    println!("largest difference of a coefficient: {difference:.1e}");
}

#[test]
fn logistic_with_more_examples_than_dimensions() {
    let case = open("tall");
    check_logistic(&case, "logistic", Some("tall_logistic_coefficients.npy"));
    check_logistic(&case, "logistic_c100", None);
}

#[test]
fn logistic_of_two_classes_is_binomial() {
    let case = open("binary");
    check_logistic(&case, "logistic", Some("binary_logistic_coefficients.npy"));
    check_logistic(&case, "logistic_c100", None);
    check_logistic(&open("narrow"), "logistic", Some("narrow_logistic_coefficients.npy"));
}

#[test]
fn logistic_from_one_example_a_class() {
    check_logistic(&open("oneshot"), "logistic", None);
}

fn check_ridge(name: &str) {
    let case = open(name);
    let reference = &case.reference["ridge"];
    let penalties = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0].to_vec();
    let errors = numbers(&reference["loo_mean_squared_errors"]);
    for (&penalty, &error) in penalties.iter().zip(&errors) {
        let config = Ridge { penalties: vec![penalty] };
        let head = config.fit(case.x.view(), &case.y, film_names(case.films)).unwrap();
        let Head::Ridge(head) = head else { panic!("another head") };
        let found = head.leave_one_out_error();
        assert!((found - error).abs() < 1e-8 * error, "{name} at {penalty}: {found}, not {error}");
    }
    let head = Ridge { penalties }.fit(case.x.view(), &case.y, film_names(case.films)).unwrap();
    let (w, b) = sklearn_shape(&head, 0.5);
    let expected = npy(&format!("{name}_ridge_coefficients.npy")).mapv(f64::from);
    let difference = largest_difference(w, expected);
    assert!(difference < 1e-6, "{name}: coefficients differ by {difference}");
    let difference = largest_difference(b, numbers(&reference["intercepts"]));
    assert!(difference < 1e-8, "{name}: intercepts differ by {difference}");
    let Head::Ridge(head) = head else { panic!("another head") };
    assert_eq!(head.penalty(), reference["penalty"].as_f64().unwrap());
}

#[test]
fn ridge_on_both_sides_and_of_two_classes() {
    ["wide", "tall", "binary", "narrow"].into_iter().for_each(check_ridge);
}

#[test]
fn nearest_mean_decides_as_nearest_centroid() {
    for name in ["wide", "tall", "binary", "narrow", "oneshot"] {
        let case = open(name);
        let fit = NearestMean::default().fit(case.x.view(), &case.y, film_names(case.films));
        let predicted = fit.unwrap().predict(case.test.view()).unwrap();
        let expected = numbers(&case.reference["nearest_mean"]);
        assert_eq!(predicted.iter().map(|&k| k as f64).collect::<Vec<_>>(), expected, "{name}");
    }
}
