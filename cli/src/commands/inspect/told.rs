//! The report on a terminal, and the table that ranks encoders.

use std::fmt::Write;

use offshoot_models::inspect::ranking::{Clid, clid_scores, spearman};
use offshoot_models::inspect::report::{Pillar, Report};
use serde::Serialize;

/// Labels of each class at which ranks are compared with the truth.
const SHOTS: usize = 10;

/// Encoders ranked without labels.
#[derive(Debug, Serialize)]
pub(super) struct Ranking {
    encoders: Vec<Ranked>,
    /// Spearman's correlation of each score with accuracy at [`SHOTS`] labels of each class,
    /// where there are labels and 3 encoders or more.
    spearman: Vec<(&'static str, f64)>,
}

#[derive(Debug, Serialize)]
struct Ranked {
    encoder: String,
    /// Share of views that are recognised; encoders are in this order.
    recognition: Option<f64>,
    effective_rank: f64,
    lidar: Option<f64>,
    clid: f64,
    /// Bound on the information between views, in nats.
    info_nce: Option<f64>,
    /// Share of parts of inputs whose nearest whole is their own, over all strengths.
    whole_from_part: Option<f64>,
    few_shot: Option<f64>,
}

impl Ranking {
    pub(super) fn of(reports: &[Report], clids: &[Option<Clid>]) -> Self {
        let whole: Vec<Clid> = clids.iter().flatten().copied().collect();
        let scores = match whole.len() == reports.len() {
            true => clid_scores(&whole),
            false => vec![f64::NAN; reports.len()],
        };
        let value = |report: &Report, key: &str| report.figure(key).map(|figure| figure.value);
        let mut encoders: Vec<Ranked> = reports
            .iter()
            .zip(scores)
            .map(|(report, clid)| Ranked {
                encoder: report.encoder.clone(),
                recognition: value(report, "recognition"),
                effective_rank: value(report, "effective_rank").unwrap_or(f64::NAN),
                lidar: value(report, "lidar"),
                clid,
                info_nce: value(report, "info_nce"),
                whole_from_part: whole_from_part(report),
                few_shot: report.few_shot(SHOTS),
            })
            .collect();
        let by = |e: &Ranked| e.recognition.unwrap_or(f64::NEG_INFINITY);
        encoders.sort_by(|a, b| by(b).total_cmp(&by(a)));
        let truth: Option<Vec<f64>> = encoders.iter().map(|e| e.few_shot).collect();
        let score = |of: fn(&Ranked) -> Option<f64>| encoders.iter().map(of).collect();
        let scores: [(&'static str, Option<Vec<f64>>); 6] = [
            ("recognition", score(|e| e.recognition)),
            ("whole from part", score(|e| e.whole_from_part)),
            ("effective rank", score(|e| Some(e.effective_rank))),
            ("LiDAR", score(|e| e.lidar)),
            ("CLID", score(|e| Some(e.clid))),
            ("information between views", score(|e| e.info_nce)),
        ];
        let spearman = truth.map_or_else(Vec::new, |truth| {
            let each = scores.into_iter();
            each.filter_map(|(name, s)| Some((name, spearman(&s?, &truth)?))).collect()
        });
        Self { encoders, spearman }
    }

    /// Rows of a table, names of columns first.
    pub(super) fn table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![
            [
                "encoder",
                "recognition",
                "whole from part",
                "effective rank",
                "LiDAR",
                "CLID",
                "information (nats)",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        let labelled = self.encoders.iter().any(|e| e.few_shot.is_some());
        if labelled {
            rows[0].push(format!("accuracy at about {SHOTS} labels a class"));
        }
        let number = |value: Option<f64>| match value {
            Some(value) if value.is_finite() => format!("{value:.2}"),
            _ => "–".to_owned(),
        };
        for e in &self.encoders {
            let mut row = vec![e.encoder.clone(), number(e.recognition), number(e.whole_from_part)];
            row.extend([number(Some(e.effective_rank)), number(e.lidar)]);
            row.extend([number(Some(e.clid)), number(e.info_nce)]);
            if labelled {
                row.push(e.few_shot.map_or("–".into(), |a| format!("{:.1} %", 100.0 * a)));
            }
            rows.push(row);
        }
        if !self.spearman.is_empty() {
            let of = |name: &str| {
                let found = self.spearman.iter().find(|(n, _)| *n == name).map(|(_, rho)| *rho);
                number(found)
            };
            rows.push(vec![
                "Spearman's correlation with accuracy".into(),
                of("recognition"),
                of("whole from part"),
                of("effective rank"),
                of("LiDAR"),
                of("CLID"),
                of("information between views"),
                String::new(),
            ]);
        }
        rows
    }
}

impl Ranking {
    /// Recognition and accuracy of each encoder, where there are labels.
    pub(super) fn points(&self) -> Vec<(String, f64, f64)> {
        let both = |e: &Ranked| Some((e.encoder.clone(), e.recognition?, e.few_shot?));
        self.encoders.iter().filter_map(both).collect()
    }
}

/// How often a part of an input (a crop, a text with words left out) is nearest to its whole.
fn whole_from_part(report: &Report) -> Option<f64> {
    let part = |name: &str| name == "crop" || name == "words left out";
    let found = report.sensitivity.iter().find(|sensitivity| part(&sensitivity.name))?;
    let sum: f64 = found.responses.iter().map(|response| response.found).sum();
    Some(sum / found.responses.len() as f64)
}

/// The report as text.
pub(super) fn text(report: &Report) -> String {
    // Writing to a string cannot fail.
    let mut page = String::new();
    let _ = writeln!(
        page,
        "{}: {} numbers an embedding, {} {}",
        report.encoder, report.width, report.rows, report.inputs
    );
    for note in &report.notes {
        let _ = writeln!(page, "note: {note}");
    }
    let pillars = [
        (Pillar::Information, "information"),
        (Pillar::Geometry, "geometry"),
        (Pillar::Efficiency, "data efficiency"),
    ];
    for (pillar, name) in pillars {
        let _ = writeln!(page, "\n{name}");
        for figure in report.figures.iter().filter(|figure| figure.pillar == pillar) {
            let between = figure.interval.map(|i| format!("[{:.3}, {:.3}]", i.low, i.high));
            let _ = writeln!(
                page,
                "  {:<36} {:>9.3}  {:<18} {}",
                figure.name,
                figure.value,
                between.unwrap_or_default(),
                figure.meaning
            );
        }
    }
    for layer in &report.layers {
        let share = |share: Option<f64>| {
            share.map_or("–".to_owned(), |share| format!("{:.0} %", 100.0 * share))
        };
        let name = format!("readable after block {}", layer.block);
        let (input, label) = (share(layer.input), share(layer.label));
        let _ = writeln!(page, "  {name:<36} {input} of the input, {label} of the label");
    }
    for sensitivity in &report.sensitivity {
        let steps: Vec<String> = sensitivity
            .responses
            .iter()
            .map(|r| format!("{:.2} at {}", r.distance, r.strength))
            .collect();
        let _ = writeln!(page, "  moved by {:<27} {}", sensitivity.name, steps.join(", "));
    }
    for (of, curve) in report.shown_curves() {
        let points: Vec<String> = curve
            .points
            .iter()
            .map(|p| format!("{:.1} % at {}", 100.0 * p.accuracy, p.labels))
            .collect();
        let name = match of {
            "" => curve.head.clone(),
            of => format!("{of}, {}", curve.head),
        };
        let _ = writeln!(page, "  {name:<36} {}", points.join(", "));
    }
    for expected in &report.expected {
        let interval = expected.interval.map_or(String::new(), |i| {
            format!(" (95 %: {:.1} % to {:.1} %)", 100.0 * i.low, 100.0 * i.high)
        });
        let name = format!("expected of {} labels a class", expected.labels);
        let _ = writeln!(page, "  {name:<36} {:.1} %{interval}", 100.0 * expected.accuracy);
    }
    for needed in &report.needed {
        let labels = |n: f64| match n.is_finite() {
            true => format!("{:.0}", n.ceil()),
            false => "no bound".to_owned(),
        };
        let interval = needed
            .interval
            .map_or(String::new(), |i| format!(" (95 %: {} to {})", labels(i.low), labels(i.high)));
        let _ = writeln!(
            page,
            "  labels of each class for {:>2.0} %         {}{interval}",
            100.0 * needed.accuracy,
            match needed.labels.is_finite() {
                true => labels(needed.labels),
                false => "not within reach".to_owned(),
            }
        );
    }
    page
}

/// A table as text.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
