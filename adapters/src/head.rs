//! One fitted head of any kind.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::classes::Classes;
use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::heads::{
    Auto, AutoHead, Discriminant, DiscriminantHead, Logistic, LogisticHead, NearestMean,
    NearestMeanHead, Ridge, RidgeHead,
};

/// The kinds of head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadKind {
    /// [`Auto`], named `auto`.
    Auto,
    /// [`NearestMean`], named `nearest-mean`.
    NearestMean,
    /// [`Ridge`], named `ridge`.
    Ridge,
    /// [`Logistic`], named `logistic`.
    Logistic,
    /// [`Discriminant`], named `discriminant`.
    Discriminant,
}

impl HeadKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Auto, Self::NearestMean, Self::Ridge, Self::Discriminant, Self::Logistic];

    /// The names of all kinds, for people.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The name that [`FromStr`] reads and [`fmt::Display`] writes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::NearestMean => "nearest-mean",
            Self::Ridge => "ridge",
            Self::Logistic => "logistic",
            Self::Discriminant => "discriminant",
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
            Self::Auto => Auto::default().fit(x, y, classes),
            Self::NearestMean => NearestMean::default().fit(x, y, classes),
            Self::Ridge => Ridge::default().fit(x, y, classes),
            Self::Logistic => Logistic::default().fit(x, y, classes),
            Self::Discriminant => Discriminant::default().fit(x, y, classes),
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
            .ok_or_else(|| Error::UnknownHead { name: name.chars().take(80).collect() })
    }
}

/// One fitted head.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Head {
    /// The head that sets itself.
    Auto(AutoHead),
    /// Nearest class mean.
    NearestMean(NearestMeanHead),
    /// Ridge classifier.
    Ridge(RidgeHead),
    /// Logistic regression.
    Logistic(LogisticHead),
    /// Linear discriminant.
    Discriminant(DiscriminantHead),
}

impl Head {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> HeadKind {
        match self {
            Self::Auto(_) => HeadKind::Auto,
            Self::NearestMean(_) => HeadKind::NearestMean,
            Self::Ridge(_) => HeadKind::Ridge,
            Self::Logistic(_) => HeadKind::Logistic,
            Self::Discriminant(_) => HeadKind::Discriminant,
        }
    }

    fn classifier(&self) -> &dyn Classifier {
        match self {
            Self::Auto(head) => head,
            Self::NearestMean(head) => head,
            Self::Ridge(head) => head,
            Self::Logistic(head) => head,
            Self::Discriminant(head) => head,
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

    /// The head as a linear map whose softmax is its probabilities:
    /// `predict_proba(x) = softmax(x Wᵀ + b)`; `None` for a head that is not linear.
    ///
    /// The scale that turns scores into log-odds is part of it. A nearest-mean head is linear
    /// because `‖x‖²` is the same for every class.
    #[must_use]
    pub fn linear_logits(&self) -> Option<LinearLogits> {
        let (coefficients, intercepts) = match self {
            Self::Auto(_) => return None,
            Self::NearestMean(head) => {
                // Around the mean of the means, so that a shared offset costs no digits.
                let center = head.means.mean_axis(Axis(0))?;
                let means = &head.means - &center;
                let coefficients = 2.0 * head.scale * &means;
                let sizes = means.map_axis(Axis(1), |mean| mean.dot(&mean));
                let intercepts = -head.scale * sizes - coefficients.dot(&center);
                (coefficients, intercepts)
            }
            Self::Ridge(head) => (head.scale * &head.coefficients, head.scale * &head.intercepts),
            Self::Discriminant(head) => {
                (head.scale() * head.coefficients(), head.scale() * head.intercepts())
            }
            Self::Logistic(head) => (head.coefficients.clone(), head.intercepts.clone()),
        };
        Some(LinearLogits { coefficients, intercepts })
    }

    /// The coefficients `[classes, dimensions]` of a linear head, or `None`.
    #[must_use]
    pub fn coefficients(&self) -> Option<&Array2<f64>> {
        match self {
            Self::Auto(_) | Self::NearestMean(_) => None,
            Self::Ridge(head) => Some(head.coefficients()),
            Self::Logistic(head) => Some(head.coefficients()),
            Self::Discriminant(head) => Some(head.coefficients()),
        }
    }

    /// The intercepts `[classes]` of a linear head, or `None`.
    #[must_use]
    pub fn intercepts(&self) -> Option<&Array1<f64>> {
        match self {
            Self::Auto(_) | Self::NearestMean(_) => None,
            Self::Ridge(head) => Some(head.intercepts()),
            Self::Logistic(head) => Some(head.intercepts()),
            Self::Discriminant(head) => Some(head.intercepts()),
        }
    }
}

/// A linear map from an embedding to log-odds; see [`Head::linear_logits`].
#[derive(Clone, Debug, PartialEq)]
pub struct LinearLogits {
    /// `W`, `[classes, dimensions]`.
    pub coefficients: Array2<f64>,
    /// `b`, `[classes]`.
    pub intercepts: Array1<f64>,
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
    use crate::numeric::softmax_rows;

    #[test]
    fn linear_logits_give_the_probabilities() {
        let x = Array2::from_shape_fn((12, 5), |(i, j)| ((i * 7 + j * 13) as f32).sin() + 9.0);
        let labels: Vec<String> = (0..12).map(|i| (i % 3).to_string()).collect();
        let (classes, y) = Classes::from_labels(&labels).unwrap();
        for kind in HeadKind::ALL {
            let head = kind.fit(x.view(), &y, classes.clone()).unwrap();
            let Some(linear) = head.linear_logits() else { continue };
            let mut logits = x.mapv(f64::from).dot(&linear.coefficients.t()) + linear.intercepts;
            softmax_rows(&mut logits);
            let difference = logits - head.predict_proba(x.view()).unwrap();
            assert!(difference.iter().all(|d| d.abs() < 1e-9), "{kind}");
        }
    }

    #[test]
    fn kinds_are_named_and_read_back() {
        for kind in HeadKind::ALL {
            assert_eq!(kind.to_string().parse::<HeadKind>().unwrap(), kind);
        }
        assert_eq!("nearest-mean".parse::<HeadKind>().unwrap(), HeadKind::NearestMean);
        let error = "svm".parse::<HeadKind>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown head \"svm\": choose one of auto, nearest-mean, ridge, discriminant, logistic"
        );
    }
}
