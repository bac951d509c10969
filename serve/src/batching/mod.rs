//! Batches across requests: whatever waits when a thread is free is computed together, up to
//! a budget of tokens.
//!
//! No request waits for company on an idle encoder: a thread takes what is there at once.
//! Under load the queue grows while threads compute, and batches with it. The queue is fair:
//! a request of one text goes before the thousandth of another.

mod queue;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use ndarray::Array3;
use offshoot::{BATCH_ROWS, BATCH_TOKENS, EmbedOptions, Encoder, Image};
use queue::{Job, Queue};
use tokio::sync::oneshot;

use crate::fault::{Answer, Fault, Kind};
use crate::metrics::Metrics;
use crate::timing::{self, Spent};

/// One input, as the encoder's graph reads it.
#[derive(Debug, Clone)]
pub(crate) enum Row {
    /// Token ids, special tokens included.
    Tokens(Vec<u32>),
    /// The same, of which the vector of each is wanted.
    EachToken(Vec<u32>),
    /// An image.
    Image(Image),
    /// A window of signals, `[channels, length]`.
    Signal(ndarray::Array2<f32>),
}

impl Row {
    /// What it counts against the budget of a batch, in tokens.
    fn cost(&self) -> usize {
        match self {
            Self::Tokens(ids) | Self::EachToken(ids) => ids.len().max(1),
            _ => BATCH_TOKENS / BATCH_ROWS,
        }
    }
}

/// A vector, and when its batch was taken and done.
#[derive(Debug)]
struct Computed {
    vector: Vec<f32>,
    taken: Instant,
    done: Instant,
}

/// Vectors of a request, as they come.
pub(crate) struct Pending {
    receivers: Vec<oneshot::Receiver<Answer<Computed>>>,
    queued: Instant,
}

impl Pending {
    /// The vectors in the order of the request. Dropped before, what is not computed yet never
    /// is.
    pub(crate) async fn vectors(self) -> Answer<Vec<Vec<f32>>> {
        let mut vectors = Vec::with_capacity(self.receivers.len());
        let (mut first, mut last) = (None::<Instant>, self.queued);
        for receiver in self.receivers {
            let computed = receiver.await.map_err(|_| Fault::internal("a batch ended early"))??;
            first = Some(first.map_or(computed.taken, |first| first.min(computed.taken)));
            last = last.max(computed.done);
            vectors.push(computed.vector);
        }
        if let Some(first) = first {
            timing::add(Spent {
                waited: first.saturating_duration_since(self.queued),
                computed: last.saturating_duration_since(first),
            });
        }
        Ok(vectors)
    }
}

/// The queue of an encoder and the threads that empty it. They end with it.
#[derive(Debug)]
pub(crate) struct Batcher {
    queue: Arc<Queue>,
    limit: usize,
    /// Tokens a second, of the last batches.
    pace: Arc<Mutex<f64>>,
}

impl Batcher {
    /// Starts a thread for each that the encoder may use.
    pub(crate) fn start(
        encoder: &Encoder,
        limit: usize,
        metrics: &Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let pace = Arc::new(Mutex::new(0.0));
        for i in 0..encoder.threads().get() {
            let (queue, pace) = (queue.clone(), Arc::downgrade(&pace));
            let (encoder, metrics) = (encoder.clone(), metrics.clone());
            std::thread::Builder::new()
                .name(format!("offshoot-batch-{i}"))
                .spawn(move || work(&queue, &encoder, &metrics, &pace))?;
        }
        Ok(Self { queue, limit, pace })
    }

    /// Queues the rows of a request: all or none.
    pub(crate) fn submit(&self, rows: Vec<Row>, deadline: Instant) -> Answer<Pending> {
        let cost = rows.iter().map(Row::cost).sum();
        let queued = Instant::now();
        let mut receivers = Vec::with_capacity(rows.len());
        let jobs = rows
            .into_iter()
            .map(|row| {
                let (answer, receiver) = oneshot::channel();
                receivers.push(receiver);
                Job { cost: row.cost(), row, answer, deadline }
            })
            .collect();
        match self.queue.push(jobs, cost, self.limit) {
            Ok(()) => Ok(Pending { receivers, queued }),
            Err(waiting) => {
                let pace = *self.pace.lock().unwrap_or_else(PoisonError::into_inner);
                let seconds = if pace > 0.0 { (waiting as f64 / pace).ceil() } else { 1.0 };
                Err(Fault::new(
                    Kind::Overloaded(seconds.clamp(1.0, 60.0) as u64),
                    "too many inputs wait already; try again a little later",
                ))
            }
        }
    }

    /// Tokens that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.waiting()
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn work(queue: &Queue, encoder: &Encoder, metrics: &Metrics, pace: &Weak<Mutex<f64>>) {
    while let Some((jobs, alone)) = queue.take(BATCH_TOKENS) {
        let tokens: usize = jobs.iter().map(|job| job.cost).sum();
        let start = Instant::now();
        let (answers, rows): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.answer, job.row)).unzip();
        // A lone request has all threads; several have one each.
        let options = EmbedOptions { narrow: !alone, ..EmbedOptions::default() };
        let computed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            embed(encoder, rows, &options)
        }));
        queue.done();
        let done = Instant::now();
        let seconds = done.duration_since(start).as_secs_f64();
        metrics.batch(answers.len(), tokens, seconds);
        if let Some(pace) = pace.upgrade() {
            let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
            let now = tokens as f64 / seconds.max(1e-6);
            *pace = if *pace > 0.0 { 0.9 * *pace + 0.1 * now } else { now };
        }
        match computed {
            Ok(Ok(vectors)) => {
                for (answer, vector) in answers.into_iter().zip(vectors) {
                    let _ = answer.send(Ok(Computed { vector, taken: start, done }));
                }
            }
            Ok(Err(error)) => {
                let fault = Fault::from(error);
                for answer in answers {
                    let _ = answer.send(Err(fault.clone()));
                }
            }
            // Whoever waits sees that the channel is closed.
            Err(_) => drop(answers),
        }
    }
}

/// The embedding of each row; of [`Row::EachToken`] the vectors of its tokens, one after another.
fn embed(
    encoder: &Encoder,
    rows: Vec<Row>,
    options: &EmbedOptions,
) -> offshoot::Result<Vec<Vec<f32>>> {
    let mut vectors = vec![Vec::new(); rows.len()];
    let (mut tokens, mut single) = (Alike::default(), Alike::default());
    let (mut images, mut signals) = (Alike::default(), Alike::default());
    for (at, row) in rows.into_iter().enumerate() {
        match row {
            Row::Tokens(ids) => tokens.push(at, ids),
            Row::EachToken(ids) => single.push(at, ids),
            Row::Image(image) => images.push(at, image),
            Row::Signal(signal) => signals.push(at, signal),
        }
    }
    let mut put = |at: &[usize], found: &mut dyn Iterator<Item = Vec<f32>>| {
        for (&at, vector) in at.iter().zip(found) {
            if let Some(slot) = vectors.get_mut(at) {
                *slot = vector;
            }
        }
    };
    let rows = |embeddings: offshoot::Embeddings| -> Vec<Vec<f32>> {
        embeddings.vectors().outer_iter().map(|row| row.to_vec()).collect()
    };
    if !tokens.rows.is_empty() {
        let found = rows(encoder.embed_tokens(&tokens.rows, options)?);
        put(&tokens.at, &mut found.into_iter());
    }
    if !single.rows.is_empty() {
        let found = encoder.token_vectors_of(&single.rows, options)?;
        put(&single.at, &mut found.into_iter().map(|rows| rows.into_iter().collect()));
    }
    if !images.rows.is_empty() {
        let found = rows(encoder.embed_images_with(&images.rows, options)?);
        put(&images.at, &mut found.into_iter());
    }
    if let Some(first) = signals.rows.first() {
        let (channels, length) = first.dim();
        let mut windows = Array3::zeros((signals.rows.len(), channels, length));
        for (mut window, signal) in windows.outer_iter_mut().zip(&signals.rows) {
            // All were checked to have the encoder's sizes before they were queued.
            if signal.dim() == (channels, length) {
                window.assign(signal);
            }
        }
        let found = rows(encoder.embed_signals_with(windows.view(), options)?);
        put(&signals.at, &mut found.into_iter());
    }
    Ok(vectors)
}

/// Rows of one kind, and where they stand among all.
struct Alike<T> {
    at: Vec<usize>,
    rows: Vec<T>,
}

impl<T> Default for Alike<T> {
    fn default() -> Self {
        Self { at: Vec::new(), rows: Vec::new() }
    }
}

impl<T> Alike<T> {
    fn push(&mut self, at: usize, row: T) {
        self.at.push(at);
        self.rows.push(row);
    }
}
