//! How good a head of numbers is.

use ndarray::Axis;
use offshoot_adapters::RegressionHead;
use offshoot_adapters::metrics::RegressionReport;
use serde_json::json;

use super::{Args, Work};
use crate::failure::{Failure, Result};
use crate::files::shell_path;
use crate::goal;
use crate::head::Opened;
use crate::output;
use crate::progress::grouped;

/// Measures a head of numbers.
pub(super) fn run(args: &Args, work: Work) -> Result {
    let opened =
        Opened::<RegressionHead>::open(&args.bundle, &args.head, &args.encoder, args.truncate)?;
    let head = &opened.fitted;
    let widths = args.sets.coverage.map(|coverage| head.half_widths(coverage)).transpose()?;
    let half = widths.and_then(|widths| widths.first().copied());
    if head.intercepts().len() != 1 {
        return Err(Failure::usage(format!(
            "{} predicts {} numbers at once, and heads of one are measured",
            shell_path(&args.head),
            head.intercepts().len()
        )));
    }
    let (mut truth, mut predicted) = (Vec::new(), Vec::new());
    work.each_part(&opened.encoder, &opened.options, |rows, x| {
        for row in rows {
            truth.push(goal::number(row)?);
        }
        predicted.extend(head.predict(x)?.index_axis_move(Axis(1), 0));
        Ok(())
    })?;
    let report = RegressionReport::new(&truth, &predicted)?;
    let interval = args.sets.coverage.zip(half).map(|(coverage, half)| {
        let within = truth.iter().zip(&predicted).filter(|(t, p)| (*t - *p).abs() <= half).count();
        (coverage, within as f64 / truth.len() as f64, 2.0 * half)
    });
    if args.json {
        let mut value = json!({
            "examples": truth.len(),
            "r2": report.r2,
            "root_mean_squared_error": report.root_mean_squared_error,
            "mean_absolute_error": report.mean_absolute_error,
        });
        if let Some((coverage, held, width)) = interval {
            value["intervals"] = json!({"coverage": coverage, "held": held, "width": width});
        }
        return output::print_json(&value, true);
    }
    let mut text =
        format!("{} examples (head of numbers)\n\n{report}", grouped(truth.len() as u64));
    if let Some((coverage, held, width)) = interval {
        text.push_str(&format!(
            "\nintervals at {} %: {width:.6} wide, with {:.2} % of the numbers in them\n",
            100.0 * coverage,
            100.0 * held
        ));
    }
    output::print(&text)
}
