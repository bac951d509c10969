//! Files that appear whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::{Failure, Result};

/// A file under way: written beside its place, which it takes when it is finished.
/// Dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    writer: BufWriter<NamedTempFile>,
}

impl NewFile {
    /// Starts a file that is to stand at `path`, and replaces what stands there when
    /// it is finished.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        // A link goes on leading to the file.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let file = beside(&path, "partial").map_err(|error| Failure::io("write", &path, &error))?;
        Ok(Self { path, writer: BufWriter::with_capacity(1 << 16, file) })
    }

    /// The temporary file.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.writer.get_ref().path().to_owned()
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn finish(self) -> Result {
        let Self { path, writer } = self;
        let finish = || -> io::Result<()> {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sync_folder(folder_of(&path));
            Ok(())
        };
        finish().map_err(|error| Failure::io("write", &path, &error))
    }

    /// Turns an error of this file's writer into a failure that names the file.
    pub(crate) fn failed(&self, error: &io::Error) -> Failure {
        Failure::io("write", &self.path, error)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Writes `bytes` to `path`, whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result {
    let mut file = NewFile::create(path)?;
    if let Err(error) = file.write_all(bytes) {
        return Err(file.failed(&error));
    }
    file.finish()
}

/// Finds out whether a file can be written at `path`, before the work that fills it, and
/// refuses to replace one of the files that the work reads.
pub(crate) fn check_output<'a>(path: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result {
    let place = std::fs::canonicalize(path).ok();
    for input in inputs {
        if place.is_some() && place == std::fs::canonicalize(input).ok() {
            return Err(Failure::usage(format!(
                "{} would be replaced while it is read; name another output",
                input.display()
            )));
        }
    }
    beside(path, "partial").map(drop).map_err(|error| Failure::io("write", path, &error))
}

/// A temporary file in the folder of `path`, with the permissions of a usual file and
/// a name that ends in `.suffix`.
pub(crate) fn beside(path: &Path, suffix: &str) -> io::Result<NamedTempFile> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "it does not end in the name of a file")
    })?;
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        // A rename would put a file in the place of a device.
        Ok(found) if !found.is_file() => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is a device or a pipe; write to standard output and let the shell redirect it",
            ));
        }
        _ => {}
    }
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let suffix = format!(".{suffix}");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(&suffix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder_of(path))
}

/// The folder that holds `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename in `folder` last through a power cut, where the system can.
fn sync_folder(folder: &Path) {
    if cfg!(unix)
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// A path as the person may paste it into a shell.
pub(crate) fn shell_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_a_shell() {
        assert_eq!(shell_path(Path::new("/tmp/a-b.csv")), "/tmp/a-b.csv");
        assert_eq!(shell_path(Path::new("my file's.csv")), r"'my file'\''s.csv'");
    }

    #[test]
    fn a_file_appears_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"{}").unwrap();
        assert!(!path.exists());
        file.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
        drop(NewFile::create(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
    }

    #[test]
    fn a_place_that_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut places = vec![folder.path().to_owned(), folder.path().join("no/such/folder")];
        if cfg!(unix) {
            places.push("/dev/null".into());
        }
        for path in places {
            let Err(Failure::Said { message, .. }) = NewFile::create(&path).map(drop) else {
                panic!("{} was written", path.display())
            };
            assert!(message.contains(&path.display().to_string()), "{message}");
        }
    }
}
