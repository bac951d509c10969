//! Labels that are most likely wrong.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2, Axis};
use offshoot_adapters::noise::LabelNoise;
use offshoot_adapters::statistics::{Shrinkage, Statistics};
use offshoot_adapters::{Classes, Head, HeadKind};

use super::Learner;
use super::store::{ExampleId, Labelled, Store};
use crate::error::Result;

/// Most labelled examples that are judged one at a time, by the automatic head.
pub const SUSPECTS_LEAVE_ONE_OUT: usize = 512;
/// Parts that more examples are judged in, each by the others.
pub const SUSPECTS_FOLDS: usize = 10;

/// A label that is most likely wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// The example.
    pub id: ExampleId,
    /// Its label.
    pub label: String,
    /// Probability of the label, by a head that was fitted without the example.
    pub probability: f64,
    /// The label that the head proposes.
    pub suggested: String,
    /// Its probability.
    pub suggested_probability: f64,
}

/// What [`Store::suspects`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspects {
    /// Labels that a head fitted without their example contradicts. First the flagged ones, the
    /// likeliest to be wrong first, then the others, in the same order.
    pub found: Vec<Suspect>,
    /// How many of them are flagged: most likely wrong, not only contradicted.
    pub flagged: usize,
    /// Labelled examples that were judged: all but those that are alone in their class.
    pub judged: usize,
    /// Labelled examples that were not.
    pub alone: usize,
    /// Estimated share of wrong labels among those of which the head is confident.
    pub rate: f64,
}

impl Store {
    /// The labels that are most likely wrong: those that a head fitted without their example
    /// contradicts, the lowest margin between the label and the likeliest other class first.
    ///
    /// [`LabelNoise`] flags those of which the head is as sure as it is of the average example
    /// of the other class. Where classes are far apart, that is nearly 1 and half of the wrong
    /// labels fall short of it. So the share of each confusion among confident examples is taken
    /// for its share among all examples of the label, and as many of them as that makes are
    /// flagged, if the other class is their likeliest: pruning by noise rate, section 3.2 of
    /// Northcutt, Jiang and Chuang 2021, *J. Artif. Intell. Res.* 70, arXiv:1911.00068. That is
    /// an estimate: the contradicted labels that follow the flagged ones may be wrong too.
    ///
    /// Up to [`SUSPECTS_LEAVE_ONE_OUT`] labelled examples, the head is the automatic one, by
    /// exact leave-one-out. Of more, [`SUSPECTS_FOLDS`] parts of the same share of each class
    /// are judged in turn by the discriminant of the others, which is exact too: a part is
    /// subtracted from the sums of all. Whatever head the learner has is not used, nor are
    /// weights: an example that counts for little may be the one whose label is wrong.
    ///
    /// Cost: O(n² d + n³) up to 512 examples, then O(n d² + d³).
    ///
    /// # Errors
    /// [`Error::Head`](crate::Error::Head) when there are no labelled examples, when all have one
    /// label, or when the fit fails; as [`Store::labelled`].
    pub fn suspects(&self) -> Result<Suspects> {
        find(&self.labelled()?, SUSPECTS_LEAVE_ONE_OUT)
    }
}

impl Learner {
    /// The labels that are most likely wrong: [`Store::suspects`]. Other threads do not wait.
    ///
    /// # Errors
    /// As [`Store::suspects`].
    pub fn suspects(&self) -> Result<Suspects> {
        let examples = self.with_store(|store| store.labelled())?;
        find(&examples, SUSPECTS_LEAVE_ONE_OUT)
    }
}

fn find(examples: &Labelled, one_at_a_time: usize) -> Result<Suspects> {
    let (classes, y) = Classes::from_labels(&examples.labels)?;
    if let [label] = classes.names() {
        return Err(offshoot_adapters::Error::OneClass { label: label.clone() }.into());
    }
    let mut counts = vec![0usize; classes.len()];
    y.iter().for_each(|&class| counts[class] += 1);
    let usable: Vec<bool> = y.iter().map(|&class| counts[class] > 1).collect();
    let judged = usable.iter().filter(|usable| **usable).count();
    let x = examples.embeddings.view();
    let exact = match y.len() <= one_at_a_time {
        true => leave_one_out(x, &y, classes.clone())?,
        false => None,
    };
    let left_out = exact.map_or_else(|| leave_parts_out(x, &y, &usable, &classes), Ok)?;
    let noise = LabelNoise::find(left_out.view(), &y, &usable)?;
    let (flagged, rows) = ranked(&noise, &left_out, &y, &usable);
    let found = rows.into_iter().map(|(row, suggested)| Suspect {
        id: examples.ids[row],
        label: classes.name(y[row]).to_owned(),
        probability: left_out[[row, y[row]]],
        suggested: classes.name(suggested).to_owned(),
        suggested_probability: left_out[[row, suggested]],
    });
    let (found, alone) = (found.collect(), y.len() - judged);
    Ok(Suspects { found, flagged, judged, alone, rate: noise.rate() })
}

/// Rows that look wrong with the class that each looks like, the worst first; the flagged ones,
/// whose number is given, before the others.
fn ranked(
    noise: &LabelNoise,
    left_out: &Array2<f64>,
    y: &[usize],
    usable: &[bool],
) -> (usize, Vec<(usize, usize)>) {
    let mut judged = vec![0usize; left_out.ncols()];
    // The contradicted rows of each confusion.
    let mut rows: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    // The likeliest class other than the label, and the margin of the label over it.
    let others: Vec<(usize, f64)> =
        left_out
            .outer_iter()
            .zip(y)
            .map(|(p, &label)| {
                let other = p.iter().copied().enumerate().filter(|(class, _)| *class != label);
                let (class, most) = other.fold((label, f64::NEG_INFINITY), |best, other| {
                    if other.1 > best.1 { other } else { best }
                });
                (class, p[label] - most)
            })
            .collect();
    for row in (0..y.len()).filter(|&row| usable[row]) {
        judged[y[row]] += 1;
        if others[row].1 < 0.0 {
            rows.entry((y[row], others[row].0)).or_default().push(row);
        }
    }
    let mut confident = vec![0usize; left_out.ncols()];
    noise.joint().for_each(|(label, _, count)| confident[label] += count);
    let mut found: BTreeMap<usize, usize> =
        noise.suspects().iter().map(|suspect| (suspect.row, suspect.suggested)).collect();
    for (label, class, count) in noise.joint().filter(|(label, class, _)| label != class) {
        let Some(rows) = rows.get_mut(&(label, class)) else { continue };
        rows.sort_by(|&a, &b| others[a].1.total_cmp(&others[b].1));
        let share = count as f64 / confident[label] as f64;
        let wanted = (share * judged[label] as f64).round() as usize;
        for &row in rows.iter().take(wanted) {
            found.entry(row).or_insert(class);
        }
    }
    let rest =
        rows.iter().flat_map(|(&(_, class), rows)| rows.iter().map(move |&row| (row, class)));
    let mut rest: Vec<(usize, usize)> = rest.filter(|(row, _)| !found.contains_key(row)).collect();
    let mut ranked: Vec<(usize, usize)> = found.into_iter().collect();
    let flagged = ranked.len();
    for rows in [&mut ranked, &mut rest] {
        rows.sort_by(|a, b| others[a.0].1.total_cmp(&others[b.0].1).then(a.0.cmp(&b.0)));
    }
    ranked.append(&mut rest);
    (flagged, ranked)
}

/// Probabilities `[examples, classes]`, each row by the automatic head without its example;
/// `None` where that head was fitted on a sample of the examples.
fn leave_one_out(
    x: ArrayView2<'_, f32>,
    y: &[usize],
    classes: Classes,
) -> Result<Option<Array2<f64>>> {
    Ok(match HeadKind::Auto.fit(x, y, classes)? {
        Head::Auto(head) => head.leave_one_out().filter(|rows| rows.nrows() == y.len()).cloned(),
        _ => None,
    })
}

/// The same for more examples, by discriminants without their part; zeros where an example is
/// alone in its class.
fn leave_parts_out(
    x: ArrayView2<'_, f32>,
    y: &[usize],
    usable: &[bool],
    classes: &Classes,
) -> Result<Array2<f64>> {
    let mut all = Statistics::for_embeddings(x)?;
    // The examples of each class in turn; a class of two or more is never in one part whole.
    let mut turn: Vec<usize> = (0..classes.len()).collect();
    let mut parts = vec![Vec::new(); SUSPECTS_FOLDS];
    for (row, &class) in y.iter().enumerate() {
        all.add(x.row(row), classes.name(class), 1.0)?;
        if usable[row] {
            parts[turn[class] % SUSPECTS_FOLDS].push(row);
            turn[class] += 1;
        }
    }
    let mut probabilities = Array2::zeros((y.len(), classes.len()));
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let mut others = all.clone();
        for &row in part {
            others.remove(x.row(row), classes.name(y[row]), 1.0)?;
        }
        let head = others.discriminant(Shrinkage::default())?;
        let predicted = head.predict_proba(x.select(Axis(0), part).view())?;
        for (&row, values) in part.iter().zip(predicted.outer_iter()) {
            probabilities.row_mut(row).assign(&values);
        }
    }
    Ok(probabilities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    const WIDTH: usize = 6;

    /// Three groups on the unit sphere, in turn, each with noise of its own.
    fn groups(n: usize) -> Labelled {
        let mut x = Array2::from_shape_fn((n, WIDTH), |(i, j)| {
            let noise = ((i * WIDTH + j + 1) as f32 * 12.9898).sin() * 43_758.547;
            0.35 * (noise - noise.floor() - 0.5) + if j == i % 3 { 1.0 } else { 0.0 }
        });
        for mut row in x.outer_iter_mut() {
            let norm = row.dot(&row).sqrt();
            row /= norm;
        }
        Labelled {
            revision: 1,
            head: "ridge".into(),
            ids: (0..n).map(|i| ExampleId(10 + i as i64)).collect(),
            embeddings: x,
            labels: (0..n).map(|i| truth(i).to_owned()).collect(),
            weights: vec![1.0; n],
        }
    }

    fn truth(i: usize) -> &'static str {
        ["a", "b", "c"][i % 3]
    }

    fn planted(n: usize, wrong: &[usize]) -> Labelled {
        let mut examples = groups(n);
        wrong.iter().for_each(|&i| examples.labels[i] = truth(i + 1).to_owned());
        examples
    }

    fn check(found: &Suspects, wrong: &[usize]) {
        let mut ids: Vec<i64> = found.found.iter().map(|suspect| suspect.id.0 - 10).collect();
        ids.sort_unstable();
        assert_eq!(ids, wrong.iter().map(|&i| i as i64).collect::<Vec<_>>());
        for Suspect { id, label, suggested, probability, suggested_probability } in &found.found {
            let i = (id.0 - 10) as usize;
            assert_eq!((label.as_str(), suggested.as_str()), (truth(i + 1), truth(i)));
            assert!(probability < suggested_probability, "{id}");
        }
        let margin = |s: &Suspect| s.probability - s.suggested_probability;
        let (flagged, others) = found.found.split_at(found.flagged);
        for part in [flagged, others] {
            assert!(part.is_sorted_by(|a, b| margin(a) <= margin(b)));
        }
    }

    #[test]
    fn planted_labels_are_found_one_at_a_time_and_in_parts() {
        let wrong = [3, 17, 31, 44];
        let examples = planted(60, &wrong);
        for one_at_a_time in [SUSPECTS_LEAVE_ONE_OUT, 0] {
            let found = find(&examples, one_at_a_time).unwrap();
            check(&found, &wrong);
            assert_eq!((found.flagged, found.judged, found.alone), (4, 60, 0));
            assert!((found.rate - 4.0 / 60.0).abs() < 0.02, "{}", found.rate);
            assert!(find(&groups(60), one_at_a_time).unwrap().found.is_empty());
        }
    }

    #[test]
    fn the_automatic_head_leaves_out_as_many_as_are_promised() {
        let examples = groups(SUSPECTS_LEAVE_ONE_OUT);
        let (classes, y) = Classes::from_labels(&examples.labels).unwrap();
        let left_out = leave_one_out(examples.embeddings.view(), &y, classes).unwrap();
        assert_eq!(left_out.map(|rows| rows.nrows()), Some(SUSPECTS_LEAVE_ONE_OUT));
    }

    #[test]
    fn more_than_fit_one_at_a_time_are_judged() {
        let wrong: Vec<usize> = (0..12).map(|i| 7 + 90 * i).collect();
        let found = find(&planted(1_100, &wrong), SUSPECTS_LEAVE_ONE_OUT).unwrap();
        check(&found, &wrong);
        // An estimate of how many are wrong, from the confident ones.
        assert!((9..=12).contains(&found.flagged), "{}", found.flagged);
    }

    #[test]
    fn a_part_is_judged_by_the_head_of_the_others() {
        let examples = planted(45, &[6]);
        let (classes, y) = Classes::from_labels(&examples.labels).unwrap();
        let x = examples.embeddings.view();
        let probabilities = leave_parts_out(x, &y, &[true; 45], &classes).unwrap();
        // The part of row 0: every tenth of each class, beginning with another one each.
        let mut seen = [0, 1, 2];
        let part: Vec<usize> = (0..45)
            .filter(|&row| {
                seen[y[row]] += 1;
                (seen[y[row]] - 1) % 10 == 0
            })
            .collect();
        assert!(part.contains(&0) && part.len() > 3);
        let mut others = Statistics::for_embeddings(x).unwrap();
        for row in (0..45).filter(|row| !part.contains(row)) {
            others.add(x.row(row), classes.name(y[row]), 1.0).unwrap();
        }
        let head = others.discriminant(Shrinkage::default()).unwrap();
        let expected = head.predict_proba(x.select(Axis(0), &part).view()).unwrap();
        assert_eq!(probabilities.select(Axis(0), &part), expected);
    }

    #[test]
    fn an_example_alone_in_its_class_is_not_judged() {
        let mut examples = planted(30, &[4]);
        examples.labels[9] = "only".into();
        for one_at_a_time in [SUSPECTS_LEAVE_ONE_OUT, 0] {
            let found = find(&examples, one_at_a_time).unwrap();
            check(&found, &[4]);
            assert_eq!((found.judged, found.alone), (29, 1));
        }
        examples.labels = vec!["one".into(); 30];
        assert!(matches!(find(&examples, 0), Err(Error::Head(_))));
    }
}
