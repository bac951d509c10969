//! From one vector a token to one vector a text.

use crate::error::Result;
use crate::graph::{ElementType, Graph, Value};

/// A way to make one vector of the vectors of a row's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Mean over the real tokens.
    Mean,
    /// The first token's vector.
    Cls,
    /// The last real token's vector.
    LastToken,
    /// Largest value of each dimension over the real tokens.
    Max,
    /// Sum over the real tokens divided by the square root of their number.
    MeanSqrtLen,
}

impl Graph {
    /// Pools `tokens` `[batch, tokens, width]` under `mask`, int64
    /// `[batch, tokens]` with 1 for real tokens, to `[batch, width]`.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
    pub fn pool(&mut self, tokens: Value, mask: Value, pool: Pool) -> Result<Value> {
        match pool {
            Pool::Cls => {
                let first = self.constant(crate::graph::Tensor::from_i64(&[], &[0]))?;
                self.gather(tokens, first, 1)
            }
            Pool::LastToken => {
                // The largest position among the real tokens.
                let count = self.size_of(mask, 1)?;
                let size = self.shape(mask)?.pop().unwrap_or_else(|| 0.into());
                let positions = self.range(count, size)?;
                let positions = self.mul(mask, positions)?;
                let last = self.reduce_max(positions, 1)?;
                self.gather_rows(tokens, last)
            }
            Pool::Max => {
                let zero = self.constant(crate::graph::Tensor::from_i64(&[], &[0]))?;
                let absent = self.equal(mask, zero)?;
                let absent = self.unsqueeze(absent, &[2])?;
                let lowest = self.scalar(f32::NEG_INFINITY)?;
                let kept = self.select(absent, lowest, tokens)?;
                let most = self.reduce_max(kept, 1)?;
                self.squeeze(most, 1)
            }
            Pool::Mean | Pool::MeanSqrtLen => {
                let mask = self.cast(mask, ElementType::Float32)?;
                let count = self.reduce_sum(mask, 1)?;
                let least = self.scalar(1e-9)?;
                let mut count = self.max(count, least)?;
                if pool == Pool::MeanSqrtLen {
                    count = self.sqrt(count)?;
                }
                // The sum under the mask is a product of a row of the mask with
                // the tokens.
                let mask = self.unsqueeze(mask, &[1])?;
                let sum = self.matmul(mask, tokens)?;
                let sum = self.squeeze(sum, 1)?;
                self.div(sum, count)
            }
        }
    }
}
