//! Results of one line a row, to a file or to standard output.

use std::io::Write;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::files::NewFile;
use crate::interrupt::Ending;
use crate::output;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RowFormat {
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a line
    Jsonl,
}

impl RowFormat {
    /// The format that was asked for, else the one of the file's name, else CSV.
    pub(crate) fn choose(asked: Option<Self>, path: Option<&Path>) -> Result<Self> {
        let known = |ending: &str| match ending {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        };
        choose(asked, path, Self::Csv, known, "csv or --output-format jsonl")
    }
}

/// The format that was asked for, else the one that `known` has for the ending of the file's name,
/// else the `usual` one for standard output.
///
/// # Errors
/// A usage error with `names`, what `--output-format` takes, for a name of another ending.
pub(crate) fn choose<F>(
    asked: Option<F>,
    path: Option<&Path>,
    usual: F,
    known: impl Fn(&str) -> Option<F>,
    names: &str,
) -> Result<F> {
    let path = match (asked, path) {
        (Some(format), _) => return Ok(format),
        (None, None) => return Ok(usual),
        (None, Some(path)) => path,
    };
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    ending.as_deref().and_then(known).ok_or_else(|| {
        Failure::usage(format!(
            "the format to write {} in is not known from its name; add --output-format {names}",
            path.display()
        ))
    })
}

/// Where rows go.
pub(crate) enum Sink {
    File(NewFile),
    Stdout(std::io::BufWriter<std::io::StdoutLock<'static>>),
}

impl Sink {
    /// A new file, or standard output.
    pub(crate) fn open(output: Option<&Path>) -> Result<Self> {
        Ok(match output {
            Some(path) => Self::File(NewFile::create(path)?),
            None => Self::Stdout(output::buffered()),
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result {
        match self {
            Self::File(file) => file.write_all(bytes).map_err(|error| file.failed(&error)),
            Self::Stdout(out) => out
                .write_all(bytes)
                .and_then(|()| out.flush())
                .map_err(|error| Failure::stdout(&error)),
        }
    }

    /// What a signal does while the next rows are awaited.
    pub(crate) fn ending(&self, message: &str) -> Ending {
        let remove = match self {
            Self::File(file) => Some(file.temporary()),
            Self::Stdout(_) => None,
        };
        Ending { message: message.into(), remove }
    }

    /// Gives a file its name.
    pub(crate) fn finish(self) -> Result {
        match self {
            Self::File(file) => file.finish(),
            Self::Stdout(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_the_name_unless_it_is_asked_for() {
        let choose = |asked, name: &str| RowFormat::choose(asked, Some(Path::new(name)));
        assert_eq!(RowFormat::choose(None, None).unwrap(), RowFormat::Csv);
        assert_eq!(choose(None, "x.JSONL").unwrap(), RowFormat::Jsonl);
        assert_eq!(choose(Some(RowFormat::Csv), "x.parquet").unwrap(), RowFormat::Csv);
        assert!(choose(None, "x.parquet").is_err());
    }
}
