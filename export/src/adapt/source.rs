//! The graph of a bundle, with its weights at hand.

use offshoot::bundle::{Bundle, MODEL};
use tempfile::TempDir;

use crate::archive::copy_graph;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::graph::read::read;

/// The graph of a bundle. Its weights lie in a folder of their own, which is removed with
/// this; the graph is not used after it.
#[derive(Debug)]
pub struct EncoderGraph {
    /// The graph.
    pub graph: Graph,
    _folder: TempDir,
}

impl EncoderGraph {
    /// Reads the graph of `bundle` and copies its weights, digests checked.
    ///
    /// # Errors
    /// [`Error::Runtime`] when the bundle is damaged; [`Error::Io`] when there is no room
    /// for the copy; those of [`read`].
    pub fn read(bundle: &Bundle) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
        copy_graph(bundle, folder.path(), folder.path(), None, &mut |_| {})?;
        let graph = read(&folder.path().join(MODEL))?.graph;
        Ok(Self { graph, _folder: folder })
    }

    /// Brings the graph to standard operators of the version that built graphs have, with the
    /// types of its values, and takes away what its output `embedding` does not need.
    ///
    /// # Errors
    /// [`Error::Operator`] when its operators do not fit or have no standard form.
    pub fn to_standard(&mut self) -> Result<()> {
        let g = &mut self.graph;
        g.upgrade()?;
        g.to_standard()?;
        if let Some(embedding) = g.output_named("embedding") {
            g.clear_outputs();
            g.expose(embedding);
        }
        g.prune();
        g.infer_types()
    }
}
