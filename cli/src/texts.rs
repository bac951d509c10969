//! Texts from a table on the command line: lines, CSV, TSV, JSONL or Parquet, from a
//! file or from standard input.

use std::io::IsTerminal;
use std::path::Path;

use offshoot::{EmbedOptions, Encoder};
use offshoot_models::tables::{self, Format, Row, Rows, Source, TableOptions};

use crate::failure::{Failure, Result};
use crate::progress;

/// Most texts that are embedded in one go. Enough to sort by length, few enough that an
/// interrupt is soon obeyed.
const CHUNK_ROWS: usize = 512;
/// The same in bytes of text: long texts are fewer.
const CHUNK_BYTES: usize = 1 << 17;

/// How the input is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum InputFormat {
    /// One text a line
    Lines,
    /// Comma-separated values with a header
    Csv,
    /// Tab-separated values with a header
    Tsv,
    /// One JSON object a line
    Jsonl,
    /// Apache Parquet
    Parquet,
}

impl From<InputFormat> for Format {
    fn from(format: InputFormat) -> Self {
        match format {
            InputFormat::Lines => Self::Text,
            InputFormat::Csv => Self::Csv,
            InputFormat::Tsv => Self::Tsv,
            InputFormat::Jsonl => Self::Jsonl,
            InputFormat::Parquet => Self::Parquet,
        }
    }
}

/// How the input is read.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How the input is read")]
pub(crate) struct InputArgs {
    /// Format of the input [default: by the file's ending; standard input: lines]
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<InputFormat>,
    /// Column or key that holds the text [default: `text`, `sentence` or `content`, or the
    /// only one there is]
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
}

/// Where labels are.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How the input is read")]
pub(crate) struct LabelArgs {
    /// Column or key that holds the label [default: `label`, `class` or `category`]
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
}

impl LabelArgs {
    /// The labels, or what stands in their place, are in this column.
    pub(crate) fn of(column: &str) -> Self {
        Self { label: Some(column.into()) }
    }
}

impl InputArgs {
    /// Opens the input; `None` and `-` are standard input.
    pub(crate) fn open(&self, input: Option<&Path>, label: Option<&LabelArgs>) -> Result<Rows> {
        let options = TableOptions {
            format: self.format.map(Format::from),
            text: self.text.clone(),
            label: label.and_then(|label| label.label.clone()),
        };
        let source = match file(input) {
            Some(path) => Source::Path(path.to_owned()),
            None => {
                if std::io::stdin().is_terminal() {
                    progress::say("reading texts from the terminal, one a line; Ctrl-D ends them");
                }
                Source::Stdin
            }
        };
        Ok(tables::open(source, &options)?)
    }
}

/// The input's file; `None` when it is standard input.
pub(crate) fn file(input: Option<&Path>) -> Option<&Path> {
    input.filter(|path| path.as_os_str() != "-")
}

/// The next rows to embed in one go; empty at the end. Where rows are divided depends on
/// the rows alone, so that a resumed run forms the same batches.
///
/// # Errors
/// At the first broken row.
pub(crate) fn next_chunk(rows: &mut Rows) -> Result<Vec<Row>> {
    let mut chunk = Vec::new();
    let mut bytes = 0;
    while chunk.len() < CHUNK_ROWS && bytes < CHUNK_BYTES {
        let Some(row) = rows.next() else { break };
        let row = row?;
        bytes += row.text.len();
        chunk.push(row);
    }
    Ok(chunk)
}

/// The same division of rows that are in memory.
pub(crate) fn chunks(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let (mut count, mut bytes) = (0, 0);
        while count < rest.len() && count < CHUNK_ROWS && bytes < CHUNK_BYTES {
            bytes += rest[count].text.len();
            count += 1;
        }
        let (chunk, after) = rest.split_at(count);
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// The texts of rows, for the encoder.
pub(crate) fn texts(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.text.as_str()).collect()
}

/// Embeds a chunk; an error about one text names its row in the table.
pub(crate) fn embed(
    encoder: &Encoder,
    chunk: &[Row],
    options: &EmbedOptions,
) -> Result<offshoot::Embeddings> {
    encoder.embed_with(&texts(chunk), options).map_err(|error| match error {
        offshoot::Error::TooLong { row, tokens, max_tokens } => {
            let number = chunk.get(row).map_or(0, |row| row.number);
            Failure::data(format!(
                "the text of row {number} has {tokens} tokens and the encoder reads {max_tokens}; \
                 shorten it, or let --truncate be cut"
            ))
        }
        other => other.into(),
    })
}

/// The label of a row that must have one.
///
/// # Errors
/// When it has none.
pub(crate) fn label(row: &Row) -> Result<&str> {
    row.label.as_deref().ok_or_else(|| {
        Failure::data(format!(
            "row {} has no label; give it one or leave the row out (--label names the column)",
            row.number
        ))
    })
}

/// Says how many texts were cut, if any.
pub(crate) fn note_cut(encoder: &Encoder, cut: usize) {
    if cut > 0 {
        progress::say(&format!(
            "note: {cut} {} longer than {} tokens and cut there",
            if cut == 1 { "text was" } else { "texts were" },
            encoder.max_tokens()
        ));
    }
}

/// A path as the person may paste it into a shell.
pub(crate) fn shell_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: String) -> Rows {
        let source =
            Source::Reader { reader: Box::new(std::io::Cursor::new(text)), name: "x".into() };
        tables::open(source, &TableOptions::default()).unwrap()
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

    #[test]
    fn paths_survive_a_shell() {
        assert_eq!(shell_path(Path::new("/tmp/a-b.csv")), "/tmp/a-b.csv");
        assert_eq!(shell_path(Path::new("my file's.csv")), r"'my file'\''s.csv'");
    }
}
