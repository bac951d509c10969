//! FASTA: a line `>name and description`, then lines of residues.

use std::io::{BufRead, Read, Result};

use super::source::{Input, Opened};
use super::{Blame, MAX_RECORD, Reader, Step};

/// What is said of input in which residues come before any header.
pub(crate) const NO_HEADER: &str = "it does not begin with `>`";

/// One sequence: its header without the `>`, and its residues, in capital letters and without
/// white space and the final `*`.
pub(crate) struct Sequence {
    pub(crate) header: String,
    pub(crate) residues: String,
}

/// What comes next in the input.
pub(crate) enum Next {
    Sequence(Sequence),
    /// The sequence has other characters than letters, `*`, `-` and `.`, or is empty, or too
    /// long.
    Broken(Fault),
    /// Residues before any header: there is nothing to read.
    NoHeader,
    End,
}

/// What is wrong with a sequence, and in which line, counted from 1.
pub(crate) struct Fault {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// Reads sequences of at most [`MAX_RECORD`] residues each.
pub(crate) struct Sequences<R> {
    input: R,
    line: Vec<u8>,
    /// Number of the line that was read last, from 1, and whether its end was read.
    number: u64,
    ended: bool,
    /// The header that was read last, and the number of its line.
    header: Option<(String, u64)>,
}

impl<R: BufRead> Sequences<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0, ended: true, header: None }
    }

    pub(crate) fn next(&mut self) -> Result<Next> {
        let mut residues = String::new();
        let mut wrong = None;
        while self.read_line()? {
            if let Some(header) = self.line.strip_prefix(b">") {
                let header = String::from_utf8_lossy(header).trim().to_owned();
                if let Some(ended) = self.header.replace((header, self.number)) {
                    return Ok(finish(ended, residues, wrong));
                }
            } else if !self.line.trim_ascii().is_empty() && !self.line.starts_with(b";") {
                if self.header.is_none() {
                    return Ok(Next::NoHeader);
                }
                let reason = extend(&mut residues, &self.line);
                wrong = wrong.or(reason.map(|reason| Fault { line: self.number, reason }));
            }
        }
        Ok(match self.header.take() {
            Some(header) => finish(header, residues, wrong),
            None => Next::End,
        })
    }

    /// Reads a line of at most [`MAX_RECORD`] bytes; a longer one is read in parts.
    fn read_line(&mut self) -> Result<bool> {
        self.line.clear();
        let part = Read::take(&mut self.input, MAX_RECORD as u64).read_until(b'\n', &mut self.line);
        self.number += u64::from(self.ended);
        self.ended = self.line.ends_with(b"\n");
        part.map(|bytes| bytes > 0)
    }
}

/// Adds the residues of a line, and says what is wrong with them.
fn extend(residues: &mut String, line: &[u8]) -> Option<String> {
    for &byte in line.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        if !byte.is_ascii_alphabetic() && !b"*-.".contains(&byte) {
            return Some(format!("`{}` is no residue", byte.escape_ascii()));
        }
        if residues.len() == MAX_RECORD {
            return Some(format!("it is longer than {} Mi residues", MAX_RECORD >> 20));
        }
        residues.push(char::from(byte.to_ascii_uppercase()));
    }
    None
}

fn finish((header, line): (String, u64), mut residues: String, wrong: Option<Fault>) -> Next {
    if let Some(fault) = wrong {
        return Next::Broken(fault);
    }
    if residues.ends_with('*') {
        residues.pop();
    }
    if residues.is_empty() {
        return Next::Broken(Fault { line, reason: "it has no residues".into() });
    }
    Next::Sequence(Sequence { header, residues })
}

/// The part of a header that a key names: `header` the whole of it, a key such as `OS` what
/// follows `OS=`, in UniProt's headers up to the next ` XX=`.
pub(crate) fn label<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    if key == "header" {
        return Some(header).filter(|header| !header.is_empty());
    }
    let marker = format!("{}=", key.trim_end_matches('='));
    let start = header
        .match_indices(&marker)
        .map(|(at, _)| at)
        .find(|&at| at == 0 || header.as_bytes().get(at - 1) == Some(&b' '))?
        + marker.len();
    let value = &header[start..];
    // The next key: a space, two capital letters, `=`.
    let end = value.match_indices('=').map(|(at, _)| at).find_map(|at| {
        let key = value.get(at.checked_sub(3)?..at)?.as_bytes();
        let next = key[0] == b' ' && key[1..].iter().all(u8::is_ascii_uppercase);
        next.then(|| at - 3)
    });
    Some(value[..end.unwrap_or(value.len())].trim()).filter(|value| !value.is_empty())
}

/// The sequences as rows of a table, each sequence a text.
pub(super) struct FastaReader {
    sequences: Sequences<Input>,
    /// The key of the label.
    key: Option<String>,
    blame: Blame,
}

impl FastaReader {
    pub(super) fn new(opened: Opened, key: Option<String>) -> Self {
        Self { sequences: Sequences::new(opened.input), key, blame: opened.blame }
    }
}

impl Reader for FastaReader {
    fn next(&mut self, number: u64) -> Step {
        match self.sequences.next() {
            Ok(Next::Sequence(Sequence { header, residues })) => {
                let label = self.key.as_deref().and_then(|key| label(&header, key));
                Step::Record((residues, label.map(str::to_owned)))
            }
            Ok(Next::Broken(Fault { line, reason })) => {
                Step::Broken(self.blame.record(number, line, reason))
            }
            Ok(Next::NoHeader) => Step::Fatal(self.blame.table(NO_HEADER)),
            Ok(Next::End) => Step::End,
            Err(e) => Step::Fatal(self.blame.read(e)),
        }
    }
}
