//! How long the inputs of a request waited for a batch, and were computed.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where the time of a request went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// From when its inputs were queued until the first was taken.
    pub(crate) waited: Duration,
    /// From then until the last vector was there.
    pub(crate) computed: Duration,
}

tokio::task_local! {
    static SPENT: Arc<Mutex<Option<Spent>>>;
}

/// What a request gives, and where its time went if it had inputs. What it does in other tasks
/// is not seen.
pub(crate) async fn timed<T>(request: impl Future<Output = T>) -> (T, Option<Spent>) {
    let spent = Arc::new(Mutex::new(None));
    let given = SPENT.scope(spent.clone(), request).await;
    let spent = *spent.lock().unwrap_or_else(PoisonError::into_inner);
    (given, spent)
}

/// Notes time of the request that is answered now.
pub(crate) fn add(more: Spent) {
    let _ = SPENT.try_with(|spent| {
        let mut spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
        let all = spent.get_or_insert_default();
        all.waited += more.waited;
        all.computed += more.computed;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_request_are_added_up_and_those_of_others_are_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let of =
            |n| Spent { waited: Duration::from_secs(n), computed: Duration::from_secs(10 * n) };
        let one = timed(async {
            add(of(1));
            tokio::task::yield_now().await;
            add(of(2));
        });
        let other = timed(async { add(of(5)) });
        let none = timed(async {});
        let ((_, one), (_, other), (_, none)) =
            runtime.block_on(async { tokio::join!(one, other, none) });
        assert_eq!((one, other, none), (Some(of(3)), Some(of(5)), None));
        add(of(1));
    }
}
