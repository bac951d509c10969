//! Everything that can be said of an encoder on a person's data, in one structure.

mod build;
mod figures;
mod html;
mod layers;
mod picture;
mod tell;

use ndarray::{Array2, Array3};

pub use build::{labels_in_order, order, report};
pub use html::page;
pub use picture::picture;

use super::Interval;
use super::measures::efficiency::curve::Curve;
use super::measures::geometry::cosines::Cosines;
use super::measures::geometry::invariance::Response;
use super::measures::information::bits::Kept;

/// What a report is made of: the embeddings of an encoder and whatever else is known.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Name of the encoder.
    pub encoder: String,
    /// Its digest.
    pub digest: String,
    /// What the inputs are called: `texts`, `images`, `signals`.
    pub inputs: String,
    /// Number of inputs that the sample was drawn from.
    pub total: u64,
    /// Embeddings `[examples, width]`.
    pub embeddings: Array2<f32>,
    /// What a person is shown of each example.
    pub titles: Vec<String>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The class of each example, where all have one.
    pub labels: Option<Vec<usize>>,
    /// The inputs themselves as numbers, `[examples, numbers]`.
    pub raw: Option<Array2<f32>>,
    /// Embeddings by the same network untrained, `[examples, width]`, where it is known.
    pub untrained: Option<Array2<f32>>,
    /// Accuracy of the same network when it learns from the labels alone, on the draws of
    /// [`labels_in_order`].
    pub from_scratch: Option<Curve>,
    /// What else a reader must know.
    pub notes: Vec<String>,
    /// Examples of which what stands after each block is known.
    pub layer_rows: Vec<usize>,
    /// Those means over places, `[examples, width]`, from the first block to the last.
    pub layers: Vec<Array2<f32>>,
    /// Embeddings of changed views `[inputs, views, width]`.
    pub views: Option<Array3<f32>>,
    /// Embeddings of examples that were changed more and more.
    pub changed: Vec<Changed>,
    /// The seed of everything that is drawn.
    pub seed: u64,
}

/// Examples after one change at several strengths.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Name of the change.
    pub name: String,
    /// The number of each changed example in the sample.
    pub own: Vec<usize>,
    /// Strengths, from 0 to 1, and the embeddings.
    pub steps: Vec<(f64, Array2<f32>)>,
}

/// One of the three questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pillar {
    /// How much is kept, in how few numbers?
    Information,
    /// What is near what, and what moves it?
    Geometry,
    /// How far do labels go?
    Efficiency,
}

/// One figure with all that a person needs to read it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Figure {
    /// Its question.
    pub pillar: Pillar,
    /// Its name for machines.
    pub key: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The value.
    pub value: f64,
    /// Its 95 % interval, where there is one.
    pub interval: Option<Interval>,
    /// What it says of this encoder on this data, in one sentence.
    pub meaning: String,
    /// How it is computed.
    pub formula: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Examples that it was computed from.
    pub rows: usize,
}

/// Answers to one change.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Sensitivity {
    /// Name of the change.
    pub name: String,
    /// From weak to strong.
    pub responses: Vec<Response>,
}

/// Labels of each class that a wanted accuracy needs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Needed {
    /// The wanted accuracy.
    pub accuracy: f64,
    /// Labels of each class by the fitted curve; `null` where it never gets there.
    pub labels: f64,
    /// 95 % interval; an end that is `null` is without bound.
    pub interval: Option<Interval>,
}

/// What a linear decoder reads after a block: compression and prediction, layer by layer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Layer {
    /// The block, from 1.
    pub block: usize,
    /// Share of the input.
    pub input: Option<f64>,
    /// Its 95 % interval.
    pub input_interval: Option<Interval>,
    /// Share of the label.
    pub label: Option<f64>,
    /// Its 95 % interval.
    pub label_interval: Option<Interval>,
}

/// Accuracy that more labels would give.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Expected {
    /// Labels of each class.
    pub labels: usize,
    /// Accuracy by the fitted curve.
    pub accuracy: f64,
    /// 95 % interval.
    pub interval: Option<Interval>,
}

/// The map: where each shown example lies.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Map {
    /// Numbers of the examples in the sample.
    pub rows: Vec<usize>,
    /// What a person is shown of each.
    pub titles: Vec<String>,
    /// The first two principal components.
    pub pca: Vec<[f64; 2]>,
    /// t-SNE.
    pub t_sne: Vec<[f64; 2]>,
    /// The group of each: its class, or its cluster where there are no labels.
    pub groups: Vec<usize>,
    /// Names of the groups.
    pub names: Vec<String>,
}

/// An example and its nearest others.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Nearest {
    /// The example.
    pub example: Shown,
    /// Its nearest others, with the cosine.
    pub nearest: Vec<(Shown, f64)>,
}

/// An example that a person can look at.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Shown {
    /// Its number in the sample.
    pub row: usize,
    /// What a person is shown of it.
    pub title: String,
    /// A piece of a page, see [`picture`].
    #[serde(skip)]
    pub picture: Option<String>,
}

/// The report of one encoder on one sample.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Report {
    /// Name of the encoder.
    pub encoder: String,
    /// Its digest.
    pub digest: String,
    /// What the inputs are called.
    pub inputs: String,
    /// Number of inputs that the sample was drawn from.
    pub total: u64,
    /// Examples in the sample.
    pub rows: usize,
    /// Numbers of an embedding.
    pub width: usize,
    /// The seed.
    pub seed: u64,
    /// What a reader must know: samples, duplicates, constant dimensions, too few rows.
    pub notes: Vec<String>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What is readable after each block.
    pub layers: Vec<Layer>,
    /// Variances of the principal components, falling.
    pub variances: Vec<f64>,
    /// What smaller forms keep.
    pub bits: Vec<Kept>,
    /// Cosines of pairs.
    pub cosines: Option<Cosines>,
    /// Answers to changes.
    pub sensitivity: Vec<Sensitivity>,
    /// Accuracy against labels.
    pub curves: Vec<Curve>,
    /// The same of the raw inputs.
    pub raw_curves: Vec<Curve>,
    /// The same of the same network untrained.
    pub untrained_curves: Vec<Curve>,
    /// The same network when it learns from the labels alone.
    pub from_scratch: Option<Curve>,
    /// Labels that accuracies need, by the curve of the linear probe.
    pub needed: Vec<Needed>,
    /// Accuracy at 2, 4 and 8 times the most labels measured, by the same curve.
    pub expected: Vec<Expected>,
    /// The map.
    pub map: Map,
    /// Examples with their nearest others.
    pub nearest: Vec<Nearest>,
}

/// The head that is the linear probe.
pub(super) const PROBE: &str = "ridge";

impl Report {
    /// Adds pictures of the examples that are shown with their nearest others; `picture` is
    /// asked for those of a number in the sample.
    ///
    /// # Errors
    /// Those of `picture`.
    pub fn illustrate<E>(
        &mut self,
        mut picture: impl FnMut(usize) -> Result<Option<String>, E>,
    ) -> Result<(), E> {
        for each in &mut self.nearest {
            let others = each.nearest.iter_mut().map(|(shown, _)| shown);
            for shown in std::iter::once(&mut each.example).chain(others) {
                shown.picture = picture(shown.row)?;
            }
        }
        Ok(())
    }

    /// Every curve of accuracy that is shown, with what it is of, the encoder's own first.
    pub fn shown_curves(&self) -> impl Iterator<Item = (&'static str, &Curve)> {
        let own = self.curves.iter().map(|curve| ("", curve));
        let raw = self.raw_curves.iter().map(|curve| ("raw inputs", curve));
        let untrained = self.untrained_curves.iter().filter(|curve| curve.head == PROBE);
        own.chain(raw)
            .chain(untrained.map(|curve| ("the same network untrained", curve)))
            .chain(self.from_scratch.iter().map(|curve| ("the same network", curve)))
    }

    /// The figure of a key.
    pub fn figure(&self, key: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.key == key)
    }

    /// Mean accuracy of the linear probe at the number of labels nearest to `labels`.
    pub fn few_shot(&self, labels: usize) -> Option<f64> {
        let curve = self.curves.iter().find(|curve| curve.head == PROBE)?;
        let point = curve.points.iter().min_by_key(|point| point.labels.abs_diff(labels))?;
        Some(point.accuracy)
    }
}
