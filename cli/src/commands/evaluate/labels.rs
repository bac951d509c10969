//! How good a head of several labels is.

use ndarray::{Array2, ArrayView2, Axis};
use offshoot_adapters::metrics::MultiLabelReport;
use offshoot_adapters::{Classes, MultiLabelHead};
use serde_json::{Value, json};

use super::{Args, Work, known, scores, scores_of};
use crate::failure::{Code, Failure, Result};
use crate::goal;
use crate::head::Opened;
use crate::output;
use crate::progress::grouped;

/// Measures a head of several labels, which `separator` parts in the examples.
pub(super) fn run(args: &Args, work: Work, separator: &str) -> Result {
    let opened =
        Opened::<MultiLabelHead>::open(&args.bundle, &args.head, &args.encoder, args.truncate)?;
    let (head, labels) = (&opened.fitted, opened.fitted.labels());
    let (mut truth, mut predicted) = (Vec::new(), Vec::new());
    work.each_part(&opened.encoder, &opened.options, |rows, x| {
        truth.push(goal::truths(rows, separator, labels, |row, label| {
            Failure::data(format!(
                "{} has the label {label:?}, which the head does not know; it knows {}",
                row.name(),
                known(labels.names())
            ))
        })?);
        predicted.push(head.predict(x)?);
        Ok(())
    })?;
    let (truth, predicted) = (joined(&truth, labels)?, joined(&predicted, labels)?);
    let report = MultiLabelReport::new(labels, truth.view(), predicted.view())?;
    if args.json {
        return output::print_json(&to_json(&report, truth.nrows()), true);
    }
    output::print(&format!(
        "{} examples (head of several labels)\n\n{report}",
        grouped(truth.nrows() as u64)
    ))
}

fn joined(parts: &[Array2<bool>], labels: &Classes) -> Result<Array2<bool>> {
    let none = Array2::from_elem((0, labels.len()), false);
    let views: Vec<ArrayView2<'_, bool>> =
        parts.iter().chain([&none]).map(|part| part.view()).collect();
    ndarray::concatenate(Axis(0), &views)
        .map_err(|error| Failure::new(Code::Bug, error.to_string()))
}

fn to_json(report: &MultiLabelReport, examples: usize) -> Value {
    let labels: Vec<Value> = report
        .labels
        .names()
        .iter()
        .zip(&report.per_label)
        .map(|(name, label)| scores_of(name, label))
        .collect();
    json!({
        "examples": examples,
        "labels": labels,
        "micro_average": scores(&report.micro_average),
        "macro_average": scores(&report.macro_average),
        "subset_accuracy": report.subset_accuracy,
    })
}
