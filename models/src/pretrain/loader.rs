//! Batches, made by other threads ahead of the step that takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::WeightedObjective;
use super::options::PretrainOptions;
use super::setup::Setup;
use super::source::Source;
use crate::data::{Dataset, Permutation, split};
use crate::error::{Error, Result};
use crate::objectives::{Draw, Feed, Preparation};

/// Batches that each thread makes ahead.
const AHEAD: usize = 2;

/// Everything that a batch is made of: the same number gives the same batch, whoever makes it.
/// Batches are counted through the run, and so are steps where each is of one batch.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) source: Source,
    pub(super) preparation: Preparation,
    pub(super) objectives: Vec<WeightedObjective>,
    pub(super) batch: usize,
    pub(super) seed: u64,
    /// Examples that could not be read so far.
    pub(super) unreadable: AtomicU64,
}

impl Maker {
    /// The maker of a run's batches, and the examples that are held out.
    pub(super) fn new(
        data: &Arc<dyn Dataset>,
        options: &PretrainOptions,
        setup: &Setup,
    ) -> Result<(Self, Source)> {
        let count = options.held_out.clamp(1, (data.len() / 10).max(1));
        let (rest, held_out) = split(data, count as f32 / data.len() as f32, options.seed)?;
        let whole = Source::new(data.clone(), setup.tokenizer.clone(), setup.channels);
        let source = whole.of(Arc::new(rest)).longer();
        let tokens = setup.tokenizer.as_ref().map(|tokenizer| tokenizer.tokens.clone());
        let maker = Self {
            preparation: Preparation::new(setup.encoder.clone(), tokens)
                .augmented(&options.augmentation)?,
            objectives: options.objectives.clone(),
            batch: options.batch.min(source.len()),
            source,
            seed: options.seed,
            unreadable: AtomicU64::new(0),
        };
        Ok((maker, whole.of(Arc::new(held_out))))
    }

    /// Numbers of the examples of a step.
    pub(super) fn indices(&self, step: u64) -> Vec<usize> {
        let examples = self.source.len();
        let mut indices = Vec::with_capacity(self.batch);
        let mut order: Option<(u64, Permutation)> = None;
        for row in 0..self.batch as u64 {
            let at = step * self.batch as u64 + row;
            let epoch = at / examples as u64;
            if order.as_ref().is_none_or(|(of, _)| *of != epoch) {
                order = Some((epoch, Permutation::new(examples, self.seed, "order", epoch)));
            }
            if let Some((_, order)) = &order {
                indices.push(order.at((at % examples as u64) as usize));
            }
        }
        indices
    }

    /// What the step is fed, its learning rate left out.
    pub(super) fn make(&self, step: u64) -> Result<Feed> {
        let (batch, unreadable) = self.source.batch(&self.indices(step))?;
        self.unreadable.fetch_add(unreadable, Ordering::Relaxed);
        let mut feed = Feed::new();
        for WeightedObjective { objective, .. } in &self.objectives {
            let draw = Draw { seed: self.seed, step, purpose: objective.name() };
            feed.extend(objective.feed(&batch, &self.preparation, &draw)?);
        }
        Ok(feed)
    }
}

/// Threads that make batches in turn.
#[derive(Debug)]
pub(super) struct Loader {
    receivers: Vec<Receiver<Result<Feed>>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    next: u64,
}

impl Loader {
    /// Begins with the batch of step `first`.
    pub(super) fn start(maker: &Arc<Maker>, first: u64, threads: usize) -> Result<Self> {
        let threads = threads.max(1) as u64;
        let stop = Arc::new(AtomicBool::new(false));
        let mut loader =
            Self { receivers: Vec::new(), threads: Vec::new(), stop: stop.clone(), next: 0 };
        for worker in 0..threads {
            let (sender, receiver) = sync_channel(AHEAD);
            let (maker, stop) = (maker.clone(), stop.clone());
            let work = move || produce(&maker, first + worker, threads, &stop, &sender);
            let thread = std::thread::Builder::new()
                .name("offshoot-batches".into())
                .spawn(work)
                .map_err(|e| Error::Pretrain(format!("a thread cannot be started: {e}")))?;
            loader.receivers.push(receiver);
            loader.threads.push(thread);
        }
        Ok(loader)
    }

    /// The next batch.
    pub(super) fn next(&mut self) -> Result<Feed> {
        let ended = || Error::Pretrain("a thread that made batches ended early".into());
        let at = (self.next % self.receivers.len().max(1) as u64) as usize;
        self.next += 1;
        self.receivers.get(at).ok_or_else(ended)?.recv().map_err(|_| ended())?
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.receivers.clear();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to tell: its batch was missed before.
            let _ = thread.join();
        }
    }
}

fn produce(
    maker: &Maker,
    first: u64,
    threads: u64,
    stop: &AtomicBool,
    sender: &SyncSender<Result<Feed>>,
) {
    let mut step = first;
    while !stop.load(Ordering::Relaxed) {
        let made = maker.make(step);
        let failed = made.is_err();
        if sender.send(made).is_err() || failed {
            break;
        }
        step += threads;
    }
}
