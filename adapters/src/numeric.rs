//! Dense linear algebra and probabilities that the heads share, in f64.
//!
//! Products go through `ndarray`'s matrix multiplication, which picks the widest vector
//! instructions of the machine at run time; the factorisations below are blocked so that
//! nearly all of their work is such products.

mod block;
mod cholesky;
mod exponential;
mod gram;
mod lbfgs;
mod packed;
mod parallel;
mod random;
mod softmax;
mod student;
mod tridiagonal;

use block::block_mut;
pub(crate) use block::{block, values};
pub(crate) use cholesky::Cholesky;
pub(crate) use exponential::exponentials;
pub(crate) use gram::{add_lower_gram, gram, scatter};
pub(crate) use lbfgs::minimize;
pub(crate) use packed::{Packed, add_scaled, dot, multiply};
pub(crate) use parallel::map as parallel_map;
pub(crate) use random::Random;
pub(crate) use softmax::softmax_rows;
pub(crate) use student::student_quantile;
pub(crate) use tridiagonal::{ROWS, Shifted, Tridiagonal};
