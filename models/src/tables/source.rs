//! Where a table comes from, opened for counting and checked for what it cannot be.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::{Blame, Format};
use crate::data::compressed::Compression;
use crate::error::{Error, Result};
use crate::packages::hex;

const BUFFER: usize = 1 << 16;

/// Where a table is read from.
pub enum Source {
    /// A file.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// Anything that can be read, with a name for messages.
    Reader {
        /// The bytes.
        reader: Box<dyn Read + Send>,
        /// Shown in messages.
        name: String,
    },
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::Path(path.into())
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

/// Bytes read so far, shared with the reader that counts them.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counting<R> {
    inner: R,
    counter: Counter,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.counter.0.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The bytes of an opened source, past a byte order mark.
pub(crate) type Input = Box<dyn BufRead + Send>;

/// An opened source that is not empty.
pub(crate) struct Opened {
    pub(crate) input: Input,
    pub(super) counter: Counter,
    pub(super) len: Option<u64>,
    pub(crate) blame: Blame,
    /// The file itself, for formats that need to seek.
    pub(super) path: Option<PathBuf>,
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Stdin => "standard input".into(),
            Self::Reader { name, .. } => name.clone(),
        }
    }

    /// The given format, or the one that the source itself tells.
    pub(super) fn format(&self, given: Option<Format>) -> Result<Format> {
        match (given, self) {
            (Some(format), _) => Ok(format),
            (None, Self::Path(path)) => Format::from_path(path).ok_or_else(|| {
                Error::Argument(format!(
                    "the format of {} is not known from its name; give it: text, csv, tsv, jsonl, \
                     parquet or fasta",
                    path.display()
                ))
            }),
            (None, _) => Ok(Format::Text),
        }
    }

    /// # Errors
    /// [`Error::Io`], or [`Error::Table`] for an empty source or one that is visibly of
    /// another format.
    pub(crate) fn open(self, format: Format) -> Result<Opened> {
        let blame = Blame { source_name: self.name(), format };
        let (mut path, mut len) = (None, None);
        let inner: Box<dyn Read + Send> = match self {
            Self::Path(file_path) => {
                let file = File::open(&file_path).map_err(|e| Error::io("open", &file_path, e))?;
                let meta = file.metadata().map_err(|e| Error::io("open", &file_path, e))?;
                if meta.is_dir() {
                    return Err(blame.table("it is a folder; give a file"));
                }
                // A pipe or a device has a size that says nothing, and cannot be sought.
                if meta.is_file() {
                    len = Some(meta.len());
                    path = Some(file_path);
                }
                Box::new(file)
            }
            Self::Stdin => Box::new(std::io::stdin()),
            Self::Reader { reader, .. } => reader,
        };
        let counter = Counter::default();
        let counting: Box<dyn Read + Send> = Box::new(Counting { inner, counter: counter.clone() });
        let mut input = Peeked::new(counting).map_err(|e| blame.read(e))?;
        if format != Format::Parquet
            && let Some(compression) = Compression::of(input.head())
        {
            input = Peeked::new(compression.undo(input)).map_err(|e| blame.read(e))?;
        }
        input.check(&blame)?;
        let input = Box::new(BufReader::with_capacity(BUFFER, input));
        Ok(Opened { input, counter, len, blame, path })
    }
}

/// A reader whose first bytes were looked at.
struct Peeked<R> {
    head: [u8; 4],
    at: usize,
    len: usize,
    inner: R,
}

impl<R: Read> Peeked<R> {
    fn new(mut inner: R) -> std::io::Result<Self> {
        let mut head = [0; 4];
        let mut len = 0;
        while len < head.len() {
            match inner.read(&mut head[len..]) {
                Ok(0) => break,
                Ok(n) => len += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Self { head, at: 0, len, inner })
    }

    fn head(&self) -> &[u8] {
        &self.head[..self.len]
    }

    /// Refuses what cannot be read as the format, and passes over a UTF-8 byte order mark.
    fn check(&mut self, blame: &Blame) -> Result<()> {
        let head = self.head();
        if head.is_empty() {
            return Err(blame.table("it is empty"));
        }
        let parquet = head.starts_with(b"PAR1");
        if blame.format == Format::Parquet {
            return if parquet {
                Ok(())
            } else {
                Err(blame.table("it does not begin as a Parquet file does"))
            };
        }
        if parquet {
            return Err(blame.table("it is a Parquet file; give the format parquet"));
        }
        if head.starts_with(b"PK\x03\x04")
            || head == [0x28, 0xb5, 0x2f, 0xfd]
            || Compression::of(head).is_some()
        {
            return Err(blame.table(
                "it is compressed otherwise than once by gzip or bzip2; decompress it first",
            ));
        }
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
            return Err(blame.table("it is UTF-16; convert it to UTF-8"));
        }
        if head.starts_with(&[0xef, 0xbb, 0xbf]) {
            self.at = 3;
        }
        Ok(())
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.len {
            return self.inner.read(buffer);
        }
        let n = buffer.len().min(self.len - self.at);
        buffer[..n].copy_from_slice(&self.head[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// A SHA-256 (hexadecimal) over a file's size, first and last MiB: enough to notice that a
/// resumed run reads another file, without reading a large one in full.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read.
pub fn fingerprint(path: &Path) -> Result<String> {
    const END: u64 = 1 << 20;
    let digest = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut hash = Sha256::new();
        hash.update(len.to_le_bytes());
        let mut bytes = Vec::new();
        (&mut file).take(END).read_to_end(&mut bytes)?;
        if len > END {
            file.seek(SeekFrom::Start(END.max(len - END)))?;
            file.take(END).read_to_end(&mut bytes)?;
        }
        hash.update(&bytes);
        Ok(hex(&hash.finalize()))
    };
    digest().map_err(|e| Error::io("read", path, e))
}
