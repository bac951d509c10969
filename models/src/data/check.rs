//! A look at the data before a run starts.

use std::collections::BTreeMap;
use std::num::NonZero;

use super::{Dataset, Example, LeftOut};

/// What a sample of a set is like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Examples in the set.
    pub examples: usize,
    /// Examples that were read.
    pub sampled: usize,
    /// Of these, how many cannot be read or decoded.
    pub unreadable: usize,
    /// What is wrong with the first ten of them, and where they lie.
    pub named: Vec<String>,
    /// Records that were left out when the data was opened.
    pub left_out: LeftOut,
    /// Smallest and largest height of images.
    pub heights: Option<(usize, usize)>,
    /// Smallest and largest width of images.
    pub widths: Option<(usize, usize)>,
    /// How many images or signals there are of each number of channels.
    pub channels: BTreeMap<usize, usize>,
    /// Shortest, median and longest length: bytes of texts, time steps of signals.
    pub lengths: Option<(usize, usize, usize)>,
    /// Examples of length 0 or of white space only.
    pub empty: usize,
    /// Signals with values that are not finite.
    pub with_missing: usize,
    /// How many such values there are.
    pub missing: usize,
    /// Examples that have a label, of the sample.
    pub labeled: usize,
}

/// What one example told.
enum Seen {
    Text { length: usize, blank: bool },
    Image { height: usize, width: usize, channels: usize },
    Signal { channels: usize, length: usize, missing: usize },
    Unreadable(String),
}

/// Reads up to `sample` examples, spread evenly, on all processors.
pub fn check(dataset: &dyn Dataset, sample: usize) -> Report {
    let len = dataset.len();
    let sampled = len.min(sample);
    let number = |at: usize| (at as u128 * len as u128 / sampled.max(1) as u128) as usize;
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(sampled.max(1));
    let share = sampled.div_ceil(threads).max(1);
    let mut seen = Vec::with_capacity(sampled);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let part = (thread * share).min(sampled)..((thread + 1) * share).min(sampled);
                scope.spawn(move || part.map(|at| look(dataset, number(at))).collect::<Vec<_>>())
            })
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(part) => seen.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    let labeled = (0..sampled).filter(|&at| dataset.label(number(at)).is_some()).count();
    let left_out = dataset.left_out();
    let mut report = Report { examples: len, sampled, left_out, labeled, ..Report::default() };
    report.sum_up(seen);
    report
}

fn look(dataset: &dyn Dataset, index: usize) -> Seen {
    match dataset.get(index) {
        Ok(Example::Text(text)) => Seen::Text { length: text.len(), blank: text.trim().is_empty() },
        Ok(Example::Image(image)) => {
            Seen::Image { height: image.height(), width: image.width(), channels: image.channels() }
        }
        Ok(Example::Signal(signal)) => Seen::Signal {
            channels: signal.nrows(),
            length: signal.ncols(),
            missing: signal.iter().filter(|value| !value.is_finite()).count(),
        },
        Err(error) => Seen::Unreadable(error.to_string()),
    }
}

impl Report {
    fn sum_up(&mut self, seen: Vec<Seen>) {
        let widen = |range: &mut Option<(usize, usize)>, n: usize| {
            let (low, high) = range.unwrap_or((n, n));
            *range = Some((low.min(n), high.max(n)));
        };
        let mut lengths = Vec::new();
        for seen in seen {
            match seen {
                Seen::Text { length, blank } => {
                    lengths.push(length);
                    self.empty += usize::from(blank);
                }
                Seen::Image { height, width, channels } => {
                    widen(&mut self.heights, height);
                    widen(&mut self.widths, width);
                    *self.channels.entry(channels).or_default() += 1;
                }
                Seen::Signal { channels, length, missing } => {
                    lengths.push(length);
                    self.empty += usize::from(length == 0);
                    *self.channels.entry(channels).or_default() += 1;
                    self.missing += missing;
                    self.with_missing += usize::from(missing > 0);
                }
                Seen::Unreadable(message) => {
                    self.unreadable += 1;
                    if self.named.len() < LeftOut::MOST_NAMED {
                        self.named.push(message);
                    }
                }
            }
        }
        lengths.sort_unstable();
        if let (Some(&low), Some(&high)) = (lengths.first(), lengths.last()) {
            self.lengths = Some((low, lengths[lengths.len() / 2], high));
        }
    }

    /// Share of the data that cannot be read: of the sample, and of what was left out when
    /// the data was opened.
    pub fn unreadable_share(&self) -> f64 {
        let readable = if self.sampled == 0 {
            0.0
        } else {
            1.0 - self.unreadable as f64 / self.sampled as f64
        };
        let all = (self.examples + self.left_out.count) as f64;
        if all == 0.0 { 1.0 } else { 1.0 - readable * self.examples as f64 / all }
    }
}
