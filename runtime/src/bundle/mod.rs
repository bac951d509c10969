//! Bundles.
mod manifest;
pub use manifest::*;
