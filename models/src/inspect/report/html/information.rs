//! Charts and tables of what embeddings keep.

use super::chart::Line;
use super::{chart_of, number, table};
use crate::inspect::Interval;
use crate::inspect::measures::information::bits::Form;
use crate::inspect::report::{Layer, Report};

/// Spectrum, what is readable after each block, and what smaller forms keep.
pub(super) fn charts(page: &mut String, reports: &[Report]) {
    let of = |report: &Report| Line {
        name: report.encoder.clone(),
        points: (1..).zip(&report.variances).map(|(j, &v)| (f64::from(j), v, None)).collect(),
    };
    let scaled = |mut line: Line| {
        let most = line.points.first().map_or(1.0, |p| p.1).max(1e-300);
        line.points.iter_mut().for_each(|p| p.1 = (p.1 / most).max(1e-9).log10());
        line
    };
    let all: Vec<Line> = reports.iter().map(of).map(scaled).collect();
    let y = "log₁₀ of variance, against the first";
    chart_of(page, "Variance of the principal components", "rank", y, true, &all);
    for report in reports {
        readable(page, report);
    }
    let mut rows = vec![vec!["form".to_owned()]];
    for report in reports {
        rows[0].push(format!("{}: bits", report.encoder));
        rows[0].push("neighbours kept".to_owned());
        rows[0].push("relative error".to_owned());
    }
    let most = reports.iter().map(|r| r.bits.len()).max().unwrap_or(0);
    for place in 0..most {
        let mut row = Vec::new();
        for report in reports {
            match report.bits.get(place) {
                Some(kept) => {
                    if row.is_empty() {
                        row.push(match kept.form {
                            Form::Cut(width) => {
                                format!("first {width} numbers")
                            }
                            form => format!("{form:?}").to_lowercase(),
                        });
                    }
                    row.push(kept.bits.to_string());
                    row.push(format!("{:.1} %", 100.0 * kept.neighbors));
                    row.push(number(kept.error));
                }
                None => row.extend(std::iter::repeat_n("–".to_owned(), 3)),
            }
        }
        rows.push(row);
    }
    if most > 0 {
        table(page, "What smaller forms of the embeddings keep", &rows);
    }
}

/// Compression and prediction after each block.
fn readable(page: &mut String, report: &Report) {
    let line = |name: &str, of: fn(&Layer) -> (Option<f64>, Option<Interval>)| Line {
        name: name.to_owned(),
        points: report
            .layers
            .iter()
            .filter_map(|layer| {
                let (share, interval) = of(layer);
                Some((layer.block as f64, share?, interval))
            })
            .collect(),
    };
    let mut all = vec![
        line("of the input", |l| (l.input, l.input_interval)),
        line("of the label", |l| (l.label, l.label_interval)),
    ];
    all.retain(|line| !line.points.is_empty());
    let title = format!("{}: what a linear decoder reads after each block", report.encoder);
    chart_of(page, &title, "block", "share", false, &all);
}
