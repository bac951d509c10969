//! How far two partitions of the same examples agree.

/// Counts of pairs of parts.
struct Table {
    cells: Vec<Vec<f64>>,
    rows: Vec<f64>,
    columns: Vec<f64>,
    n: f64,
}

impl Table {
    fn new(a: &[usize], b: &[usize]) -> Self {
        let most = |x: &[usize]| x.iter().max().map_or(0, |m| m + 1);
        let (ka, kb) = (most(a), most(b));
        let mut cells = vec![vec![0.0; kb]; ka];
        for (&a, &b) in a.iter().zip(b) {
            cells[a][b] += 1.0;
        }
        let rows = cells.iter().map(|row| row.iter().sum()).collect();
        let columns = (0..kb).map(|j| cells.iter().map(|row| row[j]).sum()).collect();
        Self { cells, rows, columns, n: a.len().min(b.len()) as f64 }
    }
}

fn entropy(counts: &[f64], n: f64) -> f64 {
    counts.iter().filter(|&&c| c > 0.0).map(|c| -(c / n) * (c / n).ln()).sum()
}

/// Normalised mutual information `2 I(A; B) / (H(A) + H(B))` (scikit-learn's
/// `normalized_mutual_info_score`): 1 where each partition tells the other, 0 where they are
/// independent. Limits: grows with the number of parts, also by chance. 1 of two partitions of
/// one part each.
pub fn normalized_mutual_information(a: &[usize], b: &[usize]) -> f64 {
    let table = Table::new(a, b);
    let (ha, hb) = (entropy(&table.rows, table.n), entropy(&table.columns, table.n));
    if ha + hb == 0.0 {
        return 1.0;
    }
    let joint: Vec<f64> = table.cells.iter().flatten().copied().collect();
    (2.0 * (ha + hb - entropy(&joint, table.n)) / (ha + hb)).clamp(0.0, 1.0)
}

/// Share of examples whose class is the most frequent one of their cluster: 1 where clusters
/// are pure. Limits: 1 too where every example is its own cluster.
pub fn purity(clusters: &[usize], classes: &[usize]) -> f64 {
    let table = Table::new(clusters, classes);
    let most = |row: &Vec<f64>| row.iter().copied().fold(0.0, f64::max);
    table.cells.iter().map(most).sum::<f64>() / table.n
}

/// The adjusted Rand index (Hubert and Arabie, 1985): 1 for equal partitions, 0 on average for
/// independent ones, whatever their number of parts.
pub fn adjusted_rand(a: &[usize], b: &[usize]) -> f64 {
    let table = Table::new(a, b);
    let pairs = |n: &f64| n * (n - 1.0) / 2.0;
    let both: f64 = table.cells.iter().flatten().map(pairs).sum();
    let (in_a, in_b): (f64, f64) =
        (table.rows.iter().map(pairs).sum(), table.columns.iter().map(pairs).sum());
    let all = pairs(&table.n);
    let expected = if all > 0.0 { in_a * in_b / all } else { 0.0 };
    let most = 0.5 * (in_a + in_b);
    if most == expected { 1.0 } else { (both - expected) / (most - expected) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of scikit-learn's `normalized_mutual_info_score` and `adjusted_rand_score`.
    #[test]
    fn equals_scikit_learn() {
        let (a, b) = ([0, 0, 0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 1, 2, 2]);
        assert!((normalized_mutual_information(&a, &b) - 0.530_025_754_914_032_7).abs() < 1e-12);
        assert!((adjusted_rand(&a, &b) - 0.181_818_181_818_181_82).abs() < 1e-12);
        assert_eq!(purity(&a, &b), 6.0 / 8.0);
    }

    #[test]
    fn known_limits() {
        let a = [0, 1, 2, 0, 1, 2];
        let renamed = [2, 0, 1, 2, 0, 1];
        let one = [0; 6];
        assert!((normalized_mutual_information(&a, &renamed) - 1.0).abs() < 1e-12);
        assert_eq!((adjusted_rand(&a, &renamed), purity(&a, &renamed)), (1.0, 1.0));
        assert_eq!((normalized_mutual_information(&a, &one), adjusted_rand(&a, &one)), (0.0, 0.0));
        assert_eq!(normalized_mutual_information(&one, &one), 1.0);
    }
}
