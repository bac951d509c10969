//! The learning curve as a picture: accuracy over labels a class, our heads as lines
//! with bands, scikit-learn's on the same draws as rings.

use std::io;
use std::path::Path;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle, WHITE, register_font,
};

use crate::failure::{Code, Failure, Result};
use crate::files;

/// Size of the picture, in logical pixels.
const SIZE: (i32, i32) = (960, 600);
/// Pixels of the PNG to one logical pixel.
const PNG_SCALE: i32 = 2;
/// The PNG is drawn this many times larger still, then averaged: smooth edges.
const SUPERSAMPLING: i32 = 3;

/// The plot within the picture, in logical pixels: left, top, right, bottom.
const PLOT: (i32, i32, i32, i32) = (74, 92, 800, 528);
/// Text is placed by the middle of its box; its letters' middle is this share of its size above.
const SINK: f64 = 0.13;
/// Least distance of two labels at the right end of the curves.
const LABEL_PITCH: f64 = 19.0;

const INK: RGBColor = RGBColor(0x22, 0x26, 0x2b);
const FAINT_INK: RGBColor = RGBColor(0x5f, 0x67, 0x70);
const GRID: RGBColor = RGBColor(0xe3, 0xe6, 0xea);
/// Told apart with every kind of colour vision (Okabe and Ito, 2008).
const COLORS: [RGBColor; 3] =
    [RGBColor(0x00, 0x72, 0xb2), RGBColor(0xd5, 0x5e, 0x00), RGBColor(0x00, 0x8f, 0x68)];

/// Family under which the built-in font is registered. SVG viewers use their own.
const FONT: &str = "sans-serif";

/// One head's curve.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    /// Name of the head.
    pub(crate) name: String,
    /// Mean accuracy and its standard error, 0 to 1, for each number of shots.
    pub(crate) points: Vec<(f64, f64)>,
    /// scikit-learn's mean accuracy on the same draws, where it is known.
    pub(crate) reference: Option<Vec<f64>>,
}

/// What the picture shows.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// Its title.
    pub(crate) title: String,
    /// A line under the title.
    pub(crate) subtitle: String,
    /// Labels a class, ascending.
    pub(crate) shots: Vec<usize>,
    /// Draws behind each mean.
    pub(crate) draws: usize,
    /// Accuracy of guessing.
    pub(crate) chance: f64,
    /// The curves.
    pub(crate) curves: Vec<Curve>,
}

impl Chart {
    /// Writes the picture as SVG.
    ///
    /// # Errors
    /// When it cannot be drawn or written.
    pub(crate) fn write_svg(&self, path: &Path) -> Result {
        register()?;
        let mut svg = String::new();
        {
            let size = (SIZE.0.unsigned_abs(), SIZE.1.unsigned_abs());
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            Canvas { area, scale: 1 }.draw(self)?;
        }
        files::write(path, svg.as_bytes())
    }

    /// Writes the picture as PNG.
    ///
    /// # Errors
    /// When it cannot be drawn or written.
    pub(crate) fn write_png(&self, path: &Path) -> Result {
        register()?;
        let scale = PNG_SCALE * SUPERSAMPLING;
        let (wide, high) = ((SIZE.0 * scale) as usize, (SIZE.1 * scale) as usize);
        let mut large = vec![0u8; wide * high * 3];
        {
            let area = BitMapBackend::with_buffer(&mut large, (wide as u32, high as u32))
                .into_drawing_area();
            Canvas { area, scale }.draw(self)?;
        }
        let factor = SUPERSAMPLING as usize;
        let small = average(&large, wide, factor);
        // The encoder chooses the format by the ending of the name.
        let file =
            files::beside(path, "png").map_err(|error| Failure::io("write", path, &error))?;
        let size = ((wide / factor) as u32, (high / factor) as u32);
        {
            let mut backend = BitMapBackend::new(file.path(), size);
            backend.blit_bitmap((0, 0), size, &small).map_err(failed)?;
            backend.present().map_err(failed)?;
        }
        let finish = || -> io::Result<()> {
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        finish().map_err(|error| Failure::io("write", path, &error))
    }

    /// Least and largest accuracy of the axis: whole tenths around everything shown.
    fn range(&self) -> (f64, f64) {
        let shown = self.curves.iter().flat_map(|curve| {
            let reference = curve.reference.iter().flatten().copied();
            curve.points.iter().flat_map(|&(m, e)| [m - e, m + e]).chain(reference)
        });
        let (low, high) = shown
            .chain([self.chance])
            .filter(|value| value.is_finite())
            .fold((1.0f64, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
        let low = ((low - 0.02) * 10.0).floor() / 10.0;
        let high = ((high + 0.02) * 10.0).ceil() / 10.0;
        (low.clamp(0.0, 0.9), high.clamp(0.1, 1.0))
    }
}

/// A drawing area whose coordinates are logical pixels.
struct Canvas<B: DrawingBackend> {
    area: DrawingArea<B, Shift>,
    scale: i32,
}

impl<B: DrawingBackend> Canvas<B> {
    fn draw(&self, chart: &Chart) -> Result {
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

    fn dot(&self, point: (f64, f64), color: RGBColor) -> Result {
        self.area
            .draw(&Circle::new(self.pixel(point), self.length(3.6), color.filled()))
            .map_err(failed)
    }

    fn ring(&self, point: (f64, f64), color: RGBColor) -> Result {
        let style = ShapeStyle::from(color).stroke_width(self.stroke(1.2));
        self.area.draw(&Circle::new(self.pixel(point), self.length(6.4), style)).map_err(failed)
    }

    fn line(&self, points: &[(f64, f64)], color: RGBColor, width: f64) -> Result {
        let points: Vec<_> = points.iter().map(|&point| self.pixel(point)).collect();
        let style = ShapeStyle::from(color).stroke_width(self.stroke(width));
        self.area.draw(&PathElement::new(points, style)).map_err(failed)
    }

    /// Text whose middle line is at the point's height.
    fn text(
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

/// The mean of each block of `factor` × `factor` RGB pixels.
fn average(large: &[u8], wide: usize, factor: usize) -> Vec<u8> {
    let small = wide / factor;
    let high = large.len() / (3 * wide) / factor;
    let mut out = Vec::with_capacity(3 * small * high);
    let half = (factor * factor / 2) as u32;
    for y in 0..high {
        for x in 0..small {
            for channel in 0..3 {
                let mut sum = half;
                for dy in 0..factor {
                    for dx in 0..factor {
                        let at = 3 * ((y * factor + dy) * wide + x * factor + dx) + channel;
                        sum += u32::from(large[at]);
                    }
                }
                out.push((sum / (factor * factor) as u32) as u8);
            }
        }
    }
    out
}

/// Makes the built-in font known, so that no font of the system is needed.
fn register() -> Result {
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| Failure::new(Code::Bug, "the built-in font cannot be read"))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Failed, format!("the learning curve cannot be drawn: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let curve = |name: &str, start: f64, reference| Curve {
            name: name.into(),
            points: (0..6).map(|i| (start + 0.05 * f64::from(i), 0.012)).collect(),
            reference,
        };
        Chart {
            title: "Accuracy from a handful of labels".into(),
            subtitle: "texts of three kinds".into(),
            shots: vec![1, 2, 4, 8, 16, 32],
            draws: 10,
            chance: 1.0 / 3.0,
            curves: vec![
                curve("logistic", 0.44, Some((0..6).map(|i| 0.45 + 0.05 * f64::from(i)).collect())),
                curve("ridge", 0.435, None),
            ],
        }
    }

    #[test]
    fn both_formats_are_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (svg, png) = (folder.path().join("c.svg"), folder.path().join("c.png"));
        chart().write_svg(&svg).unwrap();
        chart().write_png(&png).unwrap();
        let text = std::fs::read_to_string(&svg).unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        assert!(text.contains("logistic  69.0 %") && text.contains("scikit-learn"));
        let bytes = std::fs::read(&png).unwrap();
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        // Width and height of the header chunk.
        assert_eq!(&bytes[16..24], &[0, 0, 0x07, 0x80, 0, 0, 0x04, 0xb0]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn labels_do_not_overlap_and_stay_in_order() {
        assert_eq!(spread(&[10.0, 50.0], 19.0), [10.0, 50.0]);
        let places = spread(&[100.0, 101.0, 102.0, 300.0], 20.0);
        assert_eq!(places, [81.0, 101.0, 121.0, 300.0]);
        let chained = spread(&[0.0, 1.0, 25.0], 20.0);
        assert!(chained.windows(2).all(|pair| pair[1] - pair[0] >= 20.0 - 1e-9), "{chained:?}");
    }

    #[test]
    fn averaging_keeps_flat_colours_and_blends_edges() {
        let large = [[0u8, 100, 200], [10, 100, 200], [20, 100, 200], [30, 100, 200]].concat();
        assert_eq!(average(&large, 2, 2), [15, 100, 200]);
    }

    #[test]
    fn the_axis_holds_everything() {
        let (low, high) = chart().range();
        assert!((low - 0.3).abs() < 1e-9 && (high - 0.8).abs() < 1e-9, "{low} {high}");
    }
}
