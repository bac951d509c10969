//! Lines of bounded length, and the format in which each line is a text.

use std::io::BufRead;

use super::source::{Input, Opened};
use super::{Blame, MAX_RECORD, Reader, Step};

/// One line of the input.
pub(crate) enum Line {
    /// The line is in the buffer, without its end.
    Read,
    /// It was longer than [`MAX_RECORD`] and was passed over.
    TooLong,
    /// There are no more.
    End,
}

/// Reads lines that end in LF or CRLF, without ever holding more than [`MAX_RECORD`] bytes.
pub(crate) struct Lines {
    input: Input,
    /// The line that was read last.
    pub(crate) buffer: Vec<u8>,
    /// Its number, from 1.
    pub(crate) number: u64,
}

impl Lines {
    pub(crate) fn new(input: Input) -> Self {
        Self { input, buffer: Vec::new(), number: 0 }
    }

    pub(crate) fn next(&mut self) -> std::io::Result<Line> {
        self.buffer.clear();
        let (mut any, mut too_long) = (false, false);
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|&b| b == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            // The end of a CRLF does not count.
            too_long |= self.buffer.len() + part.len() > MAX_RECORD + 1;
            if !too_long {
                self.buffer.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(Line::End);
        }
        self.number += 1;
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        if too_long || self.buffer.len() > MAX_RECORD {
            self.buffer = Vec::new();
            return Ok(Line::TooLong);
        }
        Ok(Line::Read)
    }
}

/// What is said of a record over the limit.
pub(crate) fn too_long() -> String {
    format!("it is longer than {} MiB", MAX_RECORD >> 20)
}

/// What is said of bytes that are not UTF-8.
pub(crate) fn not_utf8(error: std::str::Utf8Error) -> String {
    format!("it is not UTF-8 from byte {} on", error.valid_up_to() + 1)
}

/// Each line is a text.
pub(super) struct TextReader {
    lines: Lines,
    blame: Blame,
}

impl TextReader {
    pub(super) fn new(opened: Opened) -> Self {
        Self { lines: Lines::new(opened.input), blame: opened.blame }
    }
}

impl Reader for TextReader {
    fn next(&mut self, number: u64) -> Step {
        let reason = match self.lines.next() {
            Ok(Line::End) => return Step::End,
            Err(e) => return Step::Fatal(self.blame.read(e)),
            Ok(Line::TooLong) => too_long(),
            Ok(Line::Read) => match std::str::from_utf8(&self.lines.buffer) {
                Ok(text) => return Step::Record((text.to_owned(), None)),
                Err(e) => not_utf8(e),
            },
        };
        Step::Broken(self.blame.record(number, self.lines.number, reason))
    }
}
