//! One calibration of whichever kind.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array2, ArrayView2};
use serde::Serialize;

use super::{Dirichlet, DirichletCalibration, Temperature};
use crate::error::{Error, Result};

/// Which calibration is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalibrationKind {
    /// [`Temperature`]: one parameter.
    Temperature,
    /// [`Dirichlet`] with its default penalties: K² + K parameters, shrunk.
    Dirichlet,
}

impl CalibrationKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Temperature, Self::Dirichlet];

    /// The name that [`FromStr`] reads and [`fmt::Display`] writes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::Dirichlet => "dirichlet",
        }
    }

    /// Fits it to leave-one-out log-probabilities `[examples, classes]`, the class of each
    /// example, and whether each row is usable.
    ///
    /// # Errors
    ///
    /// Those of [`Temperature::fit`] and [`Dirichlet::fit`].
    pub fn fit(self, logs: ArrayView2<f64>, y: &[usize], usable: &[bool]) -> Result<Calibration> {
        Ok(match self {
            Self::Temperature => Calibration::Temperature(Temperature::fit(logs, y, usable)?),
            Self::Dirichlet => Calibration::Dirichlet(Dirichlet::default().fit(logs, y, usable)?),
        })
    }
}

impl fmt::Display for CalibrationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for CalibrationKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Error::UnknownCalibration { name: name.chars().take(80).collect() })
    }
}

/// A map of probabilities of either kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// One number for all classes.
    Temperature(Temperature),
    /// A matrix and intercepts.
    Dirichlet(DirichletCalibration),
}

impl Calibration {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> CalibrationKind {
        match self {
            Self::Temperature(_) => CalibrationKind::Temperature,
            Self::Dirichlet(_) => CalibrationKind::Dirichlet,
        }
    }

    /// Calibrates probabilities `[examples, classes]`.
    ///
    /// # Errors
    ///
    /// Those of [`Temperature::apply`] and [`DirichletCalibration::apply`].
    pub fn apply(&self, probabilities: ArrayView2<f64>) -> Result<Array2<f64>> {
        match self {
            Self::Temperature(map) => map.apply(probabilities),
            Self::Dirichlet(map) => map.apply(probabilities),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn each_kind_is_named_and_is_its_own_map() {
        let p = array![[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]];
        let (logs, y, usable) = (p.mapv(f64::ln), [0, 1, 1, 0, 1, 0], [true; 6]);
        for kind in CalibrationKind::ALL {
            assert_eq!(kind.to_string().parse::<CalibrationKind>().unwrap(), kind);
            let map = kind.fit(logs.view(), &y, &usable).unwrap();
            assert_eq!(map.kind(), kind);
            let expected = match kind {
                CalibrationKind::Temperature => {
                    Temperature::fit(logs.view(), &y, &usable).unwrap().apply(p.view())
                }
                CalibrationKind::Dirichlet => {
                    Dirichlet::default().fit(logs.view(), &y, &usable).unwrap().apply(p.view())
                }
            };
            assert_eq!(map.apply(p.view()).unwrap(), expected.unwrap());
            let json = serde_json::to_value(&map).unwrap();
            assert!(json.get(kind.name()).is_some(), "{json}");
        }
        let error = "platt".parse::<CalibrationKind>().unwrap_err();
        let said = "unknown calibration \"platt\": choose one of temperature, dirichlet";
        assert_eq!(error.to_string(), said);
    }
}
