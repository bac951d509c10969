//! The sessions of an encoder, and how batches are spread over them.
//!
//! ONNX Runtime's `Run` is not promised to be safe for several threads at once, so
//! a session is used by one thread at a time. With mapped weights another session
//! costs little, and so an encoder has several: a *wide* one, whose operators use
//! all threads, for the least time to one answer; and *narrow* ones of one thread
//! each, on which several batches run side by side without ever waiting for one
//! another, for the most answers in a given time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use ort::session::Session;

use super::batch::{Batch, Inputs};
use crate::error::{Error, Result, engine};

/// What a graph gives.
#[derive(Debug)]
pub(super) struct Output {
    /// Name of the output.
    pub(super) name: String,
    /// Width of a vector.
    pub(super) width: usize,
    /// Whether every token has one, padding too; else every row has.
    pub(super) each_token: bool,
}

impl Output {
    /// The shape for a batch.
    fn shape(&self, batch: &Batch) -> Vec<i64> {
        let tokens = self.each_token.then_some(batch.width);
        let sizes = [Some(batch.rows.len()), tokens, Some(self.width)];
        sizes.into_iter().flatten().map(|size| size as i64).collect()
    }
}

/// Opens a session of so many threads.
pub(super) type OpenSession<'a> = &'a (dyn Fn(usize) -> Result<Session> + Sync);

type Slot = Mutex<Option<Session>>;

#[derive(Debug)]
pub(super) struct Lanes {
    threads: usize,
    wide: Slot,
    /// Opened when first needed; none when there is one thread.
    narrow: Vec<Slot>,
}

impl Lanes {
    /// Lanes for `threads` threads, with the wide session open.
    pub(super) fn new(threads: usize, wide: Session) -> Self {
        let narrow = if threads > 1 { threads } else { 0 };
        Self {
            threads,
            wide: Mutex::new(Some(wide)),
            narrow: (0..narrow).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// Runs every batch; result `i` is the `output` for batch `i`. With `narrow` on one thread.
    pub(super) fn run(
        &self,
        batches: &[Batch],
        inputs: &dyn Inputs,
        output: &Output,
        narrow: bool,
        open: OpenSession<'_>,
    ) -> Result<Vec<Vec<f32>>> {
        let workers = self.narrow.len().min(batches.len());
        if narrow || workers < 2 {
            let (mut slot, threads) = match narrow && !self.narrow.is_empty() {
                true => (self.narrow_lane(0), 1),
                false => self.any(),
            };
            let session = opened(&mut slot, threads, open)?;
            return batches.iter().map(|b| run_batch(session, b, inputs, output)).collect();
        }
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let work = |worker: usize| -> Result<Vec<(usize, Vec<f32>)>> {
            let mut slot = self.narrow_lane(worker);
            let mut done = Vec::new();
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(batch) = batches.get(index) else { break };
                let result = opened(&mut slot, 1, open)
                    .and_then(|session| run_batch(session, batch, inputs, output));
                match result {
                    Ok(rows) => done.push((index, rows)),
                    Err(error) => {
                        failed.store(true, Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
            Ok(done)
        };
        let finished = std::thread::scope(|scope| {
            let work = &work;
            let others: Vec<_> = (1..workers).map(|w| scope.spawn(move || work(w))).collect();
            let mut finished = vec![work(0)];
            finished.extend(others.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|_| {
                    Err(Error::Argument("a thread that computed embeddings ended early".into()))
                })
            }));
            finished
        });
        let mut rows = vec![Vec::new(); batches.len()];
        for part in finished {
            for (index, result) in part? {
                if let Some(slot) = rows.get_mut(index) {
                    *slot = result;
                }
            }
        }
        Ok(rows)
    }

    /// The wide lane, or another that is free, or else a wait for the wide one.
    fn any(&self) -> (MutexGuard<'_, Option<Session>>, usize) {
        if let Some(slot) = try_lock(&self.wide) {
            return (slot, self.threads);
        }
        match self.narrow.iter().find_map(try_lock) {
            Some(slot) => (slot, 1),
            None => (lock(&self.wide), self.threads),
        }
    }

    /// A narrow lane that is free, or else a wait for one.
    fn narrow_lane(&self, worker: usize) -> MutexGuard<'_, Option<Session>> {
        let count = self.narrow.len();
        (0..count)
            .find_map(|i| try_lock(&self.narrow[(worker + i) % count]))
            .unwrap_or_else(|| lock(&self.narrow[worker % count]))
    }
}

fn lock(slot: &Slot) -> MutexGuard<'_, Option<Session>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_lock(slot: &Slot) -> Option<MutexGuard<'_, Option<Session>>> {
    match slot.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn opened<'a>(
    slot: &'a mut Option<Session>,
    threads: usize,
    open: OpenSession<'_>,
) -> Result<&'a mut Session> {
    if slot.is_none() {
        *slot = Some(open(threads)?);
    }
    slot.as_mut().ok_or_else(|| Error::Argument("a session was not opened".into()))
}

/// Runs the graph on one batch.
fn run_batch(
    session: &mut Session,
    batch: &Batch,
    inputs: &dyn Inputs,
    output: &Output,
) -> Result<Vec<f32>> {
    let act = "compute embeddings";
    let outputs = session.run(inputs.tensors(batch)?).map_err(engine(act))?;
    let expected = output.shape(batch);
    let wrong = |found: String| Error::Engine {
        action: act,
        message: format!(
            "the graph gave {found} where {expected:?} was expected; the bundle's manifest and \
             graph disagree"
        ),
    };
    let found = outputs.get(&output.name).ok_or_else(|| wrong(format!("no `{}`", output.name)))?;
    let (shape, values) = found.try_extract_tensor::<f32>().map_err(engine(act))?;
    if shape[..] != expected[..] {
        return Err(wrong(format!("{:?}", &shape[..])));
    }
    Ok(values.to_vec())
}
