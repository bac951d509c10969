//! How far labels go.

pub mod curve;
pub mod labels_needed;
