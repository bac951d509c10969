//! Where embeddings lie: what is near what, and what moves them.

pub mod classes;
pub mod clusters;
pub mod collapse;
pub mod cosines;
pub mod hubness;
pub mod invariance;
pub mod partition;
pub mod uniformity;
