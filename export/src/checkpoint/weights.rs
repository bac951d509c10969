//! Weights as an encoder needs them: stored tensors, and what is made of them.

use std::io::Write;
use std::sync::Arc;

use half::{bf16, f16};
use safetensors::Dtype;

use super::shard::Shard;
use crate::error::{Error, Result};
use crate::graph::{ElementType, Tensor, TensorSource};

/// A tensor of 32-bit floats that is read and computed when it is written.
#[derive(Debug, Clone)]
pub struct Weights {
    dims: Vec<usize>,
    form: Arc<Form>,
}

#[derive(Debug)]
enum Form {
    /// As a file holds it.
    Stored { shard: Arc<Shard>, name: String },
    /// Rows and columns exchanged.
    Transposed(Weights),
    /// Matrices of as many rows, or vectors, side by side.
    Beside(Vec<Weights>),
    /// The only row of the second added to each row of the first.
    PlusRow(Weights, Weights),
    /// These rows, in this order.
    Rows(Weights, Vec<usize>),
}

impl Weights {
    pub(super) fn stored(shard: Arc<Shard>, name: &str, shape: &[usize]) -> Result<Self> {
        let Some(info) = shard.info(name) else {
            return Err(Error::tensor(shard.path(), name, "is missing"));
        };
        if info.shape != shape {
            return Err(Error::tensor(
                shard.path(),
                name,
                format!(
                    "has the shape {:?}, but the configuration asks for {shape:?}; weights and \
                     configuration are of different models",
                    info.shape
                ),
            ));
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64) {
            return Err(Error::tensor(
                shard.path(),
                name,
                format!("has elements of type {:?}; F32, F16, BF16 and F64 are read", info.dtype),
            ));
        }
        let form = Arc::new(Form::Stored { shard, name: name.to_owned() });
        Ok(Self { dims: shape.to_vec(), form })
    }

    fn of(dims: Vec<usize>, form: Form) -> Self {
        Self { dims, form: Arc::new(form) }
    }

    /// Dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// A matrix with rows and columns exchanged; anything else as it is.
    #[must_use]
    pub fn transposed(self) -> Self {
        match self.dims[..] {
            [rows, columns] => Self::of(vec![columns, rows], Form::Transposed(self)),
            _ => self,
        }
    }

    /// Matrices of as many rows, or vectors, side by side: the last dimensions add
    /// up.
    ///
    /// # Errors
    /// [`Error::Operator`] when the other dimensions differ.
    pub fn beside(parts: Vec<Self>) -> Result<Self> {
        let lead = |w: &Self| w.dims.split_last().map(|(_, lead)| lead.to_vec());
        let first = parts.first().and_then(lead);
        if first.is_none() || parts.iter().any(|part| lead(part) != first) {
            return Err(shape_error(
                "tensors of different heights cannot stand side by side".into(),
            ));
        }
        let mut dims = first.unwrap_or_default();
        dims.push(parts.iter().filter_map(|part| part.dims.last()).sum());
        Ok(Self::of(dims, Form::Beside(parts)))
    }

    /// This matrix with row `row` of `table` added to each of its rows.
    ///
    /// # Errors
    /// [`Error::Operator`] when there is no such row or it has another width.
    pub fn plus_row(self, table: Self, row: usize) -> Result<Self> {
        if table.width() != self.width() {
            return Err(shape_error(format!(
                "rows of {} elements cannot be added to rows of {}",
                table.width(),
                self.width()
            )));
        }
        let table = table.select_rows(vec![row])?;
        Ok(Self::of(self.dims.clone(), Form::PlusRow(self, table)))
    }

    /// The given rows of a matrix, in this order.
    ///
    /// # Errors
    /// [`Error::Operator`] when there is no such row.
    pub fn select_rows(self, rows: Vec<usize>) -> Result<Self> {
        let count = self.rows();
        if let Some(row) = rows.iter().find(|&&row| row >= count) {
            return Err(shape_error(format!("there is no row {row} in a table of {count}")));
        }
        let mut dims = self.dims.clone();
        if let Some(first) = dims.first_mut() {
            *first = rows.len();
        }
        Ok(Self::of(dims, Form::Rows(self, rows)))
    }

    /// As a tensor of a graph.
    pub fn into_tensor(self) -> Tensor {
        Tensor::from_source(ElementType::Float32, self.dims.clone(), Arc::new(self))
    }

    /// All elements, in row-major order.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Tensor`] when an
    /// element is not a finite number.
    pub fn values(&self) -> Result<Vec<f32>> {
        Ok(match &*self.form {
            Form::Stored { shard, name } => {
                let mut values = Vec::with_capacity(self.dims.iter().product());
                stream(shard, name, &mut |part| {
                    values.extend_from_slice(part);
                    Ok(())
                })?;
                values
            }
            Form::Transposed(matrix) => {
                let values = matrix.values()?;
                let (rows, columns) = (matrix.rows(), matrix.width());
                transpose(&values, rows, columns)
            }
            Form::Beside(parts) => {
                let rows = self.rows();
                let parts: Vec<(usize, Vec<f32>)> = parts
                    .iter()
                    .map(|part| Ok((part.width(), part.values()?)))
                    .collect::<Result<_>>()?;
                let mut values = Vec::with_capacity(rows * self.width());
                for row in 0..rows {
                    for (width, part) in &parts {
                        values.extend_from_slice(&part[row * width..][..*width]);
                    }
                }
                values
            }
            Form::PlusRow(matrix, row) => {
                let mut values = matrix.values()?;
                let row = row.values()?;
                for out in values.chunks_exact_mut(row.len().max(1)) {
                    out.iter_mut().zip(&row).for_each(|(out, added)| *out += added);
                }
                values
            }
            Form::Rows(matrix, rows) => {
                let (values, width) = (matrix.values()?, self.width());
                rows.iter().flat_map(|row| &values[row * width..][..width]).copied().collect()
            }
        })
    }

    /// Rows of a matrix; 1 for a vector.
    fn rows(&self) -> usize {
        self.dims.split_last().map_or(1, |(_, lead)| lead.iter().product())
    }

    /// Elements of a row.
    fn width(&self) -> usize {
        self.dims.last().copied().unwrap_or(1)
    }
}

impl TensorSource for Weights {
    fn write_to(&self, out: &mut dyn Write) -> Result<()> {
        let mut put = |values: &[f32]| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            out.write_all(&bytes).map_err(Error::io("write", "the weights"))
        };
        match &*self.form {
            Form::Stored { shard, name } => stream(shard, name, &mut put),
            _ => self.values()?.chunks(1 << 16).try_for_each(put),
        }
    }
}

fn shape_error(reason: String) -> Error {
    Error::Operator { operator: "Weights".into(), scope: "/".into(), reason }
}

/// Gives a stored tensor's elements to `sink` in parts, as 32-bit floats.
fn stream(shard: &Shard, name: &str, sink: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()> {
    let Some(info) = shard.info(name) else {
        return Err(Error::tensor(shard.path(), name, "is missing"));
    };
    let (start, end) = info.data_offsets;
    let mut index = 0;
    let mut values = Vec::new();
    shard.read(start, end - start, &mut |bytes| {
        values.clear();
        match info.dtype {
            Dtype::F16 => convert(bytes, &mut values, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => convert(bytes, &mut values, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F64 => convert(bytes, &mut values, |b| f64::from_le_bytes(b) as f32),
            _ => convert(bytes, &mut values, f32::from_le_bytes),
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::tensor(
                shard.path(),
                name,
                format!(
                    "holds {} at element {}; weights must be finite 32-bit floats",
                    values[at],
                    index + at
                ),
            ));
        }
        index += values.len();
        sink(&values)
    })
}

fn convert<const N: usize>(bytes: &[u8], out: &mut Vec<f32>, one: impl Fn([u8; N]) -> f32) {
    out.extend(bytes.as_chunks::<N>().0.iter().map(|&bytes| one(bytes)));
}

/// The transpose of a row-major matrix, in blocks that stay in cache.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut out = vec![0.0; values.len()];
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..columns).step_by(BLOCK) {
            for row in top..(top + BLOCK).min(rows) {
                for column in left..(left + BLOCK).min(columns) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}
