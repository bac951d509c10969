//! Checks of arrays of predictions: probabilities, or their logarithms, and labels.

use ndarray::{Array2, ArrayView2, Axis};

use crate::error::{Error, Result};

/// How far a probability may lie outside 0 to 1, and a sum of them from 1.
const ROUNDING: f64 = 1e-6;

/// Refuses labels that do not pair with `rows` or name no column.
pub(crate) fn check_labels(rows: usize, classes: usize, y: &[usize]) -> Result<()> {
    if rows != y.len() {
        return Err(Error::PredictionCount { truth: y.len(), predicted: rows });
    }
    if y.is_empty() {
        return Err(Error::NoExamples);
    }
    match y.iter().enumerate().find(|(_, class)| **class >= classes) {
        Some((row, &index)) => Err(Error::UnknownClass { row, index, classes }),
        None => Ok(()),
    }
}

/// Refuses rows that are no probabilities of classes.
pub(crate) fn check_probabilities(probabilities: ArrayView2<f64>) -> Result<()> {
    for (row, values) in probabilities.outer_iter().enumerate() {
        let outside = |p: &f64| !(-ROUNDING..=1.0 + ROUNDING).contains(p);
        if let Some((class, &value)) = values.iter().enumerate().find(|(_, p)| outside(p)) {
            return Err(Error::NotProbability { row, class, value });
        }
        let sum = values.sum();
        if (sum - 1.0).abs() > ROUNDING {
            return Err(Error::ProbabilitySum { row, sum });
        }
    }
    Ok(())
}

/// The usable rows of leave-one-out log-probabilities `[examples, classes]` and their labels,
/// with logarithms of less than `floor` raised to it.
pub(crate) fn usable_logs(
    logs: ArrayView2<f64>,
    y: &[usize],
    usable: &[bool],
    floor: f64,
) -> Result<(Array2<f64>, Vec<usize>)> {
    check_labels(logs.nrows(), logs.ncols(), y)?;
    check_flags(y, usable)?;
    let rows: Vec<usize> = (0..y.len()).filter(|&i| usable[i]).collect();
    for &row in &rows {
        let bad = |log: &f64| log.is_nan() || *log > ROUNDING;
        if let Some((class, &value)) = logs.row(row).iter().enumerate().find(|(_, v)| bad(v)) {
            return Err(Error::NotLogProbability { row, class, value });
        }
    }
    let labels = rows.iter().map(|&i| y[i]).collect();
    Ok((logs.select(Axis(0), &rows).mapv_into(|log| log.max(floor)), labels))
}

/// Refuses flags that do not pair with labels.
pub(crate) fn check_flags(y: &[usize], usable: &[bool]) -> Result<()> {
    if y.len() == usable.len() {
        return Ok(());
    }
    Err(Error::FlagCount { rows: y.len(), flags: usable.len() })
}

/// The first column of a row that holds its largest value, and the value: the class that a head
/// decides for, from its scores or probabilities.
#[must_use]
pub fn most_likely(row: ndarray::ArrayView1<f64>) -> (usize, f64) {
    let start = (0, f64::NEG_INFINITY);
    row.iter().enumerate().fold(start, |best, (k, &v)| if v > best.1 { (k, v) } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn says_which_value_is_no_probability() {
        let error = check_probabilities(array![[0.5, 0.5], [0.2, f64::NAN]].view()).unwrap_err();
        assert!(matches!(error, Error::NotProbability { row: 1, class: 1, .. }), "{error}");
        let error = check_probabilities(array![[1.2, -0.2]].view()).unwrap_err();
        assert!(matches!(error, Error::NotProbability { row: 0, class: 0, .. }), "{error}");
        let error = check_probabilities(array![[0.5, 0.6]].view()).unwrap_err();
        assert!(matches!(error, Error::ProbabilitySum { row: 0, .. }), "{error}");
        assert!(check_probabilities(array![[1.0, 0.0]].view()).is_ok());
    }

    #[test]
    fn unusable_rows_may_hold_anything() {
        let logs = array![[f64::NAN, 3.0], [-0.1, f64::NEG_INFINITY]];
        let (rows, y) = usable_logs(logs.view(), &[0, 1], &[false, true], -9.0).unwrap();
        assert_eq!((rows, y), (array![[-0.1, -9.0]], vec![1]));
        let error = usable_logs(logs.view(), &[0, 1], &[true, true], -9.0).unwrap_err();
        assert!(matches!(error, Error::NotLogProbability { row: 0, class: 0, .. }), "{error}");
        let error = usable_logs(logs.view(), &[0, 1], &[true], -9.0).unwrap_err();
        assert!(matches!(error, Error::FlagCount { rows: 2, flags: 1 }), "{error}");
        let error = usable_logs(logs.view(), &[0, 2], &[true, true], -9.0).unwrap_err();
        assert!(matches!(error, Error::UnknownClass { row: 1, index: 2, classes: 2 }), "{error}");
    }
}
