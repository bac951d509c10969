//! Masks and dropout of tokens.
//!
//! BERT's masking (Devlin and others, 2018, arXiv:1810.04805): 15 % of the tokens are to be
//! predicted; of these 80 % become the mask token, 10 % a random token, 10 % stay. With
//! [`Spans`] whole spans are (SpanBERT: Joshi and others, 2019, arXiv:1907.10529).

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::random::SplitMix64;

/// Lengths of masked spans: geometric, `P(l) ∝ (1 - p)^(l - 1)` for `l` of 1 to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spans {
    /// Probability that a span ends after a token.
    pub p: f32,
    /// Most tokens of a span.
    pub longest: usize,
}

impl Default for Spans {
    /// SpanBERT's: `p = 0.2`, at most 10 tokens, 3.8 on average.
    fn default() -> Self {
        Self { p: 0.2, longest: 10 }
    }
}

/// How a view of a text is drawn.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenAugmentation {
    /// Share of the tokens that are left out.
    pub dropout: f32,
    /// Least share of a text that is shown, as tokens that lie together (Giorgi et al., 2020,
    /// arXiv:2006.03659).
    pub span: f32,
}

impl Default for TokenAugmentation {
    fn default() -> Self {
        Self { dropout: 0.15, span: 0.5 }
    }
}

impl TokenAugmentation {
    /// Checks the shares.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the setting.
    pub fn validate(&self) -> Result<()> {
        let bad = |name: &str, must: &str| {
            Err(Error::Argument(format!("augmentation of texts: `{name}` must be {must}")))
        };
        if !(0.0..1.0).contains(&self.dropout) {
            return bad("dropout", "a share, from 0 to below 1");
        }
        if !(self.span > 0.0 && self.span <= 1.0) {
            return bad("span", "a share above 0 and at most 1");
        }
        Ok(())
    }
}

/// How tokens are masked.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Masking {
    /// Share of a row's ordinary tokens that is to be predicted.
    pub rate: f32,
    /// Share of these that becomes the mask token.
    pub to_mask: f32,
    /// Share of these that becomes a random ordinary token; the rest stays as it is.
    pub to_random: f32,
    /// Spans instead of single tokens. A span becomes mask tokens, or random ones, or stays,
    /// as a whole.
    pub spans: Option<Spans>,
    mask: u32,
    vocabulary: u32,
    /// Ascending, without repetition.
    special: Vec<u32>,
}

/// The tokens of a batch that are to be predicted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masked {
    /// Places in the batch `[rows, width]`: `row · width + column`, ascending.
    pub positions: Vec<i64>,
    /// What was there.
    pub labels: Vec<i64>,
}

impl Masking {
    /// BERT's shares for a vocabulary of ids `0..vocabulary`. The `special` ids, among them
    /// the one of padding, are neither predicted nor put in; the mask token is one of them,
    /// named or not.
    ///
    /// # Errors
    /// [`Error::Argument`] when no ordinary token is left.
    pub fn new(mask: u32, vocabulary: u32, special: &[u32]) -> Result<Self> {
        let mut special: Vec<u32> =
            special.iter().copied().chain([mask]).filter(|&id| id < vocabulary).collect();
        special.sort_unstable();
        special.dedup();
        if special.len() as u64 >= u64::from(vocabulary) {
            return Err(Error::Argument(format!(
                "a vocabulary of {vocabulary} ids has no token besides the {} special ones",
                special.len()
            )));
        }
        let (rate, to_mask, to_random) = (0.15, 0.8, 0.1);
        Ok(Self { rate, to_mask, to_random, spans: None, mask, vocabulary, special })
    }

    /// Whether a token is never predicted.
    pub fn is_special(&self, id: u32) -> bool {
        id == self.mask || id >= self.vocabulary || self.special.binary_search(&id).is_ok()
    }

    /// Masks each row of a batch `[rows, width]` in place.
    ///
    /// # Errors
    /// [`Error::Argument`] when the batch is no whole number of rows.
    pub fn mask_batch(
        &self,
        ids: &mut [u32],
        width: usize,
        random: &mut SplitMix64,
    ) -> Result<Masked> {
        if width == 0 || !ids.len().is_multiple_of(width) {
            return Err(Error::Argument(format!(
                "{} tokens are no whole rows of {width}",
                ids.len()
            )));
        }
        let mut masked = Masked::default();
        for (number, row) in ids.chunks_exact_mut(width).enumerate() {
            for (column, label) in self.mask_row(row, random) {
                masked.positions.push((number * width + column) as i64);
                masked.labels.push(i64::from(label));
            }
        }
        Ok(masked)
    }

    /// Masks a row in place, and gives the places and former ids of the tokens that are to be
    /// predicted, in order: `round(rate · n)` of its `n` ordinary tokens, at least one where
    /// there is one.
    pub fn mask_row(&self, row: &mut [u32], random: &mut SplitMix64) -> Vec<(usize, u32)> {
        let mut ordinary: Vec<usize> =
            (0..row.len()).filter(|&column| !self.is_special(row[column])).collect();
        if ordinary.is_empty() {
            return Vec::new();
        }
        let wanted = (ordinary.len() as f64 * f64::from(self.rate)).round() as usize;
        let wanted = wanted.clamp(1, ordinary.len());
        let mut chosen = vec![false; row.len()];
        let mut spans = match self.spans {
            Some(spans) => self.draw_spans(&spans, row, &ordinary, wanted, &mut chosen, random),
            None => Vec::new(),
        };
        // Single tokens for all, or for what the spans left.
        let covered: usize = spans.iter().map(|(_, length)| length).sum();
        ordinary.retain(|&column| !chosen[column]);
        for at in 0..wanted - covered {
            let other = at + random.below(ordinary.len() - at);
            ordinary.swap(at, other);
            spans.push((ordinary[at], 1));
        }
        spans.sort_unstable();
        let mut masked = Vec::with_capacity(wanted);
        for (start, length) in spans {
            let fate = random.unit();
            for (offset, id) in row[start..start + length].iter_mut().enumerate() {
                masked.push((start + offset, *id));
                if fate < self.to_mask {
                    *id = self.mask;
                } else if fate < self.to_mask + self.to_random {
                    *id = self.ordinary(random);
                }
            }
        }
        masked
    }

    /// Spans of ordinary tokens that do not touch one another's tokens; fewer where a row has
    /// no room.
    fn draw_spans(
        &self,
        spans: &Spans,
        row: &[u32],
        ordinary: &[usize],
        wanted: usize,
        chosen: &mut [bool],
        random: &mut SplitMix64,
    ) -> Vec<(usize, usize)> {
        let mut drawn = Vec::new();
        let mut left = wanted;
        for _ in 0..20 * wanted {
            if left == 0 {
                break;
            }
            let length = spans.draw(random).min(left);
            let start = ordinary[random.below(ordinary.len())];
            let end = start + length;
            let free = |column: usize| !chosen[column] && !self.is_special(row[column]);
            if end <= row.len() && (start..end).all(free) {
                chosen[start..end].fill(true);
                drawn.push((start, length));
                left -= length;
            }
        }
        drawn
    }

    /// A random token that is not special, each as likely as any other.
    fn ordinary(&self, random: &mut SplitMix64) -> u32 {
        let count = self.vocabulary as usize - self.special.len();
        let mut id = random.below(count) as u32;
        for &special in &self.special {
            if special > id {
                break;
            }
            id += 1;
        }
        id
    }
}

impl Spans {
    fn draw(&self, random: &mut SplitMix64) -> usize {
        // Drawn again where it is longer than the longest, which keeps the shape.
        for _ in 0..100 {
            let mut length = 1;
            while length <= self.longest && !random.chance(self.p) {
                length += 1;
            }
            if length <= self.longest {
                return length;
            }
        }
        self.longest.max(1)
    }
}

/// Leaves each token out with probability `p`, those aside of which `keep` is true, such as
/// special ones. At least one token that may be left out stays.
pub fn drop_tokens(
    row: &[u32],
    p: f32,
    keep: impl Fn(u32) -> bool,
    random: &mut SplitMix64,
) -> Vec<u32> {
    let ordinary = row.iter().filter(|&&id| !keep(id)).count();
    let stays = random.below(ordinary);
    let mut number = 0;
    row.iter()
        .copied()
        .filter(|&id| {
            if keep(id) {
                return true;
            }
            let dropped = random.chance(p);
            number += 1;
            !dropped || number == stays + 1
        })
        .collect()
}

/// A part of `length` ordinary tokens that lie together, which begins anywhere; tokens of which
/// `keep` is true, such as special ones, stay where they are. A row that is no longer than that
/// stays whole.
pub fn span_of(
    row: &[u32],
    length: usize,
    keep: impl Fn(u32) -> bool,
    random: &mut SplitMix64,
) -> Vec<u32> {
    let ordinary = row.iter().filter(|&&id| !keep(id)).count();
    if ordinary <= length {
        return row.to_vec();
    }
    let start = random.below(ordinary - length + 1);
    let mut number = 0;
    row.iter()
        .copied()
        .filter(|&id| {
            if keep(id) {
                return true;
            }
            number += 1;
            (start..start + length).contains(&(number - 1))
        })
        .collect()
}
