//! A reliability diagram: bars of accuracy, and the gap to confidence.

use super::{Figure, Plot};
use crate::metrics::ReliabilityDiagram;

/// Draws the accuracy of each bin of confidence, with a dash at its mean confidence, and the
/// share of examples in each bin below.
#[must_use]
pub fn reliability_diagram(diagram: &ReliabilityDiagram) -> String {
    let error = 100.0 * diagram.expected_calibration_error();
    let description = format!(
        "Accuracy against confidence of {} examples in {} bins. Bars on the diagonal would be \
         perfectly calibrated; the expected calibration error is {error:.1} %.",
        diagram.examples(),
        diagram.bins().len()
    );
    let mut figure = Figure::new(440.0, 500.0, "Reliability diagram", &description);
    figure.text(16.0, 46.0, "start", &format!("expected calibration error {error:.1} %"));
    let plot = Plot { left: 64.0, top: 62.0, width: 350.0, height: 300.0 };
    for tenth in (0..=10).step_by(2) {
        let share = f64::from(tenth) / 10.0;
        plot.rule(&mut figure, share, &format!("{share:.1}"));
        figure.text(plot.x(share), plot.y(0.0) + 18.0, "middle", &format!("{share:.1}"));
    }
    plot.label(&mut figure, "confidence", "accuracy");
    let counts = Plot { left: plot.left, top: 418.0, width: plot.width, height: 60.0 };
    let largest = diagram.bins().iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    for bin in diagram.bins().iter().filter(|bin| bin.count > 0) {
        let (x, width) = (plot.x(bin.low), (bin.high - bin.low) * plot.width);
        let inner = (width - 1.0).max(0.5);
        let (accuracy, confidence) = (bin.accuracy, bin.confidence);
        figure.put(format_args!(
            "<rect class=\"mark\" fill-opacity=\"0.75\" x=\"{x:.1}\" y=\"{:.1}\" \
             width=\"{inner:.1}\" height=\"{:.1}\"><title>{} examples of confidence {:.2} to \
             {:.2}: mean {confidence:.3}, accuracy {accuracy:.3}</title></rect>\n",
            plot.y(accuracy),
            accuracy * plot.height,
            bin.count,
            bin.low,
            bin.high
        ));
        let y = plot.y(confidence);
        figure.put(format_args!(
            "<line stroke=\"var(--miss)\" stroke-width=\"2\" x1=\"{x:.1}\" y1=\"{y:.1}\" \
             x2=\"{:.1}\" y2=\"{y:.1}\"/>\n",
            x + inner
        ));
        let share = bin.count as f64 / largest;
        figure.put(format_args!(
            "<rect class=\"mark\" fill-opacity=\"0.4\" x=\"{x:.1}\" y=\"{:.1}\" \
             width=\"{inner:.1}\" height=\"{:.1}\"/>\n",
            counts.y(share),
            share * counts.height
        ));
    }
    figure.line("axis", (plot.x(0.0), plot.y(0.0)), (plot.x(1.0), plot.y(1.0)));
    figure.line("axis", (plot.x(0.0), plot.y(0.0)), (plot.x(1.0), plot.y(0.0)));
    figure.line("axis", (counts.x(0.0), counts.y(0.0)), (counts.x(1.0), counts.y(0.0)));
    figure.upward(plot.left - 40.0, counts.y(0.5), "middle", "examples");
    figure.text(plot.left - 6.0, counts.y(1.0) + 8.0, "end", &format!("{largest}"));
    figure.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::svg::tests::well_formed;
    use ndarray::array;

    #[test]
    fn draws_the_bins_that_hold_something() {
        let p = array![[0.9, 0.1], [0.3, 0.7], [0.91, 0.09]];
        let diagram = ReliabilityDiagram::new(p.view(), &[0, 1, 1]).unwrap();
        let svg = reliability_diagram(&diagram);
        let texts = well_formed(&svg);
        let expected = "2 examples of confidence 0.87 to 0.93: mean 0.905, accuracy 0.500";
        assert!(texts.iter().any(|text| text == expected), "{texts:?}");
        assert_eq!(svg.matches("fill-opacity").count(), 4);
    }
}
