//! Rows of an input, one by one and in parts that are embedded in one go.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offshoot::Image;
use offshoot::bundle::{Manifest, Modality};
use offshoot_models::data::{Dataset, Example};
use offshoot_models::tables;

use crate::failure::{Failure, Result};
use crate::progress::Unit;

/// Most rows that are embedded in one go. Enough to sort texts by length, few enough that an
/// interrupt is soon obeyed.
const CHUNK_ROWS: usize = 512;
/// The same in bytes of text: long texts are fewer.
const CHUNK_BYTES: usize = 1 << 17;
/// Samples of an image or a signal that count as a byte of text.
const SAMPLES_OF_A_BYTE: usize = 256;
/// Most bytes of an image's file.
const MAX_BYTES: u64 = 1 << 28;

/// One input.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Number of the row, from 1.
    pub(crate) number: u64,
    /// The label, where there is one.
    pub(crate) label: Option<String>,
    /// The text itself, or where the image or the signal lies: what people are shown and
    /// learners keep.
    pub(crate) shown: String,
    content: Content,
    /// As many bytes of text take about as long to embed.
    size: usize,
}

/// What a row holds. Images and signals are read when they are embedded, as all of them may be
/// more than the memory holds.
#[derive(Debug, Clone)]
enum Content {
    /// What is shown.
    Text,
    /// A file of one image.
    File(PathBuf),
    /// An example of a set, by its number.
    Stored(Arc<dyn Dataset>, usize),
}

impl Row {
    /// A text.
    pub(crate) fn text(number: u64, text: String, label: Option<String>) -> Self {
        Self { number, label, size: text.len(), shown: text, content: Content::Text }
    }

    /// Reads the example.
    pub(super) fn read(&self) -> Result<Example> {
        match &self.content {
            Content::Text => Ok(Example::Text(self.shown.clone())),
            Content::File(path) => Ok(Example::Image(read_image(path)?)),
            Content::Stored(set, index) => Ok(set.get(*index)?),
        }
    }

    /// How the row is called in messages.
    pub(crate) fn name(&self) -> String {
        match self.content {
            Content::Text => format!("row {}", self.number),
            _ => format!("row {} ({})", self.number, self.shown),
        }
    }
}

fn read_image(path: &Path) -> Result<Image> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::io("read", path, &error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::data(format!("{} is too large for an image", path.display())));
    }
    Image::decode(&bytes).map_err(|error| Failure::data(format!("{}: {error}", path.display())))
}

/// The rows of an input, in order.
#[derive(Debug)]
pub(crate) struct Rows {
    source: Source,
    modality: Modality,
    /// [`Row::size`] of an image or a signal.
    size: usize,
}

#[derive(Debug)]
enum Source {
    /// A table of texts.
    Texts(tables::Rows),
    /// A table of paths, relative ones from this folder.
    Paths(tables::Rows, PathBuf),
    /// One image, until it is taken.
    File(Option<PathBuf>),
    /// A set, and the number of its next example.
    Set(Arc<dyn Dataset>, usize),
}

impl Rows {
    pub(super) fn texts(rows: tables::Rows) -> Self {
        Self { source: Source::Texts(rows), modality: Modality::Text, size: 0 }
    }

    pub(super) fn paths(rows: tables::Rows, folder: PathBuf, reads: &Manifest) -> Self {
        Self::of(Source::Paths(rows, folder), reads)
    }

    pub(super) fn file(path: &Path, reads: &Manifest) -> Self {
        Self::of(Source::File(Some(path.to_owned())), reads)
    }

    pub(super) fn set(set: Arc<dyn Dataset>, reads: &Manifest) -> Self {
        Self::of(Source::Set(set, 0), reads)
    }

    fn of(source: Source, reads: &Manifest) -> Self {
        let image = reads.image.map(|image| image.height * image.width * image.channels);
        let signal = reads.signal.as_ref().map(|signal| signal.channels * signal.length);
        let samples = image.or(signal).unwrap_or(0);
        Self { source, modality: reads.modality, size: samples / SAMPLES_OF_A_BYTE }
    }

    /// What the position is counted in.
    pub(crate) fn unit(&self) -> Unit {
        match &self.source {
            Source::Texts(rows) | Source::Paths(rows, _) if rows.len_hint().is_some() => {
                Unit::Bytes
            }
            _ => Unit::Count(self.modality.plural()),
        }
    }

    /// The position at the end, where it is known.
    pub(crate) fn len_hint(&self) -> Option<u64> {
        match &self.source {
            Source::Texts(rows) | Source::Paths(rows, _) => rows.len_hint(),
            Source::File(_) => Some(1),
            Source::Set(set, _) => Some(set.len() as u64),
        }
    }

    /// How far the rows were read.
    pub(crate) fn position(&self) -> u64 {
        match &self.source {
            Source::Texts(rows) | Source::Paths(rows, _) => rows.position(),
            Source::File(path) => u64::from(path.is_none()),
            Source::Set(_, next) => *next as u64,
        }
    }

    /// SHA-256 of what identifies a set; `None` for other inputs.
    pub(crate) fn digest(&self) -> Option<&str> {
        match &self.source {
            Source::Set(set, _) => Some(set.digest()),
            _ => None,
        }
    }

    /// Passes over the next `n` rows and gives how many there were.
    pub(crate) fn skip_rows(&mut self, n: u64) -> Result<u64> {
        match &mut self.source {
            Source::Texts(rows) | Source::Paths(rows, _) => Ok(rows.skip_rows(n)?),
            Source::File(path) => Ok(match n {
                0 => 0,
                _ => u64::from(path.take().is_some()),
            }),
            Source::Set(set, next) => {
                let skipped = n.min(set.len().saturating_sub(*next) as u64);
                *next += skipped as usize;
                Ok(skipped)
            }
        }
    }

    fn row(&self, number: u64, label: Option<String>, shown: String, content: Content) -> Row {
        Row { number, label, shown, content, size: self.size }
    }
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.source {
            Source::Texts(rows) => {
                let row = rows.next()?;
                Some(row.map(|row| Row::text(row.number, row.text, row.label)).map_err(Into::into))
            }
            Source::Paths(rows, folder) => match rows.next()? {
                Ok(tables::Row { number, text, label }) => {
                    // A path that a command showed is from the folder that it was run in.
                    let beside = folder.join(&text);
                    let path = if beside.exists() { beside } else { PathBuf::from(&text) };
                    Some(Ok(self.row(number, label, text, Content::File(path))))
                }
                Err(error) => Some(Err(error.into())),
            },
            Source::File(path) => {
                let path = path.take()?;
                let shown = path.display().to_string();
                Some(Ok(self.row(1, None, shown, Content::File(path))))
            }
            Source::Set(set, next) => {
                let (set, index) = (set.clone(), *next);
                if index >= set.len() {
                    return None;
                }
                *next += 1;
                let label = set.label(index).map(str::to_owned);
                let shown = set.locate(index);
                Some(Ok(self.row(index as u64 + 1, label, shown, Content::Stored(set, index))))
            }
        }
    }
}

/// The next rows to embed in one go; empty at the end. Where rows are divided depends on
/// the rows alone, so that a resumed run forms the same batches.
///
/// # Errors
/// At the first broken row.
pub(crate) fn next_chunk(rows: &mut Rows) -> Result<Vec<Row>> {
    let mut chunk = Vec::new();
    let mut size = 0;
    while chunk.len() < CHUNK_ROWS && size < CHUNK_BYTES {
        let Some(row) = rows.next() else { break };
        let row = row?;
        size += row.size;
        chunk.push(row);
    }
    Ok(chunk)
}

/// The same division of rows that are in memory.
pub(crate) fn chunks(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let (mut count, mut size) = (0, 0);
        while count < rest.len() && count < CHUNK_ROWS && size < CHUNK_BYTES {
            size += rest[count].size;
            count += 1;
        }
        let (chunk, after) = rest.split_at(count);
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// What people are shown of rows.
pub(crate) fn shown(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.shown.as_str()).collect()
}

/// The label of a row that must have one.
///
/// # Errors
/// When it has none.
pub(crate) fn label(row: &Row) -> Result<&str> {
    row.label.as_deref().ok_or_else(|| {
        let advice = match row.content {
            Content::Stored(..) => {
                "in a folder of images, the folder below it that an image lies in is its label"
            }
            _ => "--label names the column",
        };
        Failure::data(format!(
            "{} has no label; give it one or leave the row out ({advice})",
            row.name()
        ))
    })
}

#[cfg(test)]
mod tests {
    use offshoot_models::tables::TableOptions;

    use super::*;

    fn rows(text: String) -> Rows {
        let source = tables::Source::Reader {
            reader: Box::new(std::io::Cursor::new(text)),
            name: "x".into(),
        };
        Rows::texts(tables::open(source, &TableOptions::default()).unwrap())
    }

    #[test]
    fn chunks_are_bounded_and_the_same_after_a_resume() {
        let text: String = (0..2000).map(|i| format!("text {i}\n")).collect();
        let mut all = rows(text.clone());
        let sizes: Vec<usize> = std::iter::repeat_with(|| next_chunk(&mut all).unwrap().len())
            .take_while(|&n| n > 0)
            .collect();
        assert_eq!(sizes, [512, 512, 512, 464]);
        let mut resumed = rows(text);
        resumed.skip_rows(1024).unwrap();
        let chunk = next_chunk(&mut resumed).unwrap();
        assert_eq!((chunk.len(), chunk[0].number), (512, 1025));

        let mut long = rows(format!("{}\n", "x".repeat(CHUNK_BYTES)).repeat(3));
        assert_eq!(next_chunk(&mut long).unwrap().len(), 1);
    }
}
