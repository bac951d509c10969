//! SQLite's connection as a store needs it, and its errors in this crate's words.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, Result};

/// Opens an existing file.
///
/// - A file is not trusted: its schema may call no function and run no trigger, and a page's
///   cells are checked when it is read.
/// - `synchronous=EXTRA` with a rollback journal: when a transaction is over, its end is on
///   disk, the folder's entry included.
/// - `secure_delete`: what is deleted is overwritten with zeros.
/// - `temp_store=MEMORY`: nothing of the examples gets into a temporary file.
pub(super) fn open(path: &Path, read_only: bool, wait: Duration) -> Result<Connection> {
    let found = std::fs::metadata(path).map_err(|error| Error::io("open", path, error))?;
    if !found.is_file() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
        return Err(Error::io("open", path, error));
    }
    let access = match read_only {
        true => OpenFlags::SQLITE_OPEN_READ_ONLY,
        // Falls back to reading where writing is not allowed.
        false => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let failed = failure(path, "open", wait);
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(&failed)?;
    configure(&connection, wait).map_err(failed)?;
    Ok(connection)
}

fn configure(connection: &Connection, wait: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(wait)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.execute_batch(
        "PRAGMA cell_size_check = ON;
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA synchronous = EXTRA;",
    )
}

/// Turns errors of SQLite into this crate's. `action` is what was being done to the file:
/// `open`, `read`, `write`.
pub(super) fn failure(
    path: &Path,
    action: &'static str,
    waited: Duration,
) -> impl Fn(rusqlite::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| {
        let bad = |reason: String| Error::Store { path: path.clone(), reason };
        let io = |kind, message: &str| Error::io(action, &path, io::Error::new(kind, message));
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Error::Busy { path: path.clone(), waited }
            }
            Some(ErrorCode::DiskFull) => {
                io(io::ErrorKind::StorageFull, "the disk is full; nothing was changed")
            }
            Some(ErrorCode::ReadOnly) => io(
                io::ErrorKind::PermissionDenied,
                "the file or its folder may not be written; nothing was changed",
            ),
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                io(io::ErrorKind::PermissionDenied, "SQLite may not open it")
            }
            Some(ErrorCode::SystemIoFailure) => {
                io(io::ErrorKind::Other, &format!("{error}; the disk failed or is full"))
            }
            Some(ErrorCode::NotADatabase) => bad("it is something else, or damaged".into()),
            Some(ErrorCode::DatabaseCorrupt) => {
                bad(format!("it is damaged or cut off ({error}); restore a copy of it"))
            }
            _ => bad(format!("SQLite says: {error}")),
        }
    }
}
