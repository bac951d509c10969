//! Groups inputs into batches that waste little work, and what batches are made of.

use ort::value::DynValue;

use crate::error::Result;

/// Rows of one call, each of a length: tokens of a text, values of an image or a signal.
pub(super) trait Inputs: Sync {
    /// Length of each row.
    fn lengths(&self) -> Vec<usize>;

    /// Most of a batch: the product of its rows and the length of the longest.
    fn budget(&self) -> usize;

    /// From which product on what a batch's layers computed is worth giving back.
    fn large(&self) -> usize;

    /// The graph's inputs for a batch, by their names.
    fn tensors(&self, batch: &Batch) -> Result<Vec<(&'static str, DynValue)>>;
}

/// Rows of one run of the graph, all of the length of the longest, padded where they are
/// shorter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// Positions in the caller's order.
    pub(super) rows: Vec<usize>,
    /// Length of the longest row.
    pub(super) width: usize,
}

impl Batch {
    /// Its size, padding included.
    pub(super) fn size(&self) -> usize {
        self.rows.len().saturating_mul(self.width)
    }
}

/// From which size on a batch is large enough to be closed early rather
/// than pad a much shorter row.
const WORTHWHILE: usize = 256;

/// Most values of a batch of images or signals, unless a single one has more: the images
/// that networks usually read (224 by 224, 3 channels) are six to a batch.
const FIXED_VALUES: usize = 1 << 20;

/// The budget of at most `rows` rows that all have `values` values.
pub(super) fn fixed_budget(values: usize, rows: usize) -> usize {
    values.saturating_mul(rows.max(1)).min(FIXED_VALUES)
}

/// Groups rows of the given lengths, longest first, so that no batch has a size above
/// `budget` (a longer row is a batch by itself).
///
/// The longest batches come first: when several threads share the work, the
/// short ones even out the end.
pub(super) fn batches(lengths: &[usize], budget: usize) -> Vec<Batch> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&row| std::cmp::Reverse(lengths[row]));
    let mut batches: Vec<Batch> = Vec::new();
    for row in order {
        let length = lengths[row].max(1);
        match batches.last_mut() {
            Some(batch) if joins(batch, length, budget) => batch.rows.push(row),
            _ => batches.push(Batch { rows: vec![row], width: length }),
        }
    }
    batches
}

fn joins(batch: &Batch, length: usize, budget: usize) -> bool {
    let size = batch.size();
    // A row that would be padded by more than an eighth starts a batch of its own,
    // once this one is worth a run.
    let much_padding = batch.width - length > batch.width / 8;
    size.saturating_add(batch.width) <= budget && !(much_padding && size >= WORTHWHILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_batch_within_the_budget() {
        let lengths: Vec<usize> = (0..1000).map(|i| 1 + (i * 7919) % 257).collect();
        let batches = batches(&lengths, 512);
        let mut seen: Vec<usize> = batches.iter().flat_map(|b| b.rows.clone()).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..1000));
        for batch in &batches {
            assert!(batch.rows.len() * batch.width <= 512);
            assert_eq!(batch.width, batch.rows.iter().map(|&r| lengths[r]).max().unwrap());
        }
        assert!(batches.windows(2).all(|pair| pair[0].width >= pair[1].width));
        let padded: usize = batches.iter().map(|b| b.rows.len() * b.width).sum();
        let real: usize = lengths.iter().sum();
        assert!(padded * 100 <= real * 108, "{padded} against {real}");
    }

    #[test]
    fn rows_of_one_length_stay_in_order() {
        let batches = batches(&[300; 10], fixed_budget(300, 4));
        let rows: Vec<Vec<usize>> = batches.into_iter().map(|batch| batch.rows).collect();
        assert_eq!(rows, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
        assert_eq!(fixed_budget(FIXED_VALUES / 6, 32) / (FIXED_VALUES / 6), 6);
        assert_eq!(fixed_budget(10, 0), 10);
    }

    #[test]
    fn a_row_beyond_the_budget_is_alone() {
        let batches = batches(&[5, 700, 0], 512);
        assert_eq!(batches[0], Batch { rows: vec![1], width: 700 });
        assert_eq!(batches[1], Batch { rows: vec![0, 2], width: 5 });
    }
}
