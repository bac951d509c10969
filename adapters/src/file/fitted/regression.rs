//! Regression heads in their file.

use ndarray::ArrayView1;

use super::super::tensors::{matrix, scalar, vector};
use super::{Parts, Pieces};
use crate::regression::RegressionHead;

/// How many numbers it predicts.
#[derive(serde::Serialize, serde::Deserialize, Debug)]
pub struct Description {
    outputs: usize,
}

impl Parts for RegressionHead {
    const FORMAT: &'static str = "offshoot-regression";
    type Description = Description;

    fn dimensions(&self) -> usize {
        self.coefficients.ncols()
    }

    fn parts(&self) -> Pieces<Description> {
        let tensors = [
            ("coefficients", matrix(&self.coefficients)),
            ("intercepts", vector(&self.intercepts)),
            ("penalty", scalar(self.penalty)),
            ("leave_one_out_error", scalar(self.leave_one_out_error)),
            ("residuals", matrix(&self.residuals)),
        ];
        Pieces::new(Description { outputs: self.intercepts.len() }, tensors)
    }

    fn from_parts(pieces: Pieces<Description>, width: usize) -> Result<Self, String> {
        let outputs = pieces.description.outputs;
        if outputs == 0 || width == 0 {
            return Err("it has no outputs or no dimensions".to_owned());
        }
        let (_, mut tensors) = pieces.take(outputs, width);
        let residuals = tensors.take_with_columns("residuals", outputs)?;
        let rising = |row: ArrayView1<f64>| row.iter().is_sorted() && row[0] >= 0.0;
        if residuals.ncols() < 2 || !residuals.outer_iter().all(rising) {
            return Err("tensor \"residuals\" does not hold rising sizes".to_owned());
        }
        Ok(Self {
            coefficients: tensors.matrix("coefficients")?,
            intercepts: tensors.vector("intercepts")?,
            penalty: tensors.positive("penalty")?,
            leave_one_out_error: tensors.scalar("leave_one_out_error")?,
            residuals,
        })
    }
}
