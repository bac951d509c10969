//! `.ts`, the format of the time-series classification archive as sktime and aeon write it:
//! header lines `@key value`, then after `@data` a case a line, whose channels are separated
//! by `:` and whose last part is the label where the header says so. Values are separated by
//! commas, `?` is a missing one; with time stamps each is `(time,value)`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::records::{Builder, Coding, Records, Unit};
use super::{DataOptions, compressed, digest};
use crate::error::{Error, Result};

const FORMAT: &str = "a .ts file";

/// Most bytes of a case: a million steps of dozens of channels.
const MAX_CASE: u64 = 1 << 30;

/// Reads the cases. Those that are broken or empty are left out; cases may have different
/// lengths.
///
/// # Errors
/// [`Error::Io`]; [`Error::Table`] when it has no `@data` line or no case.
pub(super) fn open(path: &Path, _: &DataOptions) -> Result<Records> {
    let name = path.display().to_string();
    let bad = |reason: &str| Error::Table {
        source_name: name.clone(),
        format: FORMAT,
        reason: reason.into(),
    };
    let mut input = BufReader::with_capacity(1 << 16, compressed::open(path)?);
    let mut builder = Builder::new(name.clone(), Coding::Signal, Unit::Line);
    let mut header = Header::default();
    let (mut line, mut number, mut in_data) = (Vec::new(), 0, false);
    loop {
        line.clear();
        let read = (&mut input).take(MAX_CASE).read_until(b'\n', &mut line);
        if read.map_err(|e| Error::io("read", path, e))? == 0 {
            break;
        }
        number += 1;
        let text = match std::str::from_utf8(&line) {
            Ok(text) => text.trim_start_matches('\u{feff}').trim(),
            Err(_) if in_data => {
                builder.leave_out(number, "it is not UTF-8");
                continue;
            }
            // Comments in front of the data may be in any coding.
            Err(_) => continue,
        };
        if text.is_empty() || text.starts_with(['#', '%']) {
            continue;
        }
        if let Some(field) = text.strip_prefix('@') {
            in_data |= header.read(field);
            continue;
        }
        if !in_data {
            return Err(bad("its values do not follow a line `@data`"));
        }
        match case(text, &header) {
            Ok((channels, values, label)) => {
                builder.push_signal(channels, values.into_iter(), number, label)?;
            }
            Err(reason) => builder.leave_out(number, &reason),
        }
    }
    if !in_data {
        return Err(bad("it has no line `@data`"));
    }
    builder.finish(digest::of_file(path)?, FORMAT)
}

#[derive(Default)]
struct Header {
    labeled: bool,
    time_stamps: bool,
    channels: Option<usize>,
}

impl Header {
    /// Takes a header line; true when it is the last one, `data`.
    fn read(&mut self, field: &str) -> bool {
        let (key, value) = field.split_once(char::is_whitespace).unwrap_or((field, ""));
        let value = value.trim();
        let first = value.split_whitespace().next().unwrap_or("");
        match key.to_ascii_lowercase().as_str() {
            "classlabel" | "targetlabel" => self.labeled |= first.eq_ignore_ascii_case("true"),
            "timestamps" => self.time_stamps = first.eq_ignore_ascii_case("true"),
            "dimensions" | "dimension" => self.channels = first.parse().ok(),
            _ => {}
        }
        key.eq_ignore_ascii_case("data")
    }
}

/// Channels, values `[channels, length]`, and the label of one line.
type Case<'a> = (usize, Vec<f32>, Option<&'a str>);

fn case<'a>(text: &'a str, header: &Header) -> std::result::Result<Case<'a>, String> {
    let (text, label) = if header.labeled {
        let (values, label) = text.rsplit_once(':').ok_or("it has no label after a colon")?;
        (values, Some(label.trim()).filter(|label| !label.is_empty()))
    } else {
        (text, None)
    };
    let mut values = Vec::new();
    let (mut channels, mut length) = (0, 0);
    let parts: Vec<&str> = if header.time_stamps {
        // Times of day have colons too; channels end after a bracket.
        text.split("):").collect()
    } else {
        text.split(':').collect()
    };
    for part in parts {
        channels += 1;
        let before = values.len();
        if header.time_stamps {
            for pair in part.split('(').skip(1) {
                let pair = pair.trim_end_matches([',', ' ', ')']);
                let (_, value) = pair.rsplit_once(',').ok_or("a pair has no comma")?;
                values.push(number(value)?);
            }
        } else {
            for value in part.split(',') {
                values.push(number(value)?);
            }
        }
        let found = values.len() - before;
        if channels == 1 {
            length = found;
        } else if found != length {
            return Err(format!(
                "channel {channels} has {found} values and the first {length}; channels of one \
                 case must be equally long"
            ));
        }
    }
    if let Some(expected) = header.channels
        && expected != channels
    {
        return Err(format!("it has {channels} channels and the header says {expected}"));
    }
    Ok((channels, values, label))
}

fn number(text: &str) -> std::result::Result<f32, String> {
    let text = text.trim();
    if text == "?" || text.eq_ignore_ascii_case("nan") {
        return Ok(f32::NAN);
    }
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(30).collect();
        format!("`{shown}` is not a number")
    })
}
