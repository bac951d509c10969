//! Measures turned into figures with what they mean.

use ndarray::{ArrayView2, Axis};

use super::figures::{figure, said};
use super::{Changed, Figure, Sample, Sensitivity};
use crate::inspect::measures::geometry::{
    classes, clusters, collapse, cosines, hubness, invariance, partition, uniformity,
};
use crate::inspect::measures::information::{
    intrinsic_dimension, mutual_information, readable, spectrum::Spectrum,
};
use crate::inspect::numeric::interval::{bootstrap, bootstrap_mean};
use crate::inspect::numeric::neighbors::Neighbors;
use crate::inspect::ranking;

/// The figures so far.
pub(super) struct Told {
    pub(super) rows: usize,
    pub(super) figures: Vec<Figure>,
}

impl Told {
    pub(super) fn add(
        &mut self,
        key: &str,
        value: (f64, Option<super::Interval>),
        meaning: String,
    ) {
        self.figures.extend(figure(key, value, self.rows, meaning));
    }
}

pub(super) fn information(
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
    if let Some((share, interval)) = raw.and_then(|raw| readable::input_share(x, raw)) {
        told.add("input_readable", (share, interval), format!(
            "A linear decoder reads {:.0} % of the input from an embedding; what is not read was \
             compressed away.", 100.0 * share.max(0.0)));
    }
}

pub(super) fn of_views(
    told: &mut Told,
    views: ndarray::ArrayView3<'_, f32>,
    x: ArrayView2<'_, f32>,
    seed: u64,
) {
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
    if let Some((lidar, interval)) = ranking::lidar_with_interval(views) {
        told.add(
            "lidar",
            (lidar, interval),
            format!("About {lidar:.0} directions tell inputs apart beyond what views change."),
        );
    }
    let mean = x.mean_axis(Axis(0));
    if let Some(found) = mean.and_then(|mean| ranking::recognition(views, mean.view(), seed)) {
        told.add(
            "recognition",
            found,
            format!(
                "Of {rows} inputs, {:.0} % of changed views are told to be their own by {} other \
                 views: it needs no label and ranks encoders as a few labels would.",
                100.0 * found.0,
                views.dim().1 / 2
            ),
        );
    }
    told.rows = all;
}

pub(super) fn geometry(
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

pub(super) fn of_groups(
    told: &mut Told,
    groups: Option<&clusters::Grouping>,
    labels: Option<&[usize]>,
) {
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
            said(shared.0, [0.1, 0.8], ["say next to nothing of", "say a part of", "are nearly"])
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

pub(super) fn of_classes(
    told: &mut Told,
    x: ArrayView2<'_, f32>,
    unit: ArrayView2<'_, f32>,
    labels: &[usize],
    near: &Neighbors,
    seed: u64,
) {
    let apart = classes::separation_with_interval(unit, labels);
    told.add(
        "separation",
        apart,
        format!("{:.0} % of the distance between examples is between classes.", 100.0 * apart.0),
    );
    if let Some(found) = collapse::collapse(x, labels) {
        let intervals = collapse::intervals(x, labels, &found);
        told.add(
            "nc1",
            (found.within_over_between, intervals.within_over_between),
            format!(
                "Scatter within classes is {:.1} times that between them.",
                found.within_over_between
            ),
        );
        told.add(
            "cdnv",
            (found.cdnv, intervals.cdnv),
            format!(
                "The variance of a class is {:.1} times the squared distance to another.",
                found.cdnv
            ),
        );
        told.add(
            "directional_cdnv",
            (found.directional, intervals.directional),
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

pub(super) fn sensitivity(sample: &Sample, changed: &Changed) -> Sensitivity {
    let labels = sample.labels.as_deref().filter(|_| sample.classes.len() > 1);
    let each = changed.steps.iter().filter_map(|(strength, x)| {
        let base = sample.embeddings.view();
        invariance::response(base, x.view(), &changed.own, labels, *strength, sample.seed)
    });
    Sensitivity { name: changed.name.clone(), responses: each.collect() }
}
