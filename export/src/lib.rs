//! Turns published checkpoints and ONNX files into encoder bundles.
#![forbid(unsafe_code)]

pub mod architectures;
pub mod checkpoint;
mod error;
pub mod graph;

pub use error::{Error, Result};
