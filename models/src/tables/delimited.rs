//! CSV and TSV.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::ByteRecord;

use super::columns::choose;
use super::lines::{not_utf8, too_long};
use super::source::{Input, Opened};
use super::{Blame, MAX_RECORD, Reader, Step, TableOptions};
use crate::error::Result;

/// Ends the input when one record takes too many bytes, so that an open quote in a large
/// file does not read all of it into memory.
struct Bounded {
    input: Input,
    left: Arc<AtomicUsize>,
}

/// The csv reader's own buffer may hold bytes of earlier records.
const ALLOWANCE: usize = MAX_RECORD + (1 << 16);

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
        }
        let most = left.min(buffer.len());
        let n = self.input.read(&mut buffer[..most])?;
        self.left.store(left - n, Ordering::Relaxed);
        Ok(n)
    }
}

/// Records under a header.
pub(super) struct DelimitedReader {
    reader: csv::Reader<Bounded>,
    left: Arc<AtomicUsize>,
    record: ByteRecord,
    columns: usize,
    text: usize,
    label: Option<usize>,
    blame: Blame,
}

impl DelimitedReader {
    pub(super) fn new(opened: Opened, delimiter: u8, options: &TableOptions) -> Result<Self> {
        let blame = opened.blame;
        let left = Arc::new(AtomicUsize::new(ALLOWANCE));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(Bounded { input: opened.input, left: left.clone() });
        let header = reader
            .headers()
            .map_err(|e| blame.table(format!("its header cannot be read ({e})")))?;
        let names: Vec<&str> = header.iter().collect();
        if names.is_empty() {
            return Err(blame.table("it has no header line"));
        }
        let (text, label) = choose(&names, options, &blame)?;
        let columns = names.len();
        Ok(Self { reader, left, record: ByteRecord::new(), columns, text, label, blame })
    }

    fn field(&self, column: usize) -> std::result::Result<&str, String> {
        let field = &self.record[column];
        std::str::from_utf8(field).map_err(|e| format!("field {}: {}", column + 1, not_utf8(e)))
    }

    fn row(&self) -> std::result::Result<(String, Option<String>), String> {
        if self.record.len() != self.columns {
            return Err(format!(
                "it has {} fields and the header has {}; a field with the delimiter or a line \
                 break must be quoted",
                self.record.len(),
                self.columns
            ));
        }
        if self.record.as_slice().len() > MAX_RECORD {
            return Err(too_long());
        }
        let label = self.label.map(|column| self.field(column)).transpose()?;
        let label = label.filter(|label| !label.is_empty()).map(str::to_owned);
        Ok((self.field(self.text)?.to_owned(), label))
    }
}

impl Reader for DelimitedReader {
    fn next(&mut self, number: u64) -> Step {
        self.left.store(ALLOWANCE, Ordering::Relaxed);
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => return Step::End,
            Ok(true) => {}
            Err(e) => {
                let line = self.reader.position().line();
                return Step::Fatal(match e.into_kind() {
                    csv::ErrorKind::Io(e) if e.kind() == std::io::ErrorKind::FileTooLarge => {
                        let reason = format!("{}; is a quote left open?", too_long());
                        self.blame.record(number, line, reason)
                    }
                    csv::ErrorKind::Io(e) => self.blame.read(e),
                    other => self.blame.record(number, line, format!("{other:?}")),
                });
            }
        }
        match self.row() {
            Ok(record) => Step::Record(record),
            Err(reason) => {
                let line = self.record.position().map_or(0, csv::Position::line);
                Step::Broken(self.blame.record(number, line, reason))
            }
        }
    }
}
