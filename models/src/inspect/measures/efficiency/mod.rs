//! How far labels go.

pub mod curve;
pub mod draws;
pub mod labels_needed;
