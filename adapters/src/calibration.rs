//! Probabilities that mean what they say, from leave-one-out predictions.
//!
//! A head's probabilities of the examples it was fitted on are too good. Those made for each
//! example without it are honest, and a few labels are enough to learn from them how sure the
//! head should be. Both calibrations take leave-one-out log-probabilities
//! `[examples, classes]`, the class of each example, and a flag for each row that says whether
//! it is usable (an example alone in its class is not), and return a map of probabilities:
//!
//! | | parameters | take it |
//! | --- | --- | --- |
//! | [`Temperature`] | 1 | from the first labels on |
//! | [`Dirichlet`] | K² + K, shrunk | when some classes are surer than they should be, others less |

mod dirichlet;
mod map;
mod temperature;

pub use dirichlet::{Dirichlet, DirichletCalibration};
pub use map::{Calibration, CalibrationKind};
pub use temperature::Temperature;

/// Logarithms of probabilities below 1e-12 are taken as this. What lies below is rounding.
pub const LOG_FLOOR: f64 = -27.631_021_115_928_547;
