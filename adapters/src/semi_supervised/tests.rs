//! Two crowds, small classes and bad pools.

use super::*;

/// Two crowds of 60 in 12 dimensions.
fn crowds() -> (Array2<f32>, Vec<usize>) {
    let mut state = 1u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let y: Vec<usize> = (0..120).map(|i| i % 2).collect();
    let x = Array2::from_shape_fn((120, 12), |(i, j)| {
        let noise: f32 = (0..4).map(|_| uniform()).sum();
        noise + if j < 4 && y[i] == 1 { 1.1 } else { 0.0 }
    });
    (x, y)
}

#[test]
fn one_label_names_a_crowd() {
    let (x, y) = crowds();
    let labelled = [6, 3];
    let rest: Vec<usize> = (0..120).filter(|i| !labelled.contains(i)).collect();
    let (classes, train) = Classes::from_labels(&["0", "1"]).unwrap();
    let head = SemiSupervised::default()
        .fit(x.select(Axis(0), &labelled).view(), &train, classes, x.select(Axis(0), &rest).view())
        .unwrap();
    let right = |found: &[usize]| found.iter().zip(&rest).filter(|(f, i)| **f == y[**i]).count();
    let unseen = x.select(Axis(0), &rest);
    let base = right(&head.base().predict(unseen.view()).unwrap());
    let pooled = right(&head.pool_classes());
    assert!(pooled >= base + 5, "{base} and {pooled} of 118");
    // The same embeddings as if they were new.
    assert!(right(&head.predict(unseen.view()).unwrap()) >= base + 5);
    // Probabilities say the same, and are as sure of the pool as the labels alone.
    let sure = |p: Array2<f64>| {
        p.outer_iter().map(|row| most_likely(row).1).sum::<f64>() / p.nrows() as f64
    };
    let alone = sure(head.base().predict_proba(unseen.view()).unwrap());
    assert!((sure(head.pool_proba()) - alone).abs() < 1e-6);
    let p = head.predict_proba(unseen.view()).unwrap();
    let said: Vec<usize> = p.outer_iter().map(|row| most_likely(row).0).collect();
    assert_eq!(said, head.predict(unseen.view()).unwrap());
    assert!(p.outer_iter().all(|row| (row.sum() - 1.0).abs() < 1e-12));
}

/// Ten times ten crowds of ten that differ in ten of thirteen directions: the others scatter
/// most, so that neighbours often belong to other classes, and the labels are enough to know
/// it.
#[test]
fn small_classes_and_small_pools_do_no_harm() {
    let mut state = 7u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let y: Vec<usize> = (0..100).map(|i| i % 10).collect();
    let (labelled, rest): (Vec<usize>, Vec<usize>) = (0..100).partition(|i| *i < 40);
    let names: Vec<String> = y[..40].iter().map(ToString::to_string).collect();
    let (classes, train) = Classes::from_labels(&names).unwrap();
    let right = |found: &[usize]| found.iter().zip(&rest).filter(|(f, i)| **f == y[**i]).count();
    let (mut base, mut pooled) = (0, 0);
    for _ in 0..10 {
        let x = Array2::from_shape_fn((100, 13), |(i, j)| {
            let noise: f32 = (0..4).map(|_| uniform()).sum();
            let scatter = if j < 10 { 1.0 } else { 4.0 };
            scatter * noise + if j == y[i] { 2.0 } else { 0.0 }
        });
        let rows = |of: &[usize]| x.select(Axis(0), of);
        let unlabeled = rows(&rest);
        let head = SemiSupervised::default()
            .fit(rows(&labelled).view(), &train, classes.clone(), unlabeled.view())
            .unwrap();
        base += right(&head.base().predict(unlabeled.view()).unwrap());
        pooled += right(&head.pool_classes());
    }
    assert!(base > 480 && pooled + 10 >= base, "{base} and {pooled} of 600");
}

#[test]
fn no_pool_and_bad_pools() {
    let (x, y) = crowds();
    let (classes, _) = Classes::from_labels(&["0", "1"]).unwrap();
    let some: Vec<usize> = (0..12).collect();
    let (rows, labels) = (x.select(Axis(0), &some), &y[..12]);
    let empty = Array2::zeros((0, 12));
    let head =
        SemiSupervised::default().fit(rows.view(), labels, classes.clone(), empty.view()).unwrap();
    assert_eq!(head.pool_classes(), Vec::<usize>::new());
    assert_eq!(head.predict(rows.view()).unwrap(), labels);
    let alone = head.base().predict_proba(rows.view()).unwrap();
    assert_eq!(head.predict_proba(rows.view()).unwrap(), alone);
    let fit = |pool: &Array2<f32>| {
        SemiSupervised::default().fit(rows.view(), labels, classes.clone(), pool.view())
    };
    assert!(matches!(fit(&Array2::zeros((4, 2))), Err(Error::Width { .. })));
    assert!(matches!(fit(&Array2::from_elem((4, 12), f32::NAN)), Err(Error::NotFinite { .. })));
    // A pool of one point many times has no crowds, and no distances.
    let head = fit(&Array2::from_elem((30, 12), 0.5)).unwrap();
    assert!(head.pool_scores().iter().all(|v| v.is_finite()));
    assert!(matches!(
        fit(&Array2::zeros((SemiSupervised::MAX_EXAMPLES, 12))),
        Err(Error::TooLarge { .. })
    ));
}

#[test]
fn shares_are_trusted_as_labels_come() {
    let frequency = ndarray::array![0.8, 0.2];
    assert_eq!(shares(&frequency, Pool::Balanced, 8.0), ndarray::array![0.5, 0.5]);
    let (few, many) =
        (shares(&frequency, Pool::Unknown, 1.0), shares(&frequency, Pool::Unknown, 99.0));
    assert!((few[0] - 2.0 / 3.0).abs() < 1e-12);
    assert!(many[0] > 0.79 && many[0] < 0.8);
}
