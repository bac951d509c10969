//! Readers of tables, writers of embeddings, the pinned packages that carry real models and
//! texts, and the tuning of encoders on a user's own data.
#![forbid(unsafe_code)]

pub mod augment;
pub mod data;
pub mod embeddings;
pub mod encoders;
mod error;
pub mod examples;
pub mod inspect;
mod lock;
pub mod movies;
pub mod objectives;
pub mod packages;
pub mod pretrain;
pub mod random;
pub mod tables;
pub mod tune;

pub use error::{Error, Result};
