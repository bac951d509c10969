//! Readers of tables, writers of embeddings, and the pinned packages that carry real models
//! and texts.
#![forbid(unsafe_code)]

pub mod embeddings;
mod error;
mod lock;
pub mod movies;
pub mod packages;
pub mod tables;

pub use error::{Error, Result};
