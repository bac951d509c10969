//! The learning curve as a picture: accuracy over labels a class, our heads as lines
//! with bands, scikit-learn's on the same draws as rings.

pub(in crate::commands) mod canvas;

use std::io;
use std::path::Path;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::drawing::IntoDrawingArea;
use plotters::style::{FontStyle, register_font};

use self::canvas::Canvas;
use crate::failure::{Code, Failure, Result};
use crate::files;

/// Size of the picture, in logical pixels.
const SIZE: (i32, i32) = (960, 600);
/// Pixels of the PNG to one logical pixel.
const PNG_SCALE: i32 = 2;
/// The PNG is drawn this many times larger still, then averaged: smooth edges.
const SUPERSAMPLING: i32 = 3;

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
pub(in crate::commands) fn register() -> Result {
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| Failure::new(Code::Bug, "the built-in font cannot be read"))
}

pub(in crate::commands) fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Failed, format!("the curve cannot be drawn: {error}"))
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
