//! Logistic regression with class weights equals scikit-learn's, and a search that begins at an
//! earlier head ends where any other does.

mod support;

use ndarray::{Array2, Axis, concatenate, s};
use offshoot_adapters::{ClassWeights, Classes, Error, Head, Logistic, LogisticHead};
use serde_json::Value;
use support::{film_names, fixture, npy, numbers};

fn cases() -> Vec<Value> {
    let text = std::fs::read_to_string(fixture("class_weights.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// 2 + 2 k reviews of film k to learn from, and 4 others of each to test on.
fn uneven(films: usize, dimensions: usize) -> (Array2<f32>, Vec<usize>, Array2<f32>) {
    let all = npy("embeddings.npy") / 256.0;
    let all = all.slice(s![.., ..dimensions]);
    let rows: Vec<usize> =
        (0..films).flat_map(|k| (0..2 + 2 * k).map(move |r| 20 * k + r)).collect();
    let y = (0..films).flat_map(|k| std::iter::repeat_n(k, 2 + 2 * k)).collect();
    let test: Vec<usize> = (0..films).flat_map(|k| (16..20).map(move |r| 20 * k + r)).collect();
    (all.select(Axis(0), &rows), y, all.select(Axis(0), &test))
}

fn exact(c: f64) -> Logistic {
    Logistic { c, tolerance: 1e-8, ..Logistic::default() }
}

fn logistic(head: Head) -> LogisticHead {
    let Head::Logistic(head) = head else { panic!("another head") };
    head
}

fn largest(a: impl IntoIterator<Item = f64>, b: &[f64]) -> f64 {
    a.into_iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn weights_of_classes_are_scikit_learns() {
    for case in cases() {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let (films, dimensions) = (size("films"), size("dimensions"));
        let (x, y, test) = uneven(films, dimensions);
        for (name, expected) in case["fits"].as_object().unwrap() {
            let weights = numbers(&expected["weights"]);
            let each = ClassWeights::Each(weights.clone());
            let weights = if name == "explicit" { &each } else { &ClassWeights::Balanced };
            let config = exact(expected["c"].as_f64().unwrap());
            let head = config.fit_from(x.view(), &y, film_names(films), weights, None).unwrap();
            let p = head.predict_proba(test.view()).unwrap();
            let difference = largest(p, &numbers(&expected["probabilities"]));
            assert!(difference < 1e-6, "{films} films, {name}: probabilities by {difference}");
            let (w, b) = (head.coefficients().unwrap(), head.intercepts().unwrap());
            let (w, b) = match films {
                2 => ((&w.row(1) - &w.row(0)).to_vec(), vec![b[1] - b[0]]),
                _ => (w.iter().copied().collect(), b.to_vec()),
            };
            assert!(largest(b, &numbers(&expected["intercepts"])) < 1e-5, "{films}, {name}");
            if expected["coefficients"].is_array() {
                let difference = largest(w, &numbers(&expected["coefficients"]));
                assert!(difference < 1e-5, "{films} films, {name}: coefficients by {difference}");
            }
            // The same as so many of each, and as "balanced" where they are.
            let same = config.fit_from(x.view(), &y, film_names(films), &each, None).unwrap();
            assert!(
                largest(
                    same.predict_proba(test.view()).unwrap(),
                    &numbers(&expected["probabilities"])
                ) < 1e-6
            );
        }
    }
}

#[test]
fn a_whole_weight_is_as_many_examples() {
    for dimensions in [12, 384] {
        let (x, y, test) = uneven(3, dimensions);
        let twice: Vec<usize> = (0..y.len()).filter(|&i| y[i] == 1).collect();
        let x2 = concatenate(Axis(0), &[x.view(), x.select(Axis(0), &twice).view()]).unwrap();
        let y2: Vec<usize> = y.iter().copied().chain(twice.iter().map(|_| 1)).collect();
        let weights = ClassWeights::Each(vec![1.0, 2.0, 1.0]);
        let weighted = exact(3.0).fit_from(x.view(), &y, film_names(3), &weights, None).unwrap();
        let repeated = exact(3.0).fit(x2.view(), &y2, film_names(3)).unwrap();
        let expected = repeated.predict_proba(test.view()).unwrap();
        let expected: Vec<f64> = expected.iter().copied().collect();
        let difference = largest(weighted.predict_proba(test.view()).unwrap(), &expected);
        assert!(difference < 1e-6, "{dimensions}: {difference}");
    }
}

#[test]
fn a_warm_start_ends_at_the_same_optimum_in_fewer_iterations() {
    for dimensions in [24, 384] {
        let (x, y, test) = uneven(6, dimensions);
        let config = exact(10.0);
        let balanced = ClassWeights::Balanced;
        let cold = config.fit_from(x.view(), &y, film_names(6), &balanced, None).unwrap();
        let expected: Vec<f64> = cold.predict_proba(test.view()).unwrap().into_iter().collect();
        let cold = logistic(cold);
        let from = |earlier: &LogisticHead| {
            config.fit_from(x.view(), &y, film_names(6), &balanced, Some(earlier)).unwrap()
        };
        // From the optimum itself, from that of other examples, and from classes in another
        // order of which one is unknown.
        let again = from(&cold);
        assert!(largest(again.predict_proba(test.view()).unwrap(), &expected) < 1e-6);
        assert!(logistic(again).iterations() <= cold.iterations() / 3, "{dimensions}");

        let fewer: Vec<usize> = (0..y.len()).filter(|&i| y[i] < 5 && i % 7 != 3).collect();
        let names: Vec<String> = fewer.iter().map(|&i| format!("film{:02}", y[i])).collect();
        let mut order = names.clone();
        order.sort_by(|a, b| b.cmp(a));
        order.dedup();
        let classes = Classes::new(order).unwrap();
        let place = |name: &String| classes.names().iter().position(|n| n == name).unwrap();
        let labels: Vec<usize> = names.iter().map(place).collect();
        let earlier = config.fit(x.select(Axis(0), &fewer).view(), &labels, classes).unwrap();
        let warm = from(&logistic(earlier));
        assert!(largest(warm.predict_proba(test.view()).unwrap(), &expected) < 1e-6);
    }
}

#[test]
fn weights_and_starts_that_do_not_fit_are_refused() {
    let (x, y, _) = uneven(3, 12);
    let fit = |weights: &ClassWeights, earlier: Option<&LogisticHead>| {
        Logistic::default().fit_from(x.view(), &y, film_names(3), weights, earlier)
    };
    let error = fit(&ClassWeights::Each(vec![1.0; 2]), None).unwrap_err();
    assert!(matches!(error, Error::Columns { found: 2, expected: 3 }), "{error}");
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = fit(&ClassWeights::Each(vec![1.0, value, 1.0]), None).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "class_weights", .. }), "{error}");
    }
    let (wide, labels, _) = uneven(3, 13);
    let earlier = logistic(Logistic::default().fit(wide.view(), &labels, film_names(3)).unwrap());
    let error = fit(&ClassWeights::Equal, Some(&earlier)).unwrap_err();
    assert!(matches!(error, Error::Width { found: 13, expected: 12 }), "{error}");
}
