//! The texts of each step, as token ids.

use offshoot::bundle::{Bundle, TOKENIZER};
use offshoot::{Tokenizer, Truncation};

use super::{TuneOptions, TuningExamples};
use crate::error::{Error, Result};
use crate::random::SplitMix64;

/// Texts of one step, padded on the right.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) rows: usize,
    pub(super) width: usize,
    /// `[rows, width]`.
    pub(super) ids: Vec<i64>,
    /// `[rows, width]`, 1 for real tokens.
    pub(super) mask: Vec<i64>,
    /// Class of each row, where there are classes.
    pub(super) labels: Vec<i64>,
}

/// Draws batches without end.
pub(super) struct Batches {
    tokens: Vec<Vec<u32>>,
    pad: u32,
    size: usize,
    random: SplitMix64,
    plan: Plan,
}

enum Plan {
    /// A queue of rows for each class.
    Classes(Vec<Queue>),
    /// Row `i` and row `i + pairs` belong together.
    Pairs { queue: Queue, pairs: usize },
}

/// Rows in an order that is drawn anew when all were given.
struct Queue {
    rows: Vec<usize>,
    at: usize,
}

impl Queue {
    fn new(rows: Vec<usize>) -> Self {
        let at = rows.len();
        Self { rows, at }
    }

    /// As many rows as asked for, or as there are, none twice.
    fn several(&mut self, count: usize, random: &mut SplitMix64) -> Vec<usize> {
        let count = count.min(self.rows.len());
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count {
            if self.at >= self.rows.len() {
                random.shuffle(&mut self.rows);
                self.at = 0;
            }
            // What was drawn before the new order began may come again after it.
            chosen.extend(self.rows.get(self.at).filter(|row| !chosen.contains(*row)).copied());
            self.at += 1;
        }
        chosen
    }
}

impl Batches {
    pub(super) fn new(
        bundle: &Bundle,
        examples: &TuningExamples<'_>,
        options: &TuneOptions,
    ) -> Result<Self> {
        let mut config = bundle.manifest().text.clone().ok_or_else(|| {
            Error::Tune("the encoder does not read text; only text encoders are tuned".into())
        })?;
        config.max_tokens = config.max_tokens.min(options.max_tokens);
        let tokenizer = Tokenizer::from_bytes(&bundle.read(TOKENIZER)?, &config, bundle.path())?;
        let encode = |texts: &[String]| -> Result<Vec<Vec<u32>>> {
            let rows = texts.iter().enumerate();
            rows.map(|(row, text)| Ok(tokenizer.encode(text, Truncation::Cut, row)?.ids)).collect()
        };
        let (tokens, plan) = match examples {
            TuningExamples::Labelled { texts, .. } => {
                let classes = examples.classes().into_values().map(Queue::new).collect();
                (encode(texts)?, Plan::Classes(classes))
            }
            TuningExamples::Pairs { anchors, positives } => {
                let mut tokens = encode(anchors)?;
                tokens.extend(encode(positives)?);
                let pairs = anchors.len();
                (tokens, Plan::Pairs { queue: Queue::new((0..pairs).collect()), pairs })
            }
        };
        let random = SplitMix64::new(options.seed);
        Ok(Self { tokens, pad: config.pad_id, size: options.batch.max(4), random, plan })
    }

    pub(super) fn next(&mut self) -> Batch {
        let mut chosen: Vec<(usize, i64)> = Vec::with_capacity(self.size);
        match &mut self.plan {
            Plan::Classes(classes) => {
                // As many of each class as fit, two at least; all of a small set.
                let mut order: Vec<usize> = (0..classes.len()).collect();
                self.random.shuffle(&mut order);
                let each = (self.size / classes.len().max(1)).max(2);
                for class in order {
                    let Some(queue) = classes.get_mut(class) else { continue };
                    let rows = queue.several(each, &mut self.random);
                    chosen.extend(rows.into_iter().map(|row| (row, class as i64)));
                    if chosen.len() + 2 > self.size {
                        break;
                    }
                }
            }
            Plan::Pairs { queue, pairs } => {
                let rows = queue.several(self.size / 2, &mut self.random);
                chosen.extend(rows.iter().map(|&row| (row, 0)));
                chosen.extend(rows.iter().map(|&row| (row + *pairs, 0)));
            }
        }
        self.padded(&chosen)
    }

    fn padded(&self, chosen: &[(usize, i64)]) -> Batch {
        let tokens = |row: usize| self.tokens.get(row).map_or(&[][..], Vec::as_slice);
        let width = chosen.iter().map(|&(row, _)| tokens(row).len()).max().unwrap_or(0);
        let mut batch = Batch { rows: chosen.len(), width, ..Batch::default() };
        for &(row, label) in chosen {
            let ids = tokens(row);
            let padding = width - ids.len();
            batch.ids.extend(ids.iter().map(|&id| i64::from(id)));
            batch.ids.extend(std::iter::repeat_n(i64::from(self.pad), padding));
            batch.mask.extend(std::iter::repeat_n(1, ids.len()));
            batch.mask.extend(std::iter::repeat_n(0, padding));
            batch.labels.push(label);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_row_is_twice_in_a_batch_and_none_is_forgotten() {
        let mut random = SplitMix64::new(1);
        for (rows, count) in [(5, 3), (5, 5), (5, 9), (7, 2), (1, 4)] {
            let mut queue = Queue::new((0..rows).collect());
            let mut seen = BTreeSet::new();
            for _ in 0..20 {
                let drawn = queue.several(count, &mut random);
                assert_eq!(drawn.len(), count.min(rows));
                assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), drawn.len());
                seen.extend(drawn);
            }
            assert_eq!(seen.len(), rows);
        }
        assert!(Queue::new(vec![]).several(3, &mut random).is_empty());
    }
}
