//! Sets of classes that hold the right one as often as asked.
//!
//! A probability says how sure a head is; a *prediction set* keeps a promise: over examples
//! drawn like those it was fitted on, it holds the true class at least as often as asked,
//! whatever the encoder, the classes and the number of labels. Easy inputs get one class, hard
//! ones several.
//!
//! Setting labels aside to calibrate on (split conformal prediction) wastes what is scarce.
//! The predictor here uses every label both to learn and to calibrate, by full (transductive)
//! conformal prediction, in closed form.

mod exact;
mod settings;
mod threshold;

pub(crate) use exact::Exact;
pub(crate) use settings::Scorer;
pub use settings::{Conformal, ConformalPredictor};
pub(crate) use threshold::Threshold;

use ndarray::{Array2, ArrayView1};

/// Scores closer than this are ties.
const TIE: f64 = 1e-9;

/// How little scores `[classes]` speak for a class: the largest of the others minus its own.
fn strangeness(scores: ArrayView1<f64>, class: usize) -> f64 {
    let others = scores.iter().enumerate().filter(|(k, _)| *k != class);
    others.map(|(_, &score)| score).fold(f64::NEG_INFINITY, f64::max) - scores[class]
}

/// How many of many values are above one and how many tie with it.
#[derive(Clone, Copy, Default)]
struct Rank {
    above: usize,
    ties: usize,
}

impl Rank {
    fn meet(&mut self, other: f64, own: f64) {
        if other > own + TIE {
            self.above += 1;
        } else if other >= own - TIE {
            self.ties += 1;
        }
    }

    /// The p-value among `n` others; with a draw of 0 to 1, the smoothed one.
    fn p_value(self, n: usize, draw: Option<f64>) -> f64 {
        // The example ties with itself.
        let ties = (self.ties + 1) as f64 * draw.unwrap_or(1.0);
        (self.above as f64 + ties) / (n as f64 + 1.0)
    }
}

/// `[yᵢ = k]`, `[examples, classes]`.
fn indicators(y: &[usize], classes: usize) -> Array2<f64> {
    let mut targets = Array2::zeros((y.len(), classes));
    y.iter().enumerate().for_each(|(i, &class)| targets[[i, class]] = 1.0);
    targets
}
