//! The report as one page that needs nothing else.

mod chart;
mod information;
mod nearest;

use std::fmt::Write;

use chart::{Line, lines, scatter};
use offshoot_adapters::metrics::svg::escaped;

use super::{Figure, Pillar, Report};

const STYLE: &str = include_str!("html/style.css");

const PILLARS: [(Pillar, &str, &str); 3] = [
    (Pillar::Information, "Information", "How much of the input is kept, and in how few numbers?"),
    (Pillar::Geometry, "Geometry", "What lies near what, and what moves it?"),
    (Pillar::Efficiency, "Data efficiency", "How far do labels go?"),
];

/// One self-contained page of the reports of one or more encoders on the same sample: no
/// script, no font, no link to anything outside. `ranking` are rows of a table with the names
/// of columns first, and `points` the score and the accuracy of each encoder; nothing where they
/// are empty.
pub fn page(
    title: &str,
    reports: &[Report],
    ranking: &[Vec<String>],
    points: &[(String, f64, f64)],
) -> String {
    let mut page = String::new();
    let title = escaped(title);
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style></head>\n<body><header>\
         <h1>{title}</h1>"
    );
    for report in reports {
        let _ = writeln!(
            page,
            "<p><strong>{}</strong>: {} numbers an embedding, {} {}.</p>",
            escaped(&report.encoder),
            report.width,
            report.rows,
            escaped(&report.inputs)
        );
        let notes: String =
            report.notes.iter().map(|note| format!("<li>{}</li>", escaped(note))).collect();
        if !notes.is_empty() {
            let _ = writeln!(page, "<ul class=\"notes\">{notes}</ul>");
        }
    }
    page.push_str("</header>\n<main>\n");
    if !ranking.is_empty() {
        page.push_str("<section><h2>Which encoder?</h2>\n");
        table(&mut page, "Encoders, ranked without labels", ranking);
        if points.len() > 1 {
            let names: Vec<String> = points.iter().map(|p| p.0.clone()).collect();
            let places: Vec<[f64; 2]> = points.iter().map(|p| [p.1, p.2]).collect();
            let groups = (0..names.len()).collect();
            let titles = points
                .iter()
                .map(|p| format!("recognition {}, accuracy {}", number(p.1), number(p.2)))
                .collect();
            let map = super::Map { titles, names, groups, ..super::Map::default() };
            let title = "Recognition without labels → against accuracy at about 10 labels ↑";
            let _ = writeln!(page, "<figure>{}</figure>", scatter(title, &map, &places));
        }
        page.push_str("</section>\n");
    }
    for (pillar, name, question) in PILLARS {
        let _ = writeln!(page, "<section><h2>{name}</h2><p class=\"lead\">{question}</p>");
        figures(&mut page, reports, pillar);
        match pillar {
            Pillar::Information => information::charts(&mut page, reports),
            Pillar::Geometry => geometry(&mut page, reports),
            Pillar::Efficiency => efficiency(&mut page, reports),
        }
        page.push_str("</section>\n");
    }
    page.push_str("</main></body></html>\n");
    page
}

fn figures(page: &mut String, reports: &[Report], pillar: Pillar) {
    let mut keys: Vec<&str> = Vec::new();
    for figure in reports.iter().flat_map(|r| &r.figures).filter(|f| f.pillar == pillar) {
        if !keys.contains(&figure.key) {
            keys.push(figure.key);
        }
    }
    page.push_str("<div class=\"cards\">\n");
    for key in keys {
        let Some(first) = reports.iter().find_map(|report| report.figure(key)) else { continue };
        let _ = writeln!(page, "<article class=\"card\"><h3>{}</h3>", first.name);
        for report in reports {
            let Some(figure) = report.figure(key) else { continue };
            if reports.len() > 1 {
                let _ = write!(page, "<p class=\"of\">{}</p>", escaped(&report.encoder));
            }
            let _ = writeln!(
                page,
                "<p class=\"value\">{} <small>{}</small></p><p>{}</p>",
                number(figure.value),
                between(figure),
                escaped(&figure.meaning)
            );
        }
        let _ = writeln!(
            page,
            "<details><summary>How it is computed</summary><p>{}</p><p>Source: {}. Of {} examples. \
             In brackets: 95 % interval.</p></details></article>",
            escaped(first.formula),
            escaped(first.source),
            first.rows
        );
    }
    page.push_str("</div>\n");
}

fn between(figure: &Figure) -> String {
    let interval = figure.interval.map(|i| format!("[{} to {}]", number(i.low), number(i.high)));
    interval.unwrap_or_default()
}

/// A number in three digits or so.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "no bound".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{value:.2}"),
        size if size >= 0.001 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

/// A table whose first row are the names of its columns.
fn table(page: &mut String, caption: &str, rows: &[Vec<String>]) {
    let _ = write!(
        page,
        "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{0}\"><table><caption>{0}\
         </caption>",
        escaped(caption)
    );
    for (i, row) in rows.iter().enumerate() {
        let cell = |(j, text): (usize, &String)| {
            let text = escaped(text);
            match (i, j) {
                (0, _) => format!("<th scope=\"col\">{text}</th>"),
                (_, 0) => format!("<th scope=\"row\">{text}</th>"),
                _ => format!("<td>{text}</td>"),
            }
        };
        let _ = writeln!(page, "<tr>{}</tr>", row.iter().enumerate().map(cell).collect::<String>());
    }
    page.push_str("</table></div>\n");
}

/// A chart with its numbers as a table one click away.
fn chart_of(page: &mut String, title: &str, x: &str, y: &str, log: bool, all: &[Line]) {
    if all.iter().all(|line| line.points.is_empty()) {
        return;
    }
    let _ = writeln!(page, "<figure>{}", lines(title, x, y, log, all));
    page.push_str("<details><summary>The numbers</summary>");
    let mut rows = vec![vec![String::new(), x.to_owned(), y.to_owned()]];
    for line in all {
        for &(at, value, _) in line.points.iter().take(60) {
            rows.push(vec![line.name.clone(), number(at), number(value)]);
        }
    }
    table(page, title, &rows);
    page.push_str("</details></figure>\n");
}

fn geometry(page: &mut String, reports: &[Report]) {
    page.push_str("<div class=\"pair\">\n");
    for report in reports {
        let map = &report.map;
        let name = &report.encoder;
        let _ = writeln!(
            page,
            "<figure>{}</figure>",
            scatter(&format!("{name}: map by t-SNE"), map, &map.t_sne)
        );
        let _ = writeln!(
            page,
            "<figure>{}</figure>",
            scatter(&format!("{name}: map by PCA"), map, &map.pca)
        );
    }
    page.push_str("</div>\n");
    let cosines: Vec<Line> = reports
        .iter()
        .filter_map(|report| {
            let histogram = &report.cosines.as_ref()?.histogram;
            let width = 2.0 / histogram.len() as f64;
            let at = |i: usize| -1.0 + (i as f64 + 0.5) * width;
            let points = histogram.iter().enumerate().map(|(i, &v)| (at(i), v, None)).collect();
            Some(Line { name: report.encoder.clone(), points })
        })
        .collect();
    chart_of(page, "Cosines of unrelated examples", "cosine", "share of pairs", false, &cosines);
    for report in reports {
        let of =
            |value: fn(&super::super::measures::geometry::invariance::Response) -> Option<f64>| {
                let line = |s: &super::Sensitivity| Line {
                    name: s.name.clone(),
                    points: s
                        .responses
                        .iter()
                        .filter_map(|r| Some((r.strength, value(r)?, None)))
                        .collect(),
                };
                report.sensitivity.iter().map(line).collect::<Vec<_>>()
            };
        let title = format!("{}: how far a change moves an embedding", report.encoder);
        chart_of(
            page,
            &title,
            "strength of the change",
            "1 is another example",
            false,
            &of(|r| Some(r.distance)),
        );
        let title = format!("{}: accuracy after a change", report.encoder);
        chart_of(
            page,
            &title,
            "strength of the change",
            "accuracy of nearest neighbours",
            false,
            &of(|r| r.accuracy),
        );
    }
    for report in reports {
        nearest::table(page, report);
    }
}

fn efficiency(page: &mut String, reports: &[Report]) {
    let mut all = Vec::new();
    for report in reports {
        for (of, curve) in report.shown_curves() {
            let name = match of {
                "" => format!("{}, {}", report.encoder, curve.head),
                "raw inputs" => format!("{of}, {}", curve.head),
                of if reports.len() > 1 => format!("{}: {of}, {}", report.encoder, curve.head),
                of => format!("{of}, {}", curve.head),
            };
            let other = ["", "raw inputs"].contains(&of) && curve.head != super::PROBE;
            if reports.len() > 1 && other || all.iter().any(|line: &Line| line.name == name) {
                continue;
            }
            let points = curve.points.iter();
            let points = points.map(|p| (p.labels as f64, p.accuracy, Some(p.interval))).collect();
            all.push(Line { name, points });
        }
    }
    for report in reports {
        let points = report.expected.iter().map(|e| (e.labels as f64, e.accuracy, e.interval));
        all.push(Line { name: format!("{}, expected", report.encoder), points: points.collect() });
    }
    all.retain(|line| !line.points.is_empty());
    if all.is_empty() {
        page.push_str("<p>Give labels to see how far they go.</p>\n");
        return;
    }
    chart_of(page, "Accuracy against labels", "labels of each class", "accuracy", true, &all);
    for report in reports.iter().filter(|report| !report.needed.is_empty()) {
        let mut rows = vec![vec![
            "wanted accuracy".into(),
            "labels of each class".into(),
            "95 % interval".into(),
        ]];
        for needed in &report.needed {
            let interval =
                needed.interval.map(|i| format!("{} to {}", number(i.low), number(i.high)));
            rows.push(vec![
                format!("{:.0} %", 100.0 * needed.accuracy),
                if needed.labels.is_finite() {
                    number(needed.labels.ceil())
                } else {
                    "not within reach".into()
                },
                interval.unwrap_or_default(),
            ]);
        }
        table(
            page,
            &format!("{}: labels needed (linear probe, error a + b n^(−c))", report.encoder),
            &rows,
        );
    }
}

/// A title of at most 160 letters.
pub(super) fn short(title: &str) -> String {
    let mut start: String = title.chars().take(160).collect();
    if title.chars().nth(160).is_some() {
        start.push('…');
    }
    start
}
