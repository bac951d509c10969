//! The inputs themselves as numbers: what an encoder must beat.

use ndarray::Array2;

use crate::data::Example;
use crate::error::Result;

/// Numbers of a text.
const TEXT_WIDTH: usize = 512;
/// Longest side of an image.
const SIDE: usize = 32;
/// Most numbers of a signal.
const SIGNAL_WIDTH: usize = 1024;

/// Raw features `[examples, numbers]`: of texts the counts `log(1 + n)` of words, or of the
/// threes of letters where there are no spaces, hashed to 512 places with a sign (Weinberger
/// and others, 2009, arXiv:0902.2206) and of unit length; of images the pixels, shrunk to at
/// most 32 on a side; of signals every value, or every second or third one of long signals.
///
/// # Errors
/// Where an image cannot be resized.
pub fn features(examples: &[Example]) -> Result<Array2<f32>> {
    let rows = examples.iter().map(one).collect::<Result<Vec<_>>>()?;
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut features = Array2::zeros((rows.len(), width));
    for (mut out, row) in features.outer_iter_mut().zip(rows) {
        out.iter_mut().zip(row).for_each(|(out, v)| *out = v);
    }
    Ok(features)
}

fn one(example: &Example) -> Result<Vec<f32>> {
    Ok(match example {
        Example::Text(text) => hashed(text),
        Example::Image(image) => {
            let (height, width) = (image.height().min(SIDE), image.width().min(SIDE));
            let small = image.resized(height, width)?;
            small.pixels().iter().map(|&v| f32::from(v) / 255.0).collect()
        }
        Example::Signal(values) => {
            let step = values.len().div_ceil(SIGNAL_WIDTH).max(1);
            values.iter().step_by(step).map(|v| if v.is_finite() { *v } else { 0.0 }).collect()
        }
    })
}

fn hashed(text: &str) -> Vec<f32> {
    let lower = text.to_lowercase();
    let words: Vec<String> = if lower.contains(char::is_whitespace) {
        lower.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect()
    } else {
        let letters: Vec<char> = lower.chars().collect();
        letters.windows(3).map(|three| three.iter().collect()).collect()
    };
    let mut counts = std::collections::BTreeMap::<&str, f32>::new();
    for word in words.iter().filter(|word| !word.is_empty()) {
        *counts.entry(word).or_default() += 1.0;
    }
    let mut row = vec![0.0; TEXT_WIDTH];
    for (word, count) in counts {
        // FNV-1a.
        let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let sign = if hash >> 63 == 1 { -1.0 } else { 1.0 };
        row[(hash >> 20) as usize % TEXT_WIDTH] += sign * count.ln_1p();
    }
    let length = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    row.iter_mut().for_each(|v| *v /= length);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_equal_and_others_are_not() {
        let text = |text: &str| Example::Text(text.into());
        let rows =
            features(&[text("a good film"), text("A good, film!"), text("bad plot"), text("")]);
        let rows = rows.unwrap();
        assert_eq!(rows.row(0), rows.row(1));
        assert!(rows.row(0).dot(&rows.row(2)).abs() < 0.6 && rows.row(3).sum() == 0.0);
    }
}
