//! Readers of tables, writers of embeddings, and the pinned packages that carry real models
//! and texts.
#![forbid(unsafe_code)]

mod error;
pub mod movies;
pub mod packages;
pub mod tables;

pub use error::{Error, Result};
