//! Turns published checkpoints and ONNX files into encoder bundles; differentiates, trains,
//! adapts, optimises and quantises ONNX graphs.
#![forbid(unsafe_code)]

pub mod adapt;
pub mod architectures;
pub mod archive;
pub mod checkpoint;
mod derive;
pub mod differentiate;
mod error;
mod fuse;
pub mod graph;
mod import;
pub mod layers;
mod onnx;
pub mod optimize;
pub mod parity;
pub mod program;
pub mod quantize;
pub mod training;

pub use error::{Error, Result};
pub use fuse::{AnyHead, FuseOptions, Fused, Rejection, fuse};
pub use import::{ImportOptions, Imported, Progress, import};
