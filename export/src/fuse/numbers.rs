//! Constants and operators in 64-bit floating point.

use ndarray::{Array1, Array2};

use crate::error::Result;
use crate::graph::{ElementType, Graph, Tensor, TensorData, Value};

/// Squared lengths of rows, `[batch, 1]`.
pub(super) fn sizes(g: &mut Graph, rows: Value) -> Result<Value> {
    let squares = g.mul(rows, rows)?;
    g.reduce_sum(squares, -1)
}

/// Rows of unit length, those shorter than `floor` divided by it; rows of zeros stay.
pub(super) fn unit(g: &mut Graph, rows: Value, floor: f64) -> Result<Value> {
    let size = sizes(g, rows)?;
    let length = g.sqrt(size)?;
    let floor = number(g, floor)?;
    let length = g.max(length, floor)?;
    g.div(rows, length)
}

pub(super) fn unary(g: &mut Graph, operator: &str, x: Value) -> Result<Value> {
    let kind = g.tensor_type(x)?.clone();
    g.push(operator, &[x], vec![], kind)
}

fn tensor(dims: &[usize], values: impl Iterator<Item = f64>) -> Tensor {
    let bytes: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
    let data = TensorData::Bytes(bytes.into());
    Tensor { element: ElementType::Float64, dims: dims.to_vec(), data }
}

pub(super) fn number(g: &mut Graph, value: f64) -> Result<Value> {
    g.constant(tensor(&[], std::iter::once(value)))
}

pub(super) fn row(g: &mut Graph, name: &str, values: &Array1<f64>) -> Result<Value> {
    g.initializer(name, tensor(&[values.len()], values.iter().copied()))
}

pub(super) fn matrix(g: &mut Graph, name: &str, values: &Array2<f64>) -> Result<Value> {
    g.initializer(name, tensor(&[values.nrows(), values.ncols()], values.iter().copied()))
}

/// A matrix `[labels, classes]` of ones where the labels are and zeros elsewhere, whose product
/// sums by class. One byte an element in the file.
pub(super) fn one_hot(
    g: &mut Graph,
    name: &str,
    labels: &[usize],
    classes: usize,
) -> Result<Value> {
    let mut bytes = vec![0u8; labels.len().saturating_mul(classes)];
    for (row, &label) in bytes.chunks_exact_mut(classes.max(1)).zip(labels) {
        if let Some(element) = row.get_mut(label) {
            *element = 1;
        }
    }
    let dims = vec![labels.len(), classes];
    let data = TensorData::Bytes(bytes.into());
    let ones = g.initializer(name, Tensor { element: ElementType::Uint8, dims, data })?;
    g.cast(ones, ElementType::Float64)
}
