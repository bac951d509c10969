//! Readers of tables, writers of embeddings, and the pinned packages that carry real models
//! and texts.
#![forbid(unsafe_code)]

mod error;
pub mod packages;

pub use error::{Error, Result};
