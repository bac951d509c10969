//! Inputs from the command line: texts of a table, images of a folder, windows of signals.

mod embed;
mod rows;

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offshoot::bundle::{Manifest, Modality};
use offshoot_models::data::{self, DataOptions, Dataset, Kind};
use offshoot_models::tables::{self, Format, Source, TableOptions};

pub(crate) use self::embed::{Embedder, comparable};
pub(crate) use self::rows::{Row, Rows, chunks, label, next_chunk, shown};
use crate::failure::{Failure, Result};
use crate::progress;

/// How the input is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum InputFormat {
    /// One text, or the path of one image, a line
    Lines,
    /// Comma-separated values with a header
    Csv,
    /// Tab-separated values with a header
    Tsv,
    /// One JSON object a line
    Jsonl,
    /// Apache Parquet
    Parquet,
    /// Sequences, each with a header
    Fasta,
}

impl From<InputFormat> for Format {
    fn from(format: InputFormat) -> Self {
        match format {
            InputFormat::Lines => Self::Text,
            InputFormat::Csv => Self::Csv,
            InputFormat::Tsv => Self::Tsv,
            InputFormat::Jsonl => Self::Jsonl,
            InputFormat::Parquet => Self::Parquet,
            InputFormat::Fasta => Self::Fasta,
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
    /// only one there is], or the path of the image [default: also `image`, `path` or `file`];
    /// of a recording in CSV the columns of its channels, with commas between them [default:
    /// all numbers]
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// Samples of a window into which one long recording is cut: rows of CSV, or .npy of
    /// [channels, samples] [default for CSV: as many as the encoder reads]
    #[arg(long, value_name = "SAMPLES")]
    window: Option<NonZeroUsize>,
    /// Samples from the start of one window to that of the next [default: a whole window]
    #[arg(long, value_name = "SAMPLES")]
    stride: Option<NonZeroUsize>,
}

/// Where labels are.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How the input is read")]
pub(crate) struct LabelArgs {
    /// Column or key that holds the label [default: `label`, `class` or `category`; in a folder
    /// of images, the folder that an image lies in]; of FASTA a key of the header, such as OS
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// What stands between several labels of a row.
    #[arg(skip)]
    separator: Option<String>,
}

impl LabelArgs {
    /// The labels, or what stands in their place, are in this column.
    pub(crate) fn of(column: &str) -> Self {
        Self { label: Some(column.into()), separator: None }
    }

    /// The same where a row may have several labels.
    pub(crate) fn separated_by(self, separator: Option<String>) -> Self {
        Self { separator, ..self }
    }
}

/// Columns that hold the paths of images, besides those that hold texts.
const PATHS: [&str; 3] = ["image", "path", "file"];

/// Endings of the names of single images.
const IMAGES: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];

impl InputArgs {
    /// Opens the input of the encoder that `reads` describes; `None` and `-` are standard
    /// input.
    pub(crate) fn open(
        &self,
        reads: &Manifest,
        input: Option<&Path>,
        label: Option<&LabelArgs>,
    ) -> Result<Rows> {
        match reads.modality {
            Modality::Image => self.images(reads, input, label),
            Modality::Signal => self.signals(reads, input, label),
            _ => self.texts(input, label),
        }
    }

    /// Opens a table of texts.
    pub(crate) fn texts(&self, input: Option<&Path>, label: Option<&LabelArgs>) -> Result<Rows> {
        Ok(Rows::texts(self.table(input, label, self.text.clone(), "texts")?))
    }

    /// Opens an image, a folder of them, a set in one file, or a table of their paths.
    fn images(
        &self,
        reads: &Manifest,
        input: Option<&Path>,
        label: Option<&LabelArgs>,
    ) -> Result<Rows> {
        let path = file(input);
        if self.format.is_none()
            && let Some(path) = path
        {
            if ending(path).is_some_and(|ending| IMAGES.contains(&ending.as_str())) {
                return Ok(Rows::file(path, reads));
            }
            let listed = matches!(
                Format::from_path(path),
                Some(Format::Text | Format::Csv | Format::Tsv | Format::Jsonl)
            );
            if path.is_dir() || !listed {
                let options = self.options(Kind::Image, label);
                return Ok(Rows::set(open_set(path, &options)?, reads));
            }
        }
        // Relative paths are meant from where the table lies.
        let folder = path.and_then(Path::parent).map_or_else(PathBuf::new, Path::to_owned);
        let column = match &self.text {
            Some(column) => Some(column.clone()),
            None => path.and_then(|path| self.path_column(path)),
        };
        let table = self.table(input, label, column, "paths of images")?;
        Ok(Rows::paths(table, folder, reads))
    }

    /// The first of the usual columns of paths that a table has.
    fn path_column(&self, path: &Path) -> Option<String> {
        let has = |column: &&&str| {
            let options = TableOptions {
                format: self.format.map(Format::from),
                text: Some((**column).into()),
                ..TableOptions::default()
            };
            // Of JSONL the columns are known at the first row only.
            tables::open(path, &options).is_ok_and(|mut rows| matches!(rows.next(), Some(Ok(_))))
        };
        PATHS.iter().find(has).map(|&column| column.to_owned())
    }

    /// Opens windows of signals.
    fn signals(
        &self,
        reads: &Manifest,
        input: Option<&Path>,
        label: Option<&LabelArgs>,
    ) -> Result<Rows> {
        let Some(path) = file(input) else {
            return Err(Failure::usage(
                "this encoder reads signals, which are read from a file (.ts, .npy, .csv …) or a \
                 folder and not from standard input",
            ));
        };
        let mut options = self.options(Kind::Signal, label);
        options.window = self.window.map(NonZeroUsize::get);
        options.stride = self.stride.map(NonZeroUsize::get);
        if options.window.is_none() && is_recording(path) {
            options.window = reads.signal.as_ref().map(|signal| signal.length);
        }
        Ok(Rows::set(open_set(path, &options)?, reads))
    }

    /// How a set of one kind is read.
    fn options(&self, kind: Kind, label: Option<&LabelArgs>) -> DataOptions {
        DataOptions {
            kind: Some(kind),
            column: self.text.clone(),
            label: label.and_then(|label| label.label.clone()),
            ..DataOptions::default()
        }
    }

    fn table(
        &self,
        input: Option<&Path>,
        label: Option<&LabelArgs>,
        column: Option<String>,
        what: &str,
    ) -> Result<tables::Rows> {
        let options = TableOptions {
            format: self.format.map(Format::from),
            text: column,
            label: label.and_then(|label| label.label.clone()),
            label_separator: label.and_then(|label| label.separator.clone()),
        };
        let source = match file(input) {
            Some(path) => Source::Path(path.to_owned()),
            None => {
                if std::io::stdin().is_terminal() {
                    progress::say(&format!(
                        "reading {what} from the terminal, one a line; Ctrl-D ends them"
                    ));
                }
                Source::Stdin
            }
        };
        Ok(tables::open(source, &options)?)
    }
}

/// Opens a set, and says what of it could not be read.
fn open_set(path: &Path, options: &DataOptions) -> Result<Arc<dyn Dataset>> {
    let set = data::open(path, options)?;
    let left_out = set.left_out();
    if left_out.count > 0 {
        progress::say(&format!(
            "note: {} of the records of {} cannot be read and are left out: {}",
            progress::grouped(left_out.count as u64),
            path.display(),
            left_out.named.join("; ")
        ));
    }
    Ok(Arc::from(set))
}

/// Whether a file holds one recording, a row a time step, compressed or not.
fn is_recording(path: &Path) -> bool {
    let compressed = matches!(ending(path).as_deref(), Some("gz" | "bz2"));
    let plain = path.with_extension("");
    let path = if compressed { &plain } else { path };
    matches!(Format::from_path(path), Some(Format::Csv | Format::Tsv))
}

/// The input's file; `None` when it is standard input.
pub(crate) fn file(input: Option<&Path>) -> Option<&Path> {
    input.filter(|path| path.as_os_str() != "-")
}

/// The ending of a file's name, in lower case.
fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}
