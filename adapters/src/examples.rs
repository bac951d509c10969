//! Checked labelled embeddings: what every head is fitted on.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Slice};

use crate::classes::Classes;
use crate::error::{Error, Result};

/// The most working memory one fit may ask for, in bytes.
pub(crate) const MEMORY_LIMIT: u64 = 4 << 30;

/// Labelled embeddings that passed every check: finite, one label a row, at least two
/// classes, at least one example of each.
pub(crate) struct Examples<'a> {
    /// Embeddings `[examples, dimensions]`.
    pub(crate) x: ArrayView2<'a, f32>,
    /// Class of each row.
    pub(crate) y: &'a [usize],
    /// Examples of each class.
    pub(crate) counts: Vec<usize>,
}

impl<'a> Examples<'a> {
    pub(crate) fn new(x: ArrayView2<'a, f32>, y: &'a [usize], classes: &Classes) -> Result<Self> {
        if x.nrows() != y.len() {
            return Err(Error::LabelCount { rows: x.nrows(), labels: y.len() });
        }
        if y.is_empty() {
            return Err(Error::NoExamples);
        }
        if x.ncols() == 0 {
            return Err(Error::NoDimensions);
        }
        let mut counts = vec![0; classes.len()];
        for (row, &index) in y.iter().enumerate() {
            match counts.get_mut(index) {
                Some(count) => *count += 1,
                None => return Err(Error::UnknownClass { row, index, classes: classes.len() }),
            }
        }
        if let [label] = classes.names() {
            return Err(Error::OneClass { label: label.clone() });
        }
        if let Some(empty) = counts.iter().position(|&count| count == 0) {
            return Err(Error::EmptyClass { class: classes.name(empty).to_owned() });
        }
        check_finite(x)?;
        Ok(Self { x, y, counts })
    }

    /// Number of examples.
    pub(crate) fn len(&self) -> usize {
        self.y.len()
    }

    /// Width of an embedding.
    pub(crate) fn dimensions(&self) -> usize {
        self.x.ncols()
    }

    /// Number of classes.
    pub(crate) fn classes(&self) -> usize {
        self.counts.len()
    }

    /// Mean embedding `[dimensions]` of all examples.
    pub(crate) fn mean(&self) -> Array1<f64> {
        let mut sum = Array1::zeros(self.dimensions());
        self.x.outer_iter().for_each(|row| add(&mut sum, row));
        sum / self.len() as f64
    }

    /// Mean embedding of each class `[classes, dimensions]`.
    pub(crate) fn class_means(&self) -> Array2<f64> {
        let mut means = Array2::zeros((self.classes(), self.dimensions()));
        for (row, &class) in self.x.outer_iter().zip(self.y) {
            add(&mut means.row_mut(class), row);
        }
        for (mut row, &count) in means.outer_iter_mut().zip(&self.counts) {
            row /= count as f64;
        }
        means
    }

    /// Embeddings minus `mean`, in f64, `[examples, dimensions]`.
    pub(crate) fn centered(&self, mean: &Array1<f64>) -> Array2<f64> {
        self.centered_columns(mean, 0..self.dimensions())
    }

    /// The given columns of [`Examples::centered`].
    pub(crate) fn centered_columns(
        &self,
        mean: &Array1<f64>,
        columns: Range<usize>,
    ) -> Array2<f64> {
        let mut x = self.x;
        x.slice_axis_inplace(Axis(1), Slice::from(columns.clone()));
        minus(x, mean.slice_axis(Axis(0), Slice::from(columns)))
    }

    /// Refuses work that needs more than the limit of memory, given the number of f64 values
    /// it keeps at once.
    pub(crate) fn check_memory(&self, what: &'static str, values: &[u128]) -> Result<()> {
        let needed = values.iter().sum::<u128>().saturating_mul(8);
        if needed <= u128::from(MEMORY_LIMIT) {
            return Ok(());
        }
        Err(Error::TooLarge {
            what,
            examples: self.len(),
            classes: self.classes(),
            dimensions: self.dimensions(),
            needed_mib: u64::try_from(needed >> 20).unwrap_or(u64::MAX),
            limit_mib: MEMORY_LIMIT >> 20,
        })
    }
}

/// Rows minus `mean`, in f64.
pub(crate) fn minus(x: ArrayView2<f32>, mean: ArrayView1<f64>) -> Array2<f64> {
    let mut centered = x.mapv(f64::from);
    centered -= &mean.insert_axis(Axis(0));
    centered
}

fn add<S>(sum: &mut ndarray::ArrayBase<S, ndarray::Ix1>, row: ArrayView1<f32>)
where
    S: ndarray::DataMut<Elem = f64>,
{
    sum.zip_mut_with(&row, |total, &value| *total += f64::from(value));
}

/// Finds the first value that is NaN or infinite.
pub(crate) fn check_finite(x: ArrayView2<f32>) -> Result<()> {
    for (row, values) in x.outer_iter().enumerate() {
        // One finite sum tells that a row is clean, and is much cheaper than a test a value.
        if values.sum().is_finite() {
            continue;
        }
        if let Some((column, &value)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(Error::NotFinite { row, column, value });
        }
    }
    Ok(())
}
