//! Open-set rejection in its file.

use ndarray::{Array1, ArrayView1};

use super::super::container::Tensor;
use super::super::tensors::{matrix, vector};
use super::{Parts, Pieces};
use crate::classes::Classes;
use crate::open_set::OpenSet;

/// How far a row may be from unit length.
const ROUNDING: f64 = 1e-6;

/// How many classes are known.
#[derive(serde::Serialize, serde::Deserialize, Debug)]
pub struct Description {
    classes: usize,
}

impl Parts for OpenSet {
    const FORMAT: &'static str = "offshoot-open-set";
    type Description = Description;

    fn dimensions(&self) -> usize {
        self.center.len()
    }

    fn parts(&self) -> Pieces<Description> {
        let list = |values: &[f64]| Tensor { shape: vec![values.len()], values: values.to_vec() };
        let tensors = [
            ("examples", matrix(&self.keys)),
            ("center", vector(&self.center)),
            ("unknown_scores", list(&self.unknown)),
            ("known_scores", list(&self.known)),
        ];
        Pieces::new(Description { classes: self.classes }, tensors)
    }

    fn from_parts(pieces: Pieces<Description>, width: usize) -> Result<Self, String> {
        let classes = pieces.description.classes;
        if !(2..=Classes::MAX).contains(&classes) || width == 0 {
            return Err(format!("it has {classes} classes and {width} dimensions"));
        }
        let (_, mut tensors) = pieces.take(classes, width);
        let keys = tensors.take_shaped("examples", [None, Some(width)])?;
        // Of no length where an example lies at the centre.
        let unit = |row: ArrayView1<f64>| {
            let size = row.dot(&row);
            size == 0.0 || (size - 1.0).abs() <= ROUNDING
        };
        if keys.nrows() < classes || !keys.outer_iter().all(unit) {
            return Err("tensor \"examples\" does not hold directions of every class".to_owned());
        }
        let center: Array1<f64> = tensors.take_list("center")?.into();
        let (unknown, known) =
            (tensors.take_list("unknown_scores")?, tensors.take_list("known_scores")?);
        let cosines = |scores: &[f64]| {
            scores.is_sorted() && scores.iter().all(|score| score.abs() <= 1.0 + ROUNDING)
        };
        if center.len() != width
            || unknown.len() != keys.nrows()
            || known.len() > keys.nrows()
            || !cosines(&unknown)
            || !cosines(&known)
        {
            return Err("its centre or its scores do not belong to its examples".to_owned());
        }
        Ok(Self { keys, center, classes, unknown, known })
    }
}
