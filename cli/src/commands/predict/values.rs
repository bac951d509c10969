//! The number of each input.

use offshoot_adapters::RegressionHead;
use serde_json::json;

use super::{Args, Work};
use crate::csv;
use crate::failure::Result;
use crate::head::Opened;
use crate::rows::RowFormat;

/// Predicts by a head of numbers.
pub(super) fn run(args: &Args, work: Work) -> Result {
    let opened =
        Opened::<RegressionHead>::open(&args.bundle, &args.head, &args.encoder, args.truncate)?;
    let head = &opened.fitted;
    // Half the width of the interval of each number.
    let widths = args.sets.coverage.map(|coverage| head.half_widths(coverage)).transpose()?;
    let outputs = head.intercepts().len();
    let named = |name: &str, output: usize| match outputs {
        1 => name.to_owned(),
        _ => format!("{name}:{}", output + 1),
    };
    let (format, place) = (work.format, work.place);
    let mut header = vec!["row".to_owned()];
    if place {
        header.push("input".to_owned());
    }
    for output in 0..outputs {
        header.push(named("value", output));
        if widths.is_some() {
            header.extend([named("low", output), named("high", output)]);
        }
    }
    let header = match format {
        RowFormat::Csv => csv::line(&header),
        RowFormat::Jsonl => Vec::new(),
    };
    work.each_part(&opened.encoder, &opened.options, &header, |rows, x| {
        let predicted = head.predict(x)?;
        let mut out = Vec::new();
        for (row, values) in rows.iter().zip(predicted.outer_iter()) {
            let mut numbers = Vec::new();
            for (output, &value) in values.iter().enumerate() {
                numbers.push((named("value", output), value));
                if let Some(&half) = widths.as_ref().and_then(|widths| widths.get(output)) {
                    numbers.push((named("low", output), value - half));
                    numbers.push((named("high", output), value + half));
                }
            }
            if format == RowFormat::Csv {
                let mut fields = vec![row.number.to_string()];
                fields.extend(place.then(|| row.shown.clone()));
                fields.extend(numbers.iter().map(|(_, number)| number.to_string()));
                out.extend(csv::line(&fields));
            } else {
                let mut line = json!({"row": row.number});
                if place {
                    line["input"] = json!(row.shown);
                }
                for (name, number) in numbers {
                    line[name] = json!(number);
                }
                out.extend(line.to_string().into_bytes());
                out.push(b'\n');
            }
        }
        Ok(out)
    })
}
