//! Charts as SVG: lines with intervals, and maps.

use std::fmt::Write;

use offshoot_adapters::metrics::svg::escaped;

use super::{number, short};
use crate::inspect::Interval;
use crate::inspect::report::Map;

/// Told apart by most colour-blind readers (Okabe and Ito, 2008), with enough contrast on white
/// and on black; dashes and shapes tell them apart too.
const COLOURS: [&str; 7] =
    ["#1f83c4", "#c85a00", "#10916c", "#b8629a", "#a87a00", "#6a73d8", "#83838d"];
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 48.0;

/// A line of a chart.
pub(super) struct Line {
    pub(super) name: String,
    /// Place, value, and the value's interval.
    pub(super) points: Vec<(f64, f64, Option<Interval>)>,
}

/// Draws lines; `log` puts places on a logarithmic axis.
pub(super) fn lines(title: &str, x: &str, y: &str, log: bool, all: &[Line]) -> String {
    let place = |at: f64| if log { at.max(1e-9).ln() } else { at };
    let points = || all.iter().flat_map(|line| &line.points).filter(|p| p.1.is_finite());
    let (x0, x1) = range(points().map(|p| place(p.0)), 0.0);
    let reach = |p: &(f64, f64, Option<Interval>)| {
        let (low, high) = p.2.map_or((p.1, p.1), |i| (i.low, i.high));
        [low, high]
    };
    let (y0, y1) = range(points().flat_map(reach), 0.05);
    let across = |at: f64| LEFT + (place(at) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
    let up = |value: f64| HEIGHT - BOTTOM - (value - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM);
    let height = HEIGHT + 18.0 * all.len() as f64;
    let ends: Vec<String> = all
        .iter()
        .filter_map(|l| Some(format!("{} ends at {}", l.name, number(l.points.last()?.1))))
        .collect();
    let mut svg = open(title, height, &format!("{y} against {x}. {}", ends.join("; ")));
    for step in 0..=4 {
        let value = y0 + f64::from(step) / 4.0 * (y1 - y0);
        rule(&mut svg, (LEFT, up(value)), (WIDTH - RIGHT, up(value)));
        text(&mut svg, LEFT - 6.0, up(value) + 4.0, "end", &number(value));
        let at = x0 + f64::from(step) / 4.0 * (x1 - x0);
        let shown = if log { at.exp() } else { at };
        let shown = if log { format!("{shown:.0}") } else { number(shown) };
        let anchor = ["start", "middle", "middle", "middle", "end"][step as usize];
        let where_to = LEFT + f64::from(step) / 4.0 * (WIDTH - LEFT - RIGHT);
        text(&mut svg, where_to, HEIGHT - BOTTOM + 17.0, anchor, &shown);
    }
    text(&mut svg, WIDTH - RIGHT, HEIGHT - 12.0, "end", &format!("{x} →"));
    text(&mut svg, 8.0, HEIGHT - 12.0, "start", &format!("↑ {y}"));
    for (i, line) in all.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let dash = ["", "6 3", "2 3", "8 3 2 3"][i % 4];
        let finite = line.points.iter().filter(|p| p.1.is_finite());
        let path: Vec<String> =
            finite.clone().map(|p| format!("{:.1},{:.1}", across(p.0), up(p.1))).collect();
        let stroke = format!("stroke=\"{colour}\" stroke-dasharray=\"{dash}\"");
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke-width=\"2\" {stroke} points=\"{}\"/>",
            path.join(" ")
        );
        for p in finite.take(60) {
            if let Some(interval) = p.2 {
                let x = across(p.0);
                let (low, high) = (up(interval.low), up(interval.high));
                let _ = writeln!(
                    svg,
                    "<line stroke=\"{colour}\" x1=\"{x:.1}\" y1=\"{low:.1}\" x2=\"{x:.1}\" \
                     y2=\"{high:.1}\"/><circle fill=\"{colour}\" cx=\"{x:.1}\" cy=\"{:.1}\" \
                     r=\"3.5\"><title>{}: {} at {}</title></circle>",
                    up(p.1),
                    escaped(&line.name),
                    number(p.1),
                    number(p.0)
                );
            }
        }
        let y = HEIGHT + 18.0 * i as f64;
        let _ = writeln!(
            svg,
            "<line stroke-width=\"3\" {stroke} x1=\"{LEFT}\" y1=\"{y}\" x2=\"92\" y2=\"{y}\"/>"
        );
        text(&mut svg, 100.0, y + 4.0, "start", &short(&line.name));
    }
    svg.push_str("</svg>");
    svg
}

/// Draws a map; a pointer on a mark shows its title.
pub(super) fn scatter(title: &str, map: &Map, places: &[[f64; 2]]) -> String {
    const SIDE: f64 = 560.0;
    let (x0, x1) = range(places.iter().map(|p| p[0]), 0.02);
    let (y0, y1) = range(places.iter().map(|p| p[1]), 0.02);
    let shown = map.names.len().min(14);
    let height = TOP + SIDE + 12.0 + 18.0 * shown as f64;
    let words = format!("{} examples in {} groups", places.len(), map.names.len());
    let mut svg = open(title, height, &words);
    for ((place, &group), title) in places.iter().zip(&map.groups).zip(&map.titles) {
        let x = 8.0 + (place[0] - x0) / (x1 - x0) * (WIDTH - 16.0);
        let y = TOP + SIDE - (place[1] - y0) / (y1 - y0) * SIDE;
        let name = map.names.get(group).map_or("", String::as_str);
        mark(&mut svg, group, x, y, &format!("{name}: {}", short(title)));
    }
    for (group, name) in map.names.iter().take(shown).enumerate() {
        let y = TOP + SIDE + 14.0 + 18.0 * group as f64;
        mark(&mut svg, group, 16.0, y, "");
        text(&mut svg, 28.0, y + 4.0, "start", &short(name));
    }
    svg.push_str("</svg>");
    svg
}

/// A circle, a square or a diamond, in the colour of a group.
fn mark(svg: &mut String, group: usize, x: f64, y: f64, title: &str) {
    let colour = COLOURS[group % COLOURS.len()];
    let title = match title {
        "" => String::new(),
        title => format!("<title>{}</title>", escaped(title)),
    };
    let fill = format!("fill=\"{colour}\" fill-opacity=\"0.75\"");
    let (left, top) = (x - 3.0, y - 3.0);
    let _ = match group / COLOURS.len() % 3 {
        0 => writeln!(svg, "<circle {fill} cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\">{title}</circle>"),
        1 => writeln!(
            svg,
            "<rect {fill} x=\"{left:.1}\" y=\"{top:.1}\" width=\"6\" height=\"6\">{title}</rect>"
        ),
        _ => writeln!(svg, "<path {fill} d=\"M{x:.1} {:.1}l4 4-4 4-4-4z\">{title}</path>", y - 4.0),
    };
}

fn open(title: &str, height: f64, words: &str) -> String {
    let (title, words) = (escaped(title), escaped(words));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{title}. {words}\" \
         viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\">\n\
         <text class=\"head\" x=\"8\" y=\"20\">{title}</text>\n"
    )
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line class=\"grid\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

/// The least and the largest value, with room around them.
fn range(values: impl Iterator<Item = f64>, room: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let more = (room * (high - low)).max(if high > low { 0.0 } else { 0.5 });
    (low - more, high + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_flat_and_hostile_charts_are_whole() {
        let flat = Line { name: "<b>&".into(), points: vec![(1.0, 2.0, None)] };
        let nan = Line { name: "n".into(), points: vec![(1.0, f64::NAN, None)] };
        for all in [vec![], vec![flat], vec![nan]] {
            let svg = lines("t<", "x", "y", true, &all);
            assert!(svg.ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("<b>"));
        }
        let map = Map { titles: vec!["\"<x>".into()], groups: vec![9], ..Map::default() };
        let svg = scatter("t", &map, &[[f64::INFINITY, 0.0]]);
        assert!(
            !svg.contains("<x>")
                && svg.matches("<path").count() + svg.matches("<rect").count() == 1
        );
    }
}
