//! Work on parts of a large problem at once.

use std::panic::resume_unwind;
use std::thread;

/// Multiply-adds below which starting threads is not worth it: some 3 ms of them.
const LARGE: u128 = 1 << 26;
/// Most threads; what one fit gives to do is soon limited by memory.
const MOST: usize = 8;

/// Applies `work` to each item, in threads where the `cost` in multiply-adds is worth it, and
/// gives the results in order. What each of them is does not depend on the threads.
pub(crate) fn map<T: Send, R: Send>(
    items: Vec<T>,
    cost: u128,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = if cost < LARGE { 1 } else { available().min(items.len()) };
    if threads < 2 {
        return items.into_iter().map(work).collect();
    }
    // Dealt out in turn: the first items, which may be the largest, go to different threads.
    let mut hands: Vec<Vec<(usize, T)>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, item) in items.into_iter().enumerate() {
        hands[index % threads].push((index, item));
    }
    let work = &work;
    let play = move |hand: Vec<(usize, T)>| -> Vec<(usize, R)> {
        hand.into_iter().map(|(index, item)| (index, work(item))).collect()
    };
    let mut results = thread::scope(|scope| {
        let mine = hands.pop().unwrap_or_default();
        let others: Vec<_> =
            hands.into_iter().map(|hand| scope.spawn(move || play(hand))).collect();
        let mut results = play(mine);
        for other in others {
            results.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Threads that may run at once.
fn available() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_with_threads_and_without() {
        for cost in [0, LARGE] {
            let squares = map((0..1_000usize).collect(), cost, |i| i * i);
            assert_eq!(squares, (0..1_000).map(|i| i * i).collect::<Vec<usize>>());
        }
        assert!(map(Vec::<u8>::new(), LARGE, |i| i).is_empty());
    }
}
