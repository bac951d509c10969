//! Fewer examples that stand for many, and a choice among heads that can take all.

use ndarray::{ArrayView2, Axis};

use super::{Auto, PAIRS};
use crate::classes::Classes;
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::head::{Head, HeadKind};
use crate::metrics::log_loss;

/// Of many examples, one in this many of each class is held out to choose a head by.
const HELD_OUT: usize = 4;

/// More examples than are compared pair by pair.
pub(super) struct Many {
    /// Rows to fit with while the kind is chosen, and rows to choose by.
    train: Vec<usize>,
    test: Vec<usize>,
    counts: Vec<usize>,
}

impl Many {
    pub(super) fn new(examples: &Examples) -> Self {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        let mut seen = vec![0usize; examples.classes()];
        for (row, &class) in examples.y.iter().enumerate() {
            seen[class] += 1;
            if seen[class].is_multiple_of(HELD_OUT) { test.push(row) } else { train.push(row) }
        }
        Self { train, test, counts: examples.counts.clone() }
    }

    pub(super) fn fit(&self, x: ArrayView2<f32>, y: &[usize], classes: Classes) -> Result<Head> {
        let mut best = (f64::INFINITY, HeadKind::NearestMean);
        if self.test.is_empty() {
            return best.1.fit(x, y, classes);
        }
        let (train_x, train_y) = (x.select(Axis(0), &self.train), pick(y, &self.train));
        let (test_x, test_y) = (x.select(Axis(0), &self.test), pick(y, &self.test));
        let mut counts = vec![0; classes.len()];
        train_y.iter().for_each(|&class| counts[class] += 1);
        for kind in [HeadKind::NearestMean, HeadKind::Ridge, HeadKind::Discriminant, HeadKind::Auto]
        {
            let head = match kind {
                HeadKind::Auto => sampled(train_x.view(), &train_y, &counts, classes.clone()),
                kind => kind.fit(train_x.view(), &train_y, classes.clone()),
            };
            // A kind that the scale or the number of these examples defeats is not chosen.
            let Ok(head) = head else { continue };
            let loss = log_loss(head.predict_proba(test_x.view())?.view(), &test_y)?;
            if loss < best.0 {
                best = (loss, kind);
            }
        }
        match best.1 {
            HeadKind::Auto => sampled(x, y, &self.counts, classes),
            kind => kind.fit(x, y, classes),
        }
    }
}

/// The mixture of an even sample.
pub(super) fn sampled(
    x: ArrayView2<f32>,
    y: &[usize],
    counts: &[usize],
    classes: Classes,
) -> Result<Head> {
    // At least two examples of each class: beyond this many classes there is no sample.
    let rows = even_sample(y, counts, PAIRS);
    if rows.len() > PAIRS {
        return Err(Error::TooLarge {
            what: "the automatic head",
            examples: y.len(),
            classes: counts.len(),
            dimensions: x.ncols(),
            needed_mib: ((rows.len() * rows.len()) >> 14) as u64,
            limit_mib: ((PAIRS * PAIRS) >> 14) as u64,
        });
    }
    Auto::default().fit(x.select(Axis(0), &rows).view(), &pick(y, &rows), classes)
}

pub(super) fn pick(y: &[usize], rows: &[usize]) -> Vec<usize> {
    rows.iter().filter_map(|&row| y.get(row).copied()).collect()
}

/// At most about `limit` rows, the same share of each class and at least two of those that have
/// two, evenly spaced.
pub(super) fn even_sample(y: &[usize], counts: &[usize], limit: usize) -> Vec<usize> {
    if y.len() <= limit {
        return (0..y.len()).collect();
    }
    let share = limit as f64 / y.len() as f64;
    let wanted: Vec<usize> =
        counts.iter().map(|&count| ((count as f64 * share) as usize).max(2).min(count)).collect();
    let mut seen = vec![0usize; counts.len()];
    let mut taken = vec![0usize; counts.len()];
    let mut rows = Vec::with_capacity(limit);
    for (row, &class) in y.iter().enumerate() {
        seen[class] += 1;
        // Row number `seen` of `count` is taken when it passes the next of `wanted` even steps.
        if seen[class] * wanted[class] > taken[class] * counts[class]
            && taken[class] < wanted[class]
        {
            taken[class] += 1;
            rows.push(row);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_even_and_keep_every_class() {
        let y: Vec<usize> = (0..1_000).map(|i| if i % 100 == 0 { 1 } else { 0 }).collect();
        let rows = even_sample(&y, &[990, 10], 100);
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
        let rare = rows.iter().filter(|&&row| y[row] == 1).count();
        assert!(
            (2..=3).contains(&rare) && (95..=105).contains(&rows.len()),
            "{rare} {}",
            rows.len()
        );
        assert_eq!(even_sample(&y, &[990, 10], 1_000).len(), 1_000);
    }
}
