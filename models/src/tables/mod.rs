//! One reader for tables of texts: text lines, CSV, TSV, JSONL, Parquet and FASTA, streamed from
//! a file or from standard input in bounded memory.
//!
//! Text must be UTF-8; a byte order mark and CRLF line ends are accepted, and all but Parquet may
//! be compressed by gzip or bzip2. A broken record is
//! an `Err` item that names the file, the record and the line, and reading goes on after it;
//! after an error from which reading cannot go on, iteration ends.

pub(crate) mod columns;
mod delimited;
mod fasta;
mod jsonl;
pub(crate) mod lines;
pub(crate) mod parquet;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use source::{Source, fingerprint};

use crate::data::compressed;
use crate::error::{Error, Result};

/// Most bytes that one record may have: 16 MiB.
pub const MAX_RECORD: usize = 16 << 20;

/// How a table is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Each line is a text, empty ones too.
    Text,
    /// Comma-separated values with a header, quoted with `"`.
    Csv,
    /// The same with tabs.
    Tsv,
    /// One JSON object a line; blank lines are passed over.
    Jsonl,
    /// Apache Parquet.
    Parquet,
    /// FASTA: a header and residues a sequence, which is the text, in capital letters. A label
    /// is the header itself, by the key `header`, or what a key such as `OS` has in it.
    Fasta,
}

impl Format {
    /// The format that a file's extension names: `txt`, `text`; `csv`; `tsv`, `tab`; `jsonl`,
    /// `ndjson`; `parquet`, `pq`; `fasta`, `fa`, `faa`, `fna`; also before `.gz` and `.bz2`.
    pub fn from_path(path: &Path) -> Option<Self> {
        let name = compressed::plain_name(path);
        Some(match Path::new(&name).extension()?.to_str()? {
            "txt" | "text" => Self::Text,
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "jsonl" | "ndjson" => Self::Jsonl,
            "parquet" | "pq" => Self::Parquet,
            "fasta" | "fa" | "faa" | "fna" => Self::Fasta,
            _ => return None,
        })
    }

    /// Its name as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text lines",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Jsonl => "JSONL",
            Self::Parquet => "Parquet",
            Self::Fasta => "FASTA",
        }
    }
}

/// What to read from a table.
#[derive(Debug, Clone, Default)]
pub struct TableOptions {
    /// The format; else the file's extension decides, and standard input is text lines.
    pub format: Option<Format>,
    /// Column or key of the text; else `text`, `sentence` or `content`, or the only column
    /// that is not the label.
    pub text: Option<String>,
    /// Column or key of the label; else `label`, `class` or `category` where there is one. In
    /// JSONL some objects may lack it. In FASTA `header` or a key of the header; none by itself.
    pub label: Option<String>,
    /// What stands between several labels of a record. In JSONL a label may then be an array,
    /// whose strings are given with it between them.
    pub label_separator: Option<String>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Number of the record, from 1, a header not counted.
    pub number: u64,
    /// The text.
    pub text: String,
    /// The label; none where there is no such column, or where it is empty or null.
    pub label: Option<String>,
}

/// A text and its label, before it has a number.
type Record = (String, Option<String>);

/// What reading one record gave. `Fatal` ends the iteration.
enum Step {
    Record(Record),
    Broken(Error),
    Fatal(Error),
    End,
}

/// A reader of one format.
trait Reader: Send {
    /// Reads the record with this number.
    fn next(&mut self, number: u64) -> Step;

    /// Passes over `n` records and gives how many there were. `first` is the number of the
    /// first one.
    fn skip(&mut self, first: u64, n: u64) -> Result<u64> {
        for i in 0..n {
            match self.next(first + i) {
                Step::Record(_) | Step::Broken(_) => {}
                Step::Fatal(error) => return Err(error),
                Step::End => return Ok(i),
            }
        }
        Ok(n)
    }

    /// Share of the table that was read, where bytes do not show it.
    fn share(&self) -> Option<f64> {
        None
    }
}

/// The records of a table.
pub struct Rows {
    reader: Box<dyn Reader>,
    read: u64,
    over: bool,
    counter: source::Counter,
    len: Option<u64>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("read", &self.read).field("len", &self.len).finish()
    }
}

/// Opens a table.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened; [`Error::Table`] when it is empty, compressed, not
/// of its format, or lacks the columns (the message lists those that exist);
/// [`Error::Argument`] when the format is unknown or the options do not fit it.
pub fn open(source: impl Into<Source>, options: &TableOptions) -> Result<Rows> {
    let source = source.into();
    let format = source.format(options.format)?;
    if format == Format::Text && (options.text.is_some() || options.label.is_some()) {
        return Err(Error::Argument(
            "text lines have no columns; give the format (CSV, TSV, JSONL or Parquet), or leave \
             the column names out"
                .into(),
        ));
    }
    if format == Format::Fasta && options.text.is_some() {
        return Err(Error::Argument(
            "FASTA has no columns: the text is the sequence; leave the column's name out".into(),
        ));
    }
    let opened = source.open(format)?;
    let (counter, len) = (opened.counter.clone(), opened.len);
    let reader: Box<dyn Reader> = match format {
        Format::Text => Box::new(lines::TextReader::new(opened)),
        Format::Csv => Box::new(delimited::DelimitedReader::new(opened, b',', options)?),
        Format::Tsv => Box::new(delimited::DelimitedReader::new(opened, b'\t', options)?),
        Format::Jsonl => Box::new(jsonl::JsonlReader::new(opened, options)),
        Format::Parquet => Box::new(parquet::ParquetReader::new(opened, options)?),
        Format::Fasta => Box::new(fasta::FastaReader::new(opened, options.label.clone())),
    };
    Ok(Rows { reader, read: 0, over: false, counter, len })
}

impl Rows {
    /// Bytes read so far, of [`len_hint`](Self::len_hint), for a progress bar.
    pub fn position(&self) -> u64 {
        match (self.reader.share(), self.len) {
            (Some(share), Some(len)) => (share * len as f64) as u64,
            _ => self.counter.get(),
        }
    }

    /// Size of the whole source in bytes, where it is known.
    pub fn len_hint(&self) -> Option<u64> {
        self.len
    }

    /// Passes over the next `n` records, broken ones counted too, to go on where an earlier
    /// run stopped. Gives how many there were, which is less than `n` at the end.
    ///
    /// # Errors
    /// Those from which reading cannot go on.
    pub fn skip_rows(&mut self, n: u64) -> Result<u64> {
        if self.over {
            return Ok(0);
        }
        match self.reader.skip(self.read + 1, n) {
            Ok(skipped) => {
                self.read += skipped;
                self.over = skipped < n;
                Ok(skipped)
            }
            Err(error) => {
                self.over = true;
                Err(error)
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let number = self.read + 1;
        let item = match self.reader.next(number) {
            Step::Record((text, label)) => Ok(Row { number, text, label }),
            Step::Broken(error) => Err(error),
            Step::Fatal(error) => {
                self.over = true;
                return Some(Err(error));
            }
            Step::End => {
                self.over = true;
                return None;
            }
        };
        self.read = number;
        Some(item)
    }
}

/// Makes the errors of one source.
#[derive(Debug, Clone)]
pub(crate) struct Blame {
    source_name: String,
    format: Format,
}

impl Blame {
    pub(crate) fn table(&self, reason: impl Into<String>) -> Error {
        Error::Table {
            source_name: self.source_name.clone(),
            format: self.format.name(),
            reason: reason.into(),
        }
    }

    pub(crate) fn record(&self, record: u64, line: u64, reason: impl Into<String>) -> Error {
        let source_name = self.source_name.clone();
        Error::Record { source_name, record, line, reason: reason.into() }
    }

    pub(crate) fn read(&self, source: std::io::Error) -> Error {
        Error::io("read", &self.source_name, source)
    }
}
