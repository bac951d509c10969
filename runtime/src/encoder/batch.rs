//! Groups texts into batches that waste little work.

/// Rows of one run of the graph, all padded to the length of the longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// Positions in the caller's order.
    pub(super) rows: Vec<usize>,
    /// Tokens of the longest row.
    pub(super) width: usize,
}

/// From how many tokens on a batch is large enough to be closed early rather
/// than pad a much shorter row.
const WORTHWHILE: usize = 256;

/// Groups rows of the given lengths, longest first, so that no batch has more
/// than `budget` tokens, padding included (a longer row is a batch by itself).
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
    let tokens = batch.rows.len().saturating_mul(batch.width);
    // A row that would be padded by more than an eighth starts a batch of its own,
    // once this one is worth a run.
    let much_padding = batch.width - length > batch.width / 8;
    tokens.saturating_add(batch.width) <= budget && !(much_padding && tokens >= WORTHWHILE)
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
    fn a_row_beyond_the_budget_is_alone() {
        let batches = batches(&[5, 700, 0], 512);
        assert_eq!(batches[0], Batch { rows: vec![1], width: 700 });
        assert_eq!(batches[1], Batch { rows: vec![0, 2], width: 5 });
    }
}
