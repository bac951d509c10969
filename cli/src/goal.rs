//! What is learned in the place of one class an input: a number, or several labels.

use std::collections::BTreeSet;

use ndarray::Array2;
use offshoot_adapters::Classes;

use crate::failure::{Failure, Result};
use crate::inputs::{LabelArgs, Row};

/// Most elements of a table of rows and labels.
const MOST_TRUTHS: usize = 1 << 27;

/// What an input's label is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How the input is read")]
pub(crate) struct GoalArgs {
    /// Column or key that holds a number, which is predicted in the place of a class
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["label", "label_separator"])]
    pub(crate) target: Option<String>,
    /// What stands between the labels of a row, such as `;`, where a row has none, one or several
    /// of them; in JSONL they may also be an array
    #[arg(long, value_name = "SEPARATOR", value_parser = separator)]
    pub(crate) label_separator: Option<String>,
}

fn separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it must not be empty; `;` or `,` are usual".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

impl GoalArgs {
    /// Where the labels, or what stands in their place, are.
    pub(crate) fn column(&self, label: &LabelArgs) -> LabelArgs {
        match &self.target {
            Some(target) => LabelArgs::of(target),
            None => label.clone().separated_by(self.label_separator.clone()),
        }
    }
}

/// The number that a row has in the place of a label.
///
/// # Errors
/// When it has none, or something else.
pub(crate) fn number(row: &Row) -> Result<f64> {
    let text = row.label.as_deref().map_or("", str::trim);
    if text.is_empty() {
        return Err(Failure::data(format!(
            "{} has no number; give it one or leave the row out (--target names the column)",
            row.name()
        )));
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| {
        Failure::data(format!("{} has {text:?} for a number; write it as 12.5 or 1e-3", row.name()))
    })
}

/// The labels of a row, each once.
pub(crate) fn labels<'a>(row: &'a Row, separator: &str) -> BTreeSet<&'a str> {
    let text = row.label.as_deref().unwrap_or_default();
    text.split(separator).map(str::trim).filter(|label| !label.is_empty()).collect()
}

/// Which labels are true of which rows, `[rows, labels]`; labels that are not among the classes
/// are given to `unknown`.
///
/// # Errors
/// Those of `unknown`; when the table is too large.
pub(crate) fn truths(
    rows: &[Row],
    separator: &str,
    classes: &Classes,
    unknown: impl Fn(&Row, &str) -> Failure,
) -> Result<Array2<bool>> {
    if rows.len().saturating_mul(classes.len()) > MOST_TRUTHS {
        return Err(Failure::data(format!(
            "{} rows of {} labels are too many to learn at once",
            rows.len(),
            classes.len()
        )));
    }
    let mut truths = Array2::from_elem((rows.len(), classes.len()), false);
    for (row, mut truths) in rows.iter().zip(truths.outer_iter_mut()) {
        for label in labels(row, separator) {
            let class = classes.index(label).ok_or_else(|| unknown(row, label))?;
            if let Some(truth) = truths.get_mut(class) {
                *truth = true;
            }
        }
    }
    Ok(truths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str) -> Row {
        Row::text(7, "x".into(), Some(label.into()))
    }

    #[test]
    fn numbers_are_read_and_others_named() {
        assert_eq!(number(&row(" -1.5e3 ")).unwrap(), -1500.0);
        for (text, part) in
            [("12,5", "\"12,5\""), ("inf", "\"inf\""), ("NaN", "\"NaN\""), (" ", "no")]
        {
            let Err(Failure::Said { message, .. }) = number(&row(text)) else { panic!("{text}") };
            assert!(message.contains("row 7 has") && message.contains(part), "{message}");
        }
    }

    #[test]
    fn labels_of_a_row_are_a_set() {
        let found = row(" b;a ;;b; ");
        assert_eq!(labels(&found, ";").into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(labels(&row(""), ";").is_empty());
        let spaced = row("a b");
        assert_eq!(labels(&spaced, " ").len(), 2);
        let classes = Classes::new(vec!["b".into(), "c".into()]).unwrap();
        let unknown = |_: &Row, label: &str| Failure::data(label);
        let truths_of = |label: &str| truths(&[row(label)], ";", &classes, unknown);
        assert_eq!(truths_of("c;b").unwrap(), ndarray::array![[true, true]]);
        let Err(Failure::Said { message, .. }) = truths_of("b;d") else { panic!("d is known") };
        assert_eq!(message, "d");
    }

    #[test]
    fn a_separator_is_something() {
        assert!(separator("").is_err());
        assert!(separator(" ").is_ok() && separator("|").is_ok());
    }
}
