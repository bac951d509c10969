//! Bundles as files: written in one pass, and unpacked to a folder.

mod out;
mod target;
mod unpack;
mod writer;

pub(crate) use target::{Target, check_free, parent, sync_folder};
pub(crate) use unpack::copy_graph;
pub use unpack::unpack;
pub(crate) use writer::check_stop;
pub use writer::{BundleWriter, Written};

/// SHA-256 of what was hashed, as 64 lower-case hexadecimal digits.
pub(crate) fn hex(hasher: sha2::Sha256) -> String {
    use sha2::Digest;
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
