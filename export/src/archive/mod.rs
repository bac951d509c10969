//! Bundles as files: written in one pass, and unpacked to a folder.

mod name;
mod target;
mod writer;

pub(crate) use name::check_entry_name;
pub(crate) use target::Target;
pub(crate) use writer::check_stop;
pub use writer::{BundleWriter, Written};

/// Name of the entry that describes the bundle.
pub const MANIFEST_FILE: &str = "manifest.json";

/// Name of the entry that holds the graph.
pub const GRAPH_FILE: &str = "model.onnx";

/// Name of the entry that holds the tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";

/// SHA-256 of what was hashed, as 64 lower-case hexadecimal digits.
pub(crate) fn hex(hasher: sha2::Sha256) -> String {
    use sha2::Digest;
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
