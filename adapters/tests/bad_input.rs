//! Bad and extreme examples: a clear error or a right answer, never a panic.

use ndarray::{Array2, array};
use offshoot_adapters::{Classes, Error, Head, HeadKind, Logistic, Ridge};

fn classes(k: usize) -> Classes {
    Classes::new((0..k).map(|i| format!("class {i}")).collect()).unwrap()
}

/// Fits every kind of head, which must all fail, and gives the messages.
fn errors(x: &Array2<f32>, y: &[usize], k: usize) -> Vec<Error> {
    HeadKind::ALL.map(|kind| kind.fit(x.view(), y, classes(k)).unwrap_err()).into()
}

fn fit_all(x: &Array2<f32>, y: &[usize], k: usize) -> Vec<Head> {
    HeadKind::ALL.map(|kind| kind.fit(x.view(), y, classes(k)).unwrap()).into()
}

fn check_probabilities(head: &Head, x: &Array2<f32>) {
    let probabilities = head.predict_proba(x.view()).unwrap();
    for row in probabilities.outer_iter() {
        assert!(row.iter().all(|p| (0.0..=1.0).contains(p)), "{}: {row}", head.kind());
        assert!((row.sum() - 1.0).abs() < 1e-12, "{}: {row}", head.kind());
    }
}

#[test]
fn values_that_are_not_finite_are_named() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = array![[1f32, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let head = HeadKind::Logistic.fit(x.view(), &[0, 1, 1], classes(2)).unwrap();
        x[[2, 1]] = value;
        for error in errors(&x, &[0, 1, 1], 2) {
            assert!(matches!(error, Error::NotFinite { row: 2, column: 1, .. }), "{error}");
            let text = error.to_string();
            assert!(text.starts_with("embedding in row 2 is not finite: column 1 holds"), "{text}");
        }
        assert!(matches!(head.predict(x.view()), Err(Error::NotFinite { row: 2, .. })));
        assert!(matches!(head.predict_proba(x.view()), Err(Error::NotFinite { row: 2, .. })));
    }
}

#[test]
fn embeddings_of_another_width_are_refused() {
    let x = array![[1f32, 0.0], [0.0, 1.0]];
    for head in fit_all(&x, &[0, 1], 2) {
        let wide = array![[1f32, 0.0, 0.0]];
        let error = head.predict(wide.view()).unwrap_err();
        assert!(matches!(error, Error::Width { found: 3, expected: 2 }), "{error}");
        assert!(head.decision_function(wide.view()).is_err());
        assert_eq!(head.predict(Array2::zeros((0, 2)).view()).unwrap(), [0usize; 0]);
        assert_eq!(head.predict_proba(Array2::zeros((0, 2)).view()).unwrap().dim(), (0, 2));
    }
}

#[test]
fn labels_must_pair_with_rows_and_name_classes() {
    let x = array![[1f32], [2.0]];
    for error in errors(&x, &[0], 2) {
        assert!(matches!(error, Error::LabelCount { rows: 2, labels: 1 }), "{error}");
    }
    for error in errors(&x, &[0, 2], 2) {
        assert!(matches!(error, Error::UnknownClass { row: 1, index: 2, classes: 2 }), "{error}");
    }
    for error in errors(&Array2::zeros((0, 3)), &[], 2) {
        assert!(matches!(error, Error::NoExamples), "{error}");
    }
    for error in errors(&Array2::zeros((2, 0)), &[0, 1], 2) {
        assert!(matches!(error, Error::NoDimensions), "{error}");
    }
    for error in errors(&x, &[0, 0], 1) {
        assert!(matches!(&error, Error::OneClass { label } if label == "class 0"), "{error}");
        assert!(error.to_string().contains("at least 2 classes"), "{error}");
    }
    for error in errors(&x, &[0, 2], 3) {
        assert!(matches!(&error, Error::EmptyClass { class } if class == "class 1"), "{error}");
    }
}

#[test]
fn a_label_that_appears_once_works() {
    let x = array![
        [1f32, 0.0, 0.0],
        [0.9, 0.1, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 0.9, 0.2],
        [0.0, 0.0, 1.0]
    ];
    for head in fit_all(&x, &[0, 0, 1, 1, 2], 3) {
        assert_eq!(head.predict(x.view()).unwrap(), [0, 0, 1, 1, 2], "{}", head.kind());
        check_probabilities(&head, &x);
    }
    for head in fit_all(&array![[1f32, 0.0], [0.0, 1.0]], &[0, 1], 2) {
        assert_eq!(head.predict(array![[0.6f32, 0.5]].view()).unwrap(), [0], "{}", head.kind());
    }
}

#[test]
fn identical_examples_give_what_the_labels_say() {
    for value in [0f32, 0.1, 1e30, -1e-30] {
        let x = Array2::from_elem((5, 3), value);
        for head in fit_all(&x, &[0, 0, 0, 1, 1], 2) {
            check_probabilities(&head, &x);
            let probabilities = head.predict_proba(x.view()).unwrap();
            match head.kind() {
                HeadKind::Logistic => {
                    assert!((probabilities[[0, 0]] - 0.6).abs() < 1e-6, "{probabilities}");
                }
                HeadKind::NearestMean => assert_eq!(probabilities[[0, 0]], 0.5),
                _ => assert!(probabilities[[0, 0]] >= 0.5),
            }
        }
    }
}

#[test]
fn perfectly_separable_examples_stay_finite() {
    let x = Array2::from_shape_fn((40, 2), |(i, j)| {
        f32::from(u8::from(i % 2 == j)) + (i / 2) as f32 * 1e-3
    });
    let y: Vec<usize> = (0..40).map(|i| i % 2).collect();
    let mut heads = fit_all(&x, &y, 2);
    for c in [1e-6, 1e3, 1e6] {
        heads.push(Logistic { c, ..Logistic::default() }.fit(x.view(), &y, classes(2)).unwrap());
    }
    for head in heads {
        assert_eq!(head.predict(x.view()).unwrap(), y, "{}", head.kind());
        check_probabilities(&head, &x);
        if let Some(coefficients) = head.coefficients() {
            assert!(coefficients.iter().all(|w| w.is_finite()));
            // Those of a discriminant are per variance, of which there is next to none here.
            let regression = head.kind() != HeadKind::Discriminant;
            assert!(!regression || coefficients.iter().all(|w| w.abs() < 1e3));
        }
    }
}

#[test]
fn more_dimensions_than_examples_work() {
    let x = Array2::from_shape_fn((6, 500), |(i, j)| ((i + 1) as f32 * (j * j) as f32).sin());
    let y = [0, 1, 2, 0, 1, 2];
    for head in fit_all(&x, &y, 3) {
        assert_eq!(head.predict(x.view()).unwrap(), y, "{}", head.kind());
        check_probabilities(&head, &x);
    }
}

#[test]
fn extreme_scales_give_an_answer_or_a_clear_error() {
    let base = Array2::from_shape_fn((8, 3), |(i, j)| ((i * 5 + j * 3) as f32).cos());
    let y = [0, 1, 0, 1, 0, 1, 0, 1];
    for scale in [1e-38, 1e-20, 1e4, 1e20, 1e38] {
        let x = &base * scale;
        for kind in HeadKind::ALL {
            match kind.fit(x.view(), &y, classes(2)) {
                Ok(head) => check_probabilities(&head, &x),
                Err(Error::Scale(_) | Error::NotConverged { .. }) => {}
                Err(error) => panic!("{kind} at {scale}: {error}"),
            }
        }
    }
}

#[test]
fn ten_thousand_classes_work_and_too_much_memory_is_refused() {
    let k = 10_000;
    let x = Array2::from_shape_fn((k, 16), |(i, j)| if (i >> j) & 1 == 1 { 1.0 } else { -1.0 });
    let y: Vec<usize> = (0..k).collect();
    let head = HeadKind::NearestMean.fit(x.view(), &y, classes(k)).unwrap();
    assert_eq!(head.predict(x.view()).unwrap(), y);
    // 20 matrices of examples x classes would be 16 GB.
    let error = HeadKind::Logistic.fit(x.view(), &y, classes(k)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { classes: 10_000, .. }), "{error}");
    assert!(error.to_string().contains("nearest-mean"), "{error}");
}

#[test]
fn settings_outside_their_range_are_refused() {
    let (x, y) = (array![[1f32], [2.0]], [0, 1]);
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let logistic = Logistic { c: value, ..Logistic::default() };
        let error = logistic.fit(x.view(), &y, classes(2)).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "c", .. }), "{error}");
        let ridge = Ridge { penalties: vec![1.0, value] };
        let error = ridge.fit(x.view(), &y, classes(2)).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "penalties", .. }), "{error}");
    }
    let none = Ridge { penalties: Vec::new() }.fit(x.view(), &y, classes(2));
    assert!(matches!(none, Err(Error::Setting { name: "penalties", .. })));
}

#[test]
fn too_few_iterations_are_reported() {
    let x = Array2::from_shape_fn((30, 4), |(i, j)| ((i * 7 + j * 3) as f32).sin());
    let y: Vec<usize> = (0..30).map(|i| i % 3).collect();
    let config = Logistic { max_iterations: 1, c: 100.0, ..Logistic::default() };
    let error = config.fit(x.view(), &y, classes(3)).unwrap_err();
    assert!(matches!(error, Error::NotConverged { iterations: 1, .. }), "{error}");
}
