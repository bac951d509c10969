//! How far the head of a learner can be trusted, by its examples.

use ndarray::{Array2, Axis};
use offshoot_adapters::calibration::{Calibration, CalibrationKind};
use offshoot_adapters::open_set::OpenSet;
use offshoot_adapters::{Classes, EncoderTag, Head};

use super::Learner;
use super::fit::fit;
use super::store::Labelled;
use crate::error::Result;

/// Parts that the examples are predicted in, each by a head of the others.
const PARTS: usize = 10;

impl Learner {
    /// A calibration of the learner's head, for the probabilities of
    /// [`Head::predict_proba`](offshoot_adapters::Head::predict_proba): fitted to predictions of
    /// the labelled examples by heads of the same kind that were not shown them.
    ///
    /// The automatic head has these of every example. Other kinds, and the automatic one where
    /// it is fitted to a sample or to weights, are fitted 10 times, each time without every
    /// tenth example of each class. Examples that are alone in their class count for nothing;
    /// without others, nothing is changed.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub fn calibration(&self, kind: CalibrationKind) -> Result<Calibration> {
        let examples = self.with_store(|store| store.labelled())?;
        find(&examples, &self.tag, kind)
    }

    /// What tells inputs of no known class, learned from the labelled examples and, where they
    /// are used, those without a label.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub fn open_set(&self) -> Result<OpenSet> {
        let (examples, pool) = self.with_store(|store| store.pool())?;
        let (classes, y) = examples.classes()?;
        let pool = pool.as_ref().map(|pool| pool.view());
        Ok(OpenSet::fit(examples.embeddings.view(), &y, &classes, pool)?)
    }
}

fn find(examples: &Labelled, tag: &EncoderTag, kind: CalibrationKind) -> Result<Calibration> {
    let (classes, y) = Classes::from_labels(&examples.labels)?;
    let mut counts = vec![0usize; classes.len()];
    y.iter().for_each(|&class| counts[class] += 1);
    let usable: Vec<bool> = y.iter().map(|&class| counts[class] > 1).collect();
    let left_out = match fit(examples, tag)?.head {
        Head::Auto(head) => head.leave_one_out().filter(|p| p.nrows() == y.len()).cloned(),
        _ => None,
    };
    let left_out = match left_out {
        Some(probabilities) => probabilities,
        None => in_parts(examples, tag, &y, &usable, classes.len())?,
    };
    Ok(kind.fit(left_out.mapv_into(f64::ln).view(), &y, &usable)?)
}

/// Probabilities `[examples, classes]`, of each part by the head of the others; zeros where an
/// example is not usable.
fn in_parts(
    examples: &Labelled,
    tag: &EncoderTag,
    y: &[usize],
    usable: &[bool],
    classes: usize,
) -> Result<Array2<f64>> {
    // The usable examples of a class take turns, and classes start at different parts; so no
    // part holds all of a class.
    let mut turn: Vec<usize> = (0..classes).collect();
    let mut part = vec![PARTS; y.len()];
    for (row, &class) in y.iter().enumerate().filter(|(row, _)| usable[*row]) {
        part[row] = turn[class] % PARTS;
        turn[class] += 1;
    }
    let mut probabilities = Array2::zeros((y.len(), classes));
    for left in 0..PARTS {
        let (out, others): (Vec<usize>, Vec<usize>) =
            (0..y.len()).partition(|&row| part[row] == left);
        if out.is_empty() {
            continue;
        }
        let head = fit(&chosen(examples, &others), tag)?.head;
        let predicted = head.predict_proba(examples.embeddings.select(Axis(0), &out).view())?;
        for (&row, values) in out.iter().zip(predicted.outer_iter()) {
            probabilities.row_mut(row).assign(&values);
        }
    }
    Ok(probabilities)
}

/// Some of the examples.
fn chosen(examples: &Labelled, rows: &[usize]) -> Labelled {
    Labelled {
        revision: examples.revision,
        head: examples.head.clone(),
        ids: rows.iter().map(|&row| examples.ids[row]).collect(),
        embeddings: examples.embeddings.select(Axis(0), rows),
        labels: rows.iter().map(|&row| examples.labels[row].clone()).collect(),
        weights: rows.iter().map(|&row| examples.weights[row]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use offshoot_adapters::HeadKind;
    use offshoot_adapters::metrics::log_loss;

    use super::*;
    use crate::learner::ExampleId;

    /// Two classes that overlap by a third, in four dimensions.
    fn overlapping(n: usize, seed: usize, kind: HeadKind) -> Labelled {
        let noise = |i: usize| {
            let v = ((i + 7_919 * seed + 1) as f64 * 12.9898).sin() * 43_758.547;
            (v - v.floor() - 0.5) as f32
        };
        Labelled {
            revision: 1,
            head: kind.to_string(),
            ids: (0..n).map(|i| ExampleId(i as i64 + 1)).collect(),
            embeddings: Array2::from_shape_fn((n, 4), |(i, j)| {
                1.8 * noise(4 * i + j) + if j == i % 2 { 0.6 } else { 0.0 }
            }),
            labels: (0..n).map(|i| ["a", "b"][i % 2].to_owned()).collect(),
            weights: vec![1.0; n],
        }
    }

    fn tag() -> EncoderTag {
        EncoderTag { digest: "d".into(), name: "n".into(), dimensions: 4, prompt: None }
    }

    #[test]
    fn a_head_that_is_not_sure_enough_is_made_surer_and_better_on_new_examples() {
        // Of short embeddings the penalty leaves logistic regression hardly an opinion.
        let short = |n, seed| {
            let examples = overlapping(n, seed, HeadKind::Logistic);
            Labelled { embeddings: examples.embeddings * 0.1, ..examples }
        };
        let (examples, new) = (short(60, 0), short(600, 1));
        let (_, truth) = Classes::from_labels(&new.labels).unwrap();
        let head = fit(&examples, &tag()).unwrap().head;
        let plain = head.predict_proba(new.embeddings.view()).unwrap();
        let before = log_loss(plain.view(), &truth).unwrap();
        for kind in CalibrationKind::ALL {
            let calibration = find(&examples, &tag(), kind).unwrap();
            let after = calibration.apply(plain.view()).unwrap();
            let after = log_loss(after.view(), &truth).unwrap();
            assert!(after < before - 0.02, "{kind}: {before} to {after}");
        }
    }

    #[test]
    fn parts_are_predicted_by_heads_of_the_others() {
        let mut examples = overlapping(45, 3, HeadKind::Ridge);
        examples.labels[8] = "only".into();
        let (classes, y) = Classes::from_labels(&examples.labels).unwrap();
        let usable: Vec<bool> = (0..45).map(|i| i != 8).collect();
        let found = in_parts(&examples, &tag(), &y, &usable, classes.len()).unwrap();
        assert!(found.row(8).iter().all(|&p| p == 0.0));
        // The part of row 0: every tenth of `a`, and of `b`, which starts one part later.
        let of = |class: usize| (0..45).filter(move |&i| i != 8 && i % 2 == class);
        let out: Vec<usize> = of(0).step_by(10).chain(of(1).skip(9).step_by(10)).collect();
        let others: Vec<usize> = (0..45).filter(|row| !out.contains(row)).collect();
        let (classes, y) =
            Classes::from_labels(&others.iter().map(|&i| &examples.labels[i]).collect::<Vec<_>>())
                .unwrap();
        let x = examples.embeddings.select(Axis(0), &others);
        let head = HeadKind::Ridge.fit(x.view(), &y, classes).unwrap();
        let rows = examples.embeddings.select(Axis(0), &out);
        let expected = head.predict_proba(rows.view()).unwrap();
        assert_eq!(found.select(Axis(0), &out), expected);
    }

    #[test]
    fn the_automatic_head_is_calibrated_by_its_own_left_out_predictions() {
        let examples = overlapping(40, 5, HeadKind::Auto);
        let Head::Auto(head) = fit(&examples, &tag()).unwrap().head else { panic!() };
        let logs = head.leave_one_out().unwrap().mapv(f64::ln);
        let (_, y) = Classes::from_labels(&examples.labels).unwrap();
        let expected = CalibrationKind::Temperature.fit(logs.view(), &y, &[true; 40]).unwrap();
        let found = find(&examples, &tag(), CalibrationKind::Temperature).unwrap();
        assert_eq!(found, expected);
    }

    #[test]
    fn single_examples_change_nothing() {
        let mut examples = overlapping(2, 0, HeadKind::Auto);
        for kind in [HeadKind::Auto, HeadKind::NearestMean] {
            examples.head = kind.to_string();
            let map = find(&examples, &tag(), CalibrationKind::Temperature).unwrap();
            let Calibration::Temperature(map) = map else { panic!() };
            assert!((map.inverse() - 1.0).abs() < 1e-8, "{kind}");
        }
    }
}
