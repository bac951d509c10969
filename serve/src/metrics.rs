//! What Prometheus reads: the text format 0.0.4, in seconds and bytes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

/// Upper bounds of durations, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0];

/// Counters of the service.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By route, method and status.
    requests: BTreeMap<(String, String, u16), u64>,
    duration: Histogram,
    batch: Histogram,
    rows: u64,
    tokens: u64,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    sum: f64,
    count: u64,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        self.sum += seconds;
        self.count += 1;
    }

    fn write(&self, out: &mut String, name: &str, help: &str) {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        for (count, bound) in self.buckets.iter().zip(BOUNDS) {
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let Self { sum, count, .. } = self;
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum {sum}\n{name}_count {count}");
    }
}

impl Metrics {
    /// A request was answered. `route` is the pattern, never what the client wrote.
    pub(crate) fn request(&self, route: &str, method: &str, status: u16, seconds: f64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.requests.entry((route.into(), method.into(), status)).or_default() += 1;
        state.duration.add(seconds);
    }

    /// A batch was computed.
    pub(crate) fn batch(&self, rows: usize, tokens: usize, seconds: f64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.rows += rows as u64;
        state.tokens += tokens as u64;
        state.batch.add(seconds);
    }

    /// Batches that were computed so far.
    #[cfg(unix)]
    pub(crate) fn batches(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).batch.count
    }

    /// The page that Prometheus reads.
    pub(crate) fn text(&self, waiting: usize) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        let name = "offshoot_http_requests_total";
        let _ = writeln!(out, "# HELP {name} Requests answered.\n# TYPE {name} counter");
        for ((route, method, status), count) in &state.requests {
            let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
            let _ = writeln!(out, "{name}{{{labels}}} {count}");
        }
        let help = "Time from the head of a request to that of its answer.";
        state.duration.write(&mut out, "offshoot_http_request_duration_seconds", help);
        state.batch.write(&mut out, "offshoot_batch_duration_seconds", "Time of a batch.");
        for (name, help, kind, value) in [
            ("offshoot_inputs_total", "Inputs embedded.", "counter", state.rows),
            ("offshoot_tokens_total", "Tokens embedded.", "counter", state.tokens),
            ("offshoot_queue_tokens", "Tokens that wait.", "gauge", waiting as u64),
        ] {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
        out
    }
}
