//! Masks against their stated frequencies.

use super::*;

const MASK: u32 = 3;

fn masking(spans: Option<Spans>) -> Masking {
    // 0 to 4 are special, 5 to 99 ordinary.
    Masking { spans, ..Masking::new(MASK, 100, &[0, 1, 2, 4, 4, 500]).unwrap() }
}

/// A start, 100 ordinary tokens, an end, padding.
fn row() -> Vec<u32> {
    let mut row = vec![1];
    row.extend((0..100).map(|i| 5 + i % 95));
    row.extend([2, 0, 0]);
    row
}

#[test]
fn shares_of_what_is_masked_are_berts() {
    let (mut to_mask, mut changed, mut same) = (0, 0, 0);
    let mut at = vec![0u32; 104];
    let mut random = SplitMix64::new(1);
    for _ in 0..4000 {
        let (before, mut after) = (row(), row());
        let masked = masking(None).mask_row(&mut after, &mut random);
        assert_eq!(masked.len(), 15);
        assert!(masked.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (column, label) in masked {
            assert_eq!(label, before[column]);
            assert!((1..101).contains(&column));
            at[column] += 1;
            match after[column] {
                MASK => to_mask += 1,
                id if id == label => same += 1,
                id => {
                    assert!((5..100).contains(&id), "{id}");
                    changed += 1;
                }
            }
            after[column] = label;
        }
        assert_eq!(after, before);
    }
    // Of 60,000; a random token is the same one in 95.
    let share = |n: i32| f64::from(n) / 60_000.0;
    assert!((share(to_mask) - 0.8).abs() < 0.006, "{to_mask}");
    assert!((share(changed) - 0.1 * 94.0 / 95.0).abs() < 0.005, "{changed}");
    assert!((share(same) - 0.1 - 0.1 / 95.0).abs() < 0.005, "{same}");
    // Each of the 100 places 600 times, of deviation 22.6.
    assert!(at[1..101].iter().all(|&n| n.abs_diff(600) < 110), "{at:?}");
}

#[test]
fn random_tokens_are_all_ordinary_ones_evenly() {
    let masking = Masking { to_mask: 0.0, to_random: 1.0, rate: 1.0, ..masking(None) };
    let mut counts = vec![0u32; 100];
    let mut random = SplitMix64::new(2);
    for _ in 0..950 {
        let mut row = row();
        masking.mask_row(&mut row, &mut random);
        row[1..101].iter().for_each(|&id| counts[id as usize] += 1);
    }
    assert_eq!(counts[..5], [0; 5]);
    assert!(counts[5..].iter().all(|&n| n.abs_diff(1000) < 160), "{counts:?}");
}

#[test]
fn spans_have_geometric_lengths_and_one_fate() {
    let spans = Spans::default();
    let mut random = SplitMix64::new(3);
    let mut counts = [0u32; 11];
    (0..50_000).for_each(|_| counts[spans.draw(&mut random)] += 1);
    let total = 1.0 - 0.8f64.powi(10);
    for (length, &count) in counts.iter().enumerate().skip(1) {
        let expected = 0.2 * 0.8f64.powi(length as i32 - 1) / total;
        assert!((f64::from(count) / 50_000.0 - expected).abs() < 0.008, "{length}");
    }
    let mut longest = 0;
    for _ in 0..300 {
        let mut row = row();
        let masked = masking(Some(spans)).mask_row(&mut row, &mut random);
        assert_eq!(masked.len(), 15);
        let run = masked.chunk_by(|a, b| a.0 + 1 == b.0).map(<[_]>::len).max().unwrap();
        longest = longest.max(run);
    }
    assert!(longest >= 8);
    // A row whose ordinary tokens stand alone has no room for spans.
    let mut alone: Vec<u32> = (0..40).map(|i| if i % 2 == 0 { 9 } else { 2 }).collect();
    let masking = Masking { rate: 0.5, ..masking(Some(spans)) };
    assert_eq!(masking.mask_row(&mut alone, &mut random).len(), 10);
}

#[test]
fn batches_short_rows_and_rows_of_special_tokens() {
    let mut random = SplitMix64::new(4);
    let mut ids = vec![1, 7, 2, 0, 1, 2, 0, 0, 1, 8, 9, 2];
    let masked = masking(None).mask_batch(&mut ids, 4, &mut random).unwrap();
    assert_eq!(masked.positions.len(), 2);
    assert_eq!((masked.positions[0], masked.labels[0]), (1, 7));
    assert!(matches!((masked.positions[1], masked.labels[1]), (9, 8) | (10, 9)));
    assert_eq!(ids[4..8], [1, 2, 0, 0]);
    assert!(masking(None).mask_batch(&mut ids, 5, &mut random).is_err());
    assert!(masking(None).mask_batch(&mut [], 0, &mut random).is_err());
    assert_eq!(masking(None).mask_row(&mut [], &mut random), []);
    assert!(Masking::new(0, 3, &[1, 2]).is_err());
}

#[test]
fn dropped_tokens_are_their_share_and_never_all() {
    let mut random = SplitMix64::new(5);
    let special = |id: u32| id < 5;
    let kept: usize =
        (0..1000).map(|_| drop_tokens(&row(), 0.3, special, &mut random).len() - 4).sum();
    // Of 100 tokens one always stays.
    assert!((kept as f64 / 1000.0 - 70.3).abs() < 0.6, "{kept}");
    let one = drop_tokens(&row(), 1.0, special, &mut random);
    assert_eq!((one.len(), one[0], one[2]), (5, 1, 2));
    assert_eq!(drop_tokens(&row(), 0.0, special, &mut random), row());
    assert_eq!(drop_tokens(&[1, 2], 0.9, special, &mut random), [1, 2]);
}

#[test]
fn a_span_lies_together_and_begins_anywhere() {
    let mut random = SplitMix64::new(3);
    let special = |id: u32| id < 3;
    let row = [1, 10, 11, 12, 13, 14, 2];
    let mut starts = std::collections::BTreeMap::<u32, u32>::new();
    for _ in 0..4000 {
        let span = span_of(&row, 3, special, &mut random);
        assert_eq!((span.len(), span[0], span[4]), (5, 1, 2));
        assert!(span[1] + 1 == span[2] && span[2] + 1 == span[3], "{span:?}");
        *starts.entry(span[1]).or_default() += 1;
    }
    assert_eq!(starts.keys().copied().collect::<Vec<_>>(), [10, 11, 12]);
    assert!(starts.values().all(|&n| (1200..1470).contains(&n)), "{starts:?}");
    assert_eq!(span_of(&row, 5, special, &mut random), row);
    assert_eq!(span_of(&row, 0, special, &mut random), [1, 2]);
    assert!(span_of(&[], 0, special, &mut random).is_empty());
}
