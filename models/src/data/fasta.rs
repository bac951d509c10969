//! FASTA: a line `>name and description`, then lines of residues.

use std::io::{BufRead, BufReader};
use std::path::Path;

use super::records::{Builder, Coding, Records, Unit};
use super::{DataOptions, compressed, digest};
use crate::error::{Error, Result};
use crate::tables::MAX_RECORD;

const FORMAT: &str = "FASTA";

/// Reads the sequences, in capital letters and without white space and the final `*`. What
/// has other characters than letters, `*`, `-` and `.`, or is empty, is left out.
///
/// The label is none unless the options name one: `header` for the whole header, or a key
/// such as `OS`, whose value in UniProt's headers goes up to the next ` XX=`.
///
/// # Errors
/// [`Error::Io`]; [`Error::Table`] when it does not begin with `>` or holds no sequence.
pub(super) fn open(path: &Path, options: &DataOptions) -> Result<Records> {
    let name = path.display().to_string();
    let bad = |reason: &str| Error::Table {
        source_name: name.clone(),
        format: FORMAT,
        reason: reason.into(),
    };
    let mut input = BufReader::with_capacity(1 << 16, compressed::open(path)?);
    let mut builder = Builder::new(name.clone(), Coding::Text, Unit::Record);
    let mut current: Option<Sequence> = None;
    let mut number = 0;
    let mut line = Vec::new();
    while read_line(&mut input, &mut line).map_err(|e| Error::io("read", path, e))? {
        if let Some(header) = line.strip_prefix(b">") {
            if let Some(sequence) = current.take() {
                sequence.finish(&mut builder, number, options)?;
            }
            number += 1;
            let header = String::from_utf8_lossy(header).trim().to_owned();
            current = Some(Sequence { header, residues: Vec::new(), wrong: None });
        } else if !line.trim_ascii().is_empty() && !line.starts_with(b";") {
            let sequence = current.as_mut().ok_or_else(|| bad("it does not begin with `>`"))?;
            sequence.extend(&line);
        }
    }
    if let Some(sequence) = current {
        sequence.finish(&mut builder, number, options)?;
    }
    builder.finish(digest::of_file(path)?, FORMAT)
}

/// A line of at most [`MAX_RECORD`] bytes; a longer one is read in parts.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    std::io::Read::take(input, MAX_RECORD as u64).read_until(b'\n', line)?;
    Ok(!line.is_empty())
}

struct Sequence {
    header: String,
    residues: Vec<u8>,
    wrong: Option<String>,
}

impl Sequence {
    fn extend(&mut self, line: &[u8]) {
        for &byte in line.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            if !byte.is_ascii_alphabetic() && !b"*-.".contains(&byte) && self.wrong.is_none() {
                self.wrong = Some(format!("`{}` is no residue", byte.escape_ascii()));
            }
            if self.residues.len() < MAX_RECORD {
                self.residues.push(byte.to_ascii_uppercase());
            } else if self.wrong.is_none() {
                self.wrong = Some(format!("it is longer than {} Mi residues", MAX_RECORD >> 20));
            }
        }
    }

    fn finish(self, builder: &mut Builder, number: u64, options: &DataOptions) -> Result<()> {
        let residues = self.residues.strip_suffix(b"*").unwrap_or(&self.residues);
        if let Some(reason) = self.wrong {
            builder.leave_out(number, &reason);
            return Ok(());
        }
        if residues.is_empty() {
            builder.leave_out(number, "it has no residues");
            return Ok(());
        }
        let label = options.label.as_deref().and_then(|key| label(&self.header, key));
        builder.push(residues, number, label)
    }
}

/// The part of a header that a key names.
fn label<'a>(header: &'a str, key: &str) -> Option<&'a str> {
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
