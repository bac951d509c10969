//! Figures as SVG text, for a page, a report or a file.
//!
//! Each is one `<svg>` element without scripts, fonts or links to anything outside it. It has a
//! title and a description for readers who listen, follows the light or dark scheme of the
//! page, and tells nothing by colour alone. Text from labels is escaped.

mod confusion;
mod curve;
mod reliability;

pub use confusion::confusion_matrix;
pub use curve::learning_curve;
pub use reliability::reliability_diagram;

use std::fmt::{self, Write};

/// Colours of series, told apart by most colour-blind readers (Okabe and Ito 2008); dashes
/// tell them apart too.
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#808080"];

/// Colours of text, lines and bars in both schemes.
const STYLE: &str = "\
.of{--ink:#1b1b1f;--faint:#8a8a93;--grid:#dcdce2;--page:#ffffff;--mark:#0072b2;--miss:#d55e00;\
font:12px system-ui,sans-serif}\
.of text{fill:var(--ink)}.of .page{fill:var(--page)}.of .grid{stroke:var(--grid);fill:none}\
.of .axis{stroke:var(--faint);fill:none}.of .mark{fill:var(--mark)}.of .miss{fill:var(--miss)}\
.of .head{font-size:15px;font-weight:600}\
@media(prefers-color-scheme:dark){\
.of{--ink:#ececf1;--faint:#9a9aa5;--grid:#3a3a42;--page:#17171b;--mark:#56b4e9;--miss:#e69f00}}";

/// Text that is written piece by piece. Writing to a string cannot fail.
struct Figure(String);

impl Figure {
    /// Opens a figure of this size in pixels with what it shows in words.
    fn new(width: f64, height: f64, title: &str, description: &str) -> Self {
        let (title, description) = (escaped(title), escaped(description));
        let mut figure = Self(String::new());
        figure.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"of\" role=\"img\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <title>{title}</title>\n<desc>{description}</desc>\n<style>{STYLE}</style>\n\
             <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n\
             <text class=\"head\" x=\"16\" y=\"26\">{title}</text>\n"
        ));
        figure
    }

    fn put(&mut self, piece: fmt::Arguments) {
        let _ = self.0.write_fmt(piece);
    }

    /// Text anchored at its `start`, `middle` or `end`.
    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escaped(text);
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"
        ));
    }

    /// Text that reads upwards, around its middle or from its `start`.
    fn upward(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escaped(text);
        self.put(format_args!(
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" \
             text-anchor=\"{anchor}\">{text}</text>\n"
        ));
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
        ));
    }

    fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

/// A square plot of values against values.
struct Plot {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Plot {
    fn x(&self, share: f64) -> f64 {
        self.left + share * self.width
    }

    fn y(&self, share: f64) -> f64 {
        self.top + (1.0 - share) * self.height
    }

    /// Names below and beside it.
    fn label(&self, figure: &mut Figure, x: &str, y: &str) {
        figure.text(self.x(0.5), self.y(0.0) + 38.0, "middle", x);
        figure.upward(self.left - 40.0, self.y(0.5), "middle", y);
    }

    /// A line across at a height, with its value.
    fn rule(&self, figure: &mut Figure, share: f64, value: &str) {
        let y = self.y(share);
        figure.line("grid", (self.left, y), (self.x(1.0), y));
        figure.text(self.left - 6.0, y + 4.0, "end", value);
    }
}

/// Text that XML can hold: its special characters escaped, control characters replaced.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that tags are closed in order and attributes and text hold no bare special
    /// character, and gives the text of all elements.
    pub(super) fn well_formed(svg: &str) -> Vec<String> {
        let (mut open, mut texts) = (Vec::new(), Vec::new());
        let mut rest = svg;
        while let Some(start) = rest.find('<') {
            let text = rest[..start].trim();
            assert!(!text.contains('>') || open.last() == Some(&"style"), "{text}");
            if !text.is_empty() {
                texts.push(text.to_owned());
            }
            let end = rest.find('>').expect("a tag that never ends");
            let tag = &rest[start + 1..end];
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(name);
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty() && rest.trim().is_empty());
        assert!(svg.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(!svg.contains("NaN") && !svg.contains("inf\""));
        texts
    }

    #[test]
    fn labels_cannot_leave_their_text() {
        let svg = Figure::new(10.0, 10.0, "</title><script>\u{1b}&\"", "d").finish();
        let texts = well_formed(&svg);
        assert_eq!(texts[0], "&lt;/title&gt;&lt;script&gt;\u{fffd}&amp;&quot;");
        assert!(!svg.contains("<script"));
    }
}
