//! Which classes are taken for which.

use std::collections::BTreeMap;
use std::fmt;

use ndarray::Array2;
use serde::{Serialize, Serializer};

use super::check;
use crate::classes::Classes;
use crate::error::{Error, Result};

/// Classes up to which the text form is a table.
const TABLE_CLASSES: usize = 20;
/// Confusions listed by the text form of more classes.
const LISTED: usize = 20;

/// Counts of each true class (row) predicted as each class (column).
///
/// Only the cells that occur are kept, so that thousands of classes cost no more than the
/// predictions themselves.
///
/// As JSON it is `{"classes": [name, …], "cells": [[truth, predicted, count], …]}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfusionMatrix {
    #[serde(serialize_with = "names")]
    classes: Classes,
    #[serde(serialize_with = "triples")]
    cells: BTreeMap<(usize, usize), u64>,
}

impl ConfusionMatrix {
    /// Counts predictions.
    ///
    /// # Errors
    ///
    /// [`Error::PredictionCount`], [`Error::NoExamples`], [`Error::UnknownClass`].
    pub fn new(classes: &Classes, truth: &[usize], predicted: &[usize]) -> Result<Self> {
        check(truth, predicted)?;
        let mut cells = BTreeMap::new();
        for (row, (&truth, &predicted)) in truth.iter().zip(predicted).enumerate() {
            let index = truth.max(predicted);
            if index >= classes.len() {
                return Err(Error::UnknownClass { row, index, classes: classes.len() });
            }
            *cells.entry((truth, predicted)).or_insert(0) += 1;
        }
        Ok(Self { classes: classes.clone(), cells })
    }

    /// The classes of rows and columns.
    #[must_use]
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// How often class `truth` was predicted as `predicted`.
    #[must_use]
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.cells.get(&(truth, predicted)).copied().unwrap_or(0)
    }

    /// The cells that are not 0, as `(truth, predicted, count)` in row order.
    pub fn cells(&self) -> impl Iterator<Item = (usize, usize, u64)> + '_ {
        self.cells.iter().map(|(&(truth, predicted), &count)| (truth, predicted, count))
    }

    /// The whole matrix `[classes, classes]`; 8 bytes a cell.
    #[must_use]
    pub fn to_array(&self) -> Array2<u64> {
        let k = self.classes.len();
        let mut array = Array2::zeros((k, k));
        self.cells().for_each(|(truth, predicted, count)| array[[truth, predicted]] = count);
        array
    }
}

/// The names of classes.
pub(super) fn names<S: Serializer>(
    classes: &Classes,
    to: S,
) -> std::result::Result<S::Ok, S::Error> {
    to.collect_seq(classes.names())
}

fn triples<S: Serializer>(
    cells: &BTreeMap<(usize, usize), u64>,
    to: S,
) -> std::result::Result<S::Ok, S::Error> {
    to.collect_seq(cells.iter().map(|(&(truth, predicted), &count)| (truth, predicted, count)))
}

/// A table for up to 20 classes, else the 20 most frequent confusions.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.classes.names().iter().map(|name| shown(name)).collect();
        if names.len() > TABLE_CLASSES {
            let mut wrong: Vec<_> =
                self.cells().filter(|(truth, guess, _)| truth != guess).collect();
            wrong.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
            for (truth, predicted, count) in wrong.into_iter().take(LISTED) {
                writeln!(f, "{count:>8}  {} taken for {}", names[truth], names[predicted])?;
            }
            return Ok(());
        }
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let largest = self.cells.values().max().copied().unwrap_or(0);
        let cell = width.max(largest.to_string().len());
        write!(f, "{:width$}", "")?;
        names.iter().try_for_each(|name| write!(f, "  {name:>cell$}"))?;
        writeln!(f)?;
        for (truth, name) in names.iter().enumerate() {
            write!(f, "{name:>width$}")?;
            for predicted in 0..names.len() {
                write!(f, "  {:>cell$}", self.count(truth, predicted))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// A class name on one line of at most 24 characters.
pub(super) fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(24).flat_map(one_line).collect();
    if name.chars().nth(24).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters are escaped, so that a label can neither break the table nor steer
/// the terminal.
fn one_line(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(k: usize) -> Classes {
        Classes::new((0..k).map(|i| format!("c{i}")).collect()).unwrap()
    }

    #[test]
    fn counts_and_prints() {
        let matrix = ConfusionMatrix::new(&classes(3), &[0, 0, 1, 2, 2], &[0, 1, 1, 0, 2]).unwrap();
        assert_eq!(matrix.to_array(), ndarray::array![[1, 1, 0], [0, 1, 0], [1, 0, 1]]);
        assert_eq!(matrix.count(2, 0), 1);
        let expected = "    c0  c1  c2\nc0   1   1   0\nc1   0   1   0\nc2   1   0   1\n";
        assert_eq!(matrix.to_string(), expected);
    }

    #[test]
    fn many_classes_list_the_worst() {
        let truth: Vec<usize> = (0..30).chain([5, 5]).collect();
        let predicted: Vec<usize> = (0..30).chain([6, 6]).collect();
        let matrix = ConfusionMatrix::new(&classes(30), &truth, &predicted).unwrap();
        assert_eq!(matrix.to_string(), "       2  c5 taken for c6\n");
    }

    #[test]
    fn json_holds_the_cells_that_occur() {
        let matrix = ConfusionMatrix::new(&classes(3), &[0, 0, 2], &[0, 0, 1]).unwrap();
        let json = serde_json::to_string(&matrix).unwrap();
        assert_eq!(json, r#"{"classes":["c0","c1","c2"],"cells":[[0,0,2],[2,1,1]]}"#);
    }

    #[test]
    fn refuses_unknown_classes() {
        let error = ConfusionMatrix::new(&classes(2), &[0, 0], &[0, 2]);
        assert!(matches!(error, Err(Error::UnknownClass { row: 1, index: 2, classes: 2 })));
    }

    #[test]
    fn labels_cannot_break_the_table() {
        assert_eq!(shown("a\n\u{1b}[2J"), "a\\n\\u{1b}[2J");
        assert_eq!(shown(&"é".repeat(30)), format!("{}…", "é".repeat(24)));
    }
}
