//! Adding, removing, relabelling, reweighting, merging, ageing.
//!
//! Every update first makes sure that it can be done, then does it.

use ndarray::ArrayView1;

use super::grid::{Example, LARGEST_TOTAL};
use super::{Class, Statistics};
use crate::classes::Classes;
use crate::error::{Error, Result};

/// Bits of the factor that ages.
const FACTOR_BITS: u32 = 30;

impl Statistics {
    /// Adds an example of `class`, which comes into being with its first one. O(d²).
    ///
    /// # Errors
    ///
    /// [`Error::Width`], [`Error::NotFinite`], [`Error::Setting`] unless the weight is
    /// positive, [`Error::OffGrid`], [`Error::Full`], [`Error::LongLabel`],
    /// [`Error::TooManyClasses`]. Nothing is changed on any of them.
    pub fn add(&mut self, x: ArrayView1<f32>, class: &str, weight: f64) -> Result<()> {
        let example = self.example(x, weight)?;
        let bound = self.room(example.bound)?;
        let index = self.place(class)?;
        self.bound = bound;
        self.open(index, class).join(&example);
        self.all.join(&example);
        example.add_second(&mut self.scatter);
        Ok(())
    }

    /// Removes an example that was added with this embedding, class and weight. O(d²).
    ///
    /// The statistics cannot know each example; the owner of the examples has to. What they
    /// can rule out without it, they do: a removal that would leave a class with a
    /// negative weight, or with a sum when its last example goes.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchClass`], [`Error::NotAdded`], and those of [`Statistics::add`]. Nothing
    /// is changed on any of them.
    pub fn remove(&mut self, x: ArrayView1<f32>, class: &str, weight: f64) -> Result<()> {
        let example = self.example(x, weight)?;
        let index = self.known(class)?;
        if !(self.classes[index].has(&example, self.slack) && self.scatter_has(&example)) {
            return Err(Error::NotAdded { class: class.to_owned(), weight });
        }
        self.leave(index, &example);
        self.all.part(&example);
        self.take(&example);
        Ok(())
    }

    /// Moves an example from one class to another. The scatter is that of all classes
    /// together, so this is O(d).
    ///
    /// # Errors
    ///
    /// Those of [`Statistics::add`] and [`Statistics::remove`]. Nothing is changed on any.
    pub fn relabel(&mut self, x: ArrayView1<f32>, from: &str, to: &str, weight: f64) -> Result<()> {
        let example = self.example(x, weight)?;
        let index = self.known(from)?;
        if !self.classes[index].has(&example, self.slack) {
            return Err(Error::NotAdded { class: from.to_owned(), weight });
        }
        if from == to {
            return Ok(());
        }
        self.place(to)?;
        self.leave(index, &example);
        let index = self.place(to)?;
        self.open(index, to).join(&example);
        Ok(())
    }

    /// Gives an example that was added with the weight `from` the weight `to`. O(d²).
    ///
    /// # Errors
    ///
    /// Those of [`Statistics::add`] and [`Statistics::remove`]. Nothing is changed on any.
    pub fn reweight(&mut self, x: ArrayView1<f32>, class: &str, from: f64, to: f64) -> Result<()> {
        let (old, new) = (self.example(x, from)?, self.example(x, to)?);
        let index = self.known(class)?;
        if !(self.classes[index].has(&old, self.slack) && self.scatter_has(&old)) {
            return Err(Error::NotAdded { class: class.to_owned(), weight: from });
        }
        let freed = if self.slack == 0 { old.bound } else { 0 };
        let bound = self.bound - freed + new.bound;
        if bound > LARGEST_TOTAL {
            return Err(Error::Full);
        }
        self.take(&old);
        self.bound = bound;
        new.add_second(&mut self.scatter);
        // Joined first, so that the class never stands empty.
        for class in [&mut self.classes[index], &mut self.all] {
            class.join(&new);
            class.part(&old);
        }
        Ok(())
    }

    /// Removes a class with all of its examples, each an embedding and its weight. O(m d²)
    /// for m examples.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchClass`], [`Error::NotAdded`] unless these are exactly the examples of
    /// the class, and those of [`Statistics::add`]. Nothing is changed on any of them.
    pub fn forget_class(&mut self, class: &str, examples: &[(ArrayView1<f32>, f64)]) -> Result<()> {
        let index = self.known(class)?;
        let mut left = self.classes[index].clone();
        let not_added = |weight| Error::NotAdded { class: class.to_owned(), weight };
        if left.count != examples.len() as u64 {
            return Err(not_added(examples.iter().map(|(_, weight)| weight).sum()));
        }
        // Tried on a copy of the class, which must come out empty, and on the diagonal of the
        // scatter, which must not fall below zero.
        let mut diagonal: Vec<i64> =
            (0..self.dimensions).map(|i| self.scatter[i * (i + 3) / 2]).collect();
        let mut bound = self.bound;
        for &(x, weight) in examples {
            let example = self.example(x, weight)?;
            if !left.has(&example, self.slack) {
                return Err(not_added(weight));
            }
            left.part(&example);
            bound = bound.saturating_sub(example.bound);
            for (sum, value) in diagonal.iter_mut().zip(example.diagonal()) {
                *sum = sum.saturating_sub(value);
            }
        }
        let slack = self.slack.saturating_add(2 * examples.len() as i64);
        if self.slack == 0 && (bound < 0 || diagonal.iter().any(|&value| value < 0))
            || diagonal.iter().any(|&value| value < -slack)
        {
            return Err(not_added(examples.iter().map(|(_, weight)| weight).sum()));
        }
        for &(x, weight) in examples {
            let example = self.example(x, weight)?;
            self.all.part(&example);
            self.take(&example);
        }
        self.classes.remove(index);
        self.clear_if_empty();
        Ok(())
    }

    /// Adds the statistics of other examples: what one pool of both would give. Classes of
    /// the same name are the same class. O(d² + K d).
    ///
    /// # Errors
    ///
    /// [`Error::Width`], [`Error::OtherGrid`] when unit or clipping differ, [`Error::Full`],
    /// [`Error::TooManyClasses`]. Nothing is changed on any of them.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.dimensions != other.dimensions {
            return Err(Error::Width { found: other.dimensions, expected: self.dimensions });
        }
        if self.grid != other.grid {
            return Err(Error::OtherGrid {
                units: [self.unit(), other.unit()],
                clips: [self.grid.clip, other.grid.clip],
            });
        }
        let bound = self.room(other.bound)?;
        let new = other.classes.iter().filter(|class| self.find(&class.name).is_err()).count();
        too_many(self.classes.len() + new)?;
        let mut theirs = other.classes.iter().peekable();
        let mut merged = Vec::with_capacity(self.classes.len() + new);
        for mut class in std::mem::take(&mut self.classes) {
            while let Some(next) = theirs.next_if(|next| next.name < class.name) {
                merged.push(next.clone());
            }
            if let Some(same) = theirs.next_if(|next| next.name == class.name) {
                class.merge(same);
            }
            merged.push(class);
        }
        merged.extend(theirs.cloned());
        self.classes = merged;
        self.all.merge(&other.all);
        self.scatter.iter_mut().zip(&other.scatter).for_each(|(sum, &value)| *sum += value);
        self.bound = bound;
        self.slack = self.slack.saturating_add(other.slack);
        Ok(())
    }

    /// Multiplies the weight of every example by `factor`, so that newer ones count for more:
    /// ageing. O(d² + K d).
    ///
    /// This is the one update that rounds, each sum to the next grid step, and the factor to
    /// a multiple of 2⁻³⁰: the result depends on when it is done. An example that is removed
    /// later has to be removed with its aged weight, and leaves up to a step or two (2⁻⁴⁰)
    /// behind, until the last example goes. Where that must not be, age by giving newer
    /// examples larger weights instead.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless 0 < `factor` ≤ 1 and every class keeps a weight that the
    /// grid can hold. Nothing is changed then.
    pub fn scale(&mut self, factor: f64) -> Result<()> {
        let expected = "it must be above 0, at most 1, and leave every class a weight";
        let refused = Error::Setting { name: "factor", value: factor, expected };
        let multiplier = (factor * f64::from(1u32 << FACTOR_BITS)).round();
        if !(factor <= 1.0 && multiplier >= 1.0) {
            return Err(refused);
        }
        let multiplier = multiplier as i128;
        let aged = |value: i64| {
            let product = i128::from(value) * multiplier + (1 << (FACTOR_BITS - 1));
            // No larger than the value, since the multiplier is at most one.
            (product >> FACTOR_BITS) as i64
        };
        if self.classes.iter().any(|class| aged(class.weight) <= self.slack.saturating_add(2)) {
            return Err(refused);
        }
        if multiplier == 1 << FACTOR_BITS {
            return Ok(());
        }
        for class in &mut self.classes {
            class.weight = aged(class.weight);
            class.sum.iter_mut().for_each(|sum| *sum = aged(*sum));
        }
        self.all = self.add_up();
        self.scatter.iter_mut().for_each(|sum| *sum = aged(*sum));
        self.bound = aged(self.bound) + 1 + self.classes.len() as i64;
        self.slack = aged(self.slack) + 2;
        Ok(())
    }

    /// An embedding as it is counted: shortened if it is too long, in f64.
    pub(crate) fn embedding(&self, x: ArrayView1<f32>) -> Result<Vec<f64>> {
        let unit = self.unit();
        Ok(self.example(x, 0.5)?.units().map(|value| value * unit).collect())
    }

    /// Checks the width and puts an example on the grid.
    fn example(&self, x: ArrayView1<f32>, weight: f64) -> Result<Example> {
        if x.len() != self.dimensions {
            return Err(Error::Width { found: x.len(), expected: self.dimensions });
        }
        self.grid.example(x, weight)
    }

    /// The bound of all examples with these.
    fn room(&self, bound: i64) -> Result<i64> {
        let total = self.bound.saturating_add(bound);
        if total <= LARGEST_TOTAL { Ok(total) } else { Err(Error::Full) }
    }

    fn known(&self, class: &str) -> Result<usize> {
        self.find(class).map_err(|_| Error::NoSuchClass(class.chars().take(80).collect()))
    }

    /// Where a class stands, or may stand.
    fn place(&self, class: &str) -> Result<usize> {
        match self.find(class) {
            Ok(index) => Ok(index),
            Err(index) => {
                too_many(self.classes.len() + 1)?;
                Classes::new(vec![class.to_owned()])?;
                Ok(index)
            }
        }
    }

    /// The class at its place, new if it is not there.
    fn open(&mut self, index: usize, name: &str) -> &mut Class {
        if self.classes.get(index).is_none_or(|class| class.name != name) {
            let sum = vec![0; self.dimensions];
            self.classes.insert(index, Class { name: name.to_owned(), count: 0, weight: 0, sum });
        }
        &mut self.classes[index]
    }

    /// Whether an example can be one of those that the scatter is the sum of.
    fn scatter_has(&self, example: &Example) -> bool {
        if self.examples() == 1 && self.slack == 0 {
            return self.bound == example.bound
                && example.second().eq(self.scatter.iter().copied());
        }
        let fits = example
            .diagonal()
            .enumerate()
            .all(|(i, value)| self.scatter[i * (i + 3) / 2] - value >= -self.slack);
        fits && (self.bound >= example.bound || self.slack > 0)
    }

    /// Takes an example out of its class, and the class with its last.
    fn leave(&mut self, index: usize, example: &Example) {
        let class = &mut self.classes[index];
        class.part(example);
        if class.count == 0 {
            self.classes.remove(index);
        }
    }

    /// Takes an example out of the scatter.
    fn take(&mut self, example: &Example) {
        example.subtract_second(&mut self.scatter);
        if self.slack == 0 {
            self.bound -= example.bound;
        } else {
            // The aged example had another bound: the old total still holds. What is left of
            // its share is at most one more step.
            self.slack = self.slack.saturating_add(2);
        }
        self.clear_if_empty();
    }

    /// Drops what ageing left behind of the last example.
    fn clear_if_empty(&mut self) {
        if self.classes.is_empty() {
            self.scatter.fill(0);
            self.all = self.add_up();
            (self.bound, self.slack) = (0, 0);
        }
    }
}

impl Class {
    fn join(&mut self, example: &Example) {
        self.count += 1;
        self.weight += example.weight;
        self.sum.iter_mut().zip(example.first()).for_each(|(sum, value)| *sum += value);
    }

    /// What it leaves of a class that never held the example is of no use, but no panic.
    fn part(&mut self, example: &Example) {
        self.count -= 1;
        self.weight -= example.weight;
        let sums = self.sum.iter_mut().zip(example.first());
        sums.for_each(|(sum, value)| *sum = sum.wrapping_sub(value));
    }

    /// Whether an example can be one of this class.
    fn has(&self, example: &Example, slack: i64) -> bool {
        let left = self.weight - example.weight;
        match self.count {
            0 => false,
            1 => {
                let mut rest = self.sum.iter().zip(example.first());
                left.abs() <= slack && rest.all(|(&sum, value)| sum.abs_diff(value) <= slack as u64)
            }
            _ => left > -slack,
        }
    }
}

fn too_many(found: usize) -> Result<()> {
    if found <= Classes::MAX {
        return Ok(());
    }
    Err(Error::TooManyClasses { found, at_least: false, limit: Classes::MAX })
}
