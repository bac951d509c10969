//! A confusion matrix as a grid of shaded cells.

use std::collections::BTreeMap;

use super::Figure;
use crate::metrics::ConfusionMatrix;
use crate::metrics::confusion::shown;

/// Most classes drawn.
const CLASSES: usize = 50;

/// Draws counts of true classes (rows) predicted as each class (columns); shades are shares
/// of the row.
///
/// Of more than 50 classes the 50 that are confused most are drawn, and the figure says so.
/// Cost: the cells that occur and 50² of the figure.
///
/// ```
/// # use offshoot_adapters::{Classes, metrics::{ConfusionMatrix, svg}};
/// let (classes, truth) = Classes::from_labels(&["ham", "spam", "spam"])?;
/// let matrix = ConfusionMatrix::new(&classes, &truth, &[0, 1, 0])?;
/// assert!(svg::confusion_matrix(&matrix).starts_with("<svg"));
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[must_use]
pub fn confusion_matrix(matrix: &ConfusionMatrix) -> String {
    let all = matrix.classes().len();
    let drawn = drawn(matrix);
    let place: BTreeMap<usize, usize> =
        drawn.iter().enumerate().map(|(place, &class)| (class, place)).collect();
    let names: Vec<String> = drawn.iter().map(|&k| shown(matrix.classes().name(k))).collect();
    let mut totals = vec![0u64; all];
    let (mut right, mut total) = (0, 0);
    for (truth, predicted, count) in matrix.cells() {
        totals[truth] += count;
        total += count;
        right += if truth == predicted { count } else { 0 };
    }

    let cell = if names.len() > 20 { 18.0 } else { 34.0 };
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let label = 7.0 * longest as f64 + 12.0;
    let (left, top) = (36.0 + label, 66.0 + label);
    let side = cell * names.len() as f64;
    let (width, height) = ((left + side + 20.0).max(420.0), top + side + 20.0);
    let part = if drawn.len() < all {
        format!(" The {} of {all} classes that are confused most are drawn.", drawn.len())
    } else {
        String::new()
    };
    let description = format!(
        "{right} of {total} predictions are right. Rows are true classes, columns predicted ones.{part}"
    );
    let mut figure = Figure::new(width, height, "Confusion matrix", &description);
    let caption = if part.is_empty() {
        format!("{right} of {total} right")
    } else {
        format!("{right} of {total} right; {} of {all} classes", drawn.len())
    };
    figure.text(16.0, 46.0, "start", &caption);
    figure.upward(22.0, top + side / 2.0, "middle", "true class");
    figure.text(left + side / 2.0, 62.0, "middle", "predicted class");
    for (place, name) in names.iter().enumerate() {
        let middle = (place as f64 + 0.5) * cell;
        figure.text(left - 6.0, top + middle + 4.0, "end", name);
        figure.upward(left + middle + 4.0, top - 6.0, "start", name);
    }
    for (truth, predicted, count) in matrix.cells() {
        let (Some(&row), Some(&column)) = (place.get(&truth), place.get(&predicted)) else {
            continue;
        };
        let class = if row == column { "mark" } else { "miss" };
        let shade = 0.12 + 0.88 * count as f64 / totals[truth] as f64;
        let (x, y) = (left + column as f64 * cell, top + row as f64 * cell);
        let (truth, predicted) = (super::escaped(&names[row]), super::escaped(&names[column]));
        figure.put(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell}\" height=\"{cell}\" \
             fill-opacity=\"{shade:.2}\"><title>{count} of {truth} predicted as \
             {predicted}</title></rect>\n"
        ));
        if cell > 20.0 {
            figure.text(x + cell / 2.0, y + cell / 2.0 + 4.0, "middle", &count.to_string());
        }
    }
    figure.put(format_args!(
        "<rect class=\"axis\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{side}\" height=\"{side}\"/>\n"
    ));
    figure.finish()
}

/// The classes to draw, in class order.
fn drawn(matrix: &ConfusionMatrix) -> Vec<usize> {
    let all = matrix.classes().len();
    if all <= CLASSES {
        return (0..all).collect();
    }
    let mut confused = vec![0u64; all];
    for (truth, predicted, count) in matrix.cells().filter(|(truth, guess, _)| truth != guess) {
        confused[truth] += count;
        confused[predicted] += count;
    }
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(confused[class]));
    order.truncate(CLASSES);
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Classes;
    use crate::metrics::svg::tests::well_formed;

    #[test]
    fn draws_counts_and_escapes_names() {
        let classes = Classes::new(vec!["<a&b>".into(), "c\nd".into()]).unwrap();
        let matrix = ConfusionMatrix::new(&classes, &[0, 0, 1], &[0, 1, 1]).unwrap();
        let svg = confusion_matrix(&matrix);
        let texts = well_formed(&svg);
        for expected in ["&lt;a&amp;b&gt;", "c\\nd", "2 of 3 right", "1"] {
            assert!(texts.iter().any(|text| text == expected), "{expected}: {texts:?}");
        }
        assert_eq!(svg.matches("fill-opacity").count(), 3);
    }

    #[test]
    fn ten_thousand_classes_draw_the_most_confused() {
        let classes = Classes::new((0..10_000).map(|i| format!("c{i}")).collect()).unwrap();
        let matrix = ConfusionMatrix::new(&classes, &[9_000, 3], &[8_000, 3]).unwrap();
        let svg = confusion_matrix(&matrix);
        let texts = well_formed(&svg);
        assert!(texts.iter().any(|text| text == "1 of 2 right; 50 of 10000 classes"));
        assert!(texts.iter().any(|text| text == "1 of c9000 predicted as c8000"));
        assert!(svg.len() < 60_000);
    }
}
