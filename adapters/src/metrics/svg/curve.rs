//! Learning curves, one line a head.

use super::{COLOURS, Figure, Plot};
use crate::metrics::confusion::shown;
use crate::metrics::{LearningCurve, LearningSeries};

/// Most series drawn.
const SERIES: usize = 14;

/// Draws mean scores against numbers of labels on a logarithmic scale, with bars of one
/// standard deviation. Of more than 14 series the first 14 are drawn.
#[must_use]
pub fn learning_curve(curve: &LearningCurve) -> String {
    let series: Vec<LearningSeries> = curve.series().into_iter().take(SERIES).collect();
    let points = || series.iter().flat_map(|series| &series.points);
    let mut labels: Vec<usize> = points().map(|point| point.labels).collect();
    labels.sort_unstable();
    labels.dedup();
    let ends: Vec<String> = series
        .iter()
        .filter_map(|series| {
            let last = series.points.last()?;
            let name = shown(&series.name);
            Some(format!("{name} reaches {:.3} at {}", last.mean, last.labels))
        })
        .collect();
    let (score, unit) = (shown(curve.score()), shown(curve.unit()));
    let description = format!("Mean {score} against {unit}. {}.", ends.join("; "));
    let mut figure = Figure::new(640.0, 420.0, &format!("Learning curve: {score}"), &description);
    let plot = Plot { left: 70.0, top: 48.0, width: 360.0, height: 310.0 };

    let (low, high) = range(&series);
    // Deviations may reach beyond what is drawn.
    let height = |value: f64| ((value - low) / (high - low)).clamp(-0.05, 1.05);
    for step in 0..=5 {
        let share = f64::from(step) / 5.0;
        plot.rule(&mut figure, share, &format!("{:.3}", low + share * (high - low)));
    }
    // A logarithmic axis from the fewest labels to the most; 0 labels lie where 1 would.
    let log = |labels: usize| (labels.max(1) as f64).ln();
    let first = labels.first().map_or(0.0, |&labels| log(labels));
    let span = labels.last().map_or(0.0, |&labels| log(labels) - first);
    let across = |labels: usize| if span > 0.0 { (log(labels) - first) / span } else { 0.5 };
    let mut free = f64::NEG_INFINITY;
    for &labels in &labels {
        let (x, text) = (plot.x(across(labels)), labels.to_string());
        let width = 7.0 * text.len() as f64 + 6.0;
        if x - width / 2.0 >= free {
            figure.text(x, plot.y(0.0) + 18.0, "middle", &text);
            free = x + width / 2.0;
        }
    }
    plot.label(&mut figure, &unit, &score);
    figure.line("axis", (plot.x(0.0), plot.y(0.0)), (plot.x(1.0), plot.y(0.0)));

    for (index, series) in series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let dash = if index < COLOURS.len() { "" } else { " stroke-dasharray=\"6 3\"" };
        let at = |labels: usize, value: f64| (plot.x(across(labels)), plot.y(height(value)));
        let places: Vec<String> = series
            .points
            .iter()
            .map(|point| at(point.labels, point.mean))
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        figure.put(format_args!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash} points=\"{}\"/>\n",
            places.join(" ")
        ));
        for point in &series.points {
            let (x, y) = at(point.labels, point.mean);
            let above = at(point.labels, point.mean + point.deviation).1;
            let below = at(point.labels, point.mean - point.deviation).1;
            figure.put(format_args!(
                "<line stroke=\"{colour}\" x1=\"{x:.1}\" y1=\"{above:.1}\" x2=\"{x:.1}\" \
                 y2=\"{below:.1}\"/><circle fill=\"{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" \
                 r=\"3\"><title>{}: {:.3} ± {:.3} at {} ({} draws)</title></circle>\n",
                super::escaped(&shown(&series.name)),
                point.mean,
                point.deviation,
                point.labels,
                point.draws
            ));
        }
        let y = plot.top + 10.0 + 20.0 * index as f64;
        figure.put(format_args!(
            "<line stroke=\"{colour}\" stroke-width=\"3\"{dash} x1=\"446\" y1=\"{y:.1}\" x2=\"468\" \
             y2=\"{y:.1}\"/>\n"
        ));
        figure.text(474.0, y + 4.0, "start", &shown(&series.name));
    }
    figure.finish()
}

/// The least and the largest value drawn, with room around them.
fn range(series: &[LearningSeries]) -> (f64, f64) {
    let points = || series.iter().flat_map(|series| &series.points);
    let low = points().map(|point| point.mean - point.deviation).fold(f64::INFINITY, f64::min);
    let high = points().map(|point| point.mean + point.deviation).fold(f64::NEG_INFINITY, f64::max);
    if !(low.is_finite() && high.is_finite()) {
        return (0.0, 1.0);
    }
    let room = 0.05 * (high - low).max(0.02 * high.abs()).max(1e-6);
    (low - room, high + room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::svg::tests::well_formed;

    #[test]
    fn draws_every_series_once() {
        let mut curve = LearningCurve::new("accuracy", "labels a class");
        for (name, labels, score) in [("a<", 1, 0.5), ("a<", 1, 0.7), ("a<", 8, 0.9), ("b", 0, 0.2)]
        {
            curve.add(name, labels, score).unwrap();
        }
        let svg = learning_curve(&curve);
        let texts = well_formed(&svg);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(
            texts.iter().any(|text| text == "a&lt;: 0.600 ± 0.141 at 1 (2 draws)"),
            "{texts:?}"
        );
    }

    #[test]
    fn empty_and_flat_curves_are_figures_too() {
        let mut curve = LearningCurve::new("accuracy", "labels");
        well_formed(&learning_curve(&curve));
        curve.add("a", 4, 1.0).unwrap();
        well_formed(&learning_curve(&curve));
        curve.add("a", 4, 1e300).unwrap();
        well_formed(&learning_curve(&curve));
    }
}
