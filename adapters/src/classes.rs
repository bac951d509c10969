//! The names of the classes, and the index that stands for each.

use std::collections::{BTreeSet, HashSet};

use crate::error::{Error, Result};

/// An ordered set of class names; class `k` is the `k`-th name.
///
/// [`Classes::from_labels`] sorts names by code point, the order of scikit-learn's
/// `classes_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    names: Vec<String>,
    /// Indices of `names` in sorted order, for [`Classes::index`].
    sorted: Vec<u32>,
}

impl Classes {
    /// The most classes a head may have. Beyond it the label column is nearly always a
    /// mistake, and one matrix of scores for a batch would no longer fit a small machine.
    pub const MAX: usize = 65_536;

    /// The longest class name, in bytes of UTF-8.
    pub const MAX_NAME_BYTES: usize = 1_024;

    /// The distinct labels in sorted order, and for each label the index of its class.
    ///
    /// # Errors
    ///
    /// [`Error::NoExamples`] for an empty list, [`Error::LongLabel`],
    /// [`Error::TooManyClasses`] as soon as more than [`Classes::MAX`] are seen, so that two
    /// million distinct labels cost no more memory than the limit.
    ///
    /// ```
    /// # use offshoot_adapters::Classes;
    /// let (classes, y) = Classes::from_labels(&["spam", "ham", "spam"])?;
    /// assert_eq!(classes.names(), ["ham", "spam"]);
    /// assert_eq!(y, [1, 0, 1]);
    /// # Ok::<(), offshoot_adapters::Error>(())
    /// ```
    pub fn from_labels(labels: &[impl AsRef<str>]) -> Result<(Self, Vec<usize>)> {
        if labels.is_empty() {
            return Err(Error::NoExamples);
        }
        let mut distinct = BTreeSet::new();
        for (row, label) in labels.iter().enumerate() {
            let label = label.as_ref();
            check_name(row, label)?;
            distinct.insert(label);
            if distinct.len() > Self::MAX {
                let found = distinct.len();
                return Err(Error::TooManyClasses { found, at_least: true, limit: Self::MAX });
            }
        }
        let names: Vec<String> = distinct.into_iter().map(str::to_owned).collect();
        let indices = labels
            .iter()
            // Every label is among the names, so both arms are its index.
            .map(|label| match names.binary_search_by(|name| name.as_str().cmp(label.as_ref())) {
                Ok(index) | Err(index) => index,
            })
            .collect();
        let sorted = (0..names.len() as u32).collect();
        Ok((Self { names, sorted }, indices))
    }

    /// The given names in the given order.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateClass`], [`Error::LongLabel`], [`Error::TooManyClasses`].
    pub fn new(names: Vec<String>) -> Result<Self> {
        if names.len() > Self::MAX {
            let found = names.len();
            return Err(Error::TooManyClasses { found, at_least: false, limit: Self::MAX });
        }
        let mut seen = HashSet::with_capacity(names.len());
        for (row, name) in names.iter().enumerate() {
            check_name(row, name)?;
            if !seen.insert(name.as_str()) {
                return Err(Error::DuplicateClass(name.clone()));
            }
        }
        drop(seen);
        let mut sorted: Vec<u32> = (0..names.len() as u32).collect();
        sorted.sort_by(|&a, &b| names[a as usize].cmp(&names[b as usize]));
        Ok(Self { names, sorted })
    }

    /// All names, in class order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many classes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no class.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The index of the class with this name.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        let position =
            self.sorted.binary_search_by(|&k| self.names[k as usize].as_str().cmp(name)).ok()?;
        Some(self.sorted[position] as usize)
    }

    /// The name of class `index`.
    ///
    /// # Panics
    ///
    /// If there is no such class, as slice indexing does. Indices that a head of these
    /// classes returns are always valid; use `names().get(index)` for others.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        &self.names[index]
    }
}

fn check_name(row: usize, name: &str) -> Result<()> {
    if name.len() <= Classes::MAX_NAME_BYTES {
        return Ok(());
    }
    Err(Error::LongLabel {
        row,
        bytes: name.len(),
        start: name.chars().take(40).collect(),
        limit: Classes::MAX_NAME_BYTES,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_by_code_point_and_finds_names() {
        let (classes, y) = Classes::from_labels(&["b", "é", "B", "a\nb", "", "b"]).unwrap();
        assert_eq!(classes.names(), ["", "B", "a\nb", "b", "é"]);
        assert_eq!(y, [3, 4, 1, 2, 0, 3]);
        for (index, name) in classes.names().iter().enumerate() {
            assert_eq!(classes.index(name), Some(index));
            assert_eq!(classes.name(index), name);
        }
        assert_eq!(classes.index("missing"), None);
    }

    #[test]
    fn keeps_a_given_order() {
        let classes = Classes::new(vec!["z".into(), "a".into(), "m".into()]).unwrap();
        assert_eq!(["z", "a", "m"].map(|name| classes.index(name)), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn refuses_duplicates_long_names_and_empty_lists() {
        let twice = Classes::new(vec!["a".into(), "a".into()]);
        assert!(matches!(twice, Err(Error::DuplicateClass(name)) if name == "a"));
        let long = "x".repeat(10_000_000);
        let error = Classes::from_labels(&["short", &long]).unwrap_err();
        assert!(matches!(error, Error::LongLabel { row: 1, bytes: 10_000_000, .. }));
        assert!(error.to_string().len() < 300);
        assert!(matches!(Classes::from_labels(&[] as &[&str]), Err(Error::NoExamples)));
    }

    #[test]
    fn two_million_classes_are_refused_early() {
        let labels: Vec<String> = (0..2_000_000).map(|i| i.to_string()).collect();
        let error = Classes::from_labels(&labels).unwrap_err();
        assert!(matches!(error, Error::TooManyClasses { found: 65_537, at_least: true, .. }));
        assert!(error.to_string().starts_with("65537 or more different labels"), "{error}");
        let error = Classes::new(labels).unwrap_err();
        assert!(matches!(error, Error::TooManyClasses { found: 2_000_000, .. }));
    }

    #[test]
    fn as_many_as_allowed_work() {
        let labels: Vec<String> = (0..Classes::MAX).map(|i| format!("{i:05}")).collect();
        let (classes, y) = Classes::from_labels(&labels).unwrap();
        assert_eq!(classes.len(), Classes::MAX);
        assert_eq!(y, (0..Classes::MAX).collect::<Vec<_>>());
    }
}
