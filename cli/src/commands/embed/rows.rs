//! Embeddings in the type that was asked for.

use std::io::Write;

use half::f16;
use ndarray::{Array2, ArrayView2};
use offshoot::{to_bits, to_f16, to_int8};
use offshoot_models::embeddings::{Block, Element};
use serde::Serialize;
use serde::ser::Serializer;

use crate::failure::{Failure, Result};

/// Type of the values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Precision {
    #[default]
    F32,
    F16,
    Int8,
    Bits,
}

impl Precision {
    /// Values a row for embeddings of this many dimensions.
    pub(super) fn columns(self, dimensions: usize) -> usize {
        match self {
            Self::Bits => dimensions.div_ceil(8),
            _ => dimensions,
        }
    }

    /// The type's usual name.
    pub(super) fn element_name(self) -> &'static str {
        Element::from(self).name()
    }
}

impl From<Precision> for Element {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::F16 => Self::F16,
            Precision::Int8 => Self::Int8,
            Precision::Bits => Self::Bits,
        }
    }
}

/// Rows of embeddings, `[rows, columns]`.
pub(super) enum Values<'a> {
    F32(ArrayView2<'a, f32>),
    F16(Array2<f16>),
    Int8(Array2<i8>),
    Bits(Array2<u8>),
}

impl<'a> Values<'a> {
    /// Converts embeddings `[rows, dimensions]`.
    pub(super) fn new(vectors: ArrayView2<'a, f32>, precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32(vectors),
            Precision::F16 => Self::F16(to_f16(vectors)),
            Precision::Int8 => Self::Int8(to_int8(vectors).0),
            Precision::Bits => Self::Bits(to_bits(vectors)),
        }
    }

    /// For the writer of files.
    pub(super) fn block(&self) -> Block<'_> {
        match self {
            Self::F32(values) => Block::F32(values.view()),
            Self::F16(values) => Block::F16(values.view()),
            Self::Int8(values) => Block::Int8(values.view()),
            Self::Bits(values) => Block::Bits(values.view()),
        }
    }

    /// One of the rows.
    pub(super) fn row(&self, row: usize) -> RowOf<'_> {
        RowOf { block: self.block(), row }
    }

    /// Writes one JSON object a row: `text` where it is given, then `embedding`.
    pub(super) fn write_jsonl(&self, out: &mut impl Write, texts: Option<&Vec<&str>>) -> Result {
        let rows = self.block().rows();
        let mut lines = Vec::new();
        for row in 0..rows {
            let text = texts.and_then(|texts| texts.get(row)).copied();
            serde_json::to_writer(&mut lines, &Line { text, embedding: self.row(row) })
                .map_err(|error| Failure::stdout(&error.into()))?;
            lines.push(b'\n');
        }
        out.write_all(&lines).and_then(|()| out.flush()).map_err(|error| Failure::stdout(&error))
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    embedding: RowOf<'a>,
}

/// One row, as a list of numbers.
pub(super) struct RowOf<'a> {
    block: Block<'a>,
    row: usize,
}

impl Serialize for RowOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.block {
            Block::F32(values) => serializer.collect_seq(values.row(self.row)),
            Block::F16(values) => {
                serializer.collect_seq(values.row(self.row).iter().map(|value| value.to_f32()))
            }
            Block::Int8(values) => serializer.collect_seq(values.row(self.row)),
            Block::Bits(values) => serializer.collect_seq(values.row(self.row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn json_has_the_values_of_each_type() {
        let x = array![[0.5f32, -1.0, 0.25]];
        let line = |precision, texts: Option<&Vec<&str>>| {
            let mut out = Vec::new();
            Values::new(x.view(), precision).write_jsonl(&mut out, texts).unwrap();
            String::from_utf8(out).unwrap()
        };
        let texts = vec!["a \"b\""];
        assert_eq!(
            line(Precision::F32, Some(&texts)),
            "{\"text\":\"a \\\"b\\\"\",\"embedding\":[0.5,-1.0,0.25]}\n"
        );
        assert_eq!(line(Precision::F16, None), "{\"embedding\":[0.5,-1.0,0.25]}\n");
        assert_eq!(line(Precision::Int8, None), "{\"embedding\":[64,-127,32]}\n");
        assert_eq!(line(Precision::Bits, None), "{\"embedding\":[160]}\n");
    }

    #[test]
    fn columns_are_those_of_the_blocks() {
        let x = Array2::<f32>::zeros((2, 10));
        for precision in [Precision::F32, Precision::F16, Precision::Int8, Precision::Bits] {
            let values = Values::new(x.view(), precision);
            assert_eq!(values.block().columns(), precision.columns(10));
            assert_eq!(values.block().element(), Element::from(precision));
        }
    }
}
