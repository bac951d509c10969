//! An example as a person can look at it: a small picture of an image, a line of a signal.

use std::fmt::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use ndarray::ArrayView2;
use offshoot::Image;

use crate::data::Example;

/// Longest side of a picture, in pixels.
const SIDE: usize = 56;
/// Points of a line, at most.
const POINTS: usize = 112;
/// Channels that are drawn.
const CHANNELS: usize = 6;

/// A piece of a page that shows the example and reads nothing from elsewhere; `None` of a text,
/// whose words are shown, and of what cannot be drawn.
pub fn picture(example: &Example) -> Option<String> {
    match example {
        Example::Text(_) => None,
        Example::Image(image) => of_image(image),
        Example::Signal(signal) => of_signal(signal.view()),
    }
}

fn of_image(image: &Image) -> Option<String> {
    let longest = image.height().max(image.width()).max(1);
    let small = |side: usize| if longest > SIDE { (side * SIDE / longest).max(1) } else { side };
    let (height, width) = (small(image.height()), small(image.width()));
    let image = image.resized(height, width).ok()?;
    let colour = match image.channels() {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        4 => ExtendedColorType::Rgba8,
        _ => return None,
    };
    let mut png = Vec::new();
    let encoder = PngEncoder::new(&mut png);
    encoder.write_image(image.pixels(), width as u32, height as u32, colour).ok()?;
    // Small pictures are shown larger, with their pixels to be seen.
    let scale = (SIDE / height.max(width).max(1)).max(1);
    Some(format!(
        "<img alt=\"\" width=\"{}\" height=\"{}\" src=\"data:image/png;base64,{}\">",
        width * scale,
        height * scale,
        BASE64_STANDARD.encode(png)
    ))
}

fn of_signal(signal: ArrayView2<'_, f32>) -> Option<String> {
    let step = signal.ncols().div_ceil(POINTS).max(1);
    if signal.ncols() < 2 {
        return None;
    }
    let mut svg = "<svg class=\"line\" aria-hidden=\"true\" viewBox=\"0 0 112 28\" width=\"112\" \
                   height=\"28\">"
        .to_owned();
    for channel in signal.outer_iter().take(CHANNELS) {
        let finite = || channel.iter().copied().filter(|v| v.is_finite());
        let low = finite().fold(f32::INFINITY, f32::min);
        let range = (finite().fold(f32::NEG_INFINITY, f32::max) - low).max(1e-12);
        let mut path = String::new();
        for (t, value) in channel.iter().enumerate().step_by(step).filter(|(_, v)| v.is_finite()) {
            let x = 112.0 * t as f32 / (signal.ncols() - 1) as f32;
            // Writing to a string cannot fail.
            let _ = write!(path, "{x:.1},{:.1} ", 26.0 - 24.0 * (value - low) / range);
        }
        let _ = write!(svg, "<polyline points=\"{}\"/>", path.trim_end());
    }
    svg.push_str("</svg>");
    Some(svg)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn an_image_is_a_png_and_a_signal_a_line() {
        let image = Image::new(2, 3, 1, vec![0, 50, 100, 150, 200, 250]).unwrap();
        let shown = picture(&Example::Image(image.clone())).unwrap();
        assert!(shown.contains("width=\"54\" height=\"36\""), "{shown}");
        let data = shown.split("base64,").nth(1).unwrap().trim_end_matches("\">");
        let png = BASE64_STANDARD.decode(data).unwrap();
        let read = image::load_from_memory(&png).unwrap().into_luma8();
        assert_eq!(read.into_raw(), image.pixels());
        let large = Image::new(200, 400, 3, vec![7; 240_000]).unwrap();
        let shown = picture(&Example::Image(large)).unwrap();
        assert!(shown.contains("width=\"56\" height=\"28\"") && shown.len() < 500, "{shown}");

        let signal = array![[0.0, 1.0, 2.0], [f32::NAN, 3.0, 3.0]];
        let shown = picture(&Example::Signal(signal)).unwrap();
        assert!(shown.contains("\"0.0,26.0 56.0,14.0 112.0,2.0\"") && !shown.contains("NaN"));
        assert!(picture(&Example::Text("a".into())).is_none());
        assert!(picture(&Example::Signal(array![[1.0]])).is_none());
    }
}
