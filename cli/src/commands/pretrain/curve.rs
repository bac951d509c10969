//! The course of a run as a picture: the loss over its steps, and below it the figures of
//! quality.

use std::path::Path;

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::drawing::IntoDrawingArea;
use plotters::style::text_anchor::HPos;
use plotters::style::{RGBColor, WHITE};
use serde_json::Value;

use crate::commands::quickstart::chart::canvas::{COLORS, Canvas, FAINT_INK, GRID, INK};
use crate::commands::quickstart::chart::{failed, register};
use crate::failure::{Failure, Result};
use crate::files;

/// Size of the picture.
const SIZE: (i32, i32) = (960, 640);
/// Left and right edge of the panels.
const SIDES: (f64, f64) = (84.0, 880.0);
/// Top and bottom of the panel of the loss, with panels of quality below it and without.
const LOSS: (f64, f64) = (92.0, 360.0);
const LOSS_ALONE: (f64, f64) = (92.0, 560.0);
/// The same for the panels of quality.
const QUALITY: (f64, f64) = (430.0, 560.0);
/// Room between two panels of quality.
const BETWEEN: f64 = 72.0;
/// Points of the line of means.
const POINTS: usize = 200;

/// Figures of held-out examples that are drawn: where they are in the metrics, the title, what
/// they are multiplied by.
const FIGURES: [(&str, &str, f64); 5] = [
    ("/quality/effective_rank", "effective rank", 1.0),
    ("/quality/uniformity", "uniformity", 1.0),
    ("/quality/nearest_neighbors", "neighbours right, %", 100.0),
    ("/prediction/perplexity", "perplexity", 1.0),
    ("/held_out_loss", "loss, held out", 1.0),
];

/// Pairs of a step and a number.
type Series = Vec<(f64, f64)>;

/// Reads the metrics of a run and draws them.
pub(super) fn write(metrics: &Path, picture: &Path, title: &str) -> Result {
    let text =
        std::fs::read_to_string(metrics).map_err(|error| Failure::io("read", metrics, &error))?;
    let svg = draw(&Course::read(&text), title)?;
    files::write(picture, svg.as_bytes())
}

/// What is drawn.
struct Course {
    losses: Series,
    figures: Vec<(&'static str, Series)>,
}

impl Course {
    /// From lines of JSON; what cannot be read is left out.
    fn read(metrics: &str) -> Self {
        let lines: Vec<Value> =
            metrics.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let series = |get: &dyn Fn(&Value) -> Option<f64>| -> Series {
            let points = lines.iter().filter_map(|line| Some((line["step"].as_f64()?, get(line)?)));
            points.filter(|(_, value)| value.is_finite()).collect()
        };
        let losses = series(&|line| line["loss"].as_f64());
        let figures = FIGURES.iter().map(|(key, title, factor)| {
            (*title, series(&|line| Some(factor * line.pointer(key)?.as_f64()?)))
        });
        Self { losses, figures: figures.filter(|(_, series)| !series.is_empty()).collect() }
    }
}

/// Means over equal parts, each at the middle of its steps.
fn means(series: &Series) -> Series {
    let part = series.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let count = part.len().max(1) as f64;
        let (x, y) = part.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        (x / count, y / count)
    };
    series.chunks(part).map(mean).collect()
}

fn draw(course: &Course, title: &str) -> Result<String> {
    register()?;
    let mut svg = String::new();
    let size = (SIZE.0.unsigned_abs(), SIZE.1.unsigned_abs());
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw_on(&Canvas { area, scale: 1 }, course, title)?;
    }
    Ok(svg)
}

fn draw_on<B: DrawingBackend>(canvas: &Canvas<B>, course: &Course, title: &str) -> Result {
    canvas.area.fill(&WHITE).map_err(failed)?;
    canvas.text("Loss over the run", (SIDES.0, 26.0), 23.0, INK, HPos::Left)?;
    canvas.text(title, (SIDES.0, 53.0), 14.5, FAINT_INK, HPos::Left)?;
    let last = course.losses.last().map_or(1.0, |(step, _)| *step);
    let heights = if course.figures.is_empty() { LOSS_ALONE } else { LOSS };
    let panel = Panel { left: SIDES.0, right: SIDES.1, heights, last };
    panel.draw(canvas, "loss", &means(&course.losses), COLORS[0], false)?;
    let count = course.figures.len().max(1) as f64;
    let width = (SIDES.1 - SIDES.0 - BETWEEN * (count - 1.0)) / count;
    for (at, (title, series)) in course.figures.iter().enumerate() {
        let left = SIDES.0 + at as f64 * (width + BETWEEN);
        let panel = Panel { left, right: left + width, heights: QUALITY, last };
        panel.draw(canvas, title, series, COLORS[(at + 1) % COLORS.len()], true)?;
    }
    let middle = (SIDES.0 + SIDES.1) / 2.0;
    canvas.text("steps", (middle, f64::from(SIZE.1) - 24.0), 14.5, INK, HPos::Center)?;
    canvas.area.present().map_err(failed)
}

/// A part of the picture with axes of its own.
struct Panel {
    left: f64,
    right: f64,
    /// Top and bottom.
    heights: (f64, f64),
    /// The last step.
    last: f64,
}

impl Panel {
    fn draw<B: DrawingBackend>(
        &self,
        canvas: &Canvas<B>,
        title: &str,
        series: &Series,
        color: RGBColor,
        dots: bool,
    ) -> Result {
        let (top, bottom) = self.heights;
        let ticks = ticks(series);
        let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
        let y = |value: f64| bottom - (value - low) / (high - low) * (bottom - top);
        let x = |step: f64| self.left + step / self.last.max(1.0) * (self.right - self.left);
        for &tick in &ticks {
            let at = y(tick);
            canvas.line(&[(self.left, at), (self.right, at)], GRID, 1.0)?;
            let label = number(tick, ticks[1] - ticks[0]);
            canvas.text(&label, (self.left - 8.0, at), 13.0, FAINT_INK, HPos::Right)?;
        }
        canvas.line(&[(self.left, bottom), (self.right, bottom)], FAINT_INK, 1.0)?;
        for (step, side) in [(0.0, HPos::Left), (self.last, HPos::Right)] {
            let label = number(step, 1.0);
            canvas.text(&label, (x(step), bottom + 17.0), 13.0, FAINT_INK, side)?;
        }
        canvas.text(title, (self.left, top - 17.0), 14.5, INK, HPos::Left)?;
        let points: Vec<(f64, f64)> =
            series.iter().map(|&(step, value)| (x(step), y(value))).collect();
        canvas.line(&points, color, 2.0)?;
        if dots || points.len() == 1 {
            for &point in &points {
                canvas.dot(point, color)?;
            }
        }
        Ok(())
    }
}

/// Round numbers around everything shown: at least two, each a step of 1, 2 or 5 times a power
/// of ten above the one before.
fn ticks(series: &Series) -> Vec<f64> {
    let (low, high) = series
        .iter()
        .map(|point| point.1)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let wide = (high - low).max(1e-3 * high.abs()).max(1e-6);
    let power = 10f64.powf((wide / 4.0).log10().floor());
    let rough = wide / 4.0 / power;
    let step = power * [1.0, 2.0, 5.0].into_iter().find(|step| rough <= *step).unwrap_or(10.0);
    let first = (low / step).floor() as i64;
    let last = ((high / step).ceil() as i64).max(first + 1);
    (first..=last).map(|at| at as f64 * step).collect()
}

/// A number with as many places as steps of `step` need.
fn number(value: f64, step: f64) -> String {
    let places = if step >= 1.0 { 0 } else { (-step.log10()).ceil().max(0.0) as usize };
    format!("{:.*}", places.min(9), value + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_everything() {
        let between = |low: f64, high: f64| ticks(&vec![(1.0, low), (2.0, high)]);
        assert_eq!(between(0.0, 4.0), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(between(-3.7, -1.2), [-4.0, -3.0, -2.0, -1.0]);
        let small = between(0.011, 0.052);
        assert!(small[0] <= 0.011 && small[small.len() - 1] >= 0.052 && small.len() <= 7);
        for flat in [between(5.0, 5.0), between(0.0, 0.0), ticks(&Vec::new())] {
            assert!(flat.len() >= 2 && flat[0] < flat[flat.len() - 1], "{flat:?}");
        }
        assert_eq!((number(0.05, 0.05), number(2000.0, 500.0)), ("0.05".into(), "2000".into()));
    }

    #[test]
    fn the_picture_has_the_loss_and_each_figure() {
        let metrics = "{\"step\":1,\"loss\":3.5}\n{\"step\":2,\"loss\":2.0,\"quality\":\
                       {\"effective_rank\":7.5,\"uniformity\":-2.5,\"spread\":0.9},\"prediction\":\
                       {\"perplexity\":9.5},\"held_out_loss\":2.5}\nhalf a li";
        let course = Course::read(metrics);
        assert_eq!(course.losses, [(1.0, 3.5), (2.0, 2.0)]);
        assert_eq!(course.figures[0], ("effective rank", vec![(2.0, 7.5)]));
        assert_eq!(
            course.figures[2..],
            [("perplexity", vec![(2.0, 9.5)]), ("loss, held out", vec![(2.0, 2.5)])]
        );
        let svg = draw(&course, "vicreg").unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for word in ["vicreg", "loss", "effective rank", "uniformity", "perplexity"] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(!svg.contains("nearest"));
        draw(&Course::read(""), "nothing").unwrap();
        assert_eq!(means(&(0..1000).map(|i| (f64::from(i), 1.0)).collect()).len(), 200);
    }
}
