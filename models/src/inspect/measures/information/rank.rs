//! How many directions the embeddings use.

/// RankMe (Garrido and others, 2022, arXiv:2210.02885): `exp(-Σ p log p)` with
/// `p = σ / Σσ` over the singular values σ of the embeddings, which are not centred.
///
/// Unit: directions, from 1 (all embeddings are multiples of one) to the smaller of rows and
/// width. Limits: it is that of the rows given and grows with their number until there are
/// several times as many as the width; it says nothing of what the directions are good for.
/// NaN where all values are 0.
pub fn rank_me(singular_values: &[f64]) -> f64 {
    let total: f64 = singular_values.iter().sum();
    let entropy: f64 =
        singular_values.iter().map(|s| s / total).filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum();
    if total > 0.0 { entropy.exp() } else { f64::NAN }
}

/// The participation ratio `(Σλ)² / Σλ²` of the variances λ of the principal components (Gao
/// and others, 2017, bioRxiv 214262).
///
/// Unit: directions, from 1 (a line) to the width (variance alike in all directions). Limits:
/// it follows the largest variances and hardly sees the small ones. NaN where nothing varies.
pub fn participation_ratio(variances: &[f64]) -> f64 {
    let sum: f64 = variances.iter().sum();
    participation(sum, variances.iter().map(|v| v * v).sum())
}

/// The same from the trace of a covariance and the sum of its squared entries, for which no
/// eigenvalue is needed.
pub fn participation(trace: f64, squares: f64) -> f64 {
    if squares > 0.0 { trace * trace / squares } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_limits() {
        assert!((rank_me(&[2.0; 7]) - 7.0).abs() < 1e-12);
        assert!((participation_ratio(&[3.0; 7]) - 7.0).abs() < 1e-12);
        assert_eq!((rank_me(&[5.0, 0.0]), participation_ratio(&[5.0, 0.0])), (1.0, 1.0));
        assert!(rank_me(&[0.0]).is_nan() && participation_ratio(&[]).is_nan());
    }
}
