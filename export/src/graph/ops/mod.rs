//! Operators, grouped by kind. Each is a method of
//! [`Graph`](crate::graph::Graph) that checks its inputs, infers the type of
//! its output and adds one node (or, where said, a few).

mod contrib;
mod elementwise;
mod linear;
mod movement;
mod normalisation;
mod reduction;

pub(crate) use contrib::AttentionExtras;
pub use elementwise::Gelu;
