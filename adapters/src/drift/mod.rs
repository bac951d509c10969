//! Whether today's inputs still look like those that a learner was made for.

mod bins;
mod directions;

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::error::{Error, Result};
use crate::examples::check_finite;
use bins::{Bins, chi_squared_tail};
use directions::directions;

/// Directions that embeddings are seen along.
const DIRECTIONS: usize = 12;
/// Numbers that are watched: those along the directions, and the distance from the mean.
const WATCHED: usize = DIRECTIONS + 1;
/// Fewest embeddings of a reference.
pub const MIN_REFERENCE: usize = 100;
/// Fewest embeddings that are compared.
pub const MIN_COMPARED: usize = 20;

/// What embeddings looked like, in a few kilobytes: their mean, and quantiles of 13 numbers of
/// each embedding. It holds no embedding.
///
/// # Formula
///
/// The numbers are products of the embedding with 12 random directions of unit length, which
/// depend on the width alone, and its distance from the reference's mean (of a reference's own
/// embedding, from the mean of the others). 48 quantiles of each are kept. New embeddings are
/// counted between m - 1 of these, m = 17, 9, 5 or 3 so that 5 are expected in each part, and
///
/// `Σ (count - N w)² / (N w (1 + N / n))`
///
/// of N new and n reference embeddings, with w a part's share of the reference, has the χ²
/// distribution of m - 1 degrees of freedom where nothing changed (the two-sample χ² test). The
/// smallest of the 13 tail probabilities, times 13 (Bonferroni), is the p-value: the rate of
/// false alarms is at most the one asked for, up to the approximation by χ².
///
/// # Limits
///
/// A change that moves no distribution along any of the 12 directions, nor the distance from
/// the mean, is not seen. Embeddings are taken to be independent: neighbouring windows of one
/// recording are not, and raise more alarms.
///
/// # Source
///
/// One-dimensional tests with Bonferroni's correction on representations of an encoder are
/// what Rabanser and others, 2019, arXiv:1810.11953, find to detect shift best.
///
/// ```
/// use ndarray::Array2;
/// use offshoot_adapters::drift::Reference;
///
/// let week = Array2::from_shape_fn((300, 3), |(i, j)| ((i * 7 + j * 3) as f32).sin());
/// let reference = Reference::new(week.view())?;
/// assert!(!reference.compare(week.view(), 0.01)?.drifted);
/// assert!(reference.compare((week + 1.0).view(), 0.01)?.drifted);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    rows: usize,
    mean: Array1<f64>,
    /// Of each watched number.
    bins: Vec<Bins>,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Drift {
    /// Embeddings compared.
    pub rows: usize,
    /// How likely so large a difference is where nothing changed, 1 at most.
    pub p_value: f64,
    /// Whether that is below the rate of false alarms asked for.
    pub drifted: bool,
    /// Whether the distance from the mean differs most: inputs have become stranger (or
    /// plainer), rather than others of the same kind.
    pub by_distance: bool,
    /// Distance of the new mean from the reference's, in root mean squared distances of single
    /// reference embeddings from it: 0 is none.
    pub mean_shift: f64,
}

impl Reference {
    /// The reference of embeddings `[rows, dimensions]`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] of fewer than [`MIN_REFERENCE`] rows, [`Error::NoDimensions`],
    /// [`Error::NotFinite`].
    pub fn new(x: ArrayView2<f32>) -> Result<Self> {
        let rows = x.nrows();
        if x.ncols() == 0 {
            return Err(Error::NoDimensions);
        }
        enough(rows, MIN_REFERENCE, "a reference needs at least 100 embeddings")?;
        check_finite(x)?;
        let mean = mean(x);
        // From the mean of the others, so that a new embedding is no further off by itself.
        let others = rows as f64 / (rows - 1) as f64;
        let values = watched(x, &mean, others);
        let bins = values.columns().into_iter().map(|v| Bins::of(v.to_vec())).collect();
        Ok(Self { rows, mean, bins })
    }

    /// Numbers of an embedding.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.mean.len()
    }

    /// Embeddings that it was made from.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Compares new embeddings with the reference. `false_alarms` is the rate at which
    /// unchanged inputs may be called changed, such as 0.01.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a rate that is not between 0 and 1 or fewer than
    /// [`MIN_COMPARED`] rows, [`Error::Width`], [`Error::NotFinite`].
    pub fn compare(&self, x: ArrayView2<f32>, false_alarms: f64) -> Result<Drift> {
        if !(false_alarms > 0.0 && false_alarms < 1.0) {
            let expected = "a rate of false alarms must lie between 0 and 1, such as 0.01";
            return Err(Error::Setting { name: "false_alarms", value: false_alarms, expected });
        }
        if x.ncols() != self.dimensions() {
            return Err(Error::Width { found: x.ncols(), expected: self.dimensions() });
        }
        enough(x.nrows(), MIN_COMPARED, "a comparison needs at least 20 embeddings")?;
        check_finite(x)?;
        let values = watched(x, &self.mean, 1.0);
        let mut least = (1.0f64, 0);
        for (number, (bins, values)) in self.bins.iter().zip(values.columns()).enumerate() {
            let (statistic, freedom) = bins.compare(values.iter().copied(), self.rows);
            let tail = chi_squared_tail(statistic, freedom);
            if tail < least.0 {
                least = (tail, number);
            }
        }
        let p_value = (least.0 * WATCHED as f64).min(1.0);
        let gap = &mean(x) - &self.mean;
        let scale = self.bins.last().map_or(0.0, Bins::root_mean_square);
        let mean_shift = if scale > 0.0 { gap.dot(&gap).sqrt() / scale } else { 0.0 };
        Ok(Drift {
            rows: x.nrows(),
            p_value,
            drifted: p_value < false_alarms,
            by_distance: least.1 == DIRECTIONS,
            mean_shift,
        })
    }

    /// The mean and the quantiles, `[13, 48]`.
    pub(crate) fn parts(&self) -> (&Array1<f64>, Array2<f64>) {
        let width = self.bins.first().map_or(0, |bins| bins.quantiles().len());
        let mut quantiles = Array2::zeros((self.bins.len(), width));
        for (mut row, bins) in quantiles.outer_iter_mut().zip(&self.bins) {
            row.iter_mut().zip(bins.quantiles()).for_each(|(to, from)| *to = *from);
        }
        (&self.mean, quantiles)
    }

    /// From parts that came from a file.
    pub(crate) fn from_parts(
        rows: usize,
        mean: Vec<f64>,
        quantiles: &[f64],
    ) -> std::result::Result<Self, String> {
        if rows < MIN_REFERENCE || mean.is_empty() {
            return Err("it was made from too little".to_owned());
        }
        if mean.iter().chain(quantiles).any(|v| !v.is_finite()) {
            return Err("it has numbers that are not finite".to_owned());
        }
        if quantiles.len() != WATCHED * bins::QUANTILES {
            return Err("it has another number of quantiles".to_owned());
        }
        let bins = quantiles.chunks_exact(bins::QUANTILES).map(|some| Bins::from(some.to_vec()));
        let bins = bins.collect::<std::result::Result<_, _>>()?;
        Ok(Self { rows, mean: mean.into(), bins })
    }
}

fn enough(rows: usize, least: usize, expected: &'static str) -> Result<()> {
    if rows < least {
        return Err(Error::Setting { name: "rows", value: rows as f64, expected });
    }
    Ok(())
}

fn mean(x: ArrayView2<f32>) -> Array1<f64> {
    let mut sum = Array1::zeros(x.ncols());
    for row in x.outer_iter() {
        sum.iter_mut().zip(row).for_each(|(s, &v)| *s += f64::from(v));
    }
    sum / x.nrows().max(1) as f64
}

/// The watched numbers of each row, `[rows, WATCHED]`; distances are multiplied by `factor`.
fn watched(x: ArrayView2<f32>, mean: &Array1<f64>, factor: f64) -> Array2<f64> {
    let directions = directions(x.ncols(), DIRECTIONS);
    let mut watched = Array2::zeros((x.nrows(), WATCHED));
    for (part, mut out) in
        x.axis_chunks_iter(Axis(0), 512).zip(watched.axis_chunks_iter_mut(Axis(0), 512))
    {
        let from_mean = part.mapv(f64::from) - mean;
        let along = from_mean.dot(&directions.t());
        for ((mut out, along), row) in
            out.outer_iter_mut().zip(along.outer_iter()).zip(from_mean.outer_iter())
        {
            out.iter_mut().zip(along).for_each(|(to, from)| *to = *from);
            out[DIRECTIONS] = factor * row.dot(&row).sqrt();
        }
    }
    watched
}
