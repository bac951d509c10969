//! Embeddings, and the smaller forms they are kept in.

use half::f16;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// Embeddings of several inputs, one row each: texts, images or signals.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    vectors: Array2<f32>,
    tokens: usize,
    cut: Vec<usize>,
}

impl Embeddings {
    pub(crate) fn new(vectors: Array2<f32>, tokens: usize, cut: Vec<usize>) -> Self {
        Self { vectors, tokens, cut }
    }

    /// The embeddings, `[rows, dimensions]`.
    pub fn vectors(&self) -> ArrayView2<'_, f32> {
        self.vectors.view()
    }

    /// The embeddings as an array of their own, `[rows, dimensions]`.
    pub fn into_vectors(self) -> Array2<f32> {
        self.vectors
    }

    /// Number of inputs.
    pub fn len(&self) -> usize {
        self.vectors.nrows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens that were embedded, special tokens included; 0 for images and signals.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// For each input, how many tokens did not fit and were cut off; 0 for images and
    /// signals, of which nothing is cut.
    pub fn cut(&self) -> &[usize] {
        &self.cut
    }

    /// Number of texts that were cut.
    pub fn texts_cut(&self) -> usize {
        self.cut.iter().filter(|&&tokens| tokens > 0).count()
    }
}

/// The embeddings in half precision, `[rows, dimensions]`: half the bytes, values
/// to about three digits.
pub fn to_f16(vectors: ArrayView2<'_, f32>) -> Array2<f16> {
    vectors.mapv(f16::from_f32)
}

/// The embeddings as signed bytes, `[rows, dimensions]`, and each row's scale: a
/// value is about byte · scale.
///
/// The scale is the row's largest magnitude / 127. Cosines need no scale: they are
/// those of the bytes.
pub fn to_int8(vectors: ArrayView2<'_, f32>) -> (Array2<i8>, Array1<f32>) {
    let scales = vectors.map_axis(Axis(1), |row| {
        row.iter().fold(0f32, |most, value| most.max(value.abs())) / 127.0
    });
    let mut bytes = Array2::zeros(vectors.dim());
    for ((mut out, row), &scale) in
        bytes.rows_mut().into_iter().zip(vectors.rows()).zip(scales.iter())
    {
        if scale > 0.0 {
            for (out, value) in out.iter_mut().zip(row) {
                *out = (value / scale).round().clamp(-127.0, 127.0) as i8;
            }
        }
    }
    (bytes, scales)
}

/// The signs of the embeddings as packed bits, `[rows, dimensions / 8 rounded up]`:
/// 1 where a value is above 0, the first dimension in the highest bit, as NumPy's
/// `packbits` has them. Compare rows by [`hamming`](crate::similarity::hamming).
pub fn to_bits(vectors: ArrayView2<'_, f32>) -> Array2<u8> {
    let mut bits = Array2::zeros((vectors.nrows(), vectors.ncols().div_ceil(8)));
    for (mut out, row) in bits.rows_mut().into_iter().zip(vectors.rows()) {
        pack(row, out.iter_mut());
    }
    bits
}

fn pack<'a>(row: ArrayView1<'_, f32>, out: impl Iterator<Item = &'a mut u8>) {
    for (out, part) in out.zip(row.axis_chunks_iter(Axis(0), 8)) {
        *out = part
            .iter()
            .enumerate()
            .fold(0, |byte, (i, &value)| byte | (u8::from(value > 0.0) << (7 - i)));
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn bits_are_those_of_numpy_packbits() {
        // np.packbits(x > 0, axis=1)
        let x = array![[0.5, -1.0, 0.0, 2.0, -0.1, 0.1, 3.0, -3.0, 1.0, -1.0]];
        assert_eq!(to_bits(x.view()), array![[0b1001_0110u8, 0b1000_0000]]);
    }

    #[test]
    fn int8_keeps_values_to_half_a_step() {
        let x = array![[0.5f32, -1.0, 0.25], [0.0, 0.0, 0.0], [1e-20, 2e-20, -2e-20]];
        let (bytes, scales) = to_int8(x.view());
        assert_eq!(bytes.row(0), array![64, -127, 32]);
        assert_eq!(bytes.row(1), array![0, 0, 0]);
        for ((row, bytes), scale) in x.rows().into_iter().zip(bytes.rows()).zip(&scales) {
            for (value, &byte) in row.iter().zip(bytes) {
                assert!((value - f32::from(byte) * scale).abs() <= scale * 0.5001);
            }
        }
    }

    #[test]
    fn half_precision_rounds_to_nearest() {
        let half = to_f16(array![[1.0f32, 0.1]].view());
        assert_eq!(half[[0, 0]].to_f32(), 1.0);
        assert!((half[[0, 1]].to_f32() - 0.1).abs() < 5e-5);
    }
}
