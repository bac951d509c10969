//! From a sample to its report.

use ndarray::{ArrayView2, Axis};

use super::figures::{figure, said};
use super::{Changed, Figure, Map, Nearest, Needed, Report, Sample, Sensitivity};
use crate::error::{Error, Result};
use crate::inspect::measures::efficiency::{curve, labels_needed::PowerLaw};
use crate::inspect::measures::geometry::{
    classes, clusters, collapse, cosines, hubness, invariance, partition, uniformity,
};
use crate::inspect::measures::information::{
    bits, intrinsic_dimension, mutual_information, readable, spectrum::Spectrum,
};
use crate::inspect::numeric::interval::{bootstrap, bootstrap_mean};
use crate::inspect::numeric::neighbors::Neighbors;
use crate::inspect::numeric::products::{first, unit_rows};
use crate::inspect::{map, ranking};
use crate::random::SplitMix64;

/// Neighbours that are looked for.
const NEIGHBORS: usize = 10;
/// Rows of the spectrum's numbers that are kept.
const VARIANCES: usize = 200;
/// Examples shown with their nearest others.
const SHOWN: usize = 8;

/// Computes everything that the sample allows.
///
/// # Errors
/// [`Error::Argument`] when there are fewer than 2 examples, an embedding is not finite, or
/// labels, titles or inputs are not one for each example.
pub fn report(sample: &Sample) -> Result<Report> {
    check(sample)?;
    let seed = sample.seed;
    // In an order of its own, so that the first rows are a sample wherever only some are used.
    let mut order: Vec<usize> = (0..sample.embeddings.nrows()).collect();
    SplitMix64::stream(seed, "order", &[]).shuffle(&mut order);
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
        && let Some(share) = readable::label_share(x.view(), labels)
    {
        told.add(
            "label_readable",
            (share, None),
            format!(
                "A linear decoder reads {:.0} % of the label from an embedding.",
                100.0 * share
            ),
        );
    }
    let views = sample.views.as_ref().filter(|views| views.dim().1 >= 2);
    if let Some(views) = views {
        of_views(&mut told, views.view(), seed);
    }
    let cosines = cosines::cosines(unit.view(), seed);
    geometry(&mut told, unit.view(), &near, cosines.as_ref(), seed);
    let k = labels.as_ref().map(|_| sample.classes.len());
    let groups = clusters::group(first(unit.view(), 5000), k, seed);
    of_groups(&mut told, groups.as_ref(), labels.as_deref());
    if let Some(labels) = &labels {
        of_classes(&mut told, x.view(), unit.view(), labels, &near, seed);
    }

    let (mut curves, mut raw_curves) = (Vec::new(), Vec::new());
    if let Some(labels) = &labels {
        curves = curve::curves(x.view(), labels, seed);
        if let Some(raw) = &raw {
            raw_curves = curve::curves(raw.view(), labels, seed);
        }
    }
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
        variances: spectrum.variances.iter().copied().take(VARIANCES).collect(),
        bits: bits::kept(x.view(), seed),
        cosines,
        sensitivity,
        needed: needed(&curves, seed),
        curves,
        raw_curves,
        map: mapped(sample, unit.view(), &titles, labels.as_deref(), groups.as_ref(), &order),
        nearest: nearest(&titles, &near),
    })
}

struct Told {
    rows: usize,
    figures: Vec<Figure>,
}

impl Told {
    fn add(&mut self, key: &str, value: (f64, Option<super::Interval>), meaning: String) {
        self.figures.extend(figure(key, value, self.rows, meaning));
    }
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
    for (what, count) in
        [("labels", labels), ("inputs", raw), ("titles", Some(sample.titles.len()))]
    {
        if let Some(count) = count.filter(|&count| count != n) {
            return bad(format!("there are {n} embeddings and {count} {what}"));
        }
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

fn information(
    told: &mut Told,
    spectrum: &Spectrum,
    near: &Neighbors,
    raw: Option<ArrayView2<'_, f32>>,
    x: ArrayView2<'_, f32>,
    seed: u64,
) {
    let most = x.nrows().min(x.ncols()) as f64;
    let rank = spectrum.rank_me();
    told.add(
        "effective_rank",
        rank,
        format!(
            "The embeddings use about {:.0} of {most} possible directions: {}.",
            rank.0,
            said(
                rank.0 / most,
                [0.05, 0.4],
                [
                    "few, the encoder may have collapsed on this data",
                    "a part, as is usual on data of one kind",
                    "most, little is wasted",
                ]
            )
        ),
    );
    let ratio = spectrum.participation_ratio();
    told.add(
        "participation_ratio",
        ratio,
        format!("Most of the variance lies in about {:.0} directions.", ratio.0),
    );
    let decay = spectrum.decay();
    told.add(
        "eigenvalue_decay",
        decay,
        format!(
            "Variance falls as rank to the power of −{:.2}: {}.",
            decay.0,
            said(
                decay.0,
                [0.6, 1.6],
                [
                    "slowly, near noise",
                    "near the balance of detail and smoothness that transfers well",
                    "fast, a few directions have it all",
                ]
            )
        ),
    );
    let pairs: Vec<(f64, f64)> = match near.distances.ncols() {
        0 | 1 => Vec::new(),
        _ => near.distances.outer_iter().map(|row| (row[0], row[1])).collect(),
    };
    if let Some(found) = intrinsic_dimension::two_nn(&pairs, seed) {
        told.add(
            "two_nn",
            found,
            format!(
                "Near each example the data varies in about {:.0} ways; shown, not scored.",
                found.0
            ),
        );
    }
    let rows: Vec<Vec<f64>> = near.distances.outer_iter().map(|row| row.to_vec()).collect();
    if let Some(found) =
        intrinsic_dimension::maximum_likelihood(rows.iter().map(Vec::as_slice), seed)
    {
        told.add(
            "intrinsic_mle",
            found,
            format!("By more neighbours, about {:.0} ways; shown, not scored.", found.0),
        );
    }
    if let Some(share) = raw.and_then(|raw| readable::input_share(x, raw)) {
        told.add("input_readable", (share, None), format!(
            "A linear decoder reads {:.0} % of the input from an embedding; what is not read was \
             compressed away.", 100.0 * share.max(0.0)));
    }
}

fn of_views(told: &mut Told, views: ndarray::ArrayView3<'_, f32>, seed: u64) {
    let view = |number| views.index_axis(Axis(1), number);
    let (rows, all) = (views.dim().0, told.rows);
    told.rows = rows;
    if let Some(bound) = mutual_information::info_nce(view(0), view(1), seed) {
        told.add("info_nce", (bound.nats, bound.interval), format!(
            "Two changed views of an input share at least {:.1} nats of at most {:.1} that can be \
             shown: {}.", bound.nats, bound.most,
            said(bound.nats / bound.most, [0.3, 0.8], [
                "views are hardly recognised", "views are mostly recognised",
                "views are recognised nearly always"])));
    }
    if let Some(found) = uniformity::alignment(view(0), view(1), seed) {
        told.add("alignment", found, format!(
            "Two views of an input are {:.2} apart, where unrelated inputs of an even encoder are \
             2 apart.", found.0));
    }
    if let Some(lidar) = ranking::lidar(views) {
        told.add(
            "lidar",
            (lidar, None),
            format!("About {lidar:.0} directions tell inputs apart beyond what views change."),
        );
    }
    told.rows = all;
}

fn geometry(
    told: &mut Told,
    unit: ArrayView2<'_, f32>,
    near: &Neighbors,
    cosines: Option<&cosines::Cosines>,
    seed: u64,
) {
    let spread = uniformity::uniformity_with_interval(unit, seed);
    told.add(
        "uniformity",
        spread,
        format!(
            "Embeddings are {} on the sphere (0 is one point, −4 is even).",
            said(spread.0, [-3.0, -1.0], ["spread evenly", "spread over a part", "crowded"])
        ),
    );
    if let Some(cosines) = cosines {
        told.add(
            "anisotropy",
            (cosines.mean, cosines.interval),
            format!(
                "Two unrelated inputs have a cosine of {:.2} ± {:.2}: {}.",
                cosines.mean,
                cosines.deviation,
                said(
                    cosines.mean,
                    [0.2, 0.6],
                    [
                        "directions are used evenly",
                        "all share a common part; thresholds on cosines must lie above it",
                        "nearly all point the same way; take the mean out before comparing"
                    ]
                )
            ),
        );
    }
    if let Some(hubs) = hubness::hubness(near, seed) {
        told.add("hubness", (hubs.skewness, hubs.interval), format!(
            "{:.0} % of the inputs are never among the 10 nearest of another, and one is {} times.",
            100.0 * hubs.never, hubs.most));
    }
}

fn of_groups(told: &mut Told, groups: Option<&clusters::Grouping>, labels: Option<&[usize]>) {
    let Some(groups) = groups else { return };
    told.add(
        "silhouette",
        (groups.silhouette, groups.interval),
        format!(
            "{} clusters {}.",
            groups.k,
            said(
                groups.silhouette,
                [0.1, 0.4],
                [
                    "hardly stand apart: the data is one cloud to this encoder",
                    "stand apart a little",
                    "stand well apart"
                ]
            )
        ),
    );
    told.add(
        "stability",
        (groups.stability, groups.stability_interval),
        format!(
            "Two halves of the data give {} clusters.",
            said(groups.stability, [0.4, 0.8], ["different", "similar", "the same"])
        ),
    );
    let Some(labels) = labels.and_then(|labels| labels.get(..groups.of.len())) else { return };
    let by = |of: fn(&[usize], &[usize]) -> f64| {
        let interval = bootstrap(labels.len(), 1, |drawn| {
            let pick = |x: &[usize]| drawn.iter().map(|&i| x[i]).collect::<Vec<_>>();
            of(&pick(&groups.of), &pick(labels))
        });
        (of(&groups.of, labels), interval)
    };
    let shared = by(partition::normalized_mutual_information);
    told.add(
        "nmi",
        shared,
        format!(
            "Clusters that nobody labelled {} the classes.",
            said(shared.0, [0.1, 0.5], ["say next to nothing of", "say a part of", "are nearly"])
        ),
    );
    let purity = by(partition::purity);
    told.add(
        "purity",
        purity,
        format!(
            "Naming each cluster after its most frequent class is right for {:.0} %.",
            100.0 * purity.0
        ),
    );
}

fn of_classes(
    told: &mut Told,
    x: ArrayView2<'_, f32>,
    unit: ArrayView2<'_, f32>,
    labels: &[usize],
    near: &Neighbors,
    seed: u64,
) {
    let apart = classes::separation(unit, labels);
    told.add(
        "separation",
        (apart, None),
        format!("{:.0} % of the distance between examples is between classes.", 100.0 * apart),
    );
    if let Some(found) = collapse::collapse(x, labels) {
        told.add(
            "nc1",
            (found.within_over_between, None),
            format!(
                "Scatter within classes is {:.1} times that between them.",
                found.within_over_between
            ),
        );
        told.add(
            "cdnv",
            (found.cdnv, None),
            format!(
                "The variance of a class is {:.1} times the squared distance to another.",
                found.cdnv
            ),
        );
        told.add(
            "directional_cdnv",
            (found.directional, None),
            format!(
                "Along the line to another class it is {:.2} times: {}.",
                found.directional,
                said(
                    found.directional,
                    [0.1, 0.5],
                    ["few labels suffice", "some labels are needed", "many labels are needed"]
                )
            ),
        );
    }
    if labels.iter().any(|label| *label != labels[0]) {
        let rows = near.rows.outer_iter().zip(labels);
        let right: Vec<f64> = rows
            .map(|(rows, own)| {
                let found = invariance::vote(rows.iter().map(|&j| labels[j as usize]));
                f64::from(found == Some(*own))
            })
            .collect();
        let accuracy = right.iter().sum::<f64>() / right.len() as f64;
        told.add(
            "nearest_neighbors",
            (accuracy, bootstrap_mean(&right, seed)),
            format!(
                "The 10 most similar others tell the class in {:.0} % of cases.",
                100.0 * accuracy
            ),
        );
    }
}

fn sensitivity(sample: &Sample, changed: &Changed) -> Sensitivity {
    let labels = sample.labels.as_deref().filter(|_| sample.classes.len() > 1);
    let each = changed.steps.iter().filter_map(|(strength, x)| {
        let base = sample.embeddings.view();
        invariance::response(base, x.view(), &changed.own, labels, *strength, sample.seed)
    });
    Sensitivity { name: changed.name.clone(), responses: each.collect() }
}

/// Labels for what is a quarter, a half and three quarters of the way from the best measured
/// accuracy to 1, and for the best itself.
fn needed(curves: &[curve::Curve], seed: u64) -> Vec<Needed> {
    let Some(curve) = curves.iter().find(|curve| curve.head == "ridge") else { return Vec::new() };
    let Some(law) = PowerLaw::fit(&curve.points, seed) else { return Vec::new() };
    let best = curve.points.iter().map(|p| p.accuracy).fold(0.0, f64::max);
    let mut wanted: Vec<f64> =
        (1..20).map(|step| f64::from(step) * 0.05).filter(|a| *a > best - 0.12).take(5).collect();
    wanted.retain(|accuracy| *accuracy < 1.0);
    let each = wanted.into_iter().map(|accuracy| {
        let (labels, interval) = law.labels_for(accuracy);
        Needed { accuracy, labels, interval }
    });
    each.collect()
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

fn nearest(titles: &[String], near: &Neighbors) -> Vec<Nearest> {
    let each = titles.iter().enumerate().take(SHOWN).map(|(i, title)| {
        let others = near.rows.row(i);
        let found = others.iter().zip(near.distances.row(i)).take(3);
        Nearest {
            example: title.clone(),
            nearest: found
                .map(|(&j, distance)| (titles[j as usize].clone(), 1.0 - distance * distance / 2.0))
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
