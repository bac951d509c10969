//! The elements of the chart, drawn in logical pixels on any backend.

use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle, WHITE};

use super::{Chart, Curve, FONT, failed};
use crate::failure::Result;

/// The plot within the picture, in logical pixels: left, top, right, bottom.
const PLOT: (i32, i32, i32, i32) = (74, 92, 800, 528);
/// Text is placed by the middle of its box; its letters' middle is this share of its size above.
const SINK: f64 = 0.13;
/// Least distance of two labels at the right end of the curves.
const LABEL_PITCH: f64 = 19.0;

pub(in crate::commands) const INK: RGBColor = RGBColor(0x22, 0x26, 0x2b);
pub(in crate::commands) const FAINT_INK: RGBColor = RGBColor(0x5f, 0x67, 0x70);
pub(in crate::commands) const GRID: RGBColor = RGBColor(0xe3, 0xe6, 0xea);
/// Told apart with every kind of colour vision (Okabe and Ito, 2008).
pub(in crate::commands) const COLORS: [RGBColor; 3] =
    [RGBColor(0x00, 0x72, 0xb2), RGBColor(0xd5, 0x5e, 0x00), RGBColor(0x00, 0x8f, 0x68)];

/// A drawing area whose coordinates are logical pixels.
pub(in crate::commands) struct Canvas<B: DrawingBackend> {
    /// Where it is drawn.
    pub(in crate::commands) area: DrawingArea<B, Shift>,
    /// Pixels to one logical pixel.
    pub(in crate::commands) scale: i32,
}

impl<B: DrawingBackend> Canvas<B> {
    pub(super) fn draw(&self, chart: &Chart) -> Result {
        self.area.fill(&WHITE).map_err(failed)?;
        self.text(&chart.title, (PLOT.0 as f64, 26.0), 23.0, INK, HPos::Left)?;
        self.text(&chart.subtitle, (PLOT.0 as f64, 53.0), 14.5, FAINT_INK, HPos::Left)?;
        let axes = Axes::new(chart);
        self.axes(chart, &axes)?;
        for (curve, color) in chart.curves.iter().zip(COLORS.iter().cycle()) {
            self.band(curve, &axes, *color)?;
        }
        for (curve, color) in chart.curves.iter().zip(COLORS.iter().cycle()) {
            self.curve(curve, &axes, *color)?;
        }
        self.end_labels(chart, &axes)?;
        self.legend(chart)?;
        self.area.present().map_err(failed)
    }

    fn axes(&self, chart: &Chart, axes: &Axes) -> Result {
        let (left, _, right, bottom) = PLOT;
        let (left, right, bottom) = (f64::from(left), f64::from(right), f64::from(bottom));
        let first = (axes.low * 10.0).round() as i64;
        let last = (axes.high * 10.0).round() as i64;
        for tenth in first..=last {
            let y = axes.y(tenth as f64 / 10.0);
            self.line(&[(left, y), (right, y)], GRID, 1.0)?;
            self.text(
                &format!("{} %", tenth * 10),
                (left - 10.0, y),
                14.0,
                FAINT_INK,
                HPos::Right,
            )?;
        }
        for &shots in &chart.shots {
            let x = axes.x(shots);
            self.line(&[(x, bottom), (x, bottom + 5.0)], FAINT_INK, 1.0)?;
            self.text(&shots.to_string(), (x, bottom + 18.0), 14.0, FAINT_INK, HPos::Center)?;
        }
        self.line(&[(left, bottom), (right, bottom)], FAINT_INK, 1.0)?;
        let middle = (left + right) / 2.0;
        let name = "labelled examples of each class (each step doubles them)";
        self.text(name, (middle, bottom + 46.0), 14.5, INK, HPos::Center)?;
        self.text("accuracy", (left - 10.0, f64::from(PLOT.1) - 17.0), 14.5, INK, HPos::Right)?;
        let y = axes.y(chart.chance);
        let mut x = left;
        while x < right {
            self.line(&[(x, y), ((x + 5.0).min(right), y)], FAINT_INK, 1.0)?;
            x += 10.0;
        }
        self.text("guessing", (right + 12.0, y), 13.5, FAINT_INK, HPos::Left)
    }

    fn band(&self, curve: &Curve, axes: &Axes, color: RGBColor) -> Result {
        let at = |i: usize, accuracy: f64| (axes.x(axes.shots[i]), axes.y(accuracy));
        let upper = curve.points.iter().enumerate().map(|(i, &(m, e))| at(i, m + e));
        let lower = curve.points.iter().enumerate().rev().map(|(i, &(m, e))| at(i, m - e));
        let outline: Vec<_> = upper.chain(lower).map(|point| self.pixel(point)).collect();
        self.area.draw(&Polygon::new(outline, color.mix(0.15).filled())).map_err(failed)
    }

    fn curve(&self, curve: &Curve, axes: &Axes, color: RGBColor) -> Result {
        let at = |i: usize, accuracy: f64| (axes.x(axes.shots[i]), axes.y(accuracy));
        let line: Vec<_> =
            curve.points.iter().enumerate().map(|(i, &(mean, _))| at(i, mean)).collect();
        self.line(&line, color, 2.4)?;
        for &point in &line {
            self.dot(point, color)?;
        }
        for (i, &accuracy) in curve.reference.iter().flatten().enumerate() {
            if i < axes.shots.len() {
                self.ring(at(i, accuracy), color)?;
            }
        }
        Ok(())
    }

    /// Names and last values at the right end, moved apart where they would overlap.
    fn end_labels(&self, chart: &Chart, axes: &Axes) -> Result {
        let mut labels: Vec<(f64, String, RGBColor)> = chart
            .curves
            .iter()
            .zip(COLORS.iter().cycle())
            .filter_map(|(curve, &color)| {
                let &(mean, _) = curve.points.last()?;
                Some((axes.y(mean), format!("{}  {:.1} %", curve.name, 100.0 * mean), color))
            })
            .collect();
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let places = spread(&labels.iter().map(|label| label.0).collect::<Vec<_>>(), LABEL_PITCH);
        let right = f64::from(PLOT.2);
        for ((y, text, color), place) in labels.into_iter().zip(places) {
            self.line(&[(axes.last_x() + 9.0, y), (right + 7.0, place)], color, 0.8)?;
            self.text(&text, (right + 12.0, place), 14.5, color, HPos::Left)?;
        }
        Ok(())
    }

    fn legend(&self, chart: &Chart) -> Result {
        let (x, y) = (588.0, 26.0);
        let band = Rectangle::new(
            [self.pixel((x, y - 7.0)), self.pixel((x + 34.0, y + 7.0))],
            FAINT_INK.mix(0.18).filled(),
        );
        self.area.draw(&band).map_err(failed)?;
        self.line(&[(x, y), (x + 34.0, y)], FAINT_INK, 2.4)?;
        self.dot((x + 17.0, y), FAINT_INK)?;
        let ours = format!("Offshoot, mean of {} draws ± standard error", chart.draws);
        self.text(&ours, (x + 46.0, y), 14.0, INK, HPos::Left)?;
        if chart.curves.iter().any(|curve| curve.reference.is_some()) {
            self.ring((x + 17.0, y + 27.0), FAINT_INK)?;
            let text = "scikit-learn, mean on the same draws";
            self.text(text, (x + 46.0, y + 27.0), 14.0, INK, HPos::Left)?;
        }
        Ok(())
    }

    pub(in crate::commands) fn dot(&self, point: (f64, f64), color: RGBColor) -> Result {
        self.area
            .draw(&Circle::new(self.pixel(point), self.length(3.6), color.filled()))
            .map_err(failed)
    }

    fn ring(&self, point: (f64, f64), color: RGBColor) -> Result {
        let style = ShapeStyle::from(color).stroke_width(self.stroke(1.2));
        self.area.draw(&Circle::new(self.pixel(point), self.length(6.4), style)).map_err(failed)
    }

    pub(in crate::commands) fn line(
        &self,
        points: &[(f64, f64)],
        color: RGBColor,
        width: f64,
    ) -> Result {
        let points: Vec<_> = points.iter().map(|&point| self.pixel(point)).collect();
        let style = ShapeStyle::from(color).stroke_width(self.stroke(width));
        self.area.draw(&PathElement::new(points, style)).map_err(failed)
    }

    /// Text whose middle line is at the point's height.
    pub(in crate::commands) fn text(
        &self,
        text: &str,
        point: (f64, f64),
        size: f64,
        color: RGBColor,
        side: HPos,
    ) -> Result {
        let point = (point.0, point.1 + SINK * size);
        let style = TextStyle::from((FONT, size * f64::from(self.scale)).into_font())
            .color(&color)
            .pos(Pos::new(side, VPos::Center));
        self.area.draw_text(text, &style, self.pixel(point)).map_err(failed)
    }

    fn pixel(&self, (x, y): (f64, f64)) -> (i32, i32) {
        (self.length(x), self.length(y))
    }

    fn length(&self, logical: f64) -> i32 {
        (logical * f64::from(self.scale)).round() as i32
    }

    fn stroke(&self, logical: f64) -> u32 {
        self.length(logical).max(1).unsigned_abs()
    }
}

/// From shots and accuracies to logical pixels.
struct Axes {
    shots: Vec<usize>,
    low: f64,
    high: f64,
    first: f64,
    last: f64,
}

impl Axes {
    fn new(chart: &Chart) -> Self {
        let (low, high) = chart.range();
        let power = |shots: Option<&usize>| (*shots.unwrap_or(&1).max(&1) as f64).log2();
        let (first, last) = (power(chart.shots.first()), power(chart.shots.last()));
        Self { shots: chart.shots.clone(), low, high, first, last }
    }

    fn x(&self, shots: usize) -> f64 {
        let (left, right) = (f64::from(PLOT.0) + 26.0, f64::from(PLOT.2) - 26.0);
        let share = ((shots.max(1) as f64).log2() - self.first) / (self.last - self.first).max(1.0);
        left + share * (right - left)
    }

    fn last_x(&self) -> f64 {
        self.shots.last().map_or(f64::from(PLOT.2), |&shots| self.x(shots))
    }

    fn y(&self, accuracy: f64) -> f64 {
        let share = (accuracy - self.low) / (self.high - self.low);
        f64::from(PLOT.3) - share * f64::from(PLOT.3 - PLOT.1)
    }
}

/// Ascending places at least `pitch` apart, each group centred on what it stands for.
fn spread(wanted: &[f64], pitch: f64) -> Vec<f64> {
    // Groups of neighbours that touch: sum of wanted places, members, first member's place.
    let mut groups: Vec<(f64, usize)> = Vec::new();
    let start = |&(sum, n): &(f64, usize)| sum / n as f64 - pitch * (n - 1) as f64 / 2.0;
    for &place in wanted {
        groups.push((place, 1));
        while let [.., before, last] = groups.as_slice() {
            if start(before) + pitch * before.1 as f64 <= start(last) {
                break;
            }
            let merged = (before.0 + last.0, before.1 + last.1);
            groups.truncate(groups.len() - 2);
            groups.push(merged);
        }
    }
    groups
        .iter()
        .flat_map(|group| (0..group.1).map(move |i| start(group) + pitch * i as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_overlap_and_stay_in_order() {
        assert_eq!(spread(&[10.0, 50.0], 19.0), [10.0, 50.0]);
        let places = spread(&[100.0, 101.0, 102.0, 300.0], 20.0);
        assert_eq!(places, [81.0, 101.0, 121.0, 300.0]);
        let chained = spread(&[0.0, 1.0, 25.0], 20.0);
        assert!(chained.windows(2).all(|pair| pair[1] - pair[0] >= 20.0 - 1e-9), "{chained:?}");
    }
}
