//! Heads of numbers and of several labels.

use std::time::Instant;

use ndarray::{Array2, Axis};
use offshoot_adapters::{Classes, FittedFile, MultiLabel, MultiLabelHead, Regression};

use super::{Args, INTERRUPTED, Ready};
use crate::failure::{Failure, Result};
use crate::files::shell_path;
use crate::goal;
use crate::inputs::Row;
use crate::interrupt::Interrupt;
use crate::progress::{self, grouped, seconds};

/// Learns the number of each row.
pub(super) fn values(args: &Args, rows: &[Row], interrupt: &Interrupt) -> Result {
    let targets = rows.iter().map(goal::number).collect::<Result<Vec<f64>>>()?;
    if targets.len() < 2 {
        return Err(Failure::data("numbers are learned from 2 examples or more; give more"));
    }
    let targets = Array2::from_shape_fn((targets.len(), 1), |(row, _)| targets[row]);
    let Ready { embeddings, tag, .. } = Ready::new(args, rows, interrupt)?;
    let start = Instant::now();
    let head = Regression::default().fit(embeddings.view(), targets.view())?;
    let took = start.elapsed();
    interrupt.check(INTERRUPTED)?;
    let error = head.leave_one_out_error();
    FittedFile::new(tag, head).save(&args.output)?;
    let spread = targets.var_axis(Axis(0), 0.0).sum();
    let share = if spread > 0.0 { 1.0 - error / spread } else { 0.0 };
    progress::say(&format!(
        "numbers of {} examples; left out one by one, they are predicted with a root mean squared \
         error of {:.4}, R² {share:.3}",
        grouped(rows.len() as u64),
        error.sqrt()
    ));
    progress::say(&format!(
        "{}: head of numbers, fitted in {}",
        shell_path(&args.output),
        seconds(took)
    ));
    Ok(())
}

/// Learns the labels of each row, which `separator` parts.
pub(super) fn labels(args: &Args, rows: &[Row], separator: &str, interrupt: &Interrupt) -> Result {
    let all: Vec<&str> = rows.iter().flat_map(|row| goal::labels(row, separator)).collect();
    if all.is_empty() {
        return Err(Failure::data("no row has a label; --label names their column"));
    }
    let (classes, _) = Classes::from_labels(&all)?;
    let truths = goal::truths(rows, separator, &classes, |row, label| {
        Failure::data(format!("{} has the label {label:?}, which is of no row", row.name()))
    })?;
    let Ready { embeddings, tag, .. } = Ready::new(args, rows, interrupt)?;
    let start = Instant::now();
    let head = MultiLabel::default().fit(embeddings.view(), truths.view(), classes)?;
    let took = start.elapsed();
    interrupt.check(INTERRUPTED)?;
    let said = summary(&head, &truths);
    FittedFile::new(tag, head).save(&args.output)?;
    progress::say(&said);
    progress::say(&format!(
        "{}: head of several labels, fitted in {}",
        shell_path(&args.output),
        seconds(took)
    ));
    Ok(())
}

/// What was learned, with a note on labels that are true once.
fn summary(head: &MultiLabelHead, truths: &Array2<bool>) -> String {
    let counts: Vec<usize> =
        truths.columns().into_iter().map(|c| c.iter().filter(|t| **t).count()).collect();
    let mean = head.leave_one_out_f1().iter().sum::<f64>() / counts.len().max(1) as f64;
    let mut text = format!(
        "{} labels from {} examples: {}; left out one by one, they are predicted with a mean F1 of \
         {mean:.3}",
        counts.len(),
        grouped(truths.nrows() as u64),
        super::counted(head.labels().names(), &counts)
    );
    text.push_str(&super::singles(&counts, "label"));
    text
}
