//! One long recording, kept step by step, and the windows that are cut from it. Windows that
//! overlap share their bytes.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use csv::StringRecord;

use super::records::{Builder, Coding, Records, Unit};
use super::store::Spool;
use super::{DataOptions, compressed, digest};
use crate::error::{Error, Result};
use crate::tables::Format;
use crate::tables::columns::{LABEL, list};

/// Names of columns that count time.
const TIME: [&str; 8] = ["timestamp", "time", "date", "datetime", "t", "index", "id", ""];

/// Collects the steps of a recording.
#[derive(Debug)]
pub(super) struct Recording {
    channels: usize,
    window: Option<usize>,
    stride: usize,
    spool: Spool,
    steps: usize,
    /// Runs of one label: the first step, and the label's number.
    runs: Vec<(usize, Option<u32>)>,
    labels: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Recording {
    /// With `window` a whole number of steps, or else the whole recording as one example.
    pub(super) fn new(
        channels: usize,
        window: impl Into<Option<usize>>,
        stride: Option<usize>,
    ) -> Self {
        let window = window.into();
        Self {
            channels,
            window,
            stride: stride.or(window).unwrap_or(1),
            spool: Spool::default(),
            steps: 0,
            runs: Vec::new(),
            labels: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// Adds a step.
    ///
    /// # Errors
    /// Those of the spool.
    pub(super) fn push(&mut self, values: &[f32], label: Option<&str>) -> Result<()> {
        let label = label.map(|label| match self.numbers.get(label) {
            Some(&number) => number,
            None => {
                let number = self.labels.len() as u32;
                self.labels.push(label.to_owned());
                self.numbers.insert(label.to_owned(), number);
                number
            }
        });
        if self.runs.last().is_none_or(|&(_, last)| last != label) {
            self.runs.push((self.steps, label));
        }
        self.steps += 1;
        for value in values {
            self.spool.push(&value.to_le_bytes())?;
        }
        Ok(())
    }

    /// Cuts the windows; what is left at the end and is shorter is dropped.
    ///
    /// # Errors
    /// [`Error::Table`] when the recording is shorter than a window.
    pub(super) fn finish(
        self,
        source_name: String,
        digest: String,
        format: &'static str,
    ) -> Result<Records> {
        let window = self.window.unwrap_or(self.steps);
        let bytes = window.checked_mul(self.channels).and_then(|n| n.checked_mul(4));
        let bytes = bytes.and_then(|bytes| u32::try_from(bytes).ok()).filter(|&bytes| bytes > 0);
        let Some(bytes) = bytes.filter(|_| window <= self.steps) else {
            return Err(Error::Table {
                source_name,
                format,
                reason: format!(
                    "it has {} steps of {} channels, from which no window of {window} can be cut",
                    self.steps, self.channels
                ),
            });
        };
        let coding = Coding::Steps { channels: self.channels };
        let mut builder = Builder::new(source_name, coding, Unit::Number("window"));
        let mut first = 0;
        for (number, start) in (1..).zip((0..=self.steps - window).step_by(self.stride)) {
            while self.runs.get(first + 1).is_some_and(|&(step, _)| step <= start) {
                first += 1;
            }
            let label = self.majority(first, start, start + window);
            let offset = (start * self.channels * 4) as u64;
            builder.index(offset, bytes, number, label);
        }
        builder.finish_in(self.spool.finish()?, digest, format)
    }

    /// The label that most steps have, the earlier one of two that are as frequent.
    fn majority(&self, first: usize, start: usize, end: usize) -> Option<&str> {
        if self.labels.is_empty() {
            return None;
        }
        let mut counts: Vec<(Option<u32>, usize)> = Vec::new();
        for at in first..self.runs.len() {
            let (step, label) = self.runs[at];
            if step >= end {
                break;
            }
            let until = self.runs.get(at + 1).map_or(end, |&(next, _)| next.min(end));
            let steps = until - step.max(start);
            match counts.iter_mut().find(|(known, _)| *known == label) {
                Some((_, count)) => *count += steps,
                None => counts.push((label, steps)),
            }
        }
        let most = counts.iter().map(|&(_, count)| count).max()?;
        let (label, _) = counts.into_iter().find(|&(_, count)| count == most)?;
        self.labels.get(label? as usize).map(String::as_str)
    }
}

/// Opens a CSV or TSV file of a recording: a row a time step, a column a channel. A header is
/// recognised by a first row that is not all numbers. Channels are the columns that the
/// options name, separated by commas, or all whose first value is a number, those that count
/// time and the label's excepted. An empty field is a missing value.
///
/// # Errors
/// [`Error::Io`]; [`Error::Table`] when there are no channels, columns are missing, or the
/// recording is shorter than a window.
pub(super) fn open_csv(path: &Path, format: Format, options: &DataOptions) -> Result<Records> {
    let name = path.display().to_string();
    let bad =
        |reason: String| Error::Table { source_name: name.clone(), format: format.name(), reason };
    let broken = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(e) => Error::io("read", path, e),
        csv::ErrorKind::Utf8 { pos, .. } => {
            bad(format!("line {} is not UTF-8", pos.map_or(0, |pos| pos.line())))
        }
        other => bad(format!("{other:?}")),
    };
    let delimiter = if format == Format::Tsv { b'\t' } else { b',' };
    let input: Box<dyn Read + Send> = compressed::open(path)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(input);
    let mut first = StringRecord::new();
    if !reader.read_record(&mut first).map_err(broken)? {
        return Err(bad("it is empty".into()));
    }
    let has_header = first.iter().any(|field| number(field).is_none());
    let names: Vec<String> = if has_header {
        first.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect()
    } else {
        (1..=first.len()).map(|n| n.to_string()).collect()
    };
    let mut row = first;
    if has_header && !reader.read_record(&mut row).map_err(broken)? {
        return Err(bad("it has a header and no values".into()));
    }
    let columns = Columns::choose(&names, &row, options).map_err(bad)?;
    let mut recording = Recording::new(columns.channels.len(), options.window, options.stride);
    let mut values = Vec::new();
    loop {
        let line = row.position().map_or(0, csv::Position::line);
        if row.len() != names.len() {
            let reason = format!("line {line} has {} fields, not {}", row.len(), names.len());
            return Err(bad(reason));
        }
        values.clear();
        for &column in &columns.channels {
            let field = &row[column];
            values.push(number(field).ok_or_else(|| {
                let shown: String = field.chars().take(30).collect();
                bad(format!("line {line}, column `{}`: `{shown}` is not a number", names[column]))
            })?);
        }
        let label = columns.label.map(|column| &row[column]).filter(|label| !label.is_empty());
        recording.push(&values, label)?;
        if !reader.read_record(&mut row).map_err(broken)? {
            break;
        }
    }
    recording.finish(name.clone(), digest::of_file(path)?, format.name())
}

/// Numbers of the columns in use.
struct Columns {
    channels: Vec<usize>,
    label: Option<usize>,
}

impl Columns {
    fn choose(
        names: &[String],
        first: &StringRecord,
        options: &DataOptions,
    ) -> std::result::Result<Self, String> {
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let find = |name: &str| names.iter().position(|known| known.eq_ignore_ascii_case(name));
        let wanted = |name: &str| {
            find(name.trim()).ok_or_else(|| {
                format!("it has no column `{}`; its columns are {}", name.trim(), list(&all))
            })
        };
        let label = match &options.label {
            Some(name) => Some(wanted(name)?),
            None => LABEL.iter().find_map(|name| find(name)),
        };
        let channels: Vec<usize> = match &options.column {
            Some(columns) => columns.split(',').map(wanted).collect::<Result<_, _>>()?,
            None => (0..names.len())
                .filter(|&column| Some(column) != label)
                .filter(|&column| !TIME.iter().any(|t| names[column].eq_ignore_ascii_case(t)))
                .filter(|&column| first.get(column).and_then(number).is_some())
                .collect(),
        };
        if channels.is_empty() {
            return Err(format!("none of its columns is a channel: {}", list(&all)));
        }
        Ok(Self { channels, label })
    }
}

/// A number; missing ones are NaN.
fn number(field: &str) -> Option<f32> {
    let field = field.trim_start_matches('\u{feff}');
    let missing = ["", "?", "nan", "na", "null"];
    if missing.iter().any(|m| field.eq_ignore_ascii_case(m)) {
        return Some(f32::NAN);
    }
    field.parse().ok()
}
