//! What counting tokens predicts: the models that one which learned must be better than.

use std::collections::BTreeSet;

/// Stands before the first token of a row.
const START: u32 = u32::MAX;

/// A token with the two before it.
pub(super) type Trigram = [u32; 3];

/// The trigram that ends at a place of a row.
pub(super) fn trigram(row: &[u32], place: usize) -> Trigram {
    let before =
        |back: usize| place.checked_sub(back).and_then(|at| row.get(at)).copied().unwrap_or(START);
    [before(2), before(1), before(0)]
}

/// Counts of the tokens of a corpus, alone and after others.
///
/// Tokens alone are smoothed by one: `p(w) = (c(w) + 1) / (n + V)`, where `n` tokens of `V` kinds
/// were counted. Trigrams are those of Kneser and Ney (1995), interpolated as by Chen and Goodman
/// (1998, "An empirical study of smoothing techniques for language modeling", section 3):
///
/// ```text
/// p(w | u v) = max(c(u v w) - D₃, 0) / c(u v ·) + D₃ N(u v ·) / c(u v ·) p(w | v)
/// p(w | v)   = max(N(· v w) - D₂, 0) / N(· v ·) + D₂ N(v ·) / N(· v ·) p'(w)
/// p'(w)      = max(N(· w) - D₁, 0) / N(· ·) + D₁ N(·) / N(· ·) / V
/// ```
///
/// `N` counts kinds where `c` counts occurrences, and `D = n₁ / (n₁ + 2 n₂)` of how many kinds of
/// that length were counted once and twice; where there is none of either, `D` is a half.
#[derive(Debug)]
pub(super) struct Ngrams {
    /// V.
    kinds: f64,
    tokens: Counts<1>,
    trigrams: Counts<3>,
    /// By how many different tokens they follow.
    bigrams: Counts<2>,
    unigrams: Counts<1>,
}

impl Ngrams {
    /// Counts trigrams of tokens of which there are `kinds`.
    pub(super) fn count(trigrams: Vec<Trigram>, kinds: usize) -> Self {
        let tokens = Counts::of(trigrams.iter().map(|&[_, _, w]| [w]).collect());
        let trigrams = Counts::of(trigrams);
        let bigrams = Counts::of(trigrams.grams.iter().map(|&[_, v, w]| [v, w]).collect());
        let unigrams = Counts::of(bigrams.grams.iter().map(|&[_, w]| [w]).collect());
        Self { kinds: kinds.max(1) as f64, tokens, trigrams, bigrams, unigrams }
    }

    /// The probability of a trigram's last token by its frequency alone.
    pub(super) fn unigram(&self, [.., w]: Trigram) -> f64 {
        let all = self.tokens.after([w]).sum as f64;
        (self.tokens.times([w]) as f64 + 1.0) / (all + self.kinds)
    }

    /// The probability of a trigram's last token after the two others.
    pub(super) fn probability(&self, [u, v, w]: Trigram) -> f64 {
        let alone = self.unigrams.interpolated([w], 1.0 / self.kinds);
        let pair = self.bigrams.interpolated([v, w], alone);
        self.trigrams.interpolated([u, v, w], pair)
    }
}

/// `exp` of the mean negative logarithm of probabilities.
pub(super) fn perplexity(probabilities: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = probabilities.fold((0.0, 0u64), |(sum, count), p| (sum - p.ln(), count + 1));
    (sum / count.max(1) as f64).exp()
}

/// How often sequences of `N` tokens were counted.
#[derive(Debug)]
struct Counts<const N: usize> {
    /// In order, each once.
    grams: Vec<[u32; N]>,
    /// Of each the sum of all counts up to it, its own included.
    sums: Vec<u32>,
    /// D.
    discount: f64,
}

/// What was counted of sequences that differ in their last token alone.
struct After {
    /// How many.
    sum: u32,
    /// How many kinds.
    kinds: usize,
}

impl<const N: usize> Counts<N> {
    fn of(mut all: Vec<[u32; N]>) -> Self {
        all.sort_unstable();
        let (mut grams, mut sums, mut sum) = (Vec::new(), Vec::new(), 0u32);
        let mut seldom = [0u32; 2];
        for same in all.chunk_by(|a, b| a == b) {
            sum += same.len() as u32;
            grams.extend(same.first());
            sums.push(sum);
            if let Some(counted) = seldom.get_mut(same.len() - 1) {
                *counted += 1;
            }
        }
        let [once, twice] = seldom.map(f64::from);
        let discount = if once > 0.0 && twice > 0.0 { once / (once + 2.0 * twice) } else { 0.5 };
        Self { grams, sums, discount }
    }

    /// The sum of the counts before a place.
    fn before(&self, place: usize) -> u32 {
        place.checked_sub(1).and_then(|at| self.sums.get(at)).copied().unwrap_or(0)
    }

    fn times(&self, gram: [u32; N]) -> u32 {
        match self.grams.binary_search(&gram) {
            Ok(place) => self.before(place + 1) - self.before(place),
            Err(_) => 0,
        }
    }

    fn after(&self, gram: [u32; N]) -> After {
        let wanted = context(&gram);
        let start = self.grams.partition_point(|other| context(other) < wanted);
        let end = self.grams.partition_point(|other| context(other) <= wanted);
        After { sum: self.before(end) - self.before(start), kinds: end - start }
    }

    /// The discounted share of a sequence among those that differ in the last token, and of what
    /// was taken from them the share that `lower` gives.
    fn interpolated(&self, gram: [u32; N], lower: f64) -> f64 {
        let After { sum, kinds } = self.after(gram);
        if sum == 0 {
            return lower;
        }
        let own = (f64::from(self.times(gram)) - self.discount).max(0.0);
        (own + self.discount * kinds as f64 * lower) / f64::from(sum)
    }
}

/// All tokens but the last.
fn context(gram: &[u32]) -> &[u32] {
    gram.split_last().map_or(&[], |(_, rest)| rest)
}

/// Trigrams of the ordinary tokens of a row.
pub(super) fn trigrams<'a>(
    row: &'a [u32],
    special: &'a BTreeSet<u32>,
) -> impl Iterator<Item = Trigram> + 'a {
    (0..row.len()).map(|place| trigram(row, place)).filter(|[.., w]| !special.contains(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of `tests/reference/ngrams/make.py`.
    #[test]
    fn probabilities_are_those_of_counting() {
        #[derive(serde::Deserialize)]
        struct Case {
            kinds: usize,
            special: BTreeSet<u32>,
            corpus: Vec<Vec<u32>>,
            asked: Vec<Trigram>,
            unigram: Vec<f64>,
            trigram: Vec<f64>,
            unigram_perplexity: f64,
            trigram_perplexity: f64,
        }
        let json = include_str!("../../tests/reference/ngrams/cases.json");
        let cases: Vec<Case> = serde_json::from_str(json).unwrap();
        assert!(cases.len() >= 3);
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * b, "{a}, not {b}");
        for case in cases {
            let all = case.corpus.iter().flat_map(|row| trigrams(row, &case.special));
            let model = Ngrams::count(all.collect(), case.kinds);
            for ((&asked, unigram), both) in case.asked.iter().zip(case.unigram).zip(case.trigram) {
                near(model.unigram(asked), unigram);
                near(model.probability(asked), both);
            }
            let asked = || case.asked.iter().copied();
            near(perplexity(asked().map(|t| model.unigram(t))), case.unigram_perplexity);
            near(perplexity(asked().map(|t| model.probability(t))), case.trigram_perplexity);
        }
    }

    #[test]
    fn probabilities_sum_to_one_after_everything() {
        let special = BTreeSet::from([0]);
        let rows: [&[u32]; 3] = [&[0, 1, 2, 3, 1, 2, 4], &[0, 2, 2, 3], &[0, 4, 1, 2, 1, 1]];
        let all = rows.iter().flat_map(|row| trigrams(row, &special)).collect();
        let model = Ngrams::count(all, 5);
        for before in [[START, START], [START, 0], [0, 1], [1, 2], [3, 3], [5, 9]] {
            let [u, v] = before;
            let sum: f64 = (1..=5).map(|w| model.probability([u, v, w])).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{before:?}: {sum}");
            let sum: f64 = (1..=5).map(|w| model.unigram([u, v, w])).sum();
            assert!((sum - 1.0).abs() < 1e-12);
        }
        let nothing = Ngrams::count(Vec::new(), 4);
        assert_eq!((nothing.unigram([1, 1, 1]), nothing.probability([1, 1, 1])), (0.25, 0.25));
        assert_eq!(perplexity([0.25, 0.25].into_iter()), 4.0);
    }
}
