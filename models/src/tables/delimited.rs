//! CSV and TSV.

use std::io::Read;

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
    left: usize,
    /// The bytes given last, and how many came before them.
    chunk: Vec<u8>,
    before: u64,
}

/// The csv reader's own buffer may hold bytes of earlier records.
const ALLOWANCE: usize = MAX_RECORD + (1 << 16);

impl Bounded {
    /// The byte at an offset, where it is among those given last.
    fn byte(&self, offset: u64) -> Option<u8> {
        let at = usize::try_from(offset.checked_sub(self.before)?).ok()?;
        self.chunk.get(at).copied()
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
        }
        let most = self.left.min(buffer.len());
        let n = self.input.read(&mut buffer[..most])?;
        self.left -= n;
        if n > 0 {
            self.before += self.chunk.len() as u64;
            self.chunk.clear();
            self.chunk.extend_from_slice(&buffer[..n]);
        }
        Ok(n)
    }
}

/// Records under a header.
pub(super) struct DelimitedReader {
    reader: csv::Reader<Bounded>,
    record: ByteRecord,
    columns: usize,
    text: usize,
    label: Option<usize>,
    blame: Blame,
}

impl DelimitedReader {
    pub(super) fn new(opened: Opened, delimiter: u8, options: &TableOptions) -> Result<Self> {
        let blame = opened.blame;
        let mut reader =
            csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(Bounded {
                input: opened.input,
                left: ALLOWANCE,
                chunk: Vec::new(),
                before: 0,
            });
        let header = reader
            .headers()
            .map_err(|e| blame.table(format!("its header cannot be read ({e})")))?;
        let names: Vec<&str> = header.iter().collect();
        if names.is_empty() {
            return Err(blame.table("it has no header line"));
        }
        let (text, label) = choose(&names, options, &blame)?;
        let columns = names.len();
        Ok(Self { reader, record: ByteRecord::new(), columns, text, label, blame })
    }

    fn field(&self, column: usize) -> std::result::Result<&str, String> {
        let field = &self.record[column];
        std::str::from_utf8(field).map_err(|e| format!("field {}: {}", column + 1, not_utf8(e)))
    }

    /// Line on which the record starts. The csv crate's own figure is that of the blank lines
    /// before it, and one less where lines end in CRLF, so it is counted back from the end.
    fn line(&self) -> u64 {
        let end = self.reader.position();
        let last = end.byte().checked_sub(1).and_then(|at| self.reader.get_ref().byte(at));
        let breaks = self.record.as_slice().iter().filter(|&&b| b == b'\n').count() as u64;
        end.line().saturating_sub(breaks + u64::from(last == Some(b'\n')))
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
        self.reader.get_mut().left = ALLOWANCE;
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
            Err(reason) => Step::Broken(self.blame.record(number, self.line(), reason)),
        }
    }
}
