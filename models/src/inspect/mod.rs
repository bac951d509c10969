//! The representation report: why an encoder is good for a person's data, or is not.
//!
//! [`measures`] are functions of embeddings, [`ranking`] compares encoders without labels, and
//! [`report`] puts everything that can be computed of a [`Sample`](report::Sample) into one
//! structure for machines (JSON) and for people (a page, a table).

pub mod change;
pub mod map;
pub mod measures;
pub(crate) mod numeric;
pub mod ranking;
pub mod raw;
pub mod report;

pub use numeric::interval::Interval;
