//! Writes a bundle's entries to a folder.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offshoot::bundle::{Bundle, MODEL, WEIGHTS};

use super::target::{parent, sync_folder};
use super::writer::check_stop;
use crate::error::{Error, Result};
use crate::import::Progress;

/// Writes every entry of `bundle` to the new folder `folder`, each digest checked as
/// its entry is written.
///
/// The folder appears whole or not at all. It opens as the bundle does, and
/// [`import`](crate::import()) packs it again. `stop` ends the work soon after it
/// becomes true.
///
/// # Errors
/// [`Error::Archive`] when something stands at `folder`; [`Error::Runtime`] when the
/// bundle is damaged or has a name that must not be written; [`Error::Io`] when the
/// disk refuses; [`Error::Interrupted`].
pub fn unpack(
    bundle: &Path,
    folder: &Path,
    stop: Option<Arc<AtomicBool>>,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let opened = Bundle::open(bundle)?;
    let taken = || Error::archive(folder, "it exists already; name a folder that does not");
    if folder.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let name = folder
        .file_name()
        .ok_or_else(|| Error::archive(folder, "it does not end in the name of a folder"))?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".partial")
        .tempdir_in(parent(folder))
        .map_err(Error::io("write", folder))?;
    // Inside, so that it gets the usual permissions.
    let inside = temporary.path().join("bundle");
    std::fs::create_dir(&inside).map_err(Error::io("write", folder))?;

    let total_bytes = opened.size();
    let mut done_bytes = 0u64;
    progress(Progress { done_bytes, total_bytes });
    let names: Vec<String> = opened.entries().map(|(name, ..)| name.to_owned()).collect();
    for name in &names {
        let path = entry_path(&inside, name)?;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io("write", folder))?;
        }
        let shown = folder.join(name);
        let file = copy_entry(&opened, name, &path, &shown, stop.as_deref(), &mut |part| {
            done_bytes = done_bytes.saturating_add(part);
            progress(Progress { done_bytes, total_bytes });
        })?;
        file.sync_all().map_err(Error::io("write", &shown))?;
    }
    // A rename onto a folder that has appeared meanwhile would fill it if it is empty.
    if folder.symlink_metadata().is_ok() {
        return Err(taken());
    }
    std::fs::rename(&inside, folder).map_err(Error::io("write", folder))?;
    sync_folder(parent(folder));
    Ok(())
}

/// Copies the graph and the weights of a bundle, digests checked, to the folder `folder`.
/// Otherwise as [`copy_entry`].
pub(crate) fn copy_graph(
    bundle: &Bundle,
    folder: &Path,
    shown: &Path,
    stop: Option<&AtomicBool>,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    for name in [MODEL, WEIGHTS] {
        if bundle.contains(name) {
            copy_entry(bundle, name, &folder.join(name), shown, stop, progress)?;
        }
    }
    Ok(())
}

/// Copies an entry, its digest checked, to the new file `path`, which errors call `shown`.
/// `progress` is told the bytes of each part.
fn copy_entry(
    bundle: &Bundle,
    name: &str,
    path: &Path,
    shown: &Path,
    stop: Option<&AtomicBool>,
    progress: &mut dyn FnMut(u64),
) -> Result<File> {
    let mut file = BufWriter::new(File::create_new(path).map_err(Error::io("write", shown))?);
    let mut refused = None;
    let copied = bundle.copy_to(name, &mut |part| {
        if check_stop(stop).is_err() {
            return Err(std::io::Error::other("interrupted"));
        }
        if let Err(error) = file.write_all(part) {
            refused = Some(error);
            return Err(std::io::Error::other("the disk refused bytes"));
        }
        progress(part.len() as u64);
        Ok(())
    });
    check_stop(stop)?;
    if let Some(source) = refused {
        return Err(Error::Io { action: "write", path: shown.into(), source });
    }
    copied?;
    file.into_inner().map_err(|error| Error::Io {
        action: "write",
        path: shown.into(),
        source: error.into_error(),
    })
}

/// The path of an entry, whose name [`Bundle::open`] has checked.
fn entry_path(folder: &Path, name: &str) -> Result<PathBuf> {
    offshoot::bundle::check_entry_name(name)
        .map_err(|reason| Error::archive(folder, format!("it cannot be written: {reason}")))?;
    Ok(folder.join(name.split('/').collect::<PathBuf>()))
}
