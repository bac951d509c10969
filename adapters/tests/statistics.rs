//! Statistics after any updates are those of the examples that are left.

mod support;

use std::fs;

use ndarray::{Array1, array};
use offshoot_adapters::statistics::{Shrinkage, Statistics};
use offshoot_adapters::{EncoderTag, Error, Ridge, StatisticsFile};
use proptest::prelude::*;
use support::updates::{Example, Update, dimensions, from_scratch, update};

/// Applies a thousand updates to the statistics and to a list of examples.
fn play(d: usize, updates: Vec<Update>) -> (Statistics, Vec<Example>) {
    let (mut statistics, mut examples) = (Statistics::new(d).unwrap(), Vec::new());
    for update in updates {
        update.apply(&mut examples, &mut statistics);
    }
    (statistics, examples)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_thousand_updates_leave_no_trace(
        (d, updates, order) in dimensions().prop_flat_map(|d| (
            Just(d),
            prop::collection::vec(update(d), 1_000),
            any::<u64>(),
        ))
    ) {
        let (statistics, mut examples) = play(d, updates);
        prop_assert!(!examples.is_empty());
        prop_assert_eq!(&statistics, &from_scratch(d, &examples));
        // In another order, and with every example removed again.
        examples.sort_by_key(|e| (e.x[0].to_bits() as u64 ^ order).wrapping_mul(order | 1));
        let mut turned = from_scratch(d, &examples);
        prop_assert_eq!(&statistics, &turned);
        // And so are the heads, to the last bit.
        let ridge = |s: &Statistics| s.ridge(&Ridge::default()).ok();
        prop_assert_eq!(statistics.nearest_mean().ok(), turned.nearest_mean().ok());
        prop_assert_eq!(ridge(&statistics), ridge(&turned));
        let discriminant = |s: &Statistics| s.discriminant(Shrinkage::Oas).ok();
        prop_assert_eq!(discriminant(&statistics), discriminant(&turned));
        for e in &examples {
            turned.remove(e.x.view(), &e.class, e.weight).unwrap();
        }
        prop_assert_eq!(turned, Statistics::new(d).unwrap());
    }

    #[test]
    fn merging_takes_any_order_and_grouping(
        (d, updates, splits) in dimensions().prop_flat_map(|d| (
            Just(d),
            prop::collection::vec(update(d), 200),
            prop::collection::vec(any::<usize>(), 1..40),
        ))
    ) {
        let (whole, examples) = play(d, updates);
        let mut parts = vec![Statistics::new(d).unwrap(); splits.len() + 1];
        for (i, e) in examples.iter().enumerate() {
            let part = splits[i % splits.len()].wrapping_mul(i + 1) % parts.len();
            parts[part].add(e.x.view(), &e.class, e.weight).unwrap();
        }
        for split in splits {
            // Any two of those left become one.
            let part = parts.swap_remove(split % parts.len());
            let into = (split / 7) % parts.len();
            parts[into].merge(&part).unwrap();
        }
        prop_assert_eq!(&parts, &[whole]);
    }
}

fn sample() -> Statistics {
    let mut statistics = Statistics::new(2).unwrap();
    for (x, class, weight) in
        [([0.6f32, 0.8], "b", 1.0), ([1.0, 0.0], "b", 2.0), ([0.0, 1.0], "a\n", 0.3)]
    {
        statistics.add(Array1::from_vec(x.to_vec()).view(), class, weight).unwrap();
    }
    statistics
}

#[test]
fn refused_updates_change_nothing() {
    let mut statistics = sample();
    let x = array![0.6f32, 0.8];
    let (x, bad, wide) = (x.view(), array![f32::NAN, 0.0], array![1f32, 2.0, 3.0]);
    let long = "é".repeat(600);
    let errors = [
        statistics.add(bad.view(), "b", 1.0).unwrap_err(),
        statistics.add(wide.view(), "b", 1.0).unwrap_err(),
        statistics.add(x, "b", -1.0).unwrap_err(),
        statistics.add(x, "b", 2000.0).unwrap_err(),
        statistics.add(x, &long, 1.0).unwrap_err(),
        statistics.remove(x, "c", 1.0).unwrap_err(),
        statistics.remove(x, "a\n", 0.3).unwrap_err(),
        statistics.remove(x, "b", 3.5).unwrap_err(),
        statistics.relabel(x, "c", "a\n", 1.0).unwrap_err(),
        statistics.relabel(x, "a\n", "b", 0.3).unwrap_err(),
        statistics.relabel(x, "b", &long, 1.0).unwrap_err(),
        statistics.reweight(x, "b", 1.0, f64::NAN).unwrap_err(),
        statistics.reweight(x, "c", 1.0, 2.0).unwrap_err(),
        statistics.forget_class("c", &[]).unwrap_err(),
        statistics.forget_class("b", &[(x, 1.0)]).unwrap_err(),
        statistics.forget_class("b", &[(x, 1.0), (x, 2.0)]).unwrap_err(),
        statistics.merge(&Statistics::new(3).unwrap()).unwrap_err(),
        statistics.merge(&Statistics::with_largest_norm(2, 3.0).unwrap()).unwrap_err(),
        statistics.merge(&Statistics::clipped(2, 1.0).unwrap()).unwrap_err(),
        statistics.scale(0.0).unwrap_err(),
        statistics.scale(1.1).unwrap_err(),
        statistics.scale(f64::NAN).unwrap_err(),
        statistics.scale(1e-14).unwrap_err(),
    ];
    assert_eq!(statistics, sample());
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 30 && text.len() < 400, "{text}");
    }
    let error = statistics.remove(x, "a\n", 0.3).unwrap_err();
    assert!(matches!(&error, Error::NotAdded { .. }), "{error}");
    assert!(error.to_string().starts_with("not among the examples of class \"a\\n\""), "{error}");
}

#[test]
fn full_statistics_say_so() {
    let (mut statistics, x) = (Statistics::new(1).unwrap(), array![1f32]);
    for _ in 0..4095 {
        statistics.add(x.view(), "a", 1024.0).unwrap();
    }
    let before = statistics.clone();
    let error = statistics.add(x.view(), "a", 1024.0).unwrap_err();
    assert!(matches!(error, Error::Full), "{error}");
    assert!(matches!(statistics.merge(&before), Err(Error::Full)));
    assert_eq!(statistics, before);
    statistics.add(x.view(), "a", 1000.0).unwrap();
    assert!((statistics.weights()[0] - (4095.0 * 1024.0 + 1000.0)).abs() < 1e-9);
}

#[test]
fn the_last_example_must_be_the_one_that_is_there() {
    let mut statistics = Statistics::new(2).unwrap();
    statistics.add(array![0.6f32, 0.8].view(), "a", 1.0).unwrap();
    let before = statistics.clone();
    for x in [array![0.6f32, -0.8], array![0.6f32, 0.8000001]] {
        assert!(matches!(statistics.remove(x.view(), "a", 1.0), Err(Error::NotAdded { .. })));
    }
    assert_eq!(statistics, before);
    statistics.remove(array![0.6f32, 0.8].view(), "a", 1.0).unwrap();
    assert_eq!(statistics, Statistics::new(2).unwrap());
}

#[test]
fn ageing_scales_all_sums_and_the_last_removal_leaves_nothing() {
    let (mut statistics, before) = (sample(), sample());
    statistics.scale(1.0).unwrap();
    assert_eq!(statistics, before);
    for _ in 0..10 {
        statistics.scale(0.9).unwrap();
    }
    let factor = (0.9f64 * f64::from(1 << 30)).round() / f64::from(1 << 30);
    let factor = factor.powi(10);
    let near = |a: f64, b: f64| assert!((a - b * factor).abs() < 1e-11, "{a} {b}");
    std::iter::zip(&statistics.scatter(), &before.scatter()).for_each(|(&a, &b)| near(a, b));
    std::iter::zip(&statistics.sums(), &before.sums()).for_each(|(&a, &b)| near(a, b));
    std::iter::zip(&statistics.weights(), &before.weights()).for_each(|(&a, &b)| near(a, b));
    assert_eq!(statistics.counts(), before.counts());
    statistics.remove(array![1f32, 0.0].view(), "b", 2.0 * factor).unwrap();
    statistics.reweight(array![0.6f32, 0.8].view(), "b", factor, 1.0).unwrap();
    statistics.remove(array![0.6f32, 0.8].view(), "b", 1.0).unwrap();
    statistics.remove(array![0f32, 1.0].view(), "a\n", 0.3 * factor).unwrap();
    assert_eq!(statistics, Statistics::new(2).unwrap());
}

#[test]
fn other_lengths_take_another_grid() {
    let x = array![[300f32, 400.0], [0.0, 1.0]];
    assert!(matches!(
        Statistics::new(2).unwrap().add(x.row(0), "a", 1.0),
        Err(Error::OffGrid { .. })
    ));
    let mut statistics = Statistics::for_embeddings(x.view()).unwrap();
    assert_eq!(statistics.unit(), 512.0);
    statistics.add(x.row(0), "a", 1.0).unwrap();
    assert_eq!(statistics.scatter(), array![[90_000.0, 120_000.0], [120_000.0, 160_000.0]]);
    let mut small = Statistics::with_largest_norm(2, 1e-20).unwrap();
    small.add((&x.row(0) * 1e-23).view(), "a", 1.0).unwrap();
    assert!((small.scatter()[[0, 1]] / 1.2e-41 - 1.0).abs() < 1e-6);
    assert!(matches!(Statistics::new(0), Err(Error::NoDimensions)));
    assert!(matches!(Statistics::new(1 << 20), Err(Error::TooLarge { .. })));
    assert!(matches!(Statistics::with_largest_norm(2, -1.0), Err(Error::Setting { .. })));
}

fn file(statistics: Statistics) -> StatisticsFile {
    let encoder = EncoderTag {
        digest: "sha256:0123".into(),
        name: "all-MiniLM-L6-v2".into(),
        dimensions: statistics.dimensions(),
        prompt: None,
    };
    StatisticsFile { encoder, statistics }
}

#[test]
fn a_file_comes_back_bit_for_bit_or_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut aged = sample();
    aged.scale(0.3).unwrap();
    let mut clipped = Statistics::clipped(3, 0.7).unwrap();
    clipped.add(array![1f32, 2.0, 3.0].view(), "", 1.0).unwrap();
    for statistics in [sample(), aged, clipped, Statistics::new(4).unwrap()] {
        let file = file(statistics);
        file.save(&path).unwrap();
        assert_eq!(StatisticsFile::load(&path).unwrap(), file);
    }
    file(sample()).save(&path).unwrap();
    assert_eq!(StatisticsFile::load_for(&path, "sha256:0123", 2).unwrap(), file(sample()));
    let other = StatisticsFile::load_for(&path, "sha256:4567", 2);
    assert!(matches!(other, Err(Error::OtherEncoder { .. })));
    let other = StatisticsFile::load_for(&path, "sha256:0123", 3);
    assert!(matches!(other, Err(Error::OtherDimensions { found: 2, wanted: 3, .. })));
    let error = offshoot_adapters::HeadFile::load(&path).unwrap_err();
    assert!(matches!(error, Error::BadFile { .. }), "{error}");

    let bytes = fs::read(&path).unwrap();
    for position in (0..bytes.len()).step_by(5) {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        fs::write(&path, flipped).unwrap();
        let error = StatisticsFile::load(&path).unwrap_err();
        assert!(matches!(error, Error::BadStatistics { .. }), "{position}: {error}");
    }
    let mut wrong = file(sample());
    wrong.encoder.dimensions = 7;
    assert!(matches!(wrong.save(&path), Err(Error::Width { found: 7, expected: 2 })));
}
