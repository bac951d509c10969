//! A file that appears whole or not at all.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// The place of a file to be written, and the temporary file beside it.
#[derive(Debug)]
pub(crate) struct Target {
    path: PathBuf,
    overwrite: bool,
    file: NamedTempFile,
}

impl Target {
    /// Opens a temporary file beside `path`, which must be free unless `overwrite`.
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<Self> {
        check_free(path, overwrite)?;
        let name = path
            .file_name()
            .ok_or_else(|| Error::archive(path, "it does not end in the name of a file"))?;
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".partial");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The usual permissions of a new file; the user's mask still applies.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(parent(path)).map_err(Error::io("write", path))?;
        Ok(Self { path: path.into(), overwrite, file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle of the temporary file, to write through.
    pub(crate) fn handle(&self) -> Result<File> {
        self.file.as_file().try_clone().map_err(Error::io("write", &self.path))
    }

    /// Appends `bytes`.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.file.as_file().write_all(bytes).map_err(Error::io("write", &self.path))
    }

    /// Syncs the file and gives it its name.
    pub(crate) fn commit(self) -> Result<()> {
        let Self { path, overwrite, file } = self;
        file.as_file().sync_all().map_err(Error::io("write", &path))?;
        let named = if overwrite { file.persist(&path) } else { file.persist_noclobber(&path) };
        named.map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => taken(&path),
            _ => Error::Io { action: "write", path: path.clone(), source: error.error },
        })?;
        sync_folder(parent(&path));
        Ok(())
    }
}

/// Refuses a path at which something stands already.
pub(crate) fn check_free(path: &Path, overwrite: bool) -> Result<()> {
    if path.is_dir() {
        return Err(Error::archive(path, "it is a folder; name a file to write"));
    }
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(taken(path));
    }
    Ok(())
}

fn taken(path: &Path) -> Error {
    Error::archive(path, "it exists already; choose another name, or allow it to be overwritten")
}

/// The folder that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename in `folder` durable, where the system can.
pub(crate) fn sync_folder(folder: &Path) {
    // Some systems cannot open or sync a folder; the file itself is synced already.
    if cfg!(unix)
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}
