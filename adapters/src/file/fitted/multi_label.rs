//! Multi-label heads in their file.

use super::super::container::Tensor;
use super::super::tensors::{matrix, scalar, vector};
use super::{Parts, Pieces};
use crate::classes::Classes;
use crate::multi_label::MultiLabelHead;

/// The names of the labels.
#[derive(serde::Serialize, serde::Deserialize, Debug)]
pub struct Description {
    labels: Vec<String>,
}

impl Parts for MultiLabelHead {
    const FORMAT: &'static str = "offshoot-multi-label";
    type Description = Description;

    fn dimensions(&self) -> usize {
        self.coefficients.ncols()
    }

    fn parts(&self) -> Pieces<Description> {
        let list = |values: &[f64]| Tensor { shape: vec![values.len()], values: values.to_vec() };
        let tensors = [
            ("coefficients", matrix(&self.coefficients)),
            ("intercepts", vector(&self.intercepts)),
            ("penalty", scalar(self.penalty)),
            ("thresholds", list(&self.thresholds)),
            ("leave_one_out_f1", list(&self.f1)),
        ];
        Pieces::new(Description { labels: self.labels.names().to_vec() }, tensors)
    }

    fn from_parts(pieces: Pieces<Description>, width: usize) -> Result<Self, String> {
        let names = pieces.description.labels.clone();
        let labels = Classes::new(names).map_err(|error| error.to_string())?;
        if labels.is_empty() || width == 0 {
            return Err("it has no labels or no dimensions".to_owned());
        }
        let (_, mut tensors) = pieces.take(labels.len(), width);
        // Infinite for labels that are never or always predicted.
        let thresholds = tensors.numbers("thresholds", &[labels.len()])?;
        let f1 = tensors.vector("leave_one_out_f1")?.to_vec();
        if let Some(value) = f1.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(format!("tensor \"leave_one_out_f1\" holds {value}"));
        }
        Ok(Self {
            coefficients: tensors.matrix("coefficients")?,
            intercepts: tensors.vector("intercepts")?,
            penalty: tensors.positive("penalty")?,
            thresholds,
            f1,
            labels,
        })
    }
}
