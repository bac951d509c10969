//! Which reader a path asks for.

use std::fs;
use std::path::{Path, PathBuf};

use super::{
    Concat, Dataset, Kind, compressed, folder, idx, npy, parquet, recording, texts, ts, webdataset,
};
use crate::error::{Error, Result};
use crate::tables::Format;

/// How data is to be read, where a path does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataOptions {
    /// What the examples are, where a format may hold several kinds: CSV and Parquet. With
    /// texts a file of an unknown name is read as lines.
    pub kind: Option<Kind>,
    /// Column or key of the text, image or signal; else the usual ones.
    /// Of signals several may be named, separated by commas.
    pub column: Option<String>,
    /// Column or key of the label; else the usual ones. Of FASTA a key of the header such as
    /// `OS`, or `header` for all of it.
    pub label: Option<String>,
    /// Time steps of a window, into which a long recording is cut.
    pub window: Option<usize>,
    /// Time steps from the start of one window to that of the next; else a whole window.
    pub stride: Option<usize>,
}

/// Opens the data at a path, by its name:
///
/// | path | examples |
/// | --- | --- |
/// | a folder with images in it or below | images; the first folder below it is the label |
/// | a folder of files of one other kind below | those of its files, in the order of names |
/// | `*-ubyte`, `*.idx` | grey images, with the labels that lie beside |
/// | `.txt` | texts, a line each |
/// | `.jsonl`, `.csv`, `.tsv` | texts of a column |
/// | `.csv`, `.tsv` with a window, or where the kind is signals | one recording: a row a time step, a column a channel |
/// | `.parquet` | images as bytes, signals as lists of numbers, or texts |
/// | `.fasta`, `.fa`, `.faa`, `.fna` | sequences |
/// | `.ts` | signals as sktime and aeon write them |
/// | `.npy` | signals `[n, channels, length]` or `[n, length]`; with a window one recording `[channels, length]` |
/// | `.tar` | a shard of WebDataset: images, or texts |
///
/// A further `.gz` or `.bz2` is undone.
///
/// # Errors
/// [`Error::Io`]; [`Error::Table`] when the data is empty or broken as a whole;
/// [`Error::Argument`] when the format is not known or the options do not fit it.
pub fn open(path: &Path, options: &DataOptions) -> Result<Box<dyn Dataset>> {
    options.check()?;
    let meta = fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
    if meta.is_dir() {
        return open_folder(path, options);
    }
    open_file(path, options)
}

/// Opens several paths as one set.
///
/// # Errors
/// Those of [`open`], and [`Error::Argument`] when their kinds differ or there is none.
pub fn open_all(paths: &[PathBuf], options: &DataOptions) -> Result<Box<dyn Dataset>> {
    if let [path] = paths {
        return open(path, options);
    }
    let parts = paths.iter().map(|path| open(path, options)).collect::<Result<Vec<_>>>()?;
    Ok(Box::new(Concat::new(parts)?))
}

impl DataOptions {
    /// Whether a table is one of signals.
    fn wants_signals(&self) -> bool {
        self.kind == Some(Kind::Signal) || (self.kind.is_none() && self.window.is_some())
    }

    fn check(&self) -> Result<()> {
        if self.window == Some(0) || self.stride == Some(0) {
            return Err(Error::Argument("a window and its stride have at least one step".into()));
        }
        if self.stride.is_some() && self.window.is_none() {
            return Err(Error::Argument("a stride needs a window".into()));
        }
        Ok(())
    }
}

/// The formats that are told by a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Idx,
    Ts,
    Npy,
    Tar,
    Table(Format),
}

fn reader(path: &Path) -> Option<Reader> {
    let name = compressed::plain_name(path);
    if name.ends_with("-ubyte") || name.ends_with(".idx") {
        return Some(Reader::Idx);
    }
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension {
        "ts" => Reader::Ts,
        "npy" => Reader::Npy,
        "tar" => Reader::Tar,
        _ => Reader::Table(Format::from_path(Path::new(&name))?),
    })
}

fn open_file(path: &Path, options: &DataOptions) -> Result<Box<dyn Dataset>> {
    // Any file may be read as lines where texts are asked for.
    let lines = (options.kind == Some(Kind::Text)).then_some(Reader::Table(Format::Text));
    let Some(reader) = reader(path).or(lines) else {
        return Err(Error::Argument(format!(
            "{} is no data that can be read: it must be a folder of images, or its name end in txt, \
             jsonl, csv, tsv, parquet, fasta, ts, npy, tar or -ubyte (or these and .gz or .bz2)",
            path.display()
        )));
    };
    let found: Box<dyn Dataset> = match reader {
        Reader::Idx => Box::new(idx::open(path, options)?),
        Reader::Ts => Box::new(ts::open(path, options)?),
        Reader::Npy => Box::new(npy::open(plain(path)?, options)?),
        Reader::Tar => Box::new(webdataset::open(plain(path)?, options)?),
        Reader::Table(Format::Parquet) => Box::new(parquet::open(plain(path)?, options)?),
        Reader::Table(format @ (Format::Csv | Format::Tsv)) if options.wants_signals() => {
            Box::new(recording::open_csv(path, format, options)?)
        }
        Reader::Table(Format::Text) => Box::new(texts::open_lines(path)?),
        Reader::Table(format) => Box::new(texts::open_table(path, format, options)?),
    };
    match options.kind {
        Some(kind) if kind != found.kind() => Err(Error::Argument(format!(
            "{} holds {}s, not {}s",
            path.display(),
            found.kind().name(),
            kind.name()
        ))),
        _ => Ok(found),
    }
}

/// Refuses compression of formats that are read where they lie.
fn plain(path: &Path) -> Result<&Path> {
    if compressed::is_compressed(path) {
        return Err(Error::Argument(format!(
            "{} is read at many places at once and cannot be compressed; decompress it first",
            path.display()
        )));
    }
    Ok(path)
}

fn open_folder(path: &Path, options: &DataOptions) -> Result<Box<dyn Dataset>> {
    let entries = fs::read_dir(path).map_err(|e| Error::io("list", path, e))?;
    let mut files = Vec::new();
    let mut others = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", path, e))?;
        let file = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        match reader(&file).filter(|_| !hidden && file.is_file()) {
            Some(reader) => files.push((file, reader)),
            None if !hidden => others.push(file),
            None => {}
        }
    }
    let images = others.iter().any(|other| other.is_dir() || folder::is_image(other));
    if images || files.is_empty() {
        let images = folder::Folder::open(path);
        if images.is_ok() || files.is_empty() {
            return Ok(Box::new(images?));
        }
    }
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    // Files of labels lie beside those of their images.
    let name = |file: &Path| compressed::plain_name(file);
    files.retain(|(file, reader)| *reader != Reader::Idx || !name(file).contains("labels"));
    let readers: Vec<Reader> = files.iter().map(|(_, reader)| *reader).collect();
    if readers.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(Error::Argument(format!(
            "{} holds files of several formats; give one of them, or several paths",
            path.display()
        )));
    }
    let paths: Vec<PathBuf> = files.into_iter().map(|(file, _)| file).collect();
    open_all(&paths, options)
}
