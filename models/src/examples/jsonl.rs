//! Examples as JSONL: a line of one, and lines read back, each checked.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use offshoot::adapters::EncoderTag;
use offshoot::learner::NewExample;
use serde::Deserialize;

use super::UNKNOWN_WIDTH;
use crate::error::Result;
use crate::tables::lines::{Line, Lines, not_utf8, too_long};
use crate::tables::{Blame, Format, Source};

/// Relative error that a reader of decimals may make.
const READING: f64 = 4.0 * f64::EPSILON;

/// A number in 64 bits that any program reads back as this 32-bit one, in few digits where these
/// are enough: the shortest decimal, unless it lies so near the middle between two 32-bit numbers
/// that a reader of 64-bit ones could round it to the other.
#[must_use]
pub fn decimal(value: f32) -> f64 {
    let exact = f64::from(value);
    let Ok(short) = value.to_string().parse::<f64>() else { return exact };
    let read_back = |number: f64| (number as f32).to_bits() == value.to_bits();
    let near = [1.0 - READING, 1.0, 1.0 + READING];
    if near.into_iter().all(|factor| read_back(short * factor)) { short } else { exact }
}

/// What is read of a line.
#[derive(Deserialize)]
struct Record {
    embedding: Option<Vec<f64>>,
    label: Option<String>,
    weight: Option<f64>,
    time: Option<String>,
    source: Option<String>,
    text: Option<String>,
    encoder: Option<EncoderTag>,
}

/// Lines of a JSONL file.
pub(super) struct Rows {
    lines: Lines,
    blame: Blame,
    dimensions: usize,
    encoder: Option<EncoderTag>,
    /// The first record, which says whose embeddings they are.
    first: Option<Record>,
    /// Records that were read.
    number: u64,
    over: bool,
}

impl Rows {
    pub(super) fn open(path: &Path, dimensions: Option<usize>) -> Result<Self> {
        let opened = Source::from(path).open(Format::Jsonl)?;
        let blame = opened.blame;
        let mut rows = Self {
            lines: Lines::new(opened.input),
            blame,
            dimensions: 0,
            encoder: None,
            first: None,
            number: 0,
            over: false,
        };
        rows.first = rows.record()?;
        rows.encoder = rows.first.as_ref().and_then(|record| record.encoder.clone());
        let own = rows.encoder.as_ref().map(|encoder| encoder.dimensions);
        rows.dimensions = dimensions.or(own).ok_or_else(|| rows.blame.table(UNKNOWN_WIDTH))?;
        Ok(rows)
    }

    pub(super) fn encoder(&self) -> Option<&EncoderTag> {
        self.encoder.as_ref()
    }

    /// The next line that is not empty.
    fn record(&mut self) -> Result<Option<Record>> {
        let line = loop {
            match self.lines.next().map_err(|error| self.blame.read(error))? {
                Line::End => return Ok(None),
                Line::Read if self.lines.buffer.trim_ascii().is_empty() => {}
                line => break line,
            }
        };
        self.number += 1;
        let parsed = match line {
            Line::TooLong => Err(too_long()),
            _ => std::str::from_utf8(&self.lines.buffer).map_err(not_utf8).and_then(|line| {
                serde_json::from_str(line)
                    .map_err(|error| format!("it is not an example in JSON ({error})"))
            }),
        };
        parsed.map(Some).map_err(|reason| self.bad(reason))
    }

    fn bad(&self, reason: impl Into<String>) -> crate::error::Error {
        self.blame.record(self.number, self.lines.number, reason)
    }

    fn next_example(&mut self) -> Result<Option<NewExample>> {
        let record = match self.first.take() {
            Some(record) => record,
            None => match self.record()? {
                Some(record) => record,
                None => return Ok(None),
            },
        };
        self.example(record).map(Some).map_err(|reason| self.bad(reason))
    }

    fn example(&self, record: Record) -> std::result::Result<NewExample, String> {
        if record.encoder.is_some() && record.encoder != self.encoder {
            return Err("its embedding is of another encoder than that of the first line".into());
        }
        let embedding = record.embedding.ok_or(
            "it has no `embedding`: `offshoot examples --embeddings` writes them, and `offshoot \
             teach --from` embeds texts anew",
        )?;
        if embedding.len() != self.dimensions {
            return Err(format!(
                "its embedding has {} numbers, and {} are wanted",
                embedding.len(),
                self.dimensions
            ));
        }
        let narrow = |number: f64| {
            let value = number as f32;
            let told = || format!("its embedding holds {number}, which no 32-bit float is");
            if value.is_finite() { Ok(value) } else { Err(told()) }
        };
        let embedding =
            embedding.into_iter().map(narrow).collect::<std::result::Result<Vec<f32>, _>>()?;
        let mut example = NewExample::unlabelled(embedding);
        example.label = record.label.filter(|label| !label.is_empty());
        (example.source, example.text) = (record.source, record.text);
        example.weight = record.weight.unwrap_or(example.weight);
        if let Some(text) = record.time {
            example.time = time(&text)?;
        }
        Ok(example)
    }
}

/// A time as RFC 3339 writes it, to the millisecond.
fn time(text: &str) -> std::result::Result<SystemTime, String> {
    let told =
        || format!("its time {text:?} is not one as 2026-05-01T09:30:00Z, from 1678 to 2261");
    let nanoseconds = string_to_timestamp_nanos(text).map_err(|_| told())?;
    let milliseconds = nanoseconds.div_euclid(1_000_000);
    let span = Duration::from_millis(milliseconds.unsigned_abs());
    let time = match milliseconds < 0 {
        true => UNIX_EPOCH.checked_sub(span),
        false => UNIX_EPOCH.checked_add(span),
    };
    time.ok_or_else(told)
}

impl Iterator for Rows {
    type Item = Result<NewExample>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.next_example().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    struct Written {
        folder: tempfile::TempDir,
    }

    impl Written {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn file(&self, lines: &str) -> PathBuf {
            let path = self.folder.path().join("a.jsonl");
            std::fs::write(&path, lines).unwrap();
            path
        }

        /// The examples, or the first message.
        fn read(&self, lines: &str) -> std::result::Result<Vec<NewExample>, String> {
            Rows::open(&self.file(lines), Some(2))
                .and_then(Iterator::collect)
                .map_err(|error| error.to_string())
        }
    }

    #[test]
    fn every_32_bit_number_survives_its_decimal() {
        // Bits spread over all numbers, by a Weyl sequence.
        let mut bits = 0u32;
        for _ in 0..200_000 {
            bits = bits.wrapping_add(0x9e37_79b9);
            let value = f32::from_bits(bits);
            if !value.is_finite() {
                continue;
            }
            let json = serde_json::to_string(&decimal(value)).unwrap();
            let read: f64 = serde_json::from_str(&json).unwrap();
            assert_eq!((read as f32).to_bits(), bits, "{json}");
        }
        for value in [0.0, -0.0, f32::MIN_POSITIVE, f32::from_bits(1), f32::MAX, f32::EPSILON] {
            let json = serde_json::to_string(&decimal(value)).unwrap();
            let read: f64 = serde_json::from_str(&json).unwrap();
            assert_eq!((read as f32).to_bits(), value.to_bits(), "{json}");
        }
        assert_eq!(serde_json::to_string(&decimal(0.1)).unwrap(), "0.1");
    }

    #[test]
    fn what_is_missing_is_as_of_a_new_example() {
        let written = Written::new();
        let examples = written
            .read("\n{\"embedding\": [1, -2.5], \"more\": [{}]}\r\n{\"embedding\":[0,1],\"label\":\"\"}\n")
            .unwrap();
        assert_eq!(examples[0].embedding, [1.0, -2.5]);
        assert_eq!((examples.len(), examples[0].weight), (2, 1.0));
        assert!(examples.iter().all(|e| e.label.is_none() && e.text.is_none()));
    }

    #[test]
    fn lines_that_are_no_examples_are_named() {
        let written = Written::new();
        let good = "{\"embedding\": [1, 2]}\n";
        for (line, part) in [
            ("{\"embedding\": [1, 2, 3]}", "has 3 numbers, and 2 are wanted"),
            ("{\"embedding\": [1, 1e39]}", "which no 32-bit float is"),
            ("{\"embedding\": [1, NaN]}", "not an example in JSON"),
            ("{\"embedding\": [1, null]}", "not an example in JSON"),
            ("{\"embedding\": [1, 1e999]}", "not an example in JSON"),
            ("{\"text\": \"a\"}", "has no `embedding`"),
            ("[1, 2]", "not an example in JSON"),
            ("{\"embedding\": [1, 2], \"label\": 3}", "not an example in JSON"),
            ("{\"embedding\": [1, 2], \"time\": \"yesterday\"}", "is not one as 2026"),
            (
                "{\"embedding\": [1, 2], \"encoder\": {\"digest\": \"x\", \"name\": \"y\", \
                 \"dimensions\": 2, \"prompt\": null}}",
                "of another encoder",
            ),
        ] {
            let told = written.read(&format!("{good}{line}\n{good}")).unwrap_err();
            assert!(told.contains(part) && told.contains("line 2"), "{line}: {told}");
        }
        let nothing = Rows::open(&written.file(good), None).map(drop).unwrap_err();
        assert!(nothing.to_string().contains("whose embeddings"), "{nothing}");
        assert!(written.read("").unwrap_err().contains("empty"));
        assert!(written.read("\n").unwrap().is_empty());
    }

    #[test]
    fn times_are_read_to_the_millisecond() {
        let at = |milliseconds: u64| UNIX_EPOCH + Duration::from_millis(milliseconds);
        assert_eq!(time("2026-01-01T00:00:00Z").unwrap(), at(1_767_225_600_000));
        assert_eq!(time("2026-01-01T01:30:00.125+01:30").unwrap(), at(1_767_225_600_125));
        assert_eq!(
            time("1969-12-31T23:59:59.999Z").unwrap(),
            UNIX_EPOCH - Duration::from_millis(1)
        );
        assert!(time("2026-13-01T00:00:00Z").is_err() && time("9999-01-01T00:00:00Z").is_err());
    }
}
