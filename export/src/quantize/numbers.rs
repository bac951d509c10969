//! Floats as small integers: per column, per row, and in blocks along a column.
//!
//! Matrices are row-major `[rows, columns]`. Every function rounds to the nearest,
//! ties to even, as ONNX does.

use half::f16;

/// Signed bytes with one scale each for a row or a column: `value ≈ scale · byte`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bytes {
    /// −127 to 127, in the order of the matrix.
    pub(super) values: Vec<i8>,
    pub(super) scales: Vec<f32>,
}

/// One scale a column of `w` `[rows, columns]`.
pub(super) fn per_column(w: &[f32], columns: usize) -> Bytes {
    let mut largest = vec![0f32; columns];
    for row in w.chunks(columns.max(1)) {
        for (largest, value) in largest.iter_mut().zip(row) {
            *largest = largest.max(value.abs());
        }
    }
    let scales: Vec<f32> = largest.into_iter().map(scale_of).collect();
    let values = w
        .chunks(columns.max(1))
        .flat_map(|row| row.iter().zip(&scales).map(|(value, scale)| to_byte(*value, *scale)))
        .collect();
    Bytes { values, scales }
}

/// One scale a row of `w` `[rows, columns]`.
pub(super) fn per_row(w: &[f32], columns: usize) -> Bytes {
    let (mut values, mut scales) = (Vec::with_capacity(w.len()), Vec::new());
    for row in w.chunks(columns.max(1)) {
        let scale = scale_of(row.iter().fold(0f32, |largest, value| largest.max(value.abs())));
        values.extend(row.iter().map(|value| to_byte(*value, scale)));
        scales.push(scale);
    }
    Bytes { values, scales }
}

/// Gives `row` of `w` `[rows, columns]`, which `bytes` was made of, another scale.
pub(super) fn set_row(bytes: &mut Bytes, w: &[f32], columns: usize, row: usize, scale: f32) {
    let start = row * columns;
    let values = bytes.values.iter_mut().zip(w).skip(start).take(columns);
    values.for_each(|(byte, value)| *byte = to_byte(*value, scale));
    if let Some(place) = bytes.scales.get_mut(row) {
        *place = scale;
    }
}

fn scale_of(largest: f32) -> f32 {
    let scale = largest / 127.0;
    // Zeros stay zeros under any scale; a denormal scale would overflow when inverted.
    if scale < f32::MIN_POSITIVE { 1.0 } else { scale }
}

fn to_byte(value: f32, scale: f32) -> i8 {
    (value / scale).round_ties_even().clamp(-127.0, 127.0) as i8
}

/// A matrix in blocks along its columns, as ONNX Runtime's `MatMulNBits` wants it:
/// `value ≈ scale · (number − zero)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Blocks {
    /// `[columns, blocks, block · bits / 8]`; of 4 bits, the first is the lower half.
    pub(super) values: Vec<u8>,
    /// `[columns, blocks]`.
    pub(super) scales: Vec<f32>,
    /// `[columns, blocks · bits / 8, rounded up]`, packed like the values; `None` where
    /// all are the middle, 128.
    pub(super) zeros: Option<Vec<u8>>,
}

/// Blocks of `block` rows of `w` `[rows, columns]` as bytes around 128. The last block of
/// a column is filled with zeros.
pub(super) fn blocks_of_8_bits(w: &[f32], columns: usize, block: usize) -> Blocks {
    let rows = w.len() / columns.max(1);
    let mut out = Blocks { values: Vec::new(), scales: Vec::new(), zeros: None };
    for column in 0..columns {
        for values in blocks(w, rows, columns, column, block) {
            let scale = scale_of(values.iter().fold(0f32, |largest, v| largest.max(v.abs())));
            out.values.extend(values.iter().map(|v| to_byte(*v, scale).wrapping_add(-128) as u8));
            out.scales.push(scale);
        }
    }
    out
}

/// Shares of the range of a block that are tried; the one with the least squared error
/// is taken.
const SHARES: [f32; 11] = [1.0, 0.95, 0.9, 0.86, 0.82, 0.78, 0.74, 0.7, 0.66, 0.62, 1.05];

/// Blocks of `block` rows of `w` `[rows, columns]` as numbers of 4 bits with a zero point
/// each.
pub(super) fn blocks_of_4_bits(w: &[f32], columns: usize, block: usize) -> Blocks {
    let rows = w.len() / columns.max(1);
    let (mut values, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
    for column in 0..columns {
        let mut column_zeros = Vec::new();
        for part in blocks(w, rows, columns, column, block) {
            let (scale, zero) = best_scale(&part);
            let number = |v: &f32| to_nibble(*v, scale, zero);
            values.extend(part.chunks(2).map(|pair| match pair {
                [low, high] => number(low) | number(high) << 4,
                [low] => number(low),
                _ => 0,
            }));
            scales.push(scale);
            column_zeros.push(zero);
        }
        zeros.extend(column_zeros.chunks(2).map(|pair| match pair {
            [low, high] => low | high << 4,
            [low] => *low,
            _ => 0,
        }));
    }
    Blocks { values, scales, zeros: Some(zeros) }
}

fn to_nibble(value: f32, scale: f32, zero: u8) -> u8 {
    ((value / scale).round_ties_even() + f32::from(zero)).clamp(0.0, 15.0) as u8
}

/// Scale and zero point with the least squared error of a block, among [`SHARES`].
fn best_scale(values: &[f32]) -> (f32, u8) {
    let low = values.iter().fold(0f32, |low, v| low.min(*v));
    let high = values.iter().fold(0f32, |high, v| high.max(*v));
    let mut best = (1.0, 8, f32::INFINITY);
    for share in SHARES {
        let scale = (high - low) * share / 15.0;
        if scale < f32::MIN_POSITIVE {
            break;
        }
        let zero = (-low * share / scale).round_ties_even().clamp(0.0, 15.0) as u8;
        let error = values
            .iter()
            .map(|v| {
                let back = scale * (f32::from(to_nibble(*v, scale, zero)) - f32::from(zero));
                (back - v).powi(2)
            })
            .sum();
        if error < best.2 {
            best = (scale, zero, error);
        }
    }
    (best.0, best.1)
}

/// The blocks of one column, the last filled with zeros.
fn blocks(
    w: &[f32],
    rows: usize,
    columns: usize,
    column: usize,
    block: usize,
) -> impl Iterator<Item = Vec<f32>> {
    let block = block.max(1);
    (0..rows.div_ceil(block)).map(move |b| {
        (b * block..(b + 1) * block)
            .map(|row| if row < rows { w.get(row * columns + column) } else { None })
            .map(|value| value.copied().unwrap_or(0.0))
            .collect()
    })
}

/// Half-precision floats, little-endian. Values beyond their range become the largest.
pub(super) fn to_half(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| f16::from_f32(v.clamp(-65504.0, 65504.0)).to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_rows_have_scales_of_their_own() {
        let w = [1.0, -0.254, 0.5, 0.0, 0.127, 0.0];
        let columns = per_column(&w, 3);
        assert_eq!(columns.values, [127, -127, 127, 0, 64, 0]);
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-7);
        assert!(close(&columns.scales, &[1.0 / 127.0, 0.002, 0.5 / 127.0]));
        let rows = per_row(&w, 3);
        assert_eq!(rows.values, [127, -32, 64, 0, 127, 0]);
        assert!(close(&rows.scales, &[1.0 / 127.0, 0.001]));
        assert_eq!(per_row(&[0.0, 0.0], 2), Bytes { values: vec![0, 0], scales: vec![1.0] });
    }

    #[test]
    fn blocks_are_filled_and_packed() {
        // Three rows in blocks of two: the second block has one real row.
        let w = [1.0, 2.0, -1.0, 0.0, 0.5, 4.0];
        let eight = blocks_of_8_bits(&w, 2, 2);
        assert_eq!(eight.values, [255, 1, 255, 128, 255, 128, 255, 128]);
        assert_eq!(eight.scales.len(), 4);
        let four = blocks_of_4_bits(&w, 2, 2);
        assert_eq!(four.values.len(), 4);
        assert_eq!(four.zeros.as_ref().map(Vec::len), Some(2));
        let back = |at: usize, high: bool, zero: u8| {
            let number = if high { four.values[at] >> 4 } else { four.values[at] & 15 };
            four.scales[at] * (f32::from(number) - f32::from(zero))
        };
        let zeros = four.zeros.as_ref().unwrap();
        // Half a step of a block that spans 2 is 2 / 15 / 2.
        assert!((back(0, false, zeros[0] & 15) - 1.0).abs() <= 0.067);
        assert!((back(0, true, zeros[0] & 15) + 1.0).abs() <= 0.067);
        assert!((back(1, false, zeros[0] >> 4) - 0.5).abs() <= 0.017);
        assert!((back(2, false, zeros[1] & 15) - 2.0).abs() <= 0.067);
    }

    #[derive(serde::Deserialize)]
    struct Reference {
        rows: usize,
        columns: usize,
        block: usize,
        weight_times_4096: Vec<i32>,
        int8: Vec<i8>,
        int8_scale: Vec<f32>,
        int4_squared_error: f64,
    }

    /// Made by `tests/reference/quantize/make.py` with onnxruntime.quantization.
    #[test]
    fn bytes_are_those_of_onnxruntime_and_4_bits_err_no_more() {
        let text = include_str!("../../tests/reference/quantize/weights.json");
        let r: Reference = serde_json::from_str(text).unwrap();
        let w: Vec<f32> = r.weight_times_4096.iter().map(|v| *v as f32 / 4096.0).collect();
        let found = per_column(&w, r.columns);
        assert_eq!(found.values, r.int8);
        for (found, expected) in found.scales.iter().zip(&r.int8_scale) {
            assert!((found - expected).abs() <= 1e-6 * expected, "{found} {expected}");
        }

        let Blocks { values, scales, zeros } = blocks_of_4_bits(&w, r.columns, r.block);
        let zeros = zeros.unwrap();
        let count = r.rows / r.block;
        let half = |byte: u8, at: usize| f32::from(if at % 2 == 1 { byte >> 4 } else { byte & 15 });
        let mut error = 0.0;
        for column in 0..r.columns {
            for row in 0..r.rows {
                let block = row / r.block;
                let number = half(values[(column * r.rows + row) / 2], row);
                let zero = half(zeros[column * count.div_ceil(2) + block / 2], block);
                let back = (number - zero) * scales[column * count + block];
                error += f64::from(back - w[row * r.columns + column]).powi(2);
            }
        }
        assert!(error <= r.int4_squared_error, "{error} {}", r.int4_squared_error);
    }
}
