//! Building blocks of encoders, each written once for every
//! [`Lowering`](crate::graph::Lowering): plain ONNX operators, or ONNX Runtime's
//! fused ones.

mod activation;
mod attention;
mod pooling;
mod residual;

pub use activation::Activation;
pub use attention::{AttentionMask, QueryKeyValue, Rotary};
pub use pooling::Pool;
pub use residual::Norm;
