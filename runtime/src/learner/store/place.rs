//! How a learner's file gets its name: whole, durably, and never over another.

use std::fs;
use std::io;
use std::path::Path;

use super::Store;
use crate::error::{Error, Result};

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Refuses a name that something has already.
pub(super) fn refuse_taken(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(_) => {
            let reason = "there is already such a file";
            Err(Error::io("write", path, io::Error::new(io::ErrorKind::AlreadyExists, reason)))
        }
    }
}

/// Gives a finished file on the same file system the name `path`, unless there is such a file.
pub(super) fn publish(temporary: &Path, path: &Path) -> Result<()> {
    let cannot = |error| Error::io("write", path, error);
    // A hard link, unlike a rename, fails where a file has appeared meanwhile.
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(cannot(error)),
        // Some file systems have no links.
        Err(_) => fs::rename(temporary, path).map_err(cannot)?,
        Ok(()) => {
            let _ = fs::remove_file(temporary);
        }
    }
    if cfg!(unix) {
        fs::File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(cannot)?;
    }
    Ok(())
}

impl Store {
    /// Moves the file to another name on the same file system, where there is no file yet, and
    /// makes it durable there: what came from elsewhere, once it was [checked](Store::check).
    ///
    /// ```
    /// # use offshoot::adapters::EncoderTag;
    /// # use offshoot::learner::{NewExample, Store, StoreInfo};
    /// # let folder = tempfile::tempdir()?;
    /// # let encoder = EncoderTag {
    /// #     digest: "sha256:3f2a".into(),
    /// #     name: "my-encoder".into(),
    /// #     dimensions: 2,
    /// #     prompt: None,
    /// # };
    /// # let info = StoreInfo { encoder, head: "ridge".into(), keeps_text: true };
    /// # let received = folder.path().join("received");
    /// # Store::create(&received, &info, [NewExample::new(vec![0.6, 0.8], "spam")])?;
    /// let store = Store::open(&received)?;
    /// store.check()?;
    /// let store = store.move_to(folder.path().join("mail.learner"))?;
    /// assert_eq!(store.len()?, 1);
    /// assert!(!received.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written, also because there is one; it then keeps
    /// its name. As [`Store::open`].
    pub fn move_to(self, path: impl AsRef<Path>) -> Result<Self> {
        let (from, to) = (self.path.clone(), path.as_ref());
        refuse_taken(to)?;
        // SQLite keeps a file's journal beside the name by which it was opened.
        drop(self);
        let file = fs::OpenOptions::new().write(true).open(&from);
        let synced = file.and_then(|file| file.sync_all());
        synced.map_err(|error| Error::io("write", &from, error))?;
        publish(&from, to)?;
        Self::open(to)
    }
}
