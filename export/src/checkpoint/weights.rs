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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use safetensors::tensor::{TensorView, serialize_to_file};

    use super::*;
    use crate::checkpoint::Checkpoint;

    /// Stores `values` of `shape` as `name` and reads them back.
    fn stored(folder: &Path, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Weights {
        let file = folder.join("w.safetensors");
        let view = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        serialize_to_file([("w", view)], None, &file).unwrap();
        Checkpoint::open_file(&file).unwrap().tensor("w", shape).unwrap()
    }

    fn bytes(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
        values.into_iter().flat_map(f32::to_le_bytes).collect()
    }

    /// A matrix of 0, 1, 2 … and what it is read from.
    fn counting(rows: usize, columns: usize) -> (tempfile::TempDir, Weights) {
        let folder = tempfile::tempdir().unwrap();
        let values = bytes((0..rows * columns).map(|i| i as f32));
        let weights = stored(folder.path(), Dtype::F32, &[rows, columns], &values);
        (folder, weights)
    }

    #[test]
    fn transposes_exchange_rows_and_columns() {
        // Larger than a block, and not a multiple of one.
        let (_folder, matrix) = counting(70, 35);
        let transposed = matrix.transposed();
        assert_eq!(transposed.dims(), [35, 70]);
        let values = transposed.values().unwrap();
        for row in 0..35 {
            for column in 0..70 {
                assert_eq!(values[row * 70 + column], (column * 35 + row) as f32);
            }
        }
    }

    #[test]
    fn matrices_stand_side_by_side() {
        let (_a, a) = counting(2, 3);
        let (_b, b) = counting(2, 1);
        let both = Weights::beside(vec![a.clone(), b]).unwrap();
        assert_eq!(both.dims(), [2, 4]);
        assert_eq!(both.values().unwrap(), [0., 1., 2., 0., 3., 4., 5., 1.]);
        let (_c, c) = counting(3, 3);
        assert!(Weights::beside(vec![a, c]).is_err());
        assert!(Weights::beside(vec![]).is_err());
    }

    #[test]
    fn rows_are_selected_and_added() {
        let (_a, a) = counting(3, 2);
        let (_b, b) = counting(4, 2);
        let chosen = a.clone().select_rows(vec![2, 0, 2]).unwrap();
        assert_eq!(chosen.dims(), [3, 2]);
        assert_eq!(chosen.values().unwrap(), [4., 5., 0., 1., 4., 5.]);
        let sum = a.clone().plus_row(b.clone(), 3).unwrap();
        assert_eq!(sum.values().unwrap(), [6., 8., 8., 10., 10., 12.]);
        assert!(a.clone().select_rows(vec![3]).unwrap_err().to_string().contains("no row 3"));
        assert!(a.clone().plus_row(b, 4).is_err());
        let (_c, c) = counting(3, 3);
        assert!(a.plus_row(c, 0).is_err());
    }

    #[test]
    fn every_floating_point_type_becomes_32_bits() {
        // Subnormal, largest and ordinary numbers of half precision; exact in 32 bits.
        let halves = [0.0, -0.0, 1.0, -2.5, 65504.0, 5.960_464_5e-8, 6.103_515_6e-5];
        let folder = tempfile::tempdir().unwrap();
        let raw: Vec<u8> = halves.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        let read = stored(folder.path(), Dtype::F16, &[7], &raw).values().unwrap();
        assert_eq!(bytes(read), bytes(halves));

        let raw: Vec<u8> = [0x3f80u16, 0xc020, 0x0001, 0x7f7f]
            .iter()
            .flat_map(|bits| bits.to_le_bytes())
            .collect();
        let read = stored(folder.path(), Dtype::BF16, &[4], &raw).values().unwrap();
        let wanted = [1.0, -2.5, f32::from_bits(1 << 16), f32::from_bits(0x7f7f_0000)];
        assert_eq!(bytes(read), bytes(wanted));

        let raw: Vec<u8> = [0.1f64, -1e30].iter().flat_map(|v| v.to_le_bytes()).collect();
        let read = stored(folder.path(), Dtype::F64, &[2], &raw).values().unwrap();
        assert_eq!(read, [0.1, -1e30]);
    }

    #[test]
    fn numbers_beyond_32_bits_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let raw: Vec<u8> = [0.5f64, 1e39].iter().flat_map(|v| v.to_le_bytes()).collect();
        let error = stored(folder.path(), Dtype::F64, &[2], &raw).values().unwrap_err();
        assert!(error.to_string().contains("`w` holds inf at element 1"), "{error}");
    }

    #[test]
    fn written_bytes_are_the_values_across_parts() {
        // More than one part of a file, and more than one of a computed tensor.
        let (_folder, matrix) = counting(3, 100_000);
        let wanted = matrix.values().unwrap();
        let mut out = Vec::new();
        matrix.write_to(&mut out).unwrap();
        assert_eq!(out, bytes(wanted.iter().copied()));
        out.clear();
        matrix.select_rows(vec![0, 1, 2]).unwrap().write_to(&mut out).unwrap();
        assert_eq!(out, bytes(wanted));
    }
}
