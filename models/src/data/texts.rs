//! Texts: lines of a file, which are read where they lie, and the records of tables.

use std::io::{BufRead, BufReader};
use std::path::Path;

use super::records::{Builder, Coding, Records, Unit};
use super::store::Store;
use super::{DataOptions, compressed, digest};
use crate::error::{Error, Result};
use crate::tables::{self, Format, MAX_RECORD, TableOptions};

/// Reads a table of texts. Records that are broken or blank are left out.
///
/// # Errors
/// [`Error::Io`], [`Error::Table`] when it cannot be read or holds no text.
pub(super) fn open_table(path: &Path, format: Format, options: &DataOptions) -> Result<Records> {
    let name = path.display().to_string();
    let table = TableOptions {
        format: Some(format),
        text: options.column.clone(),
        label: options.label.clone(),
        ..TableOptions::default()
    };
    let mut builder = Builder::new(name, Coding::Text, Unit::Record);
    for row in tables::open(path, &table)? {
        match row {
            Ok(row) if row.text.trim().is_empty() => {
                builder.leave_out(row.number, "its text is blank");
            }
            Ok(row) => builder.push(row.text.as_bytes(), row.number, row.label.as_deref())?,
            // From these reading goes on; others end it.
            Err(error @ Error::Record { .. }) => builder.leave_out_error(&error),
            Err(error) => return Err(error),
        }
    }
    builder.finish(digest::of_file(path)?, format.name())
}

/// Indexes the lines of a file. Blank lines are passed over.
///
/// # Errors
/// [`Error::Io`], [`Error::Table`] when it is not text or holds none.
pub(super) fn open_lines(path: &Path) -> Result<Records> {
    let name = path.display().to_string();
    let mut builder = Builder::new(name, Coding::Text, Unit::Line);
    let compressed = compressed::is_compressed(path);
    let mut lines = Lines {
        input: BufReader::with_capacity(1 << 16, compressed::open(path)?),
        line: Vec::new(),
        length: 0,
    };
    let (mut offset, mut number) = (0u64, 0u64);
    while lines.next().map_err(|e| Error::io("read", path, e))? {
        number += 1;
        let start = offset;
        offset += lines.length;
        let mut line = lines.line.as_slice();
        let mut skipped = 0;
        if number == 1 {
            if line.starts_with(&[0xff, 0xfe]) || line.starts_with(&[0xfe, 0xff]) {
                return Err(Error::Table {
                    source_name: path.display().to_string(),
                    format: Format::Text.name(),
                    reason: "it is UTF-16; convert it to UTF-8".into(),
                });
            }
            if line.starts_with(&[0xef, 0xbb, 0xbf]) {
                (line, skipped) = (&line[3..], 3);
            }
        }
        while let [rest @ .., b'\n' | b'\r'] = line {
            line = rest;
        }
        if lines.length > MAX_RECORD as u64 {
            builder.leave_out(number, &format!("it is longer than {} MiB", MAX_RECORD >> 20));
            continue;
        }
        match std::str::from_utf8(line) {
            Err(error) => {
                let at = error.valid_up_to() + 1;
                builder.leave_out(number, &format!("it is not UTF-8 from byte {at} on"));
            }
            Ok(text) if text.trim().is_empty() => {}
            Ok(_) if compressed => builder.push(line, number, None)?,
            Ok(_) => builder.index(start + skipped, line.len() as u32, number, None),
        }
    }
    let digest = digest::of_file(path)?;
    if compressed {
        return builder.finish(digest, Format::Text.name());
    }
    builder.finish_in(Store::Path(path.into()), digest, Format::Text.name())
}

/// Lines of which at most [`MAX_RECORD`] bytes are held.
struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// Bytes of the line, its end and what was not held included.
    length: u64,
}

impl<R: std::io::Read> Lines<R> {
    /// Reads a line; false at the end.
    fn next(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        self.length = 0;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let end = chunk.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = MAX_RECORD.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            self.length += part.len() as u64;
            let (used, over) = (part.len(), end.is_some() || part.is_empty());
            self.input.consume(used);
            if over {
                return Ok(self.length > 0);
            }
        }
    }
}
