//! The numbers of each kind of head, by name.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2};

use super::container::Tensor;
use crate::classes::Classes;
use crate::head::{Head, HeadKind};
use crate::heads::auto;
use crate::heads::{DiscriminantHead, LogisticHead, NearestMeanHead, RidgeHead};

/// The tensors of a head.
pub(super) fn of(head: &Head) -> BTreeMap<String, Tensor> {
    let named = |tensors: Vec<(&str, Tensor)>| {
        tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect()
    };
    match head {
        Head::Auto(head) => auto::tensors(head)
            .into_iter()
            .map(|(name, shape, values)| (name, Tensor { shape, values }))
            .collect(),
        Head::NearestMean(head) => {
            named(vec![("means", matrix(&head.means)), ("scale", scalar(head.scale))])
        }
        Head::Ridge(head) => named(vec![
            ("coefficients", matrix(&head.coefficients)),
            ("intercepts", vector(&head.intercepts)),
            ("penalty", scalar(head.penalty)),
            ("leave_one_out_error", scalar(head.leave_one_out_error)),
            ("scale", scalar(head.scale)),
        ]),
        Head::Logistic(head) => named(vec![
            ("coefficients", matrix(&head.coefficients)),
            ("intercepts", vector(&head.intercepts)),
            ("c", scalar(head.c)),
            ("iterations", scalar(head.iterations as f64)),
        ]),
        Head::Discriminant(head) => named(vec![
            ("coefficients", matrix(&head.coefficients)),
            ("intercepts", vector(&head.intercepts)),
            ("penalty", scalar(head.penalty)),
            ("scale", scalar(head.scale)),
        ]),
    }
}

/// Rebuilds a head of `dimensions` from its tensors, or says which one is wrong.
pub(super) fn head(
    kind: HeadKind,
    classes: Classes,
    dimensions: usize,
    tensors: BTreeMap<String, Tensor>,
) -> Result<Head, String> {
    let mut tensors = Tensors { tensors, classes: classes.len(), dimensions };
    Ok(match kind {
        HeadKind::Auto => {
            Head::Auto(auto::from_tensors(classes, dimensions, &mut |name, shape| {
                tensors.take_shaped(name, shape)
            })?)
        }
        HeadKind::NearestMean => Head::NearestMean(NearestMeanHead {
            means: tensors.matrix("means")?,
            scale: tensors.positive("scale")?,
            classes,
        }),
        HeadKind::Ridge => Head::Ridge(RidgeHead {
            coefficients: tensors.matrix("coefficients")?,
            intercepts: tensors.vector("intercepts")?,
            penalty: tensors.positive("penalty")?,
            leave_one_out_error: tensors.scalar("leave_one_out_error")?,
            scale: tensors.positive("scale")?,
            classes,
        }),
        HeadKind::Logistic => Head::Logistic(LogisticHead {
            coefficients: tensors.matrix("coefficients")?,
            intercepts: tensors.vector("intercepts")?,
            c: tensors.positive("c")?,
            // Saturates: the number is only for people.
            iterations: tensors.scalar("iterations")? as usize,
            classes,
        }),
        HeadKind::Discriminant => Head::Discriminant(DiscriminantHead {
            coefficients: tensors.matrix("coefficients")?,
            intercepts: tensors.vector("intercepts")?,
            penalty: tensors.positive("penalty")?,
            scale: tensors.positive("scale")?,
            classes,
        }),
    })
}

fn matrix(values: &Array2<f64>) -> Tensor {
    Tensor { shape: values.shape().to_vec(), values: values.iter().copied().collect() }
}

fn vector(values: &Array1<f64>) -> Tensor {
    Tensor { shape: values.shape().to_vec(), values: values.to_vec() }
}

fn scalar(value: f64) -> Tensor {
    Tensor { shape: vec![1], values: vec![value] }
}

/// Tensors that are taken out one by one, each checked.
struct Tensors {
    tensors: BTreeMap<String, Tensor>,
    classes: usize,
    dimensions: usize,
}

impl Tensors {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>, String> {
        let tensor = self.tensors.remove(name).ok_or(format!("tensor {name:?} is missing"))?;
        if tensor.shape != shape {
            return Err(format!("tensor {name:?} has shape {:?}, not {shape:?}", tensor.shape));
        }
        if let Some(value) = tensor.values.iter().find(|value| !value.is_finite()) {
            return Err(format!("tensor {name:?} holds {value}"));
        }
        Ok(tensor.values)
    }

    /// A matrix whose number of rows is its own, where `shape` says `None`.
    fn take_shaped(
        &mut self,
        name: &str,
        [rows, columns]: [Option<usize>; 2],
    ) -> Result<Array2<f64>, String> {
        let found = self.tensors.get(name).and_then(|tensor| tensor.shape.first().copied());
        let shape = [rows.or(found).unwrap_or(0), columns.unwrap_or(1)];
        let values = self.take(name, &shape)?;
        Array2::from_shape_vec(shape, values).map_err(|error| format!("tensor {name:?}: {error}"))
    }

    fn matrix(&mut self, name: &str) -> Result<Array2<f64>, String> {
        let shape = (self.classes, self.dimensions);
        let values = self.take(name, &[shape.0, shape.1])?;
        Array2::from_shape_vec(shape, values).map_err(|error| format!("tensor {name:?}: {error}"))
    }

    fn vector(&mut self, name: &str) -> Result<Array1<f64>, String> {
        Ok(Array1::from_vec(self.take(name, &[self.classes])?))
    }

    fn scalar(&mut self, name: &str) -> Result<f64, String> {
        Ok(self.take(name, &[1])?[0])
    }

    fn positive(&mut self, name: &str) -> Result<f64, String> {
        let value = self.scalar(name)?;
        if value > 0.0 { Ok(value) } else { Err(format!("tensor {name:?} holds {value}")) }
    }
}
