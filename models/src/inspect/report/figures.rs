//! The figures that are told of every encoder: formula, source, and what a value means.

use super::{Figure, Pillar};
use crate::inspect::Interval;
use Pillar::{Efficiency, Geometry, Information};

type Fact = (Pillar, &'static str, &'static str, &'static str, &'static str);

/// Pillar, key, name, formula, source.
const FACTS: [Fact; 23] = [
    (
        Information,
        "effective_rank",
        "effective rank",
        "exp(−Σ p log p), p = σ / Σσ over the singular values σ of the embeddings",
        "RankMe: Garrido and others, 2022, arXiv:2210.02885",
    ),
    (
        Information,
        "participation_ratio",
        "participation ratio",
        "(Σλ)² / Σλ² over the variances λ of the principal components",
        "Gao and others, 2017, bioRxiv 214262",
    ),
    (
        Information,
        "eigenvalue_decay",
        "decay of eigenvalues",
        "the exponent α of λⱼ ∝ j^(−α), least squares on logarithms over ranks 11 to 50",
        "α-ReQ: Agrawal and others, 2022, arXiv:2202.05808",
    ),
    (
        Information,
        "two_nn",
        "intrinsic dimension (TwoNN)",
        "slope of −log(1 − F(μ)) on log μ, μ = r₂ / r₁ of the two nearest neighbours",
        "Facco and others, 2017, arXiv:1803.06992",
    ),
    (
        Information,
        "intrinsic_mle",
        "intrinsic dimension (likelihood)",
        "1 / mean of 1/(k − 1) Σ log(Tₖ / Tⱼ) over the k = 10 nearest",
        "Levina and Bickel, 2004; MacKay and Ghahramani, 2005",
    ),
    (
        Information,
        "info_nce",
        "information between views",
        "log n + mean log softmax of the cosines of one view with all second views, in nats",
        "InfoNCE: van den Oord and others, 2018, arXiv:1807.03748",
    ),
    (
        Information,
        "input_readable",
        "input readable",
        "R² of ridge regression from the embedding to the input's first 64 principal components, on other examples",
        "after Xu and others, 2020, arXiv:2002.10689",
    ),
    (
        Information,
        "label_readable",
        "label readable",
        "R² of ridge regression from the embedding to the classes' indicators, on other examples",
        "after Xu and others, 2020, arXiv:2002.10689",
    ),
    (
        Geometry,
        "alignment",
        "alignment",
        "mean ‖a − b‖² of unit embeddings of two views",
        "Wang and Isola, 2020, arXiv:2005.10242",
    ),
    (
        Geometry,
        "uniformity",
        "uniformity",
        "log mean exp(−2 ‖a − b‖²) over pairs of unit embeddings",
        "Wang and Isola, 2020, arXiv:2005.10242",
    ),
    (
        Geometry,
        "anisotropy",
        "anisotropy",
        "mean cosine of pairs of different examples",
        "Ethayarajh, 2019, arXiv:1909.00512",
    ),
    (
        Geometry,
        "hubness",
        "hubness",
        "skewness of how often an example is among the 10 nearest of others",
        "Radovanović and others, 2010, JMLR 11",
    ),
    (
        Geometry,
        "silhouette",
        "silhouette of clusters",
        "mean (b − a) / max(a, b) of k-means clusters",
        "Rousseeuw, 1987",
    ),
    (
        Geometry,
        "stability",
        "stability of clusters",
        "mean adjusted Rand index of clusterings learned from two halves",
        "after Lange and others, 2004",
    ),
    (
        Geometry,
        "nmi",
        "clusters against classes",
        "2 I(A; B) / (H(A) + H(B)) of k-means clusters and classes",
        "normalized mutual information, as in scikit-learn",
    ),
    (
        Geometry,
        "purity",
        "purity of clusters",
        "share of examples in the most frequent class of their cluster",
        "Manning and others, 2008, Introduction to Information Retrieval",
    ),
    (
        Geometry,
        "separation",
        "class separation",
        "1 − d within / d total, d the mean of 1 − cosine over pairs",
        "Kornblith and others, 2021, arXiv:2010.16402",
    ),
    (
        Geometry,
        "nc1",
        "neural collapse NC1",
        "tr(Σ_W Σ_B⁺) / K",
        "Papyan and others, 2020, arXiv:2008.08186",
    ),
    (
        Geometry,
        "cdnv",
        "class-distance-normalised variance",
        "mean of σ²ᵢ / ‖μᵢ − μⱼ‖² over pairs of classes",
        "Galanti and others, 2021, arXiv:2112.15121",
    ),
    (
        Geometry,
        "directional_cdnv",
        "the same along the classes' direction",
        "mean of the variance along μᵢ − μⱼ over ‖μᵢ − μⱼ‖²",
        "Luthra and others, 2025, arXiv:2506.04411",
    ),
    (
        Efficiency,
        "nearest_neighbors",
        "accuracy of nearest neighbours",
        "share of examples of the class that most of their 10 nearest others have",
        "leave-one-out",
    ),
    (
        Information,
        "lidar",
        "LiDAR",
        "effective rank of the eigenvalues of Σ_w^(−½) Σ_b Σ_w^(−½), inputs as classes and views as examples",
        "Thilak and others, 2023, arXiv:2312.04000",
    ),
    (
        Efficiency,
        "recognition",
        "recognition of inputs",
        "share of views nearest to their own input, an input being the mean of half of its views; cosines after the mean of all embeddings is taken away",
        "few-shot instance discrimination, after Wu and others, 2018, arXiv:1805.01978, and Snell and others, 2017, arXiv:1703.05175",
    ),
];

/// A figure by its key; `None` where the value is not a number.
pub(super) fn figure(
    key: &str,
    (value, interval): (f64, Option<Interval>),
    rows: usize,
    meaning: String,
) -> Option<Figure> {
    let (pillar, key, name, formula, source) = *FACTS.iter().find(|fact| fact.1 == key)?;
    value.is_finite().then_some(Figure {
        pillar,
        key,
        name,
        value,
        interval,
        meaning,
        formula,
        source,
        rows,
    })
}

/// The first text where the value is below `bounds[0]`, the second below `bounds[1]`, else the
/// third.
pub(super) fn said(value: f64, bounds: [f64; 2], texts: [&str; 3]) -> &str {
    match () {
        () if value < bounds[0] => texts[0],
        () if value < bounds[1] => texts[1],
        () => texts[2],
    }
}
