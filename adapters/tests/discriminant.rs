//! The linear discriminant equals scikit-learn's, and its left-out scores refits.

mod support;

use std::fs;

use ndarray::{Array2, Axis, array};
use offshoot_adapters::statistics::{Shrinkage, Statistics};
use offshoot_adapters::{Classifier, Discriminant, Error, Head, HeadKind};
use serde_json::Value;
use support::{film_names, fixture, numbers, reviews};

fn discriminant(head: Head) -> offshoot_adapters::DiscriminantHead {
    let Head::Discriminant(head) = head else { panic!("another head") };
    head
}

/// Each row less its mean.
fn centered(scores: &Array2<f64>) -> Array2<f64> {
    scores - &scores.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1))
}

#[test]
fn statistics_give_the_scores_of_scikit_learn() {
    let text = fs::read_to_string(fixture("discriminant.json")).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let films = size("films");
        let shots = size("shots");
        let (x, y, test) = reviews(films, shots, size("dimensions"));
        let mut statistics = Statistics::new(size("dimensions")).unwrap();
        let rows = y.len() - size("drop");
        for (x, class) in x.outer_iter().zip(&y).take(rows) {
            statistics.add(x, &format!("film{class:02}"), 1.0).unwrap();
        }
        let shrinkage = case["shrinkage"].as_f64().unwrap();
        let setting =
            if case["oas"].is_null() { Shrinkage::Fixed(shrinkage) } else { Shrinkage::Oas };
        let head = statistics.discriminant(setting).unwrap();
        // 2 of the 4 test reviews of each film.
        let first: Vec<usize> = (0..films).flat_map(|f| [4 * f, 4 * f + 1]).collect();
        let test = test.select(Axis(0), &first);
        let mut scores = head.decision_function(test.view()).unwrap();
        let mut expected = numbers(&case["scores"]);
        if films == 2 {
            // scikit-learn gives the difference of the two.
            expected = expected.iter().flat_map(|v| [-0.5 * v, 0.5 * v]).collect();
        }
        // Up to what all classes have in common.
        let mut expected = Array2::from_shape_vec(scores.dim(), expected).unwrap();
        (scores, expected) = (centered(&scores), centered(&expected));
        let largest = expected.fold(1.0, |m: f64, v| m.max(v.abs()));
        for (a, b) in scores.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-6 * largest, "{films} x {shots}: {a}, not {b}");
        }
        let head = discriminant(head);
        assert!((head.penalty() - shrinkage).abs() < 1e-9);
        assert!(head.scale() > 0.0 && head.scale() <= 1.0);
    }
}

#[test]
fn the_scale_is_the_smaller_of_two_that_can_be_trusted() {
    let (x, y, _) = reviews(19, 16, 24);
    let (n, k, d) = (304.0, 19.0, 24.0);
    // As they are the classes overlap; an offset a class drives them apart.
    for by_margin in [false, true] {
        let (mut x, labels) = (x.clone(), &y);
        for (mut row, &class) in x.outer_iter_mut().zip(labels) {
            row[0] += if by_margin { class as f32 } else { 0.0 };
        }
        let mut statistics = Statistics::new(24).unwrap();
        for (x, class) in x.outer_iter().zip(labels) {
            statistics.add(x, &format!("film{class:02}"), 1.0).unwrap();
        }
        let head = discriminant(statistics.discriminant(Shrinkage::Fixed(1e-12)).unwrap());
        let scores = head.decision_function(x.view()).unwrap();
        let leads = scores
            .outer_iter()
            .zip(labels)
            .map(|(row, &class)| row[class] - (row.sum() - row[class]) / (k - 1.0));
        let margin = leads.sum::<f64>() / n;
        let covariance = (n - k - d) / n;
        let expected = if by_margin { 4.0 / margin } else { covariance };
        assert_eq!(by_margin, 4.0 / margin < covariance);
        assert!((head.scale() - expected).abs() < 1e-6, "{} {expected}", head.scale());
    }
}

#[test]
fn one_example_a_class_is_the_nearest_mean() {
    let (x, y, test) = reviews(19, 1, 384);
    let mut statistics = Statistics::new(384).unwrap();
    for (x, class) in x.outer_iter().zip(&y) {
        statistics.add(x, &format!("film{class:02}"), 1.0).unwrap();
    }
    let nearest = statistics.nearest_mean().unwrap().predict(test.view()).unwrap();
    let from_sums = statistics.discriminant(Shrinkage::Oas).unwrap();
    assert_eq!(from_sums.predict(test.view()).unwrap(), nearest);
    let from_examples = HeadKind::Discriminant.fit(x.view(), &y, film_names(19)).unwrap();
    assert_eq!(from_examples.predict(test.view()).unwrap(), nearest);
    let plain = HeadKind::NearestMean.fit(x.view(), &y, film_names(19)).unwrap();
    assert_eq!(plain.predict(test.view()).unwrap(), nearest);
}

/// A covariance drawn by the same amount is the same head, up to its scale.
#[test]
fn examples_and_statistics_agree() {
    for (films, shots, d) in [(19, 16, 384), (19, 16, 24), (2, 5, 8)] {
        let (x, y, test) = reviews(films, shots, d);
        let mut statistics = Statistics::new(d).unwrap();
        for (x, class) in x.outer_iter().zip(&y) {
            statistics.add(x, &format!("film{class:02}"), 1.0).unwrap();
        }
        // (1 - s) S + s tr S / d I is (1 - s) (S + ρ tr S I) with ρ = s / (d (1 - s)).
        let s = 0.2;
        let rho = s / (d as f64 * (1.0 - s));
        let settings = Discriminant { penalties: vec![rho] };
        let head = settings.fit(x.view(), &y, film_names(films)).unwrap();
        let a = head.decision_function(test.view()).unwrap() * (1.0 / (1.0 - s));
        let b = statistics.discriminant(Shrinkage::Fixed(s)).unwrap();
        let b = b.decision_function(test.view()).unwrap();
        // Log-shares, equal here, are scaled too, which is the same for all classes.
        let difference = (centered(&a) - centered(&b)).fold(0.0, |m: f64, v| m.max(v.abs()));
        let largest = b.fold(0.0, |m: f64, v| m.max(v.abs()));
        assert!(difference < 1e-7 * largest, "{difference} of {largest}");
    }
}

#[test]
fn settings_outside_their_range_are_refused() {
    let (x, y) = (array![[1f32], [2.0], [1.5]], [0, 1, 0]);
    let classes = || offshoot_adapters::Classes::new(vec!["a".into(), "b".into()]).unwrap();
    for penalties in [vec![], vec![0.1, 0.0], vec![-1.0], vec![f64::NAN]] {
        let error = Discriminant { penalties }.fit(x.view(), &y, classes()).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "penalties", .. }), "{error}");
    }
    let mut statistics = Statistics::new(1).unwrap();
    assert!(matches!(statistics.discriminant(Shrinkage::Oas), Err(Error::NoExamples)));
    statistics.add(x.row(0), "a", 1.0).unwrap();
    assert!(matches!(statistics.discriminant(Shrinkage::Oas), Err(Error::OneClass { .. })));
    for part in [0.0, -0.1, 1.1, f64::NAN] {
        let error = statistics.discriminant(Shrinkage::Fixed(part)).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "shrinkage", .. }), "{error}");
    }
}
