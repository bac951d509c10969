//! From a sample to its report.

use ndarray::{ArrayView2, Axis};

use super::tell::{Told, geometry, information, of_classes, of_groups, of_views, sensitivity};
use super::{Expected, Map, Nearest, Needed, Report, Sample, Shown};
use crate::error::{Error, Result};
use crate::inspect::map;
use crate::inspect::measures::efficiency::{curve, labels_needed::PowerLaw};
use crate::inspect::measures::geometry::{clusters, cosines, uniformity};
use crate::inspect::measures::information::{bits, readable, spectrum::Spectrum};
use crate::inspect::numeric::neighbors::Neighbors;
use crate::inspect::numeric::products::{first, unit_rows};
use crate::random::SplitMix64;

/// Neighbours that are looked for.
const NEIGHBORS: usize = 10;
/// Rows of the spectrum's numbers that are kept.
const VARIANCES: usize = 200;
/// Examples shown with their nearest others.
const SHOWN: usize = 8;

/// The order in which a report of so many examples takes them, so that the first are a sample
/// wherever only some are used.
pub fn order(rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    SplitMix64::stream(seed, "order", &[]).shuffle(&mut order);
    order
}

/// Labels in that order: what [`Draws`](crate::inspect::measures::efficiency::draws::Draws) of
/// a report are made of.
pub fn labels_in_order(labels: &[usize], seed: u64) -> Vec<usize> {
    order(labels.len(), seed).into_iter().map(|i| labels[i]).collect()
}

/// Computes everything that the sample allows.
///
/// # Errors
/// [`Error::Argument`] when there are fewer than 2 examples, an embedding is not finite, or
/// labels, titles or inputs are not one for each example.
pub fn report(sample: &Sample) -> Result<Report> {
    check(sample)?;
    let seed = sample.seed;
    let order = order(sample.embeddings.nrows(), seed);
    let x = sample.embeddings.select(Axis(0), &order);
    let labels: Option<Vec<usize>> =
        sample.labels.as_ref().map(|labels| order.iter().map(|&i| labels[i]).collect());
    let raw = sample.raw.as_ref().map(|raw| raw.select(Axis(0), &order));
    let unit = unit_rows(x.view());
    let near = Neighbors::among(unit.view(), NEIGHBORS);
    let mut told = Told { rows: x.nrows(), figures: Vec::new() };

    let spectrum = Spectrum::of(x.view());
    information(&mut told, &spectrum, &near, raw.as_ref().map(|raw| raw.view()), x.view(), seed);
    if let Some(labels) = &labels
        && let Some((share, interval)) = readable::label_share(x.view(), labels)
    {
        told.add(
            "label_readable",
            (share, interval),
            format!(
                "A linear decoder reads {:.0} % of the label from an embedding.",
                100.0 * share
            ),
        );
    }
    let views = sample.views.as_ref().filter(|views| views.dim().1 >= 2);
    if let Some(views) = views {
        of_views(&mut told, views.view(), x.view(), seed);
    }
    let cosines = cosines::cosines(unit.view(), seed);
    geometry(&mut told, unit.view(), &near, cosines.as_ref(), seed);
    let k = labels.as_ref().map(|_| sample.classes.len());
    let groups = clusters::group(first(unit.view(), 5000), k, seed);
    of_groups(&mut told, groups.as_ref(), labels.as_deref());
    if let Some(labels) = &labels {
        of_classes(&mut told, x.view(), unit.view(), labels, &near, seed);
    }

    let curves_of = |x: Option<ArrayView2<'_, f32>>| match (&labels, x) {
        (Some(labels), Some(x)) => curve::curves(x, labels, seed),
        _ => Vec::new(),
    };
    let curves = curves_of(Some(x.view()));
    let raw_curves = curves_of(raw.as_ref().map(|raw| raw.view()));
    let untrained = sample.untrained.as_ref().map(|x| x.select(Axis(0), &order));
    let untrained_curves = curves_of(untrained.as_ref().map(|x| x.view()));
    let (needed, expected) = beyond(&curves, seed);
    let sensitivity = sample.changed.iter().map(|c| sensitivity(sample, c)).collect();
    let titles: Vec<String> = order.iter().map(|&i| sample.titles[i].clone()).collect();
    Ok(Report {
        encoder: sample.encoder.clone(),
        digest: sample.digest.clone(),
        inputs: sample.inputs.clone(),
        total: sample.total,
        rows: x.nrows(),
        width: x.ncols(),
        seed,
        notes: notes(sample, &near, &spectrum),
        figures: told.figures,
        layers: super::layers::readable(sample),
        variances: spectrum.variances.iter().copied().take(VARIANCES).collect(),
        bits: bits::kept(x.view(), seed),
        cosines,
        sensitivity,
        needed,
        expected,
        curves,
        raw_curves,
        untrained_curves,
        from_scratch: sample.from_scratch.clone(),
        map: mapped(sample, unit.view(), &titles, labels.as_deref(), groups.as_ref(), &order),
        nearest: nearest(&titles, &near, &order),
    })
}

fn check(sample: &Sample) -> Result<()> {
    let n = sample.embeddings.nrows();
    let bad = |reason: String| Err(Error::Argument(reason));
    if n < 2 {
        return bad(format!(
            "a report needs at least 2 examples and was given {n}; give more data"
        ));
    }
    for (row, values) in sample.embeddings.outer_iter().enumerate() {
        if values.iter().any(|v| !v.is_finite()) {
            return bad(format!(
                "the embedding of example {} is not finite, so the encoder cannot be judged",
                row + 1
            ));
        }
    }
    let labels = sample.labels.as_ref().map(Vec::len);
    let raw = sample.raw.as_ref().map(ndarray::Array2::nrows);
    let untrained = sample.untrained.as_ref().map(ndarray::Array2::nrows);
    for (what, count) in [
        ("labels", labels),
        ("inputs", raw),
        ("embeddings by the untrained network", untrained),
        ("titles", Some(sample.titles.len())),
    ] {
        if let Some(count) = count.filter(|&count| count != n) {
            return bad(format!("there are {n} embeddings and {count} {what}"));
        }
    }
    let known = sample.layers.iter().all(|x| x.nrows() == sample.layer_rows.len());
    if !known || sample.layer_rows.iter().any(|&row| row >= n) {
        return bad("what stands after each block is not of the sample".into());
    }
    let classes = sample.classes.len();
    if sample.labels.iter().flatten().any(|&label| label >= classes) {
        return bad(format!("a label is not one of the {classes} classes"));
    }
    Ok(())
}

fn notes(sample: &Sample, near: &Neighbors, spectrum: &Spectrum) -> Vec<String> {
    let mut notes = Vec::new();
    let (n, d) = sample.embeddings.dim();
    if sample.total > n as u64 {
        notes.push(format!(
            "Figures are of a random sample of {n} of {} {}.",
            sample.total, sample.inputs
        ));
    }
    if n < d {
        notes.push(format!(
            "There are fewer examples ({n}) than dimensions ({d}): ranks and variances are of \
             these examples and below those of the encoder."
        ));
    }
    let twins = near.distances.outer_iter().filter(|row| row.first() == Some(&0.0)).count();
    if twins > 0 {
        notes.push(format!(
            "{twins} examples have the same embedding as another; neighbours and dimensions are \
             as good as the data is free of duplicates."
        ));
    }
    let constant =
        sample.embeddings.columns().into_iter().filter(|c| c.iter().all(|v| *v == c[0])).count();
    if constant > 0 {
        notes.push(format!("{constant} of {d} dimensions never change."));
    }
    if spectrum.rows < n {
        notes.push(format!("The spectrum is of {} examples.", spectrum.rows));
    }
    if sample.labels.is_some() && sample.classes.len() < 2 {
        notes.push("All labels are the same, so nothing is said of classes.".into());
    }
    notes.extend(sample.notes.iter().cloned());
    if n > bits::MOST_ROWS {
        notes.push(format!(
            "Where every pair is compared, a random part is used: {} examples for smaller forms, \
             {} for uniformity and cosines, {} for silhouettes, {} on the map.",
            bits::MOST_ROWS,
            uniformity::MOST_ROWS,
            clusters::MOST_ROWS,
            map::MOST_ROWS
        ));
    }
    notes
}

/// Labels for up to five accuracies in steps of 5 %, from a little below the best measured one,
/// and accuracies at more labels than were measured.
fn beyond(curves: &[curve::Curve], seed: u64) -> (Vec<Needed>, Vec<Expected>) {
    let nothing = || (Vec::new(), Vec::new());
    let Some(curve) = curves.iter().find(|curve| curve.head == super::PROBE) else {
        return nothing();
    };
    let Some(law) = PowerLaw::fit(&curve.points, seed) else { return nothing() };
    let best = curve.points.iter().map(|p| p.accuracy).fold(0.0, f64::max);
    let mut wanted: Vec<f64> =
        (1..20).map(|step| f64::from(step) * 0.05).filter(|a| *a > best - 0.12).take(5).collect();
    wanted.retain(|accuracy| *accuracy < 1.0);
    let needed = wanted.into_iter().map(|accuracy| {
        let (labels, interval) = law.labels_for(accuracy);
        Needed { accuracy, labels, interval }
    });
    let most = curve.points.iter().map(|p| p.labels).max().unwrap_or(0);
    let expected = [2, 4, 8].map(|times| {
        let labels = times * most;
        let (accuracy, interval) = law.accuracy(labels);
        Expected { labels, accuracy, interval }
    });
    (needed.collect(), expected.into())
}

fn mapped(
    sample: &Sample,
    unit: ArrayView2<'_, f32>,
    titles: &[String],
    labels: Option<&[usize]>,
    groups: Option<&clusters::Grouping>,
    order: &[usize],
) -> Map {
    let part = first(unit, map::MOST_ROWS);
    let n = part.nrows();
    let pairs = |plane: ndarray::Array2<f64>| plane.outer_iter().map(|p| [p[0], p[1]]).collect();
    let (of, names) = match (labels, groups) {
        (Some(labels), _) => (labels[..n].to_vec(), sample.classes.clone()),
        (None, Some(groups)) => {
            (groups.of[..n].to_vec(), (1..=groups.k).map(|k| format!("cluster {k}")).collect())
        }
        (None, None) => (vec![0; n], vec!["all".to_owned()]),
    };
    Map {
        rows: order[..n].to_vec(),
        titles: titles[..n].to_vec(),
        pca: pairs(map::pca(part)),
        t_sne: pairs(map::t_sne(part, 30.0, sample.seed)),
        groups: of,
        names,
    }
}

fn nearest(titles: &[String], near: &Neighbors, order: &[usize]) -> Vec<Nearest> {
    let shown = |i: usize| Shown { row: order[i], title: titles[i].clone(), picture: None };
    let each = (0..titles.len().min(SHOWN)).map(|i| {
        let found = near.rows.row(i).into_iter().zip(near.distances.row(i)).take(3);
        Nearest {
            example: shown(i),
            nearest: found
                .map(|(&j, distance)| (shown(j as usize), 1.0 - distance * distance / 2.0))
                .collect(),
        }
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn sample(rows: usize, width: usize) -> Sample {
        let mut random = SplitMix64::new(1);
        let embeddings = Array2::from_shape_fn((rows, width), |(i, j)| {
            random.normal() + if j == i % 3 { 4.0 } else { 0.0 }
        });
        Sample {
            encoder: "e".into(),
            inputs: "texts".into(),
            total: rows as u64,
            titles: (0..rows).map(|i| format!("text {i}")).collect(),
            classes: vec!["a".into(), "b".into(), "c".into()],
            labels: Some((0..rows).map(|i| i % 3).collect()),
            embeddings,
            ..Sample::default()
        }
    }

    #[test]
    fn a_whole_report_and_its_json() {
        let report = report(&sample(150, 6)).unwrap();
        for key in ["effective_rank", "two_nn", "hubness", "nmi", "directional_cdnv"] {
            let figure = report.figure(key).unwrap();
            assert!(figure.interval.is_none_or(|i| i.low <= i.high), "{figure:?}");
            assert!(!figure.meaning.is_empty() && !figure.formula.is_empty());
        }
        assert!(report.few_shot(10).unwrap() > 0.9);
        let most = report.curves[2].points.last().unwrap().labels;
        let expected: Vec<usize> = report.expected.iter().map(|e| e.labels / most).collect();
        assert_eq!(expected, [2, 4, 8]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["figures"][0]["pillar"], "information");
        assert_eq!(json["map"]["pca"].as_array().unwrap().len(), 150);
        assert_eq!(super::report(&sample(150, 6)).unwrap(), report);
    }

    #[test]
    fn bad_samples_are_refused_and_poor_ones_are_told_of() {
        let refused = |change: &dyn Fn(&mut Sample)| {
            let mut bad = sample(40, 4);
            change(&mut bad);
            report(&bad).unwrap_err().to_string()
        };
        assert!(refused(&|s| s.embeddings[[3, 1]] = f32::NAN).contains("example 4"));
        assert!(refused(&|s| s.labels = Some(vec![0; 7])).contains("40 embeddings and 7 labels"));
        assert!(refused(&|s| s.labels = Some(vec![9; 40])).contains("3 classes"));
        assert!(report(&sample(1, 4)).unwrap_err().to_string().contains("at least 2"));

        let mut poor = sample(12, 40);
        poor.embeddings.column_mut(2).fill(1.0);
        let twin = poor.embeddings.row(0).to_owned();
        poor.embeddings.row_mut(5).assign(&twin);
        (poor.labels, poor.classes) = (Some(vec![0; 12]), vec!["a".into()]);
        poor.total = 10_000_000;
        let report = report(&poor).unwrap();
        let said = report.notes.join(" ");
        for part in ["10000000", "fewer examples (12)", "2 examples have", "1 of 40", "same, so"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(report.curves.is_empty() && report.figure("nc1").is_none());
        let mut collapsed = sample(60, 5);
        collapsed.embeddings.fill(0.5);
        let report = super::report(&collapsed).unwrap();
        assert!((report.figure("effective_rank").unwrap().value - 1.0).abs() < 1e-6);
        assert!(super::report(&sample(2, 3)).is_ok());
    }
}
