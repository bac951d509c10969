//! Operators that turn many elements into one.

use crate::error::Result;
use crate::graph::{Attribute, Dim, ElementType, Graph, TensorType, Value};

impl Graph {
    /// Sum over one dimension, which is kept with size 1. `axis` may count from
    /// the end, here and in every operator of this file.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when `axis` does not exist; so for
    /// every operator of this file.
    pub fn reduce_sum(&mut self, x: Value, axis: i64) -> Result<Value> {
        self.reduce("ReduceSum", x, axis)
    }

    /// Mean over one dimension, which is kept with size 1.
    ///
    /// # Errors
    /// As [`Self::reduce_sum`].
    pub fn reduce_mean(&mut self, x: Value, axis: i64) -> Result<Value> {
        self.reduce("ReduceMean", x, axis)
    }

    /// Largest element over one dimension, which is kept with size 1.
    ///
    /// # Errors
    /// As [`Self::reduce_sum`].
    pub fn reduce_max(&mut self, x: Value, axis: i64) -> Result<Value> {
        self.reduce("ReduceMax", x, axis)
    }

    /// Euclidean norm over one dimension, which is kept with size 1.
    ///
    /// # Errors
    /// As [`Self::reduce_sum`].
    pub fn reduce_l2(&mut self, x: Value, axis: i64) -> Result<Value> {
        self.reduce("ReduceL2", x, axis)
    }

    /// Running sums along one dimension.
    ///
    /// # Errors
    /// As [`Self::reduce_sum`].
    pub fn cumulative_sum(&mut self, x: Value, axis: i64) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        let axis = self.axis("CumSum", &kind.shape, axis)?;
        let axis = self.constant(crate::graph::Tensor::from_i64(&[], &[axis as i64]))?;
        self.push("CumSum", &[x, axis], vec![], kind)
    }

    fn reduce(&mut self, operator: &str, x: Value, axis: i64) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        if !kind.element.is_float()
            && !matches!(kind.element, ElementType::Int32 | ElementType::Int64)
        {
            return Err(self.error(operator, format!("takes numbers, not {kind}")));
        }
        let at = self.axis(operator, &kind.shape, axis)?;
        let mut shape = kind.shape;
        if let Some(dim) = shape.get_mut(at) {
            *dim = Dim::from(1);
        }
        let kind = TensorType::new(kind.element, shape);
        let mut attributes = vec![Attribute::int("keepdims", 1)];
        // Axes became an input in version 13 (`ReduceSum`) or 18 (the others).
        if self.opset() < if operator == "ReduceSum" { 13 } else { 18 } {
            attributes.push(Attribute::ints("axes", vec![at as i64]));
            return self.push(operator, &[x], attributes, kind);
        }
        let axes = self.integers(&[axis])?;
        self.push(operator, &[x, axes], attributes, kind)
    }

    /// The dimension that `axis` means, from 0; it may count from the end.
    pub(crate) fn axis(&self, operator: &str, shape: &[Dim], axis: i64) -> Result<usize> {
        let rank = shape.len();
        let at = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(at).ok().filter(|&at| at < rank).ok_or_else(|| {
            self.error(operator, format!("{} has no dimension {axis}", crate::graph::show(shape)))
        })
    }
}
