//! The bundle's graph and weights as files that the graph reader can map.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use offshoot::bundle::Bundle;
use tempfile::TempDir;

use crate::archive::{copy_graph, parent};
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
    copy_graph(bundle, folder.path(), output, stop, &mut |part| {
        done = done.saturating_add(part);
        progress(done);
    })?;
    Ok(folder)
}
