//! What an encoder is tuned on.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Texts to tune an encoder on.
#[derive(Debug, Clone, Copy)]
pub enum TuningExamples<'a> {
    /// Texts of classes: texts of one class are drawn together and apart from others
    /// (supervised contrastive loss).
    Labelled {
        /// The texts.
        texts: &'a [String],
        /// The class of each.
        labels: &'a [String],
    },
    /// Pairs of texts that belong together, such as question and answer: each first text
    /// has to find its partner among those of the batch (multiple negatives ranking).
    Pairs {
        /// First texts.
        anchors: &'a [String],
        /// Their partners.
        positives: &'a [String],
    },
}

impl TuningExamples<'_> {
    /// Whether they can be learned from.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Labelled { texts, labels } => {
                if texts.len() != labels.len() {
                    return Err(lengths("labels", texts.len(), labels.len()));
                }
                let classes = self.classes();
                if classes.len() < 2 {
                    return Err(Error::Tune(format!(
                        "the examples are of {} class{}; tuning needs two or more",
                        classes.len(),
                        if classes.len() == 1 { "" } else { "es" }
                    )));
                }
                if classes.values().all(|rows| rows.len() < 2) {
                    return Err(Error::Tune(
                        "no class has two examples; tuning needs at least two of a class, a head \
                         (`offshoot learn`) does not"
                            .into(),
                    ));
                }
                Ok(())
            }
            Self::Pairs { anchors, positives } => {
                if anchors.len() != positives.len() {
                    return Err(lengths("partners", anchors.len(), positives.len()));
                }
                if anchors.len() < 2 {
                    return Err(Error::Tune(format!(
                        "there {} {} pair; tuning needs two or more, each the others' contrast",
                        if anchors.len() == 1 { "is" } else { "are" },
                        if anchors.len() == 1 { "one" } else { "no" },
                    )));
                }
                Ok(())
            }
        }
    }

    /// The rows of each class, in the order of the classes' names.
    pub(super) fn classes(&self) -> BTreeMap<&str, Vec<usize>> {
        let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        if let Self::Labelled { labels, .. } = self {
            for (row, label) in labels.iter().enumerate() {
                classes.entry(label).or_default().push(row);
            }
        }
        classes
    }
}

fn lengths(what: &str, texts: usize, others: usize) -> Error {
    Error::Tune(format!("there are {texts} texts and {others} {what}; each text needs one"))
}
