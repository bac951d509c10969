//! A file lock that ends when it is dropped, and with the process at the latest.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// Holds the lock of a file. Where the file system has no locks it holds nothing.
#[derive(Debug)]
pub(crate) struct FileLock(File);

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing would not do: a child that another thread is just starting has the same
        // handle until it runs its own program.
        let _ = self.0.unlock();
    }
}

impl FileLock {
    /// Locks the file, making it first where it is missing. When another process holds the
    /// lock, `wait` says whether to wait for it; if not, the answer is none.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be made or locked.
    pub(crate) fn acquire(path: &Path, wait: impl FnOnce() -> bool) -> Result<Option<Self>> {
        let mut wait = Some(wait);
        loop {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)
                .map_err(|e| Error::io("create", path, e))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    if let Some(wait) = wait.take()
                        && !wait()
                    {
                        return Ok(None);
                    }
                    file.lock().map_err(|e| Error::io("lock", path, e))?;
                }
                // Some network file systems have no locks.
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
                    return Ok(Some(Self(file)));
                }
                Err(TryLockError::Error(e)) => return Err(Error::io("lock", path, e)),
            }
            let lock = Self(file);
            // The process that held it may have removed the file since it was opened here.
            if is_at(&lock.0, path) {
                return Ok(Some(lock));
            }
        }
    }
}

/// Whether the open file is the one that the path names.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Elsewhere a removed file that is still open cannot be opened again.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_even_when_the_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = FileLock::acquire(&path, || false).unwrap().unwrap();
        assert!(FileLock::acquire(&path, || false).unwrap().is_none());
        std::thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let path = &path;
            let second = scope.spawn(move || {
                FileLock::acquire(path, || {
                    sender.send(()).unwrap();
                    true
                })
            });
            receiver.recv().unwrap();
            std::fs::remove_file(path).unwrap();
            drop(first);
            let second = second.join().unwrap().unwrap().unwrap();
            assert!(FileLock::acquire(path, || false).unwrap().is_none());
            drop(second);
        });
        assert!(FileLock::acquire(&path, || false).unwrap().is_some());
    }
}
