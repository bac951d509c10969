//! The measures, one file each: its formula, its source, its unit and its limits.
//!
//! Embeddings are rows `[examples, width]`; a class is a number from 0. No measure prints or
//! fails: what cannot be computed is `None`.

pub mod efficiency;
pub mod geometry;
pub mod information;
#[cfg(test)]
mod reference;
