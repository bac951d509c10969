//! What is left of embeddings in fewer bits.

use ndarray::{Array2, ArrayView2, Axis, Slice};

use crate::inspect::Interval;
use crate::inspect::numeric::interval::bootstrap_mean;
use crate::inspect::numeric::neighbors::Neighbors;
use crate::inspect::numeric::products::{first, unit_rows};

/// Neighbours that are compared.
pub const NEIGHBORS: usize = 10;
/// Most rows that are searched.
pub const MOST_ROWS: usize = 2000;

/// A smaller form of embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Bytes: `round(127 x / max |x|)` of each row.
    Int8,
    /// The sign of each number; the search is by Hamming distance.
    Binary,
    /// The first dimensions only, as 32-bit floats (Matryoshka: Kusupati and others, 2022,
    /// arXiv:2205.13147).
    Cut(usize),
}

/// What one form keeps: a point of rate against distortion.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Kept {
    /// The form.
    pub form: Form,
    /// Bits an embedding.
    pub bits: usize,
    /// Mean share of an example's [`NEIGHBORS`] nearest neighbours by cosine that are among its
    /// nearest still: 1 is all, chance is `NEIGHBORS / (rows - 1)`.
    pub neighbors: f64,
    /// Interval of that share, over the examples.
    pub interval: Option<Interval>,
    /// `Σ ‖x - c x̂‖² / Σ ‖x‖²` of unit rows with the best c: 0 is exact, 1 is nothing left.
    pub error: f64,
}

/// What int8, binary and the cuts to 1/2, 1/4 and 1/8 keep. Of more than [`MOST_ROWS`] rows the
/// first are used.
pub fn kept(x: ArrayView2<'_, f32>, seed: u64) -> Vec<Kept> {
    let x = unit_rows(first(x, MOST_ROWS));
    let width = x.ncols();
    if x.nrows() < 3 || width == 0 {
        return Vec::new();
    }
    let truth = Neighbors::among(x.view(), NEIGHBORS);
    let mut forms = vec![(Form::Int8, 8 * width), (Form::Binary, width)];
    let cuts = [2, 4, 8].into_iter().map(|part| width / part).filter(|&cut| cut >= 4);
    forms.extend(cuts.map(|cut| (Form::Cut(cut), 32 * cut)));
    let each = |(form, bits)| {
        let coded = coded(x.view(), form);
        let found = Neighbors::among(unit_rows(coded.view()).view(), NEIGHBORS);
        let shares: Vec<f64> = truth
            .rows
            .outer_iter()
            .zip(found.rows.outer_iter())
            .map(|(a, b)| {
                let both = a.iter().filter(|i| b.iter().any(|j| j == *i)).count();
                both as f64 / a.len() as f64
            })
            .collect();
        Kept {
            form,
            bits,
            neighbors: shares.iter().sum::<f64>() / shares.len() as f64,
            interval: bootstrap_mean(&shares, seed),
            error: error(x.view(), coded.view()),
        }
    };
    forms.into_iter().map(each).collect()
}

/// The embeddings as the form gives them back.
pub fn coded(x: ArrayView2<'_, f32>, form: Form) -> Array2<f32> {
    match form {
        Form::Int8 => {
            let (bytes, scales) = offshoot::to_int8(x);
            bytes.mapv(f32::from) * scales.insert_axis(Axis(1))
        }
        Form::Binary => x.mapv(|v| if v > 0.0 { 1.0 } else { -1.0 }),
        Form::Cut(width) => {
            let mut cut = x.to_owned();
            cut.slice_axis_mut(Axis(1), Slice::from(width.min(x.ncols())..)).fill(0.0);
            cut
        }
    }
}

fn error(x: ArrayView2<'_, f32>, coded: ArrayView2<'_, f32>) -> f64 {
    let (mut lost, mut total) = (0.0, 0.0);
    for (x, y) in x.outer_iter().zip(coded.outer_iter()) {
        let (xx, yy, xy) = x.iter().zip(y).fold((0.0, 0.0, 0.0), |(xx, yy, xy), (&x, &y)| {
            let (x, y) = (f64::from(x), f64::from(y));
            (xx + x * x, yy + y * y, xy + x * y)
        });
        total += xx;
        lost += xx - if yy > 0.0 { xy * xy / yy } else { 0.0 };
    }
    if total > 0.0 { (lost / total).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn bytes_keep_nearly_all_signs_keep_what_theory_says() {
        let mut random = SplitMix64::new(9);
        let x = Array2::from_shape_simple_fn((300, 64), || random.normal());
        let kept = kept(x.view(), 1);
        assert_eq!(kept.iter().map(|k| k.bits).collect::<Vec<_>>(), [512, 64, 1024, 512, 256]);
        assert!(kept[0].neighbors > 0.97 && kept[0].error < 1e-4, "{kept:?}");
        // Of normal numbers the sign keeps 2/π of the variance: cos² of the angle.
        let wanted = 1.0 - 2.0 / std::f64::consts::PI;
        assert!((kept[1].error - wanted).abs() < 0.01, "{kept:?}");
        // The first half of even directions has half the variance.
        assert!((kept[2].error - 0.5).abs() < 0.02 && kept[4].neighbors < kept[2].neighbors);
        assert!(super::kept(first(x.view(), 2), 1).is_empty());
    }
}
