//! Metrics, calibration, label noise, neighbours, regression and multi-label classification
//! equal independent references on real embeddings.

mod support;

use ndarray::{Array2, Axis, concatenate};
use offshoot_adapters::calibration::{Dirichlet, Temperature};
use offshoot_adapters::metrics::{MultiLabelReport, ReliabilityDiagram, brier_score, log_loss};
use offshoot_adapters::noise::LabelNoise;
use offshoot_adapters::{Metric, MultiLabel, NearestNeighbors, Regression};
use support::{film_names, knowing, left_out_logs, numbers, reviews};

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() < tolerance, "{what}: {found}, not {expected}");
}

#[test]
fn metrics_of_probabilities() {
    let reference = knowing("metrics");
    let (x, y, _) = reviews(19, 16, 384);
    let p = left_out_logs(&x, &y, 19).mapv(f64::exp);
    let value = |name: &str| reference[name].as_f64().unwrap();
    close(log_loss(p.view(), &y).unwrap(), value("log_loss"), 1e-9, "log loss");
    close(brier_score(p.view(), &y).unwrap(), value("brier_score"), 1e-9, "Brier score");
    let diagram = ReliabilityDiagram::new(p.view(), &y).unwrap();
    let expected = value("expected_calibration_error");
    close(diagram.expected_calibration_error(), expected, 1e-9, "calibration error");
    let bins: Vec<_> = diagram.bins().iter().filter(|bin| bin.count > 0).collect();
    let (accuracies, confidences) =
        (numbers(&reference["accuracies"]), numbers(&reference["confidences"]));
    assert_eq!(bins.len(), accuracies.len());
    for ((bin, accuracy), confidence) in bins.iter().zip(accuracies).zip(confidences) {
        close(bin.accuracy, accuracy, 1e-12, "accuracy of a bin");
        close(bin.confidence, confidence, 1e-9, "confidence of a bin");
    }
}

#[test]
fn calibrations_are_at_the_optimum() {
    let reference = knowing("calibration");
    let (x, y, _) = reviews(6, 8, 384);
    let logs = left_out_logs(&x, &y, 6);
    let usable = vec![true; y.len()];
    let temperature = Temperature::fit(logs.view(), &y, &usable).unwrap();
    close(temperature.inverse(), reference["temperature"].as_f64().unwrap(), 1e-6, "temperature");
    for case in reference["dirichlet"].as_array().unwrap() {
        let penalty = case["penalty"].as_f64().unwrap();
        let map = Dirichlet { penalties: vec![penalty] }.fit(logs.view(), &y, &usable).unwrap();
        let weights = map.weights() / temperature.inverse();
        for (found, expected) in weights.iter().zip(numbers(&case["weights"])) {
            close(*found, expected, 1e-6, &format!("weight at {penalty}"));
        }
        for (found, expected) in map.intercepts().iter().zip(numbers(&case["intercepts"])) {
            close(*found, expected, 1e-6, &format!("intercept at {penalty}"));
        }
    }
}

/// Probabilities that are four times too sure are calibrated on left-out reviews, and those
/// of other reviews get nearly as good as they were.
#[test]
fn calibration_helps_on_reviews_it_has_not_seen() {
    let (films, shots) = (19, 8);
    let (x, y, test) = reviews(films, shots, 384);
    let truth: Vec<usize> = (0..films).flat_map(|film| std::iter::repeat_n(film, 4)).collect();
    let all = concatenate(Axis(0), &[x.view(), test.view()]).unwrap();
    let mut honest = Array2::zeros((test.nrows(), films));
    for (i, &film) in truth.iter().enumerate() {
        // The row that is left out of its own mean is the new one.
        let rows: Vec<usize> = (0..y.len()).chain([y.len() + i]).collect();
        let labels: Vec<usize> = y.iter().copied().chain([film]).collect();
        let logs = left_out_logs(&all.select(Axis(0), &rows), &labels, films);
        honest.row_mut(i).assign(&logs.row(y.len()));
    }
    let sharpen = |logs: &Array2<f64>| {
        let mut sure = logs * 4.0;
        for mut row in sure.outer_iter_mut() {
            let total = row.iter().map(|v| v.exp()).sum::<f64>().ln();
            row -= total;
        }
        sure
    };
    let (sure, learned) = (sharpen(&honest).mapv(f64::exp), sharpen(&left_out_logs(&x, &y, films)));
    let usable = vec![true; y.len()];
    let loss = |p: &Array2<f64>| log_loss(p.view(), &truth).unwrap();
    let error = |p: &Array2<f64>| {
        ReliabilityDiagram::new(p.view(), &truth).unwrap().expected_calibration_error()
    };
    let temperature = Temperature::fit(learned.view(), &y, &usable).unwrap();
    let warm = temperature.apply(sure.view()).unwrap();
    let dirichlet = Dirichlet::default().fit(learned.view(), &y, &usable).unwrap();
    let mapped = dirichlet.apply(sure.view()).unwrap();
    let honest = loss(&honest.mapv(f64::exp));
    println!(
        "honest {honest:.3}, sure {:.3}, temperature {:.3}, Dirichlet {:.3}",
        loss(&sure),
        loss(&warm),
        loss(&mapped)
    );
    assert!(loss(&sure) > honest + 0.3 && error(&sure) > 2.0 * error(&warm));
    assert!(loss(&warm) < honest + 0.1, "{} {honest}", loss(&warm));
    assert!(loss(&mapped) < honest + 0.2, "{} {honest}", loss(&mapped));
}

#[test]
fn planted_wrong_labels_are_found_as_by_the_reference() {
    let reference = knowing("noise");
    let (x, truth, _) = reviews(19, 16, 384);
    let mut y = truth.clone();
    let wrong: Vec<usize> = (0..y.len()).step_by(10).collect();
    wrong.iter().for_each(|&row| y[row] = (truth[row] + 7) % 19);
    let p = left_out_logs(&x, &y, 19).mapv(f64::exp);
    let noise = LabelNoise::find(p.view(), &y, &vec![true; y.len()]).unwrap();
    let rows: Vec<f64> = noise.suspects().iter().map(|s| s.row as f64).collect();
    assert_eq!(rows, numbers(&reference["rows"]));
    let suggested: Vec<f64> = noise.suspects().iter().map(|s| s.suggested as f64).collect();
    assert_eq!(suggested, numbers(&reference["suggested"]));
    let planted = |s: &offshoot_adapters::noise::Suspect| s.row.is_multiple_of(10);
    let found = noise.suspects().iter().filter(|s| planted(s)).count() as f64;
    let first = noise.suspects().iter().take(20).filter(|s| planted(s)).count() as f64 / 20.0;
    let value = |name: &str| reference[name].as_f64().unwrap();
    close(found / rows.len() as f64, value("precision"), 1e-12, "precision");
    close(found / wrong.len() as f64, value("recall"), 1e-12, "recall");
    close(first, value("precision_of_first_20"), 1e-12, "precision of the first 20");
}

#[test]
fn neighbours_vote_as_in_scikit_learn() {
    let reference = knowing("neighbors");
    let (x, y, test) = reviews(5, 8, 384);
    for (metric, name) in [(Metric::Cosine, "cosine"), (Metric::Euclidean, "euclidean")] {
        let settings = NearestNeighbors { neighbors: vec![5], metric };
        let head = settings.fit(x.view(), &y, film_names(5)).unwrap();
        let votes = head.decision_function(test.view()).unwrap();
        for (found, expected) in votes.iter().zip(numbers(&reference[name])) {
            close(*found, expected, 1e-8, name);
        }
    }
}

/// The last 3 of 384 dimensions and a shifted one.
fn regression_targets(x: &Array2<f32>) -> Array2<f64> {
    Array2::from_shape_fn((x.nrows(), 4), |(i, j)| match j {
        3 => 100.0 + 5.0 * f64::from(x[[i, 380]]),
        _ => f64::from(x[[i, 381 + j]]),
    })
}

#[test]
fn regression_is_ridge_cv() {
    let reference = knowing("regression");
    let penalties = vec![0.03, 0.1, 0.3, 1.0, 3.0];
    for name in ["tall", "wide"] {
        let case = &reference[name];
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let (x, _, test) = reviews(19, size("shots"), 384);
        let targets = regression_targets(&x);
        let cut = |x: &Array2<f32>| -> Array2<f32> {
            x.select(Axis(1), &(0..size("dimensions")).collect::<Vec<_>>())
        };
        let errors = numbers(&case["mean_squared_errors"]);
        for (&penalty, error) in penalties.iter().zip(errors) {
            let settings = Regression { penalties: vec![penalty] };
            let head = settings.fit(cut(&x).view(), targets.view()).unwrap();
            close(head.leave_one_out_error(), error, 1e-9 * error, name);
        }
        let settings = Regression { penalties: penalties.clone() };
        let head = settings.fit(cut(&x).view(), targets.view()).unwrap();
        assert_eq!(head.penalty(), case["penalty"].as_f64().unwrap());
        let predicted = head.predict(cut(&test).view()).unwrap();
        for (found, expected) in predicted.iter().zip(numbers(&case["predictions"])) {
            close(*found, expected, 1e-7, name);
        }
        // 76 reviews of 4 outputs: the intervals cover what is asked within sampling error.
        let (low, high) = head.predict_intervals(cut(&test).view(), 0.9).unwrap();
        let truth = regression_targets(&test);
        let inside = truth.indexed_iter().filter(|(at, v)| low[*at] <= **v && **v <= high[*at]);
        close(inside.count() as f64 / truth.len() as f64, 0.9, 0.06, "coverage");
    }
}

#[test]
fn multi_label_scores_are_those_of_scikit_learn() {
    let reference = knowing("multi_label");
    let flags = |name: &str| {
        let values = numbers(&reference[name]).iter().map(|v| *v == 1.0).collect();
        Array2::from_shape_vec((30, 4), values).unwrap()
    };
    let (truth, predicted) = (flags("truth"), flags("predicted"));
    let report = MultiLabelReport::new(&film_names(4), truth.view(), predicted.view()).unwrap();
    for (scores, expected) in report.per_label.iter().zip(numbers(&reference["f1"])) {
        close(scores.f1, expected, 1e-12, "f1");
    }
    let value = |name: &str| reference[name].as_f64().unwrap();
    close(report.micro_average.f1, value("micro"), 1e-12, "micro F1");
    close(report.macro_average.f1, value("macro"), 1e-12, "macro F1");
    close(report.subset_accuracy, value("subset_accuracy"), 1e-12, "subset accuracy");
}

/// Labels of real reviews: each of three names several films, so they overlap and one is rare.
#[test]
fn thresholds_find_rare_labels() {
    let (x, y, test) = reviews(19, 16, 384);
    let labelled = |film: usize| [film.is_multiple_of(2), film < 6, film == 3 || film == 11];
    let flags =
        |films: &[usize]| Array2::from_shape_fn((films.len(), 3), |(i, j)| labelled(films[i])[j]);
    let truth: Vec<usize> = (0..19).flat_map(|film| std::iter::repeat_n(film, 4)).collect();
    let head = MultiLabel::default().fit(x.view(), flags(&y).view(), film_names(3)).unwrap();
    let report = |predicted: &Array2<bool>| {
        MultiLabelReport::new(&film_names(3), flags(&truth).view(), predicted.view()).unwrap()
    };
    let chosen = report(&head.predict(test.view()).unwrap());
    let zero = report(&head.decision_function(test.view()).unwrap().mapv(|score| score > 0.0));
    println!("{chosen}\n{zero}");
    assert!(chosen.macro_average.f1 > zero.macro_average.f1 + 0.05);
    assert!(chosen.per_label[2].recall > zero.per_label[2].recall);
    let expected = head.leave_one_out_f1().iter().sum::<f64>() / 3.0;
    assert!((chosen.macro_average.f1 - expected).abs() < 0.15, "{expected}");
}
