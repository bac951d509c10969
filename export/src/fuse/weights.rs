//! The bundle's graph and weights as files that the graph reader can map.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use offshoot::bundle::{Bundle, MODEL, WEIGHTS};
use tempfile::TempDir;

use crate::archive::{check_stop, parent};
use crate::error::{Error, Result};

/// Copies the graph and the weights of `bundle`, digests checked, to a folder that is removed
/// with the result. It lies beside `output`, where there must be room for the file anyway.
pub(super) fn copy(
    bundle: &Bundle,
    output: &Path,
    stop: Option<&AtomicBool>,
    progress: &mut dyn FnMut(u64),
) -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix(".fuse.")
        .suffix(".partial")
        .tempdir_in(parent(output))
        .map_err(Error::io("write", output))?;
    let mut done = 0u64;
    for name in [MODEL, WEIGHTS] {
        if !bundle.contains(name) {
            continue;
        }
        let path = folder.path().join(name);
        let mut file = BufWriter::new(File::create_new(&path).map_err(Error::io("write", output))?);
        let mut refused = None;
        let copied = bundle.copy_to(name, &mut |part| {
            if check_stop(stop).is_err() {
                return Err(std::io::Error::other("interrupted"));
            }
            file.write_all(part).map_err(|error| {
                refused = Some(error);
                std::io::Error::other("the disk refused bytes")
            })?;
            done = done.saturating_add(part.len() as u64);
            progress(done);
            Ok(())
        });
        check_stop(stop)?;
        if let Some(source) = refused {
            return Err(Error::Io { action: "write", path: output.into(), source });
        }
        copied?;
        file.flush().map_err(Error::io("write", output))?;
    }
    Ok(folder)
}
