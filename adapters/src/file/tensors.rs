//! The numbers of each kind of head, by name.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2};

use super::container::Tensor;
use crate::classes::Classes;
use crate::head::{Head, HeadKind};
use crate::heads::auto;
use crate::heads::{
    CacheHead, DiscriminantHead, Keys, LogisticHead, Metric, NearestMeanHead, NearestNeighborsHead,
    RidgeHead,
};

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
        Head::NearestNeighbors(head) => named(vec![
            ("examples", matrix(&head.keys.x)),
            ("labels", indices(&head.keys.y)),
            ("neighbors", scalar(head.neighbors as f64)),
            ("euclidean", scalar(f64::from(u8::from(head.metric() == Metric::Euclidean)))),
        ]),
        Head::Cache(head) => named(vec![
            ("examples", matrix(&head.keys)),
            ("labels", indices(&head.y)),
            ("alpha", scalar(head.alpha)),
            ("beta", scalar(head.beta)),
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
        HeadKind::NearestNeighbors => {
            let (examples, y) = tensors.examples()?;
            let metric = match tensors.scalar("euclidean")? {
                0.0 => Metric::Cosine,
                1.0 => Metric::Euclidean,
                other => return Err(format!("tensor \"euclidean\" holds {other}, not 0 or 1")),
            };
            let neighbors = tensors.index("neighbors", y.len() + 1)?;
            if neighbors == 0 {
                return Err("tensor \"neighbors\" holds 0".to_owned());
            }
            let keys = Keys::from_compared(examples, y, metric);
            Head::NearestNeighbors(NearestNeighborsHead { classes, keys, neighbors })
        }
        HeadKind::Cache => {
            let (examples, y) = tensors.examples()?;
            let alpha = tensors.scalar("alpha")?;
            if alpha < 0.0 {
                return Err(format!("tensor \"alpha\" holds {alpha}"));
            }
            let (beta, scale) = (tensors.positive("beta")?, tensors.positive("scale")?);
            Head::Cache(CacheHead::new(classes, examples, y, alpha, beta, scale))
        }
    })
}

pub(super) fn matrix(values: &Array2<f64>) -> Tensor {
    Tensor { shape: values.shape().to_vec(), values: values.iter().copied().collect() }
}

pub(super) fn vector(values: &Array1<f64>) -> Tensor {
    Tensor { shape: values.shape().to_vec(), values: values.to_vec() }
}

pub(super) fn indices(values: &[usize]) -> Tensor {
    Tensor { shape: vec![values.len()], values: values.iter().map(|&v| v as f64).collect() }
}

pub(super) fn scalar(value: f64) -> Tensor {
    Tensor { shape: vec![1], values: vec![value] }
}

/// The whole number below `end` that a float is.
fn whole(value: f64, end: usize) -> Option<usize> {
    (value >= 0.0 && value < end as f64 && value.fract() == 0.0).then_some(value as usize)
}

/// Tensors that are taken out one by one, each checked.
#[derive(Debug)]
pub(super) struct Tensors {
    pub(super) tensors: BTreeMap<String, Tensor>,
    pub(super) classes: usize,
    pub(super) dimensions: usize,
}

impl Tensors {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>, String> {
        let values = self.numbers(name, shape)?;
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(format!("tensor {name:?} holds {value}")),
            None => Ok(values),
        }
    }

    /// Numbers that may be infinite.
    pub(super) fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>, String> {
        let tensor = self.tensors.remove(name).ok_or(format!("tensor {name:?} is missing"))?;
        if tensor.shape != shape {
            return Err(format!("tensor {name:?} has shape {:?}, not {shape:?}", tensor.shape));
        }
        match tensor.values.iter().find(|value| value.is_nan()) {
            Some(value) => Err(format!("tensor {name:?} holds {value}")),
            None => Ok(tensor.values),
        }
    }

    /// A list of any length.
    pub(super) fn take_list(&mut self, name: &str) -> Result<Vec<f64>, String> {
        let length = self.tensors.get(name).map_or(0, |tensor| tensor.values.len());
        self.take(name, &[length])
    }

    /// A matrix of so many rows, and as many columns as it has.
    pub(super) fn take_with_columns(
        &mut self,
        name: &str,
        rows: usize,
    ) -> Result<Array2<f64>, String> {
        let columns = self.tensors.get(name).and_then(|tensor| tensor.shape.get(1).copied());
        let shape = [rows, columns.unwrap_or(0)];
        let values = self.take(name, &shape)?;
        Array2::from_shape_vec(shape, values).map_err(|error| format!("tensor {name:?}: {error}"))
    }

    /// A matrix whose number of rows is its own, where `shape` says `None`.
    pub(super) fn take_shaped(
        &mut self,
        name: &str,
        [rows, columns]: [Option<usize>; 2],
    ) -> Result<Array2<f64>, String> {
        let found = self.tensors.get(name).and_then(|tensor| tensor.shape.first().copied());
        let shape = [rows.or(found).unwrap_or(0), columns.unwrap_or(1)];
        let values = self.take(name, &shape)?;
        Array2::from_shape_vec(shape, values).map_err(|error| format!("tensor {name:?}: {error}"))
    }

    pub(super) fn matrix(&mut self, name: &str) -> Result<Array2<f64>, String> {
        let shape = (self.classes, self.dimensions);
        let values = self.take(name, &[shape.0, shape.1])?;
        Array2::from_shape_vec(shape, values).map_err(|error| format!("tensor {name:?}: {error}"))
    }

    /// Examples `[any, dimensions]` and the class of each, at least one of each class.
    pub(super) fn examples(&mut self) -> Result<(Array2<f64>, Vec<usize>), String> {
        let rows = self.tensors.get("labels").map_or(0, |labels| labels.values.len());
        let values = self.take("examples", &[rows, self.dimensions])?;
        let examples = Array2::from_shape_vec((rows, self.dimensions), values)
            .map_err(|error| format!("tensor \"examples\": {error}"))?;
        let labels = self.take("labels", &[rows])?;
        let mut seen = vec![false; self.classes];
        let mut y = Vec::with_capacity(rows);
        for label in labels {
            let class = whole(label, self.classes)
                .ok_or(format!("tensor \"labels\" holds {label}, which is no class"))?;
            seen[class] = true;
            y.push(class);
        }
        match seen.iter().position(|seen| !seen) {
            Some(class) => Err(format!("class {class} has no example")),
            None => Ok((examples, y)),
        }
    }

    /// A whole number below `end`.
    pub(super) fn index(&mut self, name: &str, end: usize) -> Result<usize, String> {
        let value = self.scalar(name)?;
        whole(value, end).ok_or(format!("tensor {name:?} holds {value}"))
    }

    pub(super) fn vector(&mut self, name: &str) -> Result<Array1<f64>, String> {
        Ok(Array1::from_vec(self.take(name, &[self.classes])?))
    }

    pub(super) fn scalar(&mut self, name: &str) -> Result<f64, String> {
        Ok(self.take(name, &[1])?[0])
    }

    pub(super) fn positive(&mut self, name: &str) -> Result<f64, String> {
        let value = self.scalar(name)?;
        if value > 0.0 { Ok(value) } else { Err(format!("tensor {name:?} holds {value}")) }
    }
}
