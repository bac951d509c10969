//! Whether a few examples are the neighbours of all others.

use crate::inspect::Interval;
use crate::inspect::numeric::interval::bootstrap;
use crate::inspect::numeric::neighbors::Neighbors;

/// Neighbours that are counted.
pub const NEIGHBORS: usize = 10;

/// Hubness of embeddings.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Hubness {
    /// Skewness of how often an example is among the 10 nearest of others (Radovanović and
    /// others, 2010, JMLR 11): about 0 without hubs, above 2 search results repeat themselves.
    pub skewness: f64,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Share of examples that are nobody's neighbour, and so never found.
    pub never: f64,
    /// How often the most frequent one is.
    pub most: usize,
}

/// From the neighbours of each example among the others. `None` of fewer than 20 examples.
pub(crate) fn hubness(neighbors: &Neighbors, seed: u64) -> Option<Hubness> {
    let n = neighbors.rows.nrows();
    if n < 20 {
        return None;
    }
    let mut counts = vec![0usize; n];
    for row in neighbors.rows.outer_iter() {
        row.iter().take(NEIGHBORS).for_each(|&j| counts[j as usize] += 1);
    }
    let never = counts.iter().filter(|&&c| c == 0).count() as f64 / n as f64;
    let most = counts.iter().copied().max().unwrap_or(0);
    let values: Vec<f64> = counts.iter().map(|&c| c as f64).collect();
    let interval = bootstrap(n, seed, |drawn| skewness(drawn.iter().map(|&i| values[i])));
    Some(Hubness { skewness: skewness(values.iter().copied()), interval, never, most })
}

/// `E(x - μ)³ / σ³`, 0 where nothing varies.
fn skewness(values: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let n = values.len() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let (second, third) = values.fold((0.0, 0.0), |(second, third), v| {
        let away = v - mean;
        (second + away * away, third + away * away * away)
    });
    if second > 0.0 { (third / n) / (second / n).powf(1.5) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn many_dimensions_have_hubs_few_have_none() {
        let mut random = SplitMix64::new(2);
        let of = |width: usize, random: &mut SplitMix64| {
            let x = Array2::from_shape_simple_fn((600, width), || random.normal());
            hubness(&Neighbors::among(x.view(), 10), 1).unwrap()
        };
        let (few, many) = (of(2, &mut random), of(100, &mut random));
        assert!(few.skewness.abs() < 0.6 && many.skewness > 1.5, "{few:?} {many:?}");
        assert!(many.never > few.never && many.most > few.most);
    }
}
