//! Conformal prediction in its file.

use super::super::container::Tensor;
use super::super::tensors::{indices, matrix, vector};
use super::{Parts, Pieces};
use crate::classes::Classes;
use crate::conformal::{Conformal, ConformalPredictor, Exact, Scorer, Threshold};

/// Most examples of which a Gram matrix is inverted on loading.
const MAX_EXACT: usize = 16_384;

/// Settings and classes. A large seed is no number in every reader of JSON, hence a string.
#[derive(serde::Serialize, serde::Deserialize, Debug)]
pub struct Description {
    classes: Vec<String>,
    exact: bool,
    penalty_bits: u64,
    smoothed: Option<String>,
    allow_empty: bool,
    exact_limit: usize,
}

impl Parts for ConformalPredictor {
    const FORMAT: &'static str = "offshoot-conformal";
    type Description = Description;

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn parts(&self) -> Pieces<Description> {
        let description = Description {
            classes: self.classes.names().to_vec(),
            exact: matches!(self.scorer, Scorer::Exact(_)),
            penalty_bits: self.settings.penalty.to_bits(),
            smoothed: self.settings.smoothed.map(|seed| seed.to_string()),
            allow_empty: self.settings.allow_empty,
            exact_limit: self.settings.exact_limit,
        };
        match &self.scorer {
            Scorer::Exact(exact) => {
                let (x, y) = exact.examples();
                Pieces::new(description, [("examples", matrix(x)), ("labels", indices(y))])
            }
            Scorer::Threshold(Threshold { weights, bias, strange }) => {
                let strange = Tensor { shape: vec![strange.len()], values: strange.clone() };
                let weights = weights.t().to_owned();
                let tensors = [
                    ("coefficients", matrix(&weights)),
                    ("intercepts", vector(bias)),
                    ("strangeness", strange),
                ];
                Pieces::new(description, tensors)
            }
        }
    }

    fn from_parts(pieces: Pieces<Description>, width: usize) -> Result<Self, String> {
        let Description { classes, exact, penalty_bits, smoothed, allow_empty, exact_limit } =
            &pieces.description;
        let classes = Classes::new(classes.clone()).map_err(|error| error.to_string())?;
        let penalty = f64::from_bits(*penalty_bits);
        if classes.len() < 2 || width == 0 || !(penalty > 0.0 && penalty.is_finite()) {
            return Err("its classes, dimensions or penalty are out of range".to_owned());
        }
        let smoothed = match smoothed.as_deref().map(str::parse).transpose() {
            Ok(seed) => seed,
            Err(_) => return Err("its seed is not a number".to_owned()),
        };
        let settings =
            Conformal { penalty, smoothed, allow_empty: *allow_empty, exact_limit: *exact_limit };
        let exact = *exact;
        let (_, mut tensors) = pieces.take(classes.len(), width);
        let scorer = if exact {
            let (x, y) = tensors.examples()?;
            if y.len() > MAX_EXACT {
                return Err(format!("it has {} examples, over the {MAX_EXACT} allowed", y.len()));
            }
            let exact = Exact::new(x, y, classes.len(), penalty);
            Scorer::Exact(exact.ok_or("its examples cannot be inverted")?)
        } else {
            let weights = tensors.matrix("coefficients")?.t().as_standard_layout().to_owned();
            let bias = tensors.vector("intercepts")?;
            let strange = tensors.take_list("strangeness")?;
            if strange.is_empty() || !strange.is_sorted() {
                return Err("tensor \"strangeness\" does not rise".to_owned());
            }
            Scorer::Threshold(Threshold { weights, bias, strange })
        };
        Ok(Self { classes, dimensions: width, settings, scorer })
    }
}
