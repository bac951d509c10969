//! What heads need to know of their examples, in sums: why updates are exact.
//!
//! A closed-form head does not depend on each example, only on a few sums over them: for
//! each class the number of its examples, their total weight and the sum of their embeddings,
//! and over all classes the scatter `Σ w x xᵀ`. These are *sufficient statistics*:
//! whoever has them can fit the nearest class mean, ridge regression and the linear
//! discriminant as if the examples themselves were there. To add an example is then to add
//! its share to the sums, to remove it is to subtract the same share, and to pool two devices
//! is to add their sums, which never hold an example.
//!
//! # Why floating-point sums are not enough
//!
//! On paper that is all. In floating point it is not: `(a + b) - b` is not `a`, so the
//! sums after a removal depend on what was removed, and the order of additions shows in the
//! last digits. After thousands of updates the digits are gone, two devices that merge
//! in another order disagree, and "removed" means "nearly removed".
//!
//! # Integers
//!
//! [`Statistics`] therefore holds every sum as a 64-bit integer count of grid steps. What one
//! example adds to a sum is rounded to the grid *before* it is added:
//!
//! ```text
//! share of (x, w) in entry (i, j) of the scatter = round(2⁴⁰ w xᵢ xⱼ / unit²)
//! ```
//!
//! It is a function of that one example and nothing else, and integer addition is associative
//! and commutative and has an exact inverse. So:
//!
//! - **any sequence of updates ends where a fresh start would**: the statistics are bit for
//!   bit those of the examples that are left, whatever came and went, in whatever order;
//! - **removal is forgetting**: no bit of the statistics, and so of a head fitted from
//!   them or a file that holds them, depends on an example that was removed. A class whose last
//!   example goes, goes with its name;
//! - **merging is exact** in any order and grouping, as is a relabelling or a new weight;
//! - **every machine agrees**: each rounding is one of IEEE 754, in a fixed order.
//!
//! The one price is the rounding of each share, at most 2⁻⁴¹ (4.5e-13) of a unit, about
//! that of the `f32` embeddings squared; averaged over examples it is nothing beside their
//! noise. The one exception is [`Statistics::scale`], which ages all sums at once and rounds.
//!
//! # The grid
//!
//! The *unit* is a power of two near the length of an embedding, 1 by default, since most
//! encoders give embeddings of length 1. An example may have a weight times squared length of
//! up to 1,024 units², all together 4 million. That is checked before anything is changed, so
//! no sum can overflow, and an update that is refused leaves the statistics as they were.
//!
//! # Cost
//!
//! With d dimensions and K classes: 8 (d (d + 1) / 2 + K d) bytes (0.9 MB for 384 dimensions
//! and 100 classes). Adding, removing, reweighting: d² / 2 multiplications and integer
//! additions. Relabelling: d. Merging: one addition an entry. No cost grows with the
//! number of examples.
//!
//! ```
//! use ndarray::array;
//! use offshoot_adapters::statistics::Statistics;
//!
//! let (rain, goal) = (array![0.8f32, 0.6], array![0.0f32, 1.0]);
//! let mut here = Statistics::new(2)?;
//! here.add(rain.view(), "weather", 1.0)?;
//! let before = here.clone();
//!
//! here.add(goal.view(), "weather", 1.0)?;
//! here.relabel(goal.view(), "weather", "sport", 1.0)?;
//! let mut there = Statistics::new(2)?;
//! there.add(array![0.1f32, 0.9].view(), "sport", 2.0)?;
//! here.merge(&there)?;
//! assert_eq!(here.names().collect::<Vec<_>>(), ["sport", "weather"]);
//!
//! here.forget_class("sport", &[(goal.view(), 1.0), (array![0.1f32, 0.9].view(), 2.0)])?;
//! assert_eq!(here, before);
//! # Ok::<(), offshoot_adapters::Error>(())
//! ```
//!
//! # Source
//!
//! Sums for exact incremental discriminants: Pang, Ozawa and Kasabov 2005, *IEEE Trans.
//! SMC-B* 35; sums for exact unlearning: Cao and Yang 2015, *IEEE S&P*; fixed point for
//! reproducible sums: Demmel and Nguyen 2013, *ARITH*.

mod discriminant;
mod grid;
mod heads;
mod moments;
mod parts;
mod privacy;
mod ridge;
mod update;

use ndarray::{ArrayView2, Axis};

use crate::classes::Classes;
use crate::error::{Error, Result};
use crate::examples::MEMORY_LIMIT;
pub use discriminant::Shrinkage;
use grid::Grid;
pub(crate) use parts::Parts;
pub use privacy::Privacy;
pub(crate) use ridge::Sums;

/// The sums over labelled, weighted embeddings that closed-form heads are fitted from, exact
/// under every update. The [module](self) explains how.
///
/// Classes are known by name and sorted by code point. A class comes with its first example
/// and goes with its last.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    pub(crate) dimensions: usize,
    grid: Grid,
    /// Sorted by name, none without an example.
    classes: Vec<Class>,
    /// The sums over all classes.
    all: Class,
    /// Lower triangle of `Σ w x xᵀ`, row after row.
    scatter: Vec<i64>,
    /// Sum of the bounds of all examples: no smaller than any other integer here.
    bound: i64,
    /// How far any integer may be from the sum of the shares: 0 until [`Statistics::scale`].
    slack: i64,
}

/// The sums of one class, or of all.
#[derive(Clone, Debug, Default, PartialEq)]
struct Class {
    name: String,
    count: u64,
    weight: i64,
    sum: Vec<i64>,
}

impl Statistics {
    /// Statistics of no examples, for embeddings about 1 long of this width.
    ///
    /// # Errors
    ///
    /// [`Error::NoDimensions`], and [`Error::TooLarge`] where the scatter alone would pass
    /// 4 GiB.
    pub fn new(dimensions: usize) -> Result<Self> {
        Self::on(Grid { exponent: 0, clip: None }, dimensions)
    }

    /// Statistics of no examples, for embeddings at most about `norm` long. Up to 32 times
    /// longer ones still fit, shorter ones are rounded more.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless `norm` is a positive number, and those of
    /// [`Statistics::new`].
    pub fn with_largest_norm(dimensions: usize, norm: f64) -> Result<Self> {
        Self::on(Grid::for_norm(norm)?, dimensions)
    }

    /// Statistics of no examples, for embeddings such as these, `[examples, dimensions]`: the
    /// longest of them sets the grid. Only statistics with the same unit merge.
    ///
    /// # Errors
    ///
    /// [`Error::NoExamples`], [`Error::NotFinite`], and those of [`Statistics::new`].
    pub fn for_embeddings(x: ArrayView2<f32>) -> Result<Self> {
        if x.nrows() == 0 {
            return Err(Error::NoExamples);
        }
        crate::examples::check_finite(x)?;
        let longest = x
            .axis_iter(Axis(0))
            .map(|row| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>())
            .fold(0.0, f64::max)
            .sqrt();
        let norm = if longest > 0.0 { longest } else { 1.0 };
        Self::on(Grid::for_norm(norm)?, x.ncols())
    }

    /// Statistics of no examples that shorten every embedding longer than `norm` to that
    /// length and take weights of at most 1, so that no single example counts for more than
    /// is known beforehand: what [`Statistics::privatize`] needs.
    ///
    /// # Errors
    ///
    /// Those of [`Statistics::with_largest_norm`].
    pub fn clipped(dimensions: usize, norm: f64) -> Result<Self> {
        let grid = Grid { clip: Some(norm), ..Grid::for_norm(norm)? };
        Self::on(grid, dimensions)
    }

    fn on(grid: Grid, dimensions: usize) -> Result<Self> {
        if dimensions == 0 {
            return Err(Error::NoDimensions);
        }
        let needed = 8 * packed_len(dimensions as u128);
        if needed > u128::from(MEMORY_LIMIT) {
            return Err(Error::TooLarge {
                what: "a scatter matrix",
                examples: 0,
                classes: 0,
                dimensions,
                needed_mib: u64::try_from(needed >> 20).unwrap_or(u64::MAX),
                limit_mib: MEMORY_LIMIT >> 20,
            });
        }
        let scatter = vec![0; packed_len(dimensions as u128) as usize];
        let all = Class { sum: vec![0; dimensions], ..Class::default() };
        Ok(Self { dimensions, grid, classes: Vec::new(), all, scatter, bound: 0, slack: 0 })
    }

    /// Width of the embeddings.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The names of the classes that have an example, sorted by code point.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.classes.iter().map(|class| class.name.as_str())
    }

    /// The same as [`Classes`], which are those of every head fitted from here.
    ///
    /// # Errors
    ///
    /// None that occurs: names are checked when they come.
    pub fn classes(&self) -> Result<Classes> {
        Classes::new(self.names().map(str::to_owned).collect())
    }

    /// Where the class of this name stands among the [`names`](Self::names).
    #[must_use]
    pub fn index(&self, class: &str) -> Option<usize> {
        self.find(class).ok()
    }

    /// Number of examples.
    #[must_use]
    pub fn examples(&self) -> u64 {
        self.all.count
    }

    /// The length that embeddings are measured in; see the [module](self).
    #[must_use]
    pub fn unit(&self) -> f64 {
        self.grid.unit()
    }

    /// The length that longer embeddings are shortened to, if any.
    #[must_use]
    pub fn clip(&self) -> Option<f64> {
        self.grid.clip
    }

    /// Adds up the classes.
    fn add_up(&self) -> Class {
        let mut all = Class { sum: vec![0; self.dimensions], ..Class::default() };
        self.classes.iter().for_each(|class| all.merge(class));
        all
    }

    /// The index of a class, or the one where it would stand.
    fn find(&self, class: &str) -> Result<usize, usize> {
        self.classes.binary_search_by(|other| other.name.as_str().cmp(class))
    }
}

impl Class {
    /// Adds the sums of another.
    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.weight += other.weight;
        self.sum.iter_mut().zip(&other.sum).for_each(|(sum, &value)| *sum += value);
    }
}

/// Entries of a lower triangle.
fn packed_len(dimensions: u128) -> u128 {
    dimensions * (dimensions + 1) / 2
}
