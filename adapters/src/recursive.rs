//! A ridge head that follows its examples.

use ndarray::{Array2, ArrayView1, Axis};

use crate::error::{Error, Result};
use crate::head::Head;
use crate::heads::Ridge;
use crate::numeric::{Cholesky, Packed, add_scaled, dot};
use crate::statistics::{Statistics, Sums};

/// Updates after which the solution is checked against the statistics.
const CHECK_EVERY: u32 = 16;
/// Largest distance of a class's solution from the exact one, over one unit.
const TOLERANCE: f64 = 1e-9;
/// An update that divides by less than this is checked at once.
const DELICATE: f64 = 1e-2;

/// Ridge regression with a fixed penalty under a stream of updates: recursive least squares.
///
/// # Formula
///
/// With W the total weight, m the mean, `P = (S + αI)⁻¹` the inverse of the penalised scatter
/// around the mean and `uₖ = P rₖ` half the coefficients of class k (see
/// [`Statistics::ridge`]), an example x of class c with weight w moves, with `δ = x - m`,
/// `W' = W + w` and `wₖ'` the new weight of class k,
///
/// ```text
/// S' = S + γ δδᵀ          γ = w W / W'
/// g = P δ                 e = 1 + γ δ·g
/// P' = P - (γ / e) g gᵀ
/// uₖ' = uₖ + g (w ([k = c] - wₖ' / W') - γ δ·uₖ) / e
/// ```
///
/// Removal is the same with w negative, a new weight with the difference, and a new label
/// adds `-w g` and `w g` to two classes.
///
/// The [`Statistics`] are kept beside it and are exact. Rank-one updates gather rounding, so
/// every 16th update, and every one that divides by nearly zero, compares with
/// the statistics: `‖rₖ - (S + αI) uₖ‖ / α` bounds the distance of uₖ from the exact
/// solution, and where it passes 1e-9, or what rounding alone can reach, everything is solved
/// anew. So the head stays within 1e-6, in probabilities, of one fitted from scratch on the
/// examples that are left, whatever came between.
///
/// # Cost
///
/// d²/2 for each of the sums, `P δ` and `P'`, and 2 d K for the solutions, a fresh class
/// included. A relabelling needs `P δ` alone. Solving anew costs d³ + d² K; after a merge and
/// after ageing it is the only way. [`RecursiveRidge::head`] costs 3 d K.
///
/// # Source
///
/// Plackett 1950, *Biometrika* 37; Sherman and Morrison 1950, *Ann. Math. Stat.* 21.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::RecursiveRidge;
/// use offshoot_adapters::statistics::Statistics;
///
/// let mut ridge = RecursiveRidge::new(Statistics::new(2)?, 0.5)?;
/// ridge.add(array![0.6f32, 0.8].view(), "sport", 1.0)?;
/// ridge.add(array![1.0f32, 0.0].view(), "weather", 1.0)?;
/// ridge.add(array![0.0f32, 1.0].view(), "weather", 1.0)?;
/// ridge.remove(array![0.0f32, 1.0].view(), "weather", 1.0)?;
/// let head = ridge.head()?;
/// let class = head.predict(array![[0.9f32, 0.1]].view())?[0];
/// assert_eq!(head.classes().name(class), "weather");
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecursiveRidge {
    statistics: Statistics,
    penalty: f64,
    /// P; `None` where the penalty is too small for this scale of data.
    inverse: Option<Packed>,
    /// uₖ of each class, in the order of the statistics.
    solutions: Vec<Vec<f64>>,
    unchecked: u32,
    refreshes: u64,
}

impl RecursiveRidge {
    /// Starts from any statistics, those of no example included. d³ + d² K.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless `penalty` is a positive number, [`Error::Scale`] when it is
    /// lost beside embeddings this large.
    pub fn new(statistics: Statistics, penalty: f64) -> Result<Self> {
        Ridge { penalties: vec![penalty] }.check()?;
        let (inverse, solutions, unchecked) = (None, Vec::new(), 0);
        let mut ridge = Self { statistics, penalty, inverse, solutions, unchecked, refreshes: 0 };
        ridge.refresh()?;
        Ok(ridge)
    }

    /// The exact sums.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The exact sums, to keep.
    #[must_use]
    pub fn into_statistics(self) -> Statistics {
        self.statistics
    }

    /// The penalty.
    #[must_use]
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    /// How often everything was solved anew, the start included.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// The head as it stands: a ridge head like any other.
    ///
    /// # Errors
    ///
    /// [`Error::NoExamples`], [`Error::OneClass`], [`Error::Scale`].
    pub fn head(&self) -> Result<Head> {
        let sums = Sums::new(&self.statistics)?;
        let inverse = self.inverse.as_ref().ok_or(Error::Scale("this ridge penalty"))?;
        let shape = (self.solutions.len(), self.statistics.dimensions());
        let mut solution = Array2::zeros(shape);
        for (mut row, from) in solution.outer_iter_mut().zip(&self.solutions) {
            row.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
        let fitted = sums.moments.iter().zip(&solution).map(|(a, b)| a * b).sum();
        let size = solution.iter().map(|u| u * u).sum();
        let error = sums.error(self.penalty, inverse.trace(), fitted, size);
        // One example a dimension and a tiny penalty leave nothing to estimate an error from.
        let error = if error.is_finite() { error } else { 0.0 };
        Ok(Head::Ridge(sums.head(self.penalty, error, solution)))
    }

    /// Adds an example; see [`Statistics::add`]. O(d² + d K).
    ///
    /// # Errors
    ///
    /// Those of [`Statistics::add`]; nothing is changed on any of them.
    pub fn add(&mut self, x: ArrayView1<f32>, class: &str, weight: f64) -> Result<()> {
        let before = self.statistics.index(class);
        let offset = self.offset(x)?;
        self.statistics.add(x, class, weight)?;
        if before.is_none() {
            self.open(class);
        }
        self.shift(&offset, class, weight);
        Ok(())
    }

    /// Removes an example; see [`Statistics::remove`]. O(d² + d K).
    ///
    /// # Errors
    ///
    /// Those of [`Statistics::remove`]; nothing is changed on any of them.
    pub fn remove(&mut self, x: ArrayView1<f32>, class: &str, weight: f64) -> Result<()> {
        let before = self.statistics.index(class);
        let offset = self.offset(x)?;
        self.statistics.remove(x, class, weight)?;
        self.close(before, class);
        self.shift(&offset, class, -weight);
        Ok(())
    }

    /// Moves an example to another class; see [`Statistics::relabel`]. O(d²).
    ///
    /// # Errors
    ///
    /// Those of [`Statistics::relabel`]; nothing is changed on any of them.
    pub fn relabel(&mut self, x: ArrayView1<f32>, from: &str, to: &str, weight: f64) -> Result<()> {
        let (before, known) = (self.statistics.index(from), self.statistics.index(to).is_some());
        let offset = self.offset(x)?;
        self.statistics.relabel(x, from, to, weight)?;
        self.close(before, from);
        if !known {
            self.open(to);
        }
        let Some(inverse) = &self.inverse else { return Ok(()) };
        let mut turned = vec![0.0; offset.len()];
        inverse.multiply(&offset, &mut turned);
        for (class, weight) in [(from, -weight), (to, weight)] {
            if let Some(index) = self.statistics.index(class) {
                add_scaled(&mut self.solutions[index], weight, &turned);
            }
        }
        self.watch(&offset, &turned, to, false);
        Ok(())
    }

    /// Gives an example another weight; see [`Statistics::reweight`]. O(d² + d K).
    ///
    /// # Errors
    ///
    /// Those of [`Statistics::reweight`]; nothing is changed on any of them.
    pub fn reweight(&mut self, x: ArrayView1<f32>, class: &str, from: f64, to: f64) -> Result<()> {
        let offset = self.offset(x)?;
        self.statistics.reweight(x, class, from, to)?;
        self.shift(&offset, class, to - from);
        Ok(())
    }

    /// Removes a class with all of its examples; see [`Statistics::forget_class`]. O(d² + d K)
    /// for each of them, or d³ + d² K where that is less.
    ///
    /// # Errors
    ///
    /// Those of [`Statistics::forget_class`]; nothing is changed on any of them.
    pub fn forget_class(&mut self, class: &str, examples: &[(ArrayView1<f32>, f64)]) -> Result<()> {
        self.statistics.forget_class(class, examples)?;
        self.resolve();
        Ok(())
    }

    /// Adds the statistics of other examples; see [`Statistics::merge`]. d³ + d² K.
    ///
    /// # Errors
    ///
    /// Those of [`Statistics::merge`]; nothing is changed on any of them.
    pub fn merge(&mut self, other: &Statistics) -> Result<()> {
        self.statistics.merge(other)?;
        self.resolve();
        Ok(())
    }

    /// Ages all examples; see [`Statistics::scale`]. d³ + d² K.
    ///
    /// # Errors
    ///
    /// Those of [`Statistics::scale`]; nothing is changed on any of them.
    pub fn scale(&mut self, factor: f64) -> Result<()> {
        self.statistics.scale(factor)?;
        self.resolve();
        Ok(())
    }

    /// Solves anew from the statistics, d³ + d² K: what checks do on their own.
    ///
    /// # Errors
    ///
    /// [`Error::Scale`] when the penalty is lost beside embeddings this large.
    pub fn refresh(&mut self) -> Result<()> {
        self.resolve();
        if self.inverse.is_some() { Ok(()) } else { Err(Error::Scale("this ridge penalty")) }
    }

    fn resolve(&mut self) {
        let d = self.statistics.dimensions();
        (self.inverse, self.unchecked) = (None, 0);
        self.refreshes += 1;
        let mut scatter = self.statistics.centered_scatter();
        scatter.diag_mut().mapv_inplace(|value| value + self.penalty);
        let mut moments = self.statistics.moments();
        self.solutions = vec![vec![0.0; d]; moments.nrows()];
        let Some(factor) = Cholesky::new(scatter) else { return };
        moments = moments.reversed_axes();
        factor.solve(&mut moments);
        for (to, from) in self.solutions.iter_mut().zip(moments.axis_iter(Axis(1))) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
        let mut inverse = Array2::eye(d);
        factor.solve(&mut inverse);
        self.inverse = Some(Packed::lower(&inverse));
    }

    /// x - m, in f64.
    fn offset(&self, x: ArrayView1<f32>) -> Result<Vec<f64>> {
        let mut offset = self.statistics.embedding(x)?;
        offset.iter_mut().zip(self.statistics.mean()).for_each(|(x, mean)| *x -= mean);
        Ok(offset)
    }

    /// Makes room for a class that has just come.
    fn open(&mut self, class: &str) {
        if let Some(index) = self.statistics.index(class) {
            self.solutions.insert(index, vec![0.0; self.statistics.dimensions()]);
        }
    }

    /// Drops a class that has just gone from its place.
    fn close(&mut self, place: Option<usize>, class: &str) {
        if let (Some(index), None) = (place, self.statistics.index(class)) {
            self.solutions.remove(index);
        }
    }

    /// Follows the statistics, which have just changed by `weight` of an example at `offset`
    /// from the mean they had.
    fn shift(&mut self, offset: &[f64], class: &str, weight: f64) {
        let total = self.statistics.total_weight();
        let Some(inverse) = &mut self.inverse else { return self.resolve() };
        if self.statistics.examples() == 0 {
            *inverse = Packed::diagonal(offset.len(), 1.0 / self.penalty);
            return;
        }
        let mut turned = vec![0.0; offset.len()];
        inverse.multiply(offset, &mut turned);
        let gamma = weight * (total - weight) / total;
        let divisor = 1.0 + gamma * dot(offset, &turned);
        if divisor.is_nan() || divisor <= f64::EPSILON.sqrt() {
            return self.resolve();
        }
        inverse.add_outer(-gamma / divisor, &turned);
        let index = self.statistics.index(class);
        let weights = self.statistics.weights();
        for (k, (solution, share)) in self.solutions.iter_mut().zip(weights).enumerate() {
            let own = if index == Some(k) { 1.0 } else { 0.0 };
            let change = weight * (own - share / total) - gamma * dot(offset, solution);
            add_scaled(solution, change / divisor, &turned);
        }
        // P' δ = g / e.
        turned.iter_mut().for_each(|value| *value /= divisor);
        self.watch(offset, &turned, class, divisor < DELICATE);
    }

    /// Compares with the statistics every so often, and solves anew where that is needed:
    /// whether P takes `offset` to `turned`, and whether the class is solved.
    fn watch(&mut self, offset: &[f64], turned: &[f64], class: &str, delicate: bool) {
        self.unchecked += 1;
        if self.unchecked < CHECK_EVERY && !delicate {
            return;
        }
        self.unchecked = 0;
        let index = self.statistics.index(class).unwrap_or(0);
        let solved = self.solutions.get(index).is_none_or(|solution| {
            let moments = self.statistics.moment(index);
            self.is_solution(solution, &moments, TOLERANCE / self.statistics.unit())
        });
        let tolerance = TOLERANCE * dot(turned, turned).sqrt();
        if !(solved && self.is_solution(turned, offset, tolerance)) {
            self.resolve();
        }
    }

    /// Whether `solution` is `(S + αI)⁻¹ right` to within the tolerance, or to what can be
    /// reached.
    fn is_solution(&self, solution: &[f64], right: &[f64], tolerance: f64) -> bool {
        let mut product = self.statistics.scatter_times(solution);
        add_scaled(&mut product, self.penalty, solution);
        product.iter_mut().zip(right).for_each(|(p, &r)| *p -= r);
        let distance = dot(&product, &product).sqrt() / self.penalty;
        let largest = self.statistics.diagonal_sum() + self.penalty;
        let rounding = 16.0 * f64::EPSILON * largest / self.penalty;
        let reached = dot(solution, solution).sqrt() * rounding;
        distance <= tolerance.max(reached)
    }
}
