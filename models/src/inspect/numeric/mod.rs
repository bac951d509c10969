//! What several measures need: eigenvalues, neighbours, clusters, intervals.

pub(crate) mod clusters;
pub(crate) mod eigen;
pub(crate) mod interval;
pub(crate) mod neighbors;
pub(crate) mod parallel;
pub(crate) mod products;
pub(crate) mod statistics;
