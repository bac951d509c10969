//! The labels of each input, none or several.

use offshoot_adapters::MultiLabelHead;
use serde_json::{Map, Value, json};

use super::{Args, Work, shown};
use crate::csv;
use crate::failure::Result;
use crate::head::Opened;
use crate::rows::RowFormat;

/// Predicts by a head of several labels.
pub(super) fn run(args: &Args, work: Work) -> Result {
    let opened =
        Opened::<MultiLabelHead>::open(&args.bundle, &args.head, &args.encoder, args.truncate)?;
    let head = &opened.fitted;
    let names = head.labels().names();
    let (format, place, scored) = (work.format, work.place, args.proba);
    let mut header = vec!["row".to_owned(), "labels".to_owned()];
    if place {
        header.push("input".to_owned());
    }
    if scored {
        header.extend(names.iter().map(|name| format!("s:{name}")));
    }
    let header = match format {
        RowFormat::Csv => csv::line(&header),
        RowFormat::Jsonl => Vec::new(),
    };
    work.each_part(&opened.encoder, &opened.options, &header, |rows, x| {
        let scores = head.decision_function(x)?;
        let mut out = Vec::new();
        for (row, scores) in rows.iter().zip(scores.outer_iter()) {
            let passed = names.iter().zip(&scores).zip(head.thresholds());
            let labels: Vec<&str> = passed
                .filter(|((_, score), threshold)| score > threshold)
                .map(|((name, _), _)| name.as_str())
                .collect();
            if format == RowFormat::Csv {
                let mut fields = vec![row.number.to_string(), labels.join("|")];
                fields.extend(place.then(|| row.shown.clone()));
                if scored {
                    fields.extend(scores.iter().map(|&score| shown(score)));
                }
                out.extend(csv::line(&fields));
            } else {
                let mut line = json!({"row": row.number, "labels": labels});
                if place {
                    line["input"] = json!(row.shown);
                }
                if scored {
                    let pairs = names.iter().zip(&scores);
                    let all: Map<String, Value> =
                        pairs.map(|(name, &score)| (name.clone(), json!(score))).collect();
                    line["scores"] = Value::Object(all);
                }
                out.extend(line.to_string().into_bytes());
                out.push(b'\n');
            }
        }
        Ok(out)
    })
}
