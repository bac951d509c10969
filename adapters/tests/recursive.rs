//! A recursive ridge head is the one fitted from scratch on the examples that are left.

mod support;

use ndarray::{Array1, Array2, array};
use offshoot_adapters::statistics::Statistics;
use offshoot_adapters::{Error, Head, RecursiveRidge, Ridge};
use proptest::prelude::*;
use support::updates::{Example, Update, dimensions, from_scratch, update};

/// Probabilities and, between two heads, the largest difference of any.
fn difference(a: &Head, b: &Head, x: &Array2<f32>) -> f64 {
    let (a, b) = (a.predict_proba(x.view()).unwrap(), b.predict_proba(x.view()).unwrap());
    (a - b).fold(0.0, |m: f64, d| m.max(d.abs()))
}

fn rows(examples: &[Example]) -> Array2<f32> {
    let rows: Vec<_> = examples.iter().map(|e| e.x.view()).collect();
    ndarray::stack(ndarray::Axis(0), &rows).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_thousand_updates_stay_with_the_refit(
        (d, updates, log_penalty) in dimensions().prop_flat_map(|d| (
            Just(d),
            prop::collection::vec(update(d), 1_000),
            -3f64..2.0,
        ))
    ) {
        let penalty = 10f64.powf(log_penalty);
        let mut ridge = RecursiveRidge::new(Statistics::new(d).unwrap(), penalty).unwrap();
        let mut examples = Vec::new();
        for (i, update) in updates.into_iter().enumerate() {
            update.apply(&mut examples, &mut ridge);
            if i % 50 != 49 {
                continue;
            }
            let exact = from_scratch(d, &examples);
            prop_assert_eq!(ridge.statistics(), &exact);
            match exact.ridge(&Ridge { penalties: vec![penalty] }) {
                Ok(refitted) => {
                    let head = ridge.head().unwrap();
                    let difference = difference(&head, &refitted, &rows(&examples));
                    prop_assert!(difference < 1e-6, "update {i}: {difference}");
                }
                Err(Error::NoExamples | Error::OneClass { .. }) => {
                    prop_assert!(ridge.head().is_err());
                }
                // Too few examples for any estimate of the error; the head itself is there.
                Err(error) => prop_assert!(matches!(error, Error::Scale(_)), "{error}"),
            }
        }
    }
}

/// The same at a real width, with removals that undo every digit of a direction.
#[test]
fn removals_at_full_width_stay_with_the_refit() {
    let (x, y, test) = support::reviews(19, 16, 384);
    for penalty in [1e-3, 1.0] {
        let mut ridge = RecursiveRidge::new(Statistics::new(384).unwrap(), penalty).unwrap();
        let name = |class: usize| format!("film{class:02}");
        for (x, &class) in x.outer_iter().zip(&y) {
            ridge.add(x, &name(class), 1.0).unwrap();
        }
        let all = RecursiveRidge::new(ridge.statistics().clone(), penalty).unwrap();
        let apart = difference(&ridge.head().unwrap(), &all.head().unwrap(), &test);
        assert!(apart < 1e-6, "{penalty}: {apart}");
        // Out and in again, one film left out for good.
        for (i, x) in x.outer_iter().enumerate() {
            ridge.remove(x, &name(y[i]), 1.0).unwrap();
            if y[i] != 3 {
                ridge.add(x, &name((y[i] + 1) % 19), 0.5).unwrap();
                ridge.relabel(x, &name((y[i] + 1) % 19), &name(y[i]), 0.5).unwrap();
                ridge.reweight(x, &name(y[i]), 0.5, 1.0).unwrap();
            }
        }
        let mut exact = Statistics::new(384).unwrap();
        for (x, &class) in x.outer_iter().zip(&y).filter(|(_, class)| **class != 3) {
            exact.add(x, &name(class), 1.0).unwrap();
        }
        assert_eq!(ridge.statistics(), &exact);
        let refitted = exact.ridge(&Ridge { penalties: vec![penalty] }).unwrap();
        let apart = difference(&ridge.head().unwrap(), &refitted, &test);
        println!("penalty {penalty}: {apart:.1e} apart, {} refreshes", ridge.refreshes());
        assert!(apart < 1e-6, "{penalty}: {apart}");
        assert!(ridge.refreshes() < 100, "{} refreshes", ridge.refreshes());
    }
}

#[test]
fn merging_and_ageing_solve_anew() {
    let example = |i: usize| Array1::from_shape_fn(3, |j| ((i * 3 + j) as f32).sin());
    let mut ridge = RecursiveRidge::new(Statistics::new(3).unwrap(), 0.1).unwrap();
    let mut other = Statistics::new(3).unwrap();
    for i in 0..20 {
        ridge.add(example(i).view(), ["a", "b"][i % 2], 1.0).unwrap();
        other.add(example(i + 20).view(), ["c", "b"][i % 2], 1.0).unwrap();
    }
    ridge.scale(0.5).unwrap();
    ridge.merge(&other).unwrap();
    let exact = ridge.statistics().ridge(&Ridge { penalties: vec![0.1] }).unwrap();
    let x = Array2::from_shape_fn((5, 3), |(i, j)| ((i + j) as f32).cos());
    assert!(difference(&ridge.head().unwrap(), &exact, &x) < 1e-9);
    let undo = ridge.clone();
    ridge.add(example(50).view(), "d", 1.0).unwrap();
    ridge.remove(example(50).view(), "d", 1.0).unwrap();
    assert!(difference(&ridge.head().unwrap(), &undo.head().unwrap(), &x) < 1e-9);
}

#[test]
fn refused_updates_change_nothing() {
    let mut ridge = RecursiveRidge::new(Statistics::new(2).unwrap(), 0.1).unwrap();
    let x = array![0.6f32, 0.8];
    ridge.add(x.view(), "a", 1.0).unwrap();
    ridge.add(array![1f32, 0.0].view(), "b", 1.0).unwrap();
    let (before, head) = (ridge.statistics().clone(), ridge.head().unwrap());
    assert!(ridge.add(array![f32::NAN, 0.0].view(), "a", 1.0).is_err());
    assert!(ridge.add(array![1f32].view(), "a", 1.0).is_err());
    assert!(ridge.add(x.view(), "c", -1.0).is_err());
    assert!(ridge.remove(x.view(), "b", 1.0).is_err());
    assert!(ridge.relabel(x.view(), "c", "a", 1.0).is_err());
    assert!(ridge.reweight(x.view(), "a", 1.0, f64::INFINITY).is_err());
    assert!(ridge.forget_class("a", &[]).is_err());
    assert!(ridge.merge(&Statistics::new(7).unwrap()).is_err());
    assert!(ridge.scale(2.0).is_err());
    assert_eq!(ridge.statistics(), &before);
    assert_eq!(ridge.head().unwrap(), head);
    for penalty in [0.0, -1.0, f64::NAN] {
        let error = RecursiveRidge::new(Statistics::new(2).unwrap(), penalty).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "penalties", .. }), "{error}");
    }
}

#[test]
fn updates_are_what_they_say() {
    // The helper for the tests above applies each kind of update.
    let mut ridge = RecursiveRidge::new(Statistics::new(1).unwrap(), 0.1).unwrap();
    let mut examples = Vec::new();
    let e = |v: f32, class: &str| Example { x: array![v], class: class.into(), weight: 1.0 };
    for update in [
        Update::Add(e(0.5, "a")),
        Update::Add(e(-0.5, "b")),
        Update::Add(e(0.1, "c")),
        Update::Relabel(1, "a".into()),
        Update::Reweight(0, 3.0),
        Update::Forget(2),
        Update::Remove(0),
    ] {
        update.apply(&mut examples, &mut ridge);
    }
    assert_eq!(ridge.statistics(), &from_scratch(1, &examples));
    assert_eq!(ridge.statistics().names().collect::<Vec<_>>(), ["a"]);
}
