//! Eigenvalues of symmetric matrices.

use ndarray::linalg::general_mat_vec_mul;
use ndarray::{Array1, Array2, Axis, Slice};

/// Eigenvalues of a symmetric matrix `[n, n]`, falling.
///
/// Householder's reduction to tridiagonal form, then implicit QL steps (Golub and Van Loan,
/// *Matrix Computations*, sections 8.3.1 and 8.3.3).
pub(crate) fn values(a: Array2<f64>) -> Vec<f64> {
    let (mut values, _) = decompose(a, false);
    values.sort_unstable_by(|a, b| b.total_cmp(a));
    values
}

/// Eigenvalues, falling, and the eigenvector of each as a row of `[n, n]`.
pub(crate) fn vectors(a: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let n = a.nrows();
    let (values, rows) = decompose(a, true);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    (order.iter().map(|&i| values[i]).collect(), rows.select(Axis(0), &order))
}

/// Eigenvalues in no order, and the vectors as rows (empty where they are not wanted).
fn decompose(mut a: Array2<f64>, wanted: bool) -> (Vec<f64>, Array2<f64>) {
    let n = a.nrows();
    let mut diagonal = vec![0.0; n];
    let mut off = vec![0.0; n];
    // Rows of the transposed basis: a rotation of two columns works on contiguous memory.
    let mut basis = if wanted { Array2::eye(n) } else { Array2::zeros((0, 0)) };
    let mut reflectors: Vec<(Array1<f64>, f64)> = Vec::new();
    for k in 0..n {
        diagonal[k] = a[[k, k]];
        if k + 1 == n {
            break;
        }
        let mut v = a.column(k).slice_axis(Axis(0), Slice::from(k + 1..)).to_owned();
        let (beta, scale) = reflector(&mut v);
        off[k] = beta;
        if scale != 0.0 {
            let mut corner = a.slice_axis_mut(Axis(0), Slice::from(k + 1..));
            let mut corner = corner.slice_axis_mut(Axis(1), Slice::from(k + 1..));
            let mut w = Array1::zeros(v.len());
            general_mat_vec_mul(scale, &corner, &v, 0.0, &mut w);
            let overlap = w.dot(&v);
            w.scaled_add(-0.5 * scale * overlap, &v);
            for (i, mut row) in corner.outer_iter_mut().enumerate() {
                row.scaled_add(-v[i], &w);
                row.scaled_add(-w[i], &v);
            }
        }
        if wanted {
            reflectors.push((v, scale));
        }
    }
    // Qᵀ = … H₁ H₀: the last reflection first, so that only the active corner grows.
    for (k, (v, scale)) in reflectors.iter().enumerate().rev() {
        if *scale == 0.0 {
            continue;
        }
        // basis ← basis · H on the columns after k.
        let mut corner = basis.slice_axis_mut(Axis(1), Slice::from(k + 1..));
        let product = corner.dot(v);
        for (mut row, &p) in corner.outer_iter_mut().zip(&product) {
            row.scaled_add(-scale * p, v);
        }
    }
    implicit_ql(&mut diagonal, &mut off, wanted.then_some(&mut basis));
    (diagonal, basis)
}

/// Makes `v` the vector of a reflection `I - scale v vᵀ` that maps it to `(beta, 0, …)`.
fn reflector(v: &mut Array1<f64>) -> (f64, f64) {
    let rest: f64 = v.iter().skip(1).map(|v| v * v).sum();
    let first = v[0];
    if rest == 0.0 {
        return (first, 0.0);
    }
    let length = (first * first + rest).sqrt();
    let beta = if first > 0.0 { -length } else { length };
    v[0] = first - beta;
    (beta, 2.0 / (v[0] * v[0] + rest))
}

/// Turns a tridiagonal matrix into its eigenvalues, and `basis` along with it.
fn implicit_ql(d: &mut [f64], e: &mut [f64], mut basis: Option<&mut Array2<f64>>) {
    let n = d.len();
    for l in 0..n {
        // 30 steps are the classic bound; more are given, and what is left is tiny.
        for _ in 0..60 {
            let m = (l..n - 1)
                .find(|&m| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs()))
                .unwrap_or(n - 1);
            if m == l {
                break;
            }
            let mut g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let mut r = g.hypot(1.0);
            g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut early = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    early = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                if let Some(basis) = basis.as_deref_mut() {
                    rotate(basis, i, c, s);
                }
            }
            if early {
                continue;
            }
            d[l] -= p;
            e[l] = g;
            e[m] = 0.0;
        }
    }
}

/// Rotates rows `i` and `i + 1`.
fn rotate(basis: &mut Array2<f64>, i: usize, c: f64, s: f64) {
    let (mut upper, mut lower) = basis.view_mut().split_at(Axis(0), i + 1);
    let (mut a, mut b) = (upper.row_mut(i), lower.row_mut(0));
    ndarray::Zip::from(&mut a).and(&mut b).for_each(|a, b| {
        let f = *b;
        *b = s * *a + c * f;
        *a = c * *a - s * f;
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn vectors_diagonalise_any_symmetric_matrix() {
        let mut random = SplitMix64::new(1);
        for n in [1, 2, 3, 17, 60] {
            let x = Array2::from_shape_simple_fn((n, n), || f64::from(random.normal()));
            let a = &x + &x.t();
            let (values, rows) = vectors(a.clone());
            let diagonal = rows.dot(&a).dot(&rows.t());
            for ((i, j), &v) in diagonal.indexed_iter() {
                let wanted = if i == j { values[i] } else { 0.0 };
                assert!((v - wanted).abs() < 1e-11 * n as f64, "{n} {i} {j}: {v} {wanted}");
            }
            assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
            let alone = super::values(a);
            assert!(values.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-11 * n as f64));
        }
    }

    #[test]
    fn zero_low_rank_and_equal_eigenvalues() {
        assert_eq!(values(Array2::zeros((5, 5))), [0.0; 5]);
        assert!(values(Array2::eye(6)).iter().all(|v| (v - 1.0).abs() < 1e-15));
        let ones = values(Array2::ones((8, 8)));
        assert!((ones[0] - 8.0).abs() < 1e-12 && ones[1..].iter().all(|v| v.abs() < 1e-12));
        assert!(values(Array2::zeros((0, 0))).is_empty());
    }
}
