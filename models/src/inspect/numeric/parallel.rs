//! Work on independent parts, on as many threads as the process may use.

use std::num::NonZeroUsize;

/// The results of `work` on `0..count`, in order. What runs where changes no result.
pub(crate) fn map<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(count);
    if threads < 2 {
        return (0..count).map(work).collect();
    }
    let work = &work;
    let parts: Vec<Vec<(usize, T)>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || {
                    (first..count).step_by(threads).map(|i| (i, work(i))).collect::<Vec<_>>()
                })
            })
            .collect();
        // A thread ends early by a panic only, which goes on here.
        handles
            .into_iter()
            .map(|h| h.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all: Vec<(usize, T)> = parts.into_iter().flatten().collect();
    all.sort_unstable_by_key(|(i, _)| *i);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_are_in_order() {
        assert_eq!(super::map(7, |i| i * i), [0, 1, 4, 9, 16, 25, 36]);
        assert!(super::map(0, |i| i).is_empty());
    }
}
