//! Writing embeddings to `.npy`, JSONL or Parquet, so that an interruption at any moment
//! loses nothing that a checkpoint reported.
//!
//! Rows go to `OUTPUT.part` (a folder of numbered files for Parquet). A checkpoint makes them
//! durable and records their number in `OUTPUT.part.json`, together with what identifies the
//! work. A resumed run cuts off whatever came after the last checkpoint and goes on there.
//! Only a complete file ever bears the name `OUTPUT`.

mod block;
mod jsonl;
mod npy;
mod parquet;
mod sidecar;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

pub use block::{Block, Element};
pub use sidecar::Job;

use crate::error::{Error, Result};
use crate::lock::FileLock;
use crate::packages::sync_folder;
use sidecar::{Progress, Sidecar};

/// The format of an embedding file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// NumPy's format 1.0: `[rows, columns]`, little-endian, rows contiguous.
    Npy,
    /// One object a line: `{"text": "…", "embedding": [0.1, …]}`, the text where it is asked
    /// for.
    Jsonl,
    /// Columns `id` (int64, row from 0), `text` where it is asked for, and `embedding` (a
    /// fixed-size list).
    Parquet,
}

impl OutputFormat {
    /// The format that a file's extension names: `npy`; `jsonl`, `ndjson`; `parquet`, `pq`.
    pub fn from_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "npy" => Self::Npy,
            "jsonl" | "ndjson" => Self::Jsonl,
            "parquet" | "pq" => Self::Parquet,
            _ => return None,
        })
    }
}

/// What an embedding file holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Layout {
    /// The format.
    pub format: OutputFormat,
    /// Type of the values.
    pub element: Element,
    /// Values a row; for [`Element::Bits`] bytes.
    pub columns: usize,
    /// Whether each row carries its text. Not possible in `.npy`.
    pub with_text: bool,
}

impl Layout {
    fn row_bytes(&self) -> Result<usize> {
        let bytes = self.columns.checked_mul(self.element.size()).filter(|&bytes| bytes > 0);
        bytes.ok_or_else(|| {
            Error::Argument(format!("rows of {} values cannot be written", self.columns))
        })
    }

    fn check(&self, block: &Block<'_>, texts: Option<&[&str]>) -> Result<()> {
        if block.element() != self.element || block.columns() != self.columns {
            return Err(Error::Argument(format!(
                "the file takes rows of {} {}, the block has {} {}",
                self.columns,
                self.element.name(),
                block.columns(),
                block.element().name()
            )));
        }
        match (self.with_text, texts) {
            (true, Some(texts)) if texts.len() == block.rows() => Ok(()),
            (false, _) => Ok(()),
            (true, texts) => Err(Error::Argument(format!(
                "{} rows need as many texts, there are {}",
                block.rows(),
                texts.map_or(0, <[_]>::len)
            ))),
        }
    }
}

/// What writes rows of one format.
trait Sink: Send {
    /// Adds rows; their number before is `first`.
    fn append(&mut self, first: u64, block: &Block<'_>, texts: Option<&[&str]>) -> Result<()>;

    /// Makes all rows durable, and gives the length to cut to when resuming: bytes, or the
    /// number of part files.
    fn checkpoint(&mut self) -> Result<u64>;

    /// Turns the work into a complete file, synced, at the path that is given back.
    fn complete(&mut self, rows: u64) -> Result<PathBuf>;
}

/// How [`open`] found the output.
#[derive(Debug)]
pub enum Opened {
    /// Rows are to be appended from [`EmbeddingWriter::rows`] on.
    Writer(EmbeddingWriter),
    /// An earlier run wrote every one of these rows and was interrupted just before its end;
    /// the output is in place.
    Complete(u64),
}

/// Appends rows of embeddings to a file.
pub struct EmbeddingWriter {
    output: PathBuf,
    layout: Layout,
    job: Job,
    rows: u64,
    durable: u64,
    sink: Box<dyn Sink>,
    /// Held as long as this writer, so that two runs cannot share a work file.
    _lock: FileLock,
}

impl std::fmt::Debug for EmbeddingWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddingWriter")
            .field("output", &self.output)
            .field("layout", &self.layout)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// `OUTPUT.part`.
fn part_path(output: &Path) -> PathBuf {
    with_suffix(output, ".part")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Durable rows of an interrupted run on this output, if there are any.
///
/// # Errors
/// [`Error::Output`] when its record cannot be read.
pub fn pending(output: &Path) -> Result<Option<u64>> {
    Ok(Sidecar::read(output)?.map(|sidecar| sidecar.progress.rows))
}

/// Opens the work file of an output: anew, or with `resume` after the last durable row of an
/// interrupted run, where there is one.
///
/// # Errors
/// [`Error::Argument`] for a layout that cannot be written, [`Error::Output`] when another
/// process is writing it, when the interrupted run was of another job or layout (the message
/// says which part differs), or when its files are damaged; [`Error::Io`].
pub fn open(output: &Path, layout: Layout, job: Job, resume: bool) -> Result<Opened> {
    layout.row_bytes()?;
    if layout.with_text && layout.format == OutputFormat::Npy {
        return Err(Error::Argument(
            "a .npy file cannot hold texts; write JSONL or Parquet".into(),
        ));
    }
    if output.is_dir() {
        return Err(Error::Output { path: output.into(), reason: "it is a folder".into() });
    }
    let lock = lock(output)?;
    let mut progress = Progress::default();
    if resume && let Some(sidecar) = Sidecar::read(output)? {
        sidecar.check(output, &layout, &job)?;
        progress = sidecar.progress;
        if progress.complete {
            put_in_place(output, &layout, progress.length)?;
            return Ok(Opened::Complete(progress.rows));
        }
    }
    if progress.rows == 0 {
        progress = Progress::default();
        Sidecar::remove(output)?;
        remove_part(&part_path(output))?;
    }
    let part = part_path(output);
    let sink: Box<dyn Sink> = match layout.format {
        OutputFormat::Npy => Box::new(npy::NpySink::open(part, &layout, &progress)?),
        OutputFormat::Jsonl => Box::new(jsonl::JsonlSink::open(part, &layout, &progress)?),
        OutputFormat::Parquet => Box::new(parquet::ParquetSink::open(part, &layout, &progress)?),
    };
    let rows = progress.rows;
    let output = output.to_path_buf();
    let writer = EmbeddingWriter { output, layout, job, rows, durable: rows, sink, _lock: lock };
    Ok(Opened::Writer(writer))
}

fn lock(output: &Path) -> Result<FileLock> {
    let lock = FileLock::acquire(&with_suffix(output, ".part.lock"), || false)?;
    lock.ok_or_else(|| Error::Output {
        path: output.into(),
        reason: "another process is writing it; wait for it, or give another output".into(),
    })
}

impl EmbeddingWriter {
    /// Rows written so far, those of the interrupted run included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that a checkpoint made durable.
    pub fn durable_rows(&self) -> u64 {
        self.durable
    }

    /// Adds the rows of a block, `[rows, columns]`, with their texts where the layout has
    /// them.
    ///
    /// # Errors
    /// [`Error::Argument`] when they do not fit the layout; [`Error::Io`],
    /// [`Error::DiskFull`], after which the last checkpoint can be resumed.
    pub fn append(&mut self, block: &Block<'_>, texts: Option<&[&str]>) -> Result<()> {
        self.layout.check(block, texts)?;
        let texts = texts.filter(|_| self.layout.with_text);
        self.sink.append(self.rows, block, texts)?;
        self.rows += block.rows() as u64;
        Ok(())
    }

    /// Makes every row so far durable and gives their number.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DiskFull`]; then the checkpoint before still holds.
    pub fn checkpoint(&mut self) -> Result<u64> {
        let length = self.sink.checkpoint()?;
        self.record(Progress { rows: self.rows, length, complete: false })?;
        self.durable = self.rows;
        Ok(self.durable)
    }

    /// Completes the file under its own name and gives the number of rows.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DiskFull`]; then the run can be resumed.
    pub fn finish(mut self) -> Result<u64> {
        self.checkpoint()?;
        let complete = self.sink.complete(self.rows)?;
        let length = fs::metadata(&complete).map_err(|e| Error::io("read", &complete, e))?.len();
        self.record(Progress { rows: self.rows, length, complete: true })?;
        // Windows renames no file that is open.
        drop(std::mem::replace(&mut self.sink, Box::new(Closed)));
        put_in_place(&self.output, &self.layout, length)?;
        Ok(self.rows)
    }

    fn record(&self, progress: Progress) -> Result<()> {
        let sidecar =
            Sidecar { layout: self.layout.clone(), job: self.job.clone(), progress, version: 1 };
        sidecar.write(&self.output)
    }
}

/// The sink of a writer that is done.
struct Closed;

impl Sink for Closed {
    fn append(&mut self, _: u64, _: &Block<'_>, _: Option<&[&str]>) -> Result<()> {
        Err(Error::Argument("the file is complete".into()))
    }

    fn checkpoint(&mut self) -> Result<u64> {
        Err(Error::Argument("the file is complete".into()))
    }

    fn complete(&mut self, _: u64) -> Result<PathBuf> {
        Err(Error::Argument("the file is complete".into()))
    }
}

/// The last steps, each of which may have been done by an interrupted run already: the
/// complete work file gets its name, then what was beside it goes.
fn put_in_place(output: &Path, layout: &Layout, length: u64) -> Result<()> {
    let part = part_path(output);
    let complete = match layout.format {
        OutputFormat::Parquet => parquet::merged_path(&part),
        OutputFormat::Npy | OutputFormat::Jsonl => part.clone(),
    };
    if fs::exists(&complete).map_err(|e| Error::io("read", &complete, e))? {
        fs::rename(&complete, output).map_err(|e| Error::io("rename", output, e))?;
        sync_folder(parent(output))?;
    } else if !fs::metadata(output).is_ok_and(|m| m.is_file() && m.len() == length) {
        return Err(Error::Output {
            path: output.into(),
            reason: "an interrupted run had completed it, and it is gone or was changed; start without resuming"
                .into(),
        });
    }
    remove_part(&part)?;
    Sidecar::remove(output)?;
    // The lock file goes last. Who finds it gone makes another.
    let _ = fs::remove_file(with_suffix(output, ".part.lock"));
    Ok(())
}

/// The folder that a file is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn remove_part(part: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(part) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(part),
        Ok(_) => fs::remove_file(part),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", part, e)),
        _ => Ok(()),
    }
}
