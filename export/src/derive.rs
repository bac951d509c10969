//! Bundles made of bundles: the graph is changed, everything else is carried over.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offshoot::bundle::{Bundle, Change, MODEL, Manifest, WEIGHTS};
use protobuf::Message;
use tempfile::TempDir;

use crate::archive::{self, BundleWriter, Written, copy_graph};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::graph::external::{Layout, WEIGHTS_FILE};
use crate::graph::read::read;

/// A bundle under change, and a folder beside the output for what is made meanwhile. The
/// folder is removed with this.
#[derive(Debug)]
pub(crate) struct Derivation {
    pub(crate) source: Bundle,
    pub(crate) folder: TempDir,
    stop: Option<Arc<AtomicBool>>,
}

impl Derivation {
    /// Opens `bundle` and copies its graph and weights, digests checked, to a folder
    /// beside `output`, which must be free unless `overwrite`.
    pub(crate) fn begin(
        bundle: &Path,
        output: &Path,
        overwrite: bool,
        stop: Option<Arc<AtomicBool>>,
    ) -> Result<Self> {
        archive::check_free(output, overwrite)?;
        let source = Bundle::open(bundle)?;
        let folder = tempfile::Builder::new()
            .prefix(".offshoot.")
            .suffix(".partial")
            .tempdir_in(archive::parent(output))
            .map_err(Error::io("write", output))?;
        copy_graph(&source, folder.path(), output, stop.as_deref(), &mut |_| {})?;
        Ok(Self { source, folder, stop })
    }

    /// The source's graph.
    pub(crate) fn graph(&self) -> Result<Graph> {
        Ok(read(&self.folder.path().join(MODEL))?.graph)
    }

    /// Ends the work when the caller asked for it.
    pub(crate) fn check_stop(&self) -> Result<()> {
        archive::check_stop(self.stop.as_deref())
    }

    /// Writes a bundle of `graph` as `name` in the folder. Its manifest is the source's,
    /// with `change` added.
    pub(crate) fn write(
        &self,
        name: &str,
        graph: &Graph,
        change: &Change,
    ) -> Result<(PathBuf, Written)> {
        self.write_edited(name, graph, change, &|_| {})
    }

    /// As [`Self::write`], with a manifest that `edit` changes after that.
    pub(crate) fn write_edited(
        &self,
        name: &str,
        graph: &Graph,
        change: &Change,
        edit: &dyn Fn(&mut Manifest),
    ) -> Result<(PathBuf, Written)> {
        let path = self.folder.path().join(name);
        let mut bundle = BundleWriter::create(&path, true)?.stop_when(self.stop.clone());
        bundle.add_graph(graph, &Layout::new(graph)?, &mut |_| {})?;
        for (entry, _, size) in self.source.entries() {
            if matches!(entry, MODEL | WEIGHTS | offshoot::bundle::MANIFEST) {
                continue;
            }
            let bytes = self.source.read(entry)?;
            bundle.add(entry, size, |out| {
                out.write_all(&bytes).map_err(Error::io("write", WEIGHTS_FILE))
            })?;
        }
        let mut manifest: Manifest = self.source.manifest().clone();
        manifest.provenance.changes.push(change.clone());
        edit(&mut manifest);
        let written = bundle.finish(manifest)?;
        Ok((path, written))
    }

    /// Writes `graph` as `NAME.onnx` in the folder, with its weights beside it.
    pub(crate) fn write_model(&self, name: &str, graph: &Graph) -> Result<PathBuf> {
        write_model(self.folder.path(), name, graph)
    }

    /// Gives the finished file `made` its name.
    pub(crate) fn publish(self, made: &Path, output: &Path, overwrite: bool) -> Result<()> {
        self.check_stop()?;
        archive::check_free(output, overwrite)?;
        std::fs::rename(made, output).map_err(Error::io("write", output))?;
        archive::sync_folder(archive::parent(output));
        Ok(())
    }
}

/// Writes `graph` as `NAME.onnx` in a folder, with its weights beside it.
pub(crate) fn write_model(folder: &Path, name: &str, graph: &Graph) -> Result<PathBuf> {
    let file = format!("{name}.bin");
    let weights = folder.join(&file);
    let layout = Layout::new(graph)?;
    let created = std::fs::File::create(&weights).map_err(Error::io("write", &weights))?;
    let mut out = std::io::BufWriter::new(created);
    layout.write(graph, &mut out, &mut |_| {})?;
    out.into_inner().map_err(|error| Error::io("write", &weights)(error.into_error()))?;
    let mut model = graph.to_model(&layout)?;
    let tensors = model.graph.as_mut().map(|graph| &mut graph.initializer);
    for tensor in tensors.into_iter().flatten() {
        for entry in tensor.external_data.iter_mut().filter(|entry| entry.key == "location") {
            entry.value.clone_from(&file);
        }
    }
    let path = folder.join(format!("{name}.onnx"));
    let bytes = model
        .write_to_bytes()
        .map_err(|error| Error::archive(&path, format!("the graph cannot be written: {error}")))?;
    std::fs::write(&path, bytes).map_err(Error::io("write", &path))?;
    Ok(path)
}
