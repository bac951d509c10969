//! The examples of a learner in one file, safe against power cuts and other processes.

mod check;
mod copy;
mod example;
mod forget;
mod head;
mod place;
mod read;
mod schema;
mod sqlite;
mod undo;
mod unlabelled;
mod update;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use offshoot_adapters::EncoderTag;
use rusqlite::Connection;

use crate::error::{Error, Result};

pub use example::{
    Example, ExampleId, MAX_SOURCE_BYTES, MAX_TEXT_BYTES, MAX_WEIGHT, MIN_WEIGHT, NewExample,
    label_problem,
};
pub(super) use head::may_be_ignored;
pub use read::{ExampleFilter, Examples, Labelled};
pub use undo::{Action, HISTORY_CHANGES, HISTORY_UPDATES, Undone};
pub use unlabelled::MAX_UNLABELLED;

/// Most dimensions of an embedding.
const MAX_DIMENSIONS: usize = 1 << 20;

/// How long an update waits for another process, unless it is told otherwise.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a learner is about. Written once, except for the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInfo {
    /// Whose embeddings the examples are.
    pub encoder: EncoderTag,
    /// Kind of the head that is fitted, by its name.
    pub head: String,
    /// Whether texts are kept beside their embeddings.
    pub keeps_text: bool,
}

/// Labelled examples in one SQLite file, with a history.
///
/// # What is promised
///
/// - *Durable*: a call that returned `Ok` is on disk. A kill or a power cut at any moment loses
///   at most the update whose call had not returned, and that one is there whole or not at all.
/// - *One at a time*: each update is one transaction. Of two processes on one store the second
///   waits, up to a limit ([`Error::Busy`]), and then works on what the first one left.
/// - *Erased*: after [`Store::forget`] returned `Ok`, no byte of the examples' embeddings, texts
///   and sources is in the file, nor in its history, nor in the kept head. (What a disk or a
///   file system keeps of overwritten blocks is beyond a program's reach.)
/// - *Checked*: whatever is read back is checked first. A damaged file, one of a newer version
///   and one that is something else are errors that say so.
///
/// # Cost
///
/// An update costs a few forced writes, so as much as the disk takes for them. `forget` and the
/// undoing of a teach write the whole file anew, since SQLite may keep copies of a row in the
/// unused parts of other pages; that takes memory for one copy of the file.
///
/// ```
/// use offshoot::adapters::EncoderTag;
/// use offshoot::learner::{NewExample, Store, StoreInfo};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("mail.learner");
/// let encoder = EncoderTag {
///     digest: "sha256:3f2a".into(),
///     name: "my-encoder".into(),
///     dimensions: 2,
///     prompt: None,
/// };
/// let info = StoreInfo { encoder, head: "ridge".into(), keeps_text: true };
/// let mut store = Store::create(&path, &info, [])?;
/// let id = store.teach(&NewExample::new(vec![0.6, 0.8], "spam").with_text("win money"))?;
/// store.relabel(id, Some("ham"))?;
/// store.undo(false)?;
/// assert_eq!(store.example(id)?.label.as_deref(), Some("spam"));
/// store.forget(&[id])?;
/// assert!(store.is_empty()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    info: StoreInfo,
    read_only: bool,
    wait: Duration,
}

impl Store {
    /// Makes a learner with these examples. The file appears whole or not at all, and never
    /// replaces another.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written, also because there is such a file;
    /// [`Error::Example`] for an example that no store takes; [`Error::Argument`] for
    /// dimensions that no encoder has.
    pub fn create(
        path: impl AsRef<Path>,
        info: &StoreInfo,
        examples: impl IntoIterator<Item = NewExample>,
    ) -> Result<Self> {
        let path = path.as_ref();
        let cannot = |error| Error::io("write", path, error);
        if info.encoder.dimensions == 0 || info.encoder.dimensions > MAX_DIMENSIONS {
            return Err(Error::Argument(format!(
                "a learner cannot be made for embeddings of {} dimensions",
                info.encoder.dimensions
            )));
        }
        place::refuse_taken(path)?;
        // In a folder of its own, where SQLite's journal lies too until it is finished.
        let work = tempfile::Builder::new()
            .prefix(".learner-")
            .tempdir_in(place::folder(path))
            .map_err(cannot)?;
        let temporary = work.path().join("new.learner");
        fs::File::create_new(&temporary).map_err(cannot)?;
        let mut new = Self::fill(&temporary, info)?;
        new.path = path.to_owned();
        let mut row = 0;
        let mut examples = examples.into_iter().peekable();
        // Parts, so that examples that come one by one need not be in memory together.
        while examples.peek().is_some() {
            let part: Vec<NewExample> = examples.by_ref().take(1024).collect();
            new.insert_unrecorded(&part, row)?;
            row += part.len();
        }
        drop(new);
        place::publish(&temporary, path)?;
        drop(work);
        Self::open(path)
    }

    /// The tables and the one row of an empty learner.
    fn fill(path: &Path, info: &StoreInfo) -> Result<Self> {
        let wait = BUSY_TIMEOUT;
        let failed = sqlite::failure(path, "write", wait);
        let mut connection = sqlite::open(path, false, wait)?;
        connection
            .pragma_update(None, "application_id", schema::APPLICATION_ID)
            .and_then(|()| schema::migrate(&mut connection, schema::STEPS))
            .map_err(&failed)?;
        let encoder = &info.encoder;
        connection
            .execute(
                "INSERT INTO learner VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, 0, NULL, 0)",
                (
                    &encoder.digest,
                    &encoder.name,
                    encoder.dimensions as i64,
                    &encoder.prompt,
                    &info.head,
                    info.keeps_text,
                ),
            )
            .map_err(failed)?;
        Ok(Self { connection, path: path.to_owned(), info: info.clone(), read_only: false, wait })
    }

    /// Opens a learner; for reading only where it may not be written.
    ///
    /// A store of an older version is brought to the newest one, and bytes that an
    /// interrupted [`Store::forget`] left are overwritten.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Store`] for a damaged file or one that is something else;
    /// [`Error::NewerStore`]; [`Error::Busy`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path.as_ref(), false, BUSY_TIMEOUT)
    }

    /// Opens a learner without ever writing to it.
    ///
    /// # Errors
    /// As [`Store::open`]; [`Error::Store`] also when its version is an older one.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path.as_ref(), true, BUSY_TIMEOUT)
    }

    fn open_with(path: &Path, read_only: bool, wait: Duration) -> Result<Self> {
        let failed = sqlite::failure(path, "open", wait);
        let bad = |reason: String| Error::Store { path: path.to_owned(), reason };
        let mut connection = sqlite::open(path, read_only, wait)?;
        let application: i64 = connection
            .pragma_query_value(None, "application_id", |row| row.get(0))
            .map_err(&failed)?;
        if application != schema::APPLICATION_ID {
            return Err(bad("it is something else; `offshoot learn` makes a learner".into()));
        }
        let read_only = connection.is_readonly("main").map_err(&failed)?;
        let found = schema::version(&connection).map_err(&failed)?;
        if found > schema::VERSION {
            let path = path.to_owned();
            return Err(Error::NewerStore { path, found, supported: schema::VERSION });
        }
        if found < schema::VERSION {
            if read_only {
                return Err(bad(format!(
                    "it is of version {found} and may not be written, so that it cannot be \
                     brought to version {}; open a copy of it",
                    schema::VERSION
                )));
            }
            schema::migrate(&mut connection, schema::STEPS).map_err(&failed)?;
        }
        let journal: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .map_err(&failed)?;
        if journal != "delete" {
            return Err(bad(format!(
                "another program has set its journal to {journal:?}; set it to \"delete\""
            )));
        }
        let foreign: i64 = connection
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')",
                [],
                |row| row.get(0),
            )
            .map_err(&failed)?;
        if foreign > 0 {
            return Err(bad("it holds triggers or views, which no learner has".into()));
        }
        let info = read::info(&connection).map_err(failed)?.map_err(bad)?;
        let mut store = Self { connection, path: path.to_owned(), info, read_only, wait };
        if !read_only {
            // Predicting works without it, and the next one to open it tries again.
            let _ = store.finish_erasing();
        }
        Ok(store)
    }

    /// Sets how long an update waits for other processes ([`BUSY_TIMEOUT`] at first).
    ///
    /// # Errors
    /// [`Error::Argument`] for more than 20 days.
    pub fn set_wait(&mut self, wait: Duration) -> Result<()> {
        if i32::try_from(wait.as_millis()).is_err() {
            return Err(Error::Argument(format!("{} s are too long to wait", wait.as_secs())));
        }
        self.wait = wait;
        self.connection.busy_timeout(wait).map_err(self.failure("open"))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the learner is about.
    #[must_use]
    pub fn info(&self) -> &StoreInfo {
        &self.info
    }

    /// Whether the file may only be read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// A number that grows with every update, by whichever process.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Io`].
    pub fn revision(&self) -> Result<i64> {
        self.connection
            .query_row("SELECT revision FROM learner", [], |row| row.get(0))
            .map_err(self.failure("read"))
    }

    fn failure(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> Error + use<> {
        sqlite::failure(&self.path, action, self.wait)
    }

    fn bad(&self, reason: String) -> Error {
        Error::Store { path: self.path.clone(), reason }
    }
}
