//! Progress of long work: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Pause between two plain lines. Work that takes less says nothing in between.
const PAUSE: Duration = Duration::from_secs(5);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes, shown as MB.
    Bytes,
    /// Things with this name in the plural: `rows`, `texts`.
    Count(&'static str),
}

/// Progress of one step, on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    unit: Unit,
    total: Option<u64>,
    done: u64,
    start: Instant,
    last_line: Instant,
    /// On a terminal.
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Progress {
    /// Starts a step that is `total` long, where that is known.
    pub(crate) fn start(what: impl Into<String>, unit: Unit, total: Option<u64>) -> Self {
        let what = what.into();
        let bar = std::io::stderr().is_terminal().then(|| bar(&what, unit, total));
        let now = Instant::now();
        Self { what, unit, total, done: 0, start: now, last_line: now, bar, quiet: false }
    }

    /// As [`Self::start`], but silent if `quiet`.
    pub(crate) fn start_unless(
        quiet: bool,
        what: impl Into<String>,
        unit: Unit,
        total: Option<u64>,
    ) -> Self {
        if !quiet {
            return Self::start(what, unit, total);
        }
        let now = Instant::now();
        let what = what.into();
        Self { what, unit, total, done: 0, start: now, last_line: now, bar: None, quiet }
    }

    /// `done` of the total is done.
    pub(crate) fn set(&mut self, done: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if !self.quiet && Some(done) != self.total && self.last_line.elapsed() >= PAUSE {
            self.last_line = Instant::now();
            let of = match (self.total, self.unit) {
                (Some(total), Unit::Bytes) => format!(" of {}", megabytes(total)),
                (Some(total), Unit::Count(_)) => format!(" of {}", grouped(total)),
                (None, _) => String::new(),
            };
            say(&format!("{}: {}{of}", self.what, self.amount(done)));
        }
    }

    /// `more` is done.
    pub(crate) fn add(&mut self, more: u64) {
        self.set(self.done.saturating_add(more));
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Says a line in between.
    pub(crate) fn note(&mut self, line: &str) {
        self.last_line = Instant::now();
        match &self.bar {
            Some(bar) => bar.println(line),
            None if self.quiet => {}
            None => say(line),
        }
    }

    /// Ends the step with a line that says how long it took.
    pub(crate) fn finish(mut self) -> Duration {
        let took = self.start.elapsed();
        let done = self.done;
        self.clear();
        if !self.quiet {
            let amount = if done > 0 { format!(" {}", self.amount(done)) } else { String::new() };
            say(&format!("{}:{amount} in {}", self.what, seconds(took)));
        }
        took
    }

    /// Ends the step without a word.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn amount(&self, done: u64) -> String {
        match self.unit {
            Unit::Bytes => megabytes(done),
            Unit::Count(name) => format!("{} {name}", grouped(done)),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar(what: &str, unit: Unit, total: Option<u64>) -> ProgressBar {
    let template = match (unit, total) {
        (Unit::Bytes, Some(_)) => {
            "{msg:<34} {bar:24.cyan/dim} {percent:>3} %  {decimal_bytes} of {decimal_total_bytes}, {eta} left"
        }
        (Unit::Bytes, None) => "{spinner} {msg}  {decimal_bytes}, {decimal_bytes_per_sec}",
        (Unit::Count(_), Some(_)) => {
            "{msg:<34} {bar:24.cyan/dim} {percent:>3} %  {human_pos} of {human_len}, {per_sec}, {eta} left"
        }
        (Unit::Count(_), None) => "{spinner} {msg}  {human_pos}, {per_sec}",
    };
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A line on standard error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// `bytes` in MB, as people read them.
pub(crate) fn megabytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.2} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A duration as people read it.
pub(crate) fn seconds(duration: Duration) -> String {
    let s = duration.as_secs_f64();
    match s {
        s if s < 0.9995 => format!("{:.0} ms", s * 1e3),
        s if s < 100.0 => format!("{s:.1} s"),
        s => format!("{} min {:02.0} s", (s / 60.0) as u64, s % 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(megabytes(900), "900 bytes");
        assert_eq!(megabytes(90_900_000), "90.9 MB");
        assert_eq!(seconds(Duration::from_millis(12)), "12 ms");
        assert_eq!(seconds(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
    }
}
