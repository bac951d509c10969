//! Taking statistics apart to write them, and building them from parts that are not trusted.

use super::grid::{Grid, LARGEST_EXPONENT, LARGEST_TOTAL};
use super::{Class, Statistics, packed_len};
use crate::classes::Classes;

/// All that statistics are.
pub(crate) struct Parts {
    pub(crate) dimensions: usize,
    pub(crate) exponent: i32,
    pub(crate) clip: Option<f64>,
    pub(crate) names: Vec<String>,
    pub(crate) counts: Vec<i64>,
    pub(crate) weights: Vec<i64>,
    /// `[classes, dimensions]`, row after row.
    pub(crate) sums: Vec<i64>,
    pub(crate) scatter: Vec<i64>,
    pub(crate) bound: i64,
    pub(crate) slack: i64,
}

impl Statistics {
    pub(crate) fn parts(&self) -> Parts {
        let classes = || self.classes.iter();
        Parts {
            dimensions: self.dimensions,
            exponent: self.grid.exponent,
            clip: self.grid.clip,
            names: classes().map(|class| class.name.clone()).collect(),
            counts: classes().map(|class| class.count as i64).collect(),
            weights: classes().map(|class| class.weight).collect(),
            sums: classes().flat_map(|class| class.sum.iter().copied()).collect(),
            scatter: self.scatter.clone(),
            bound: self.bound,
            slack: self.slack,
        }
    }

    /// Checks everything that updates rely on, so that no sum can overflow later.
    pub(crate) fn from_parts(parts: Parts) -> Result<Self, String> {
        let Parts { dimensions, exponent, clip, bound, slack, scatter, .. } = parts;
        if dimensions == 0 || packed_len(dimensions as u128) != scatter.len() as u128 {
            return Err("its scatter is not a lower triangle of its dimensions".to_owned());
        }
        if exponent.unsigned_abs() > LARGEST_EXPONENT.unsigned_abs()
            || clip.is_some_and(|clip| Grid::for_norm(clip).is_ok_and(|g| g.exponent != exponent))
            || clip.is_some_and(|clip| Grid::for_norm(clip).is_err())
        {
            return Err("its unit or clipping length is out of range".to_owned());
        }
        let names = Classes::new(parts.names).map_err(|error| error.to_string())?.names().to_vec();
        if !names.is_sorted() {
            return Err("its classes are not sorted".to_owned());
        }
        if !(0..=LARGEST_TOTAL).contains(&bound) || !(0..=LARGEST_TOTAL).contains(&slack) {
            return Err("its limits are out of range".to_owned());
        }
        // A sum of absolute values within the bound keeps every sum over classes within it.
        let within = |mut values: Box<dyn Iterator<Item = i64> + '_>| {
            values
                .try_fold(0i64, |total, value| {
                    total.checked_add(i64::try_from(value.unsigned_abs()).ok()?)
                })
                .is_some_and(|total| total <= bound)
        };
        if parts.counts.iter().any(|&count| !(1..=LARGEST_TOTAL).contains(&count))
            || parts.weights.iter().any(|&weight| weight < 1)
            || !within(Box::new(parts.weights.iter().copied()))
        {
            return Err("its counts or weights are out of range".to_owned());
        }
        let column = |j| Box::new(parts.sums.iter().skip(j).step_by(dimensions).copied());
        if (0..dimensions).any(|j| !within(column(j))) {
            return Err("its sums are out of range".to_owned());
        }
        if scatter.iter().any(|value| value.unsigned_abs() > bound.unsigned_abs())
            || (0..dimensions).any(|i| scatter[i * (i + 3) / 2] < -slack)
        {
            return Err("its scatter is out of range".to_owned());
        }
        let classes: Vec<Class> = names
            .into_iter()
            .zip(parts.counts)
            .zip(parts.weights)
            .zip(parts.sums.chunks(dimensions))
            .map(|(((name, count), weight), sum)| Class {
                name,
                count: count as u64,
                weight,
                sum: sum.to_vec(),
            })
            .collect();
        let (grid, all) = (Grid { exponent, clip }, Class::default());
        let mut whole = Self { dimensions, grid, classes, all, scatter, bound, slack };
        whole.all = whole.add_up();
        Ok(whole)
    }
}
