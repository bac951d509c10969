//! runtime
#![allow(missing_docs)]
pub mod bundle;
mod cache;
mod error;
pub use cache::cache_dir;
pub use error::{Error, Result};
