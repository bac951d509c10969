//! Which examples to label next: iterators over a pool of unlabeled ones.
//!
//! [`uncertain`] asks about what the head is least sure of, the right choice for one label at
//! a time. In a batch the least sure examples are often near copies of each other; the two
//! diverse choices below look at the embeddings too, and need no head at all:
//!
//! | | picks | takes weights |
//! | --- | --- | --- |
//! | [`Diverse`] | by chance, far from what is picked (k-means++) | yes, such as [`Uncertainty::of`] |
//! | [`CoreSet`] | the farthest from all that is picked or labelled (k-centre greedy) | no |
//!
//! Each iterator yields indices of the pool, every one once, and is deterministic; take as
//! many as there is time to label.

mod diverse;
mod uncertainty;

pub use diverse::{CoreSet, Diverse};
pub use uncertainty::{Uncertainty, uncertain};
