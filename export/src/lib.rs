//! Turns published checkpoints and ONNX files into encoder bundles.
#![forbid(unsafe_code)]

pub mod architectures;
pub mod archive;
pub mod checkpoint;
pub mod differentiate;
mod error;
mod fuse;
pub mod graph;
mod import;
mod onnx;
pub mod program;
pub mod training;

pub use error::{Error, Result};
pub use fuse::{FuseOptions, Fused, fuse};
pub use import::{ImportOptions, Imported, Progress, import};
