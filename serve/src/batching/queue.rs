//! Inputs that wait, in a fair order.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::{Computed, Row};
use crate::fault::{Answer, Fault, Kind};

/// From which size on a batch is not padded for the sake of a much shorter input.
const WORTHWHILE: usize = 256;
/// Inputs that are looked at to fill a batch. More would fill it better (512 by 3 %), and let more
/// newcomers of a like length overtake: with a full queue the slowest of a hundred inputs then waits
/// 1.9 times as long as the queue takes, with these 1.35 times.
const LOOKED_AT: usize = 128;

/// One input and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) row: Row,
    /// Its length in tokens.
    pub(super) cost: usize,
    pub(super) answer: oneshot::Sender<Answer<Computed>>,
    pub(super) deadline: Instant,
}

/// Start-time fair queueing (Goyal, Vin & Cheng, 1996): an input's turn is the turn of
/// whoever is served when its request comes, plus what comes before it in that request.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<(usize, u64), Job>,
    /// Turn of the input that was taken last.
    turn: usize,
    /// Inputs so far.
    count: u64,
    /// Tokens that wait.
    waiting: usize,
    /// Batches that are computed now.
    running: usize,
    closed: bool,
}

impl Queue {
    /// Adds the inputs of a request, of `cost` tokens in all, or says how many tokens wait
    /// when there is no room. An empty queue takes any request.
    pub(super) fn push(&self, jobs: Vec<Job>, cost: usize, limit: usize) -> Result<(), usize> {
        let mut state = self.lock();
        if state.waiting > 0 && state.waiting.saturating_add(cost) > limit {
            return Err(state.waiting);
        }
        let mut turn = state.turn;
        for job in jobs {
            let key = (turn, state.count);
            turn = turn.saturating_add(job.cost);
            state.count += 1;
            state.waiting += job.cost;
            state.jobs.insert(key, job);
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// The next batch, of at most `budget` tokens with padding unless one input has more,
    /// and whether nothing else is to be done beside it. Waits for one; `None` at the end.
    pub(super) fn take(&self, budget: usize) -> Option<(Vec<Job>, bool)> {
        let mut state = self.lock();
        loop {
            while let Some((key, first)) = state.jobs.pop_first() {
                state.waiting -= first.cost;
                state.turn = state.turn.max(key.0);
                let Some(first) = wanted(first) else { continue };
                let jobs = fill(&mut state, first, budget);
                let alone = state.running == 0 && state.jobs.is_empty();
                state.running += 1;
                return Some((jobs, alone));
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A batch was computed.
    pub(super) fn done(&self) {
        let mut state = self.lock();
        state.running = state.running.saturating_sub(1);
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// What waits is still computed; then threads end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job, if someone still waits for it.
fn wanted(job: Job) -> Option<Job> {
    if job.answer.is_closed() {
        return None;
    }
    if job.deadline <= Instant::now() {
        let fault = Fault::new(Kind::Deadline, "the request waited for too long; try again later");
        let _ = job.answer.send(Err(fault));
        return None;
    }
    Some(job)
}

/// Company for the first job: those of the nearest length, as long as padding is little.
fn fill(state: &mut State, first: Job, budget: usize) -> Vec<Job> {
    let length = first.cost;
    let mut near: Vec<((usize, u64), usize)> =
        state.jobs.iter().take(LOOKED_AT).map(|(&key, job)| (key, job.cost)).collect();
    near.sort_by_key(|&(key, cost)| (cost.abs_diff(length), key));
    let (mut shortest, mut longest) = (length, length);
    let mut jobs = vec![first];
    for (key, cost) in near {
        let (low, high) = (shortest.min(cost), longest.max(cost));
        if (jobs.len() + 1).saturating_mul(high) > budget {
            break;
        }
        let much_padding = high - low > high / 8;
        if much_padding && jobs.len() * longest >= WORTHWHILE {
            break;
        }
        let Some(job) = state.jobs.remove(&key) else { continue };
        state.waiting -= job.cost;
        if let Some(job) = wanted(job) {
            (shortest, longest) = (low, high);
            jobs.push(job);
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    type Receiver = oneshot::Receiver<Answer<Computed>>;

    fn jobs(costs: &[usize]) -> (Vec<Job>, Vec<Receiver>) {
        let deadline = Instant::now() + Duration::from_secs(100);
        costs
            .iter()
            .map(|&cost| {
                let (answer, receiver) = oneshot::channel();
                (Job { row: Row::Tokens(vec![1; cost]), cost, answer, deadline }, receiver)
            })
            .unzip()
    }

    fn costs(queue: &Queue, budget: usize) -> Vec<usize> {
        queue.take(budget).unwrap().0.iter().map(|job| job.cost).collect()
    }

    #[test]
    fn a_small_request_goes_before_the_rest_of_a_large_one() {
        let queue = Queue::default();
        let (large, _wait) = jobs(&[100; 50]);
        queue.push(large, 5000, 10_000).unwrap();
        assert_eq!(costs(&queue, 200), [100, 100]);
        let (small, _wait_too) = jobs(&[40]);
        queue.push(small, 40, 10_000).unwrap();
        assert_eq!(costs(&queue, 150), [40]);
        assert_eq!(costs(&queue, 150), [100]);
    }

    #[test]
    fn batches_keep_the_budget_and_little_padding() {
        let queue = Queue::default();
        let (all, _wait) = jobs(&[30, 200, 31, 29, 190, 500, 30]);
        queue.push(all, 1010, 10_000).unwrap();
        assert_eq!(costs(&queue, 124), [30, 30, 31, 29]);
        assert_eq!(costs(&queue, 1024), [200, 190]);
        assert_eq!(costs(&queue, 100), [500]);
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn what_has_no_room_or_nobody_who_waits_is_not_computed() {
        let queue = Queue::default();
        let (first, wait) = jobs(&[60]);
        queue.push(first, 60, 50).unwrap();
        let (second, _wait_too) = jobs(&[10]);
        assert_eq!(queue.push(second, 10, 50), Err(60));
        drop(wait);
        let (third, _wait_three) = jobs(&[7]);
        queue.push(third, 7, 1000).unwrap();
        assert_eq!(costs(&queue, 10), [7]);
        queue.close();
        assert!(queue.take(10).is_none());
    }
}
