//! One fitted head of any kind.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array1, Array2, ArrayView2};

use crate::classes::Classes;
use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::heads::{
    Cache, CacheHead, Logistic, LogisticHead, NearestMean, NearestMeanHead, NearestNeighbors,
    NearestNeighborsHead, Ridge, RidgeHead,
};

/// The kinds of head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadKind {
    /// [`NearestMean`], named `nearest-mean`.
    NearestMean,
    /// [`Ridge`], named `ridge`.
    Ridge,
    /// [`Logistic`], named `logistic`.
    Logistic,
    /// [`NearestNeighbors`], named `nearest-neighbors`.
    NearestNeighbors,
    /// [`Cache`], named `cache`.
    Cache,
}

impl HeadKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::NearestMean, Self::Ridge, Self::Logistic, Self::NearestNeighbors, Self::Cache];

    /// The name that [`FromStr`] reads and [`fmt::Display`] writes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NearestMean => "nearest-mean",
            Self::Ridge => "ridge",
            Self::Logistic => "logistic",
            Self::NearestNeighbors => "nearest-neighbors",
            Self::Cache => "cache",
        }
    }

    /// Fits a head of this kind with its default settings to embeddings
    /// `[examples, dimensions]` and the class of each.
    ///
    /// # Errors
    ///
    /// Those of the head's own `fit`.
    pub fn fit(self, x: ArrayView2<f32>, y: &[usize], classes: Classes) -> Result<Head> {
        match self {
            Self::NearestMean => NearestMean::default().fit(x, y, classes),
            Self::Ridge => Ridge::default().fit(x, y, classes),
            Self::Logistic => Logistic::default().fit(x, y, classes),
            Self::NearestNeighbors => NearestNeighbors::default().fit(x, y, classes),
            Self::Cache => Cache::default().fit(x, y, classes),
        }
    }
}

impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for HeadKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Error::UnknownHead(name.chars().take(80).collect()))
    }
}

/// One fitted head.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Head {
    /// Nearest class mean.
    NearestMean(NearestMeanHead),
    /// Ridge classifier.
    Ridge(RidgeHead),
    /// Logistic regression.
    Logistic(LogisticHead),
    /// Nearest neighbours.
    NearestNeighbors(NearestNeighborsHead),
    /// Cache of examples beside class means.
    Cache(CacheHead),
}

impl Head {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> HeadKind {
        match self {
            Self::NearestMean(_) => HeadKind::NearestMean,
            Self::Ridge(_) => HeadKind::Ridge,
            Self::Logistic(_) => HeadKind::Logistic,
            Self::NearestNeighbors(_) => HeadKind::NearestNeighbors,
            Self::Cache(_) => HeadKind::Cache,
        }
    }

    fn classifier(&self) -> &dyn Classifier {
        match self {
            Self::NearestMean(head) => head,
            Self::Ridge(head) => head,
            Self::Logistic(head) => head,
            Self::NearestNeighbors(head) => head,
            Self::Cache(head) => head,
        }
    }

    /// The classes, in the order of the columns of every result.
    #[must_use]
    pub fn classes(&self) -> &Classes {
        self.classifier().classes()
    }

    /// Width of the embeddings that it takes.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.classifier().dimensions()
    }

    /// A score for each embedding and class; see [`Classifier::decision_function`].
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::NotFinite`].
    pub fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        self.classifier().decision_function(x)
    }

    /// The probability of each class for each embedding; see [`Classifier::predict_proba`].
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::NotFinite`].
    pub fn predict_proba(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        self.classifier().predict_proba(x)
    }

    /// The most likely class of each embedding; see [`Classifier::predict`].
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::NotFinite`].
    pub fn predict(&self, x: ArrayView2<f32>) -> Result<Vec<usize>> {
        self.classifier().predict(x)
    }

    /// The coefficients `[classes, dimensions]` of a linear head, or `None`.
    #[must_use]
    pub fn coefficients(&self) -> Option<&Array2<f64>> {
        match self {
            Self::NearestMean(_) | Self::NearestNeighbors(_) | Self::Cache(_) => None,
            Self::Ridge(head) => Some(head.coefficients()),
            Self::Logistic(head) => Some(head.coefficients()),
        }
    }

    /// The intercepts `[classes]` of a linear head, or `None`.
    #[must_use]
    pub fn intercepts(&self) -> Option<&Array1<f64>> {
        match self {
            Self::NearestMean(_) | Self::NearestNeighbors(_) | Self::Cache(_) => None,
            Self::Ridge(head) => Some(head.intercepts()),
            Self::Logistic(head) => Some(head.intercepts()),
        }
    }
}

impl Classifier for Head {
    fn classes(&self) -> &Classes {
        self.classifier().classes()
    }

    fn dimensions(&self) -> usize {
        self.classifier().dimensions()
    }

    fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        self.classifier().decision_function(x)
    }

    fn probabilities(&self, scores: Array2<f64>) -> Array2<f64> {
        self.classifier().probabilities(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_and_read_back() {
        for kind in HeadKind::ALL {
            assert_eq!(kind.to_string().parse::<HeadKind>().unwrap(), kind);
        }
        assert_eq!("nearest-mean".parse::<HeadKind>().unwrap(), HeadKind::NearestMean);
        let error = "svm".parse::<HeadKind>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown head \"svm\": choose nearest-mean, ridge, logistic, nearest-neighbors or \
             cache"
        );
    }
}
