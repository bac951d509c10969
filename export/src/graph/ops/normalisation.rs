//! Normalisation.

use crate::error::Result;
use crate::graph::{Attribute, Graph, Value, show};

impl Graph {
    /// Layer normalisation over the last dimension: mean 0, variance 1, then
    /// `· scale + bias`, with `scale` and `bias` `[width]` (Ba, Kiros & Hinton,
    /// 2016, arXiv:1607.06450).
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
    pub fn layer_norm(
        &mut self,
        x: Value,
        scale: Value,
        bias: Option<Value>,
        epsilon: f32,
    ) -> Result<Value> {
        let kind = self.float_type("LayerNormalization", x)?;
        self.check_last_dim("LayerNormalization", x, &[Some(scale), bias])?;
        let attributes = vec![Attribute::int("axis", -1), Attribute::float("epsilon", epsilon)];
        let inputs = [Some(x), Some(scale), bias];
        self.push_optional("LayerNormalization", "", &inputs, attributes, kind)
    }

    /// Softmax over one dimension; `axis` may count from the end.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when `axis` does not exist.
    pub fn softmax(&mut self, x: Value, axis: i64) -> Result<Value> {
        let kind = self.float_type("Softmax", x)?;
        self.axis("Softmax", &kind.shape, axis)?;
        self.push("Softmax", &[x], vec![Attribute::int("axis", axis)], kind)
    }

    /// Rows divided by their Euclidean norm, which is taken as at least 1e-12:
    /// unit vectors.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
    pub fn unit_norm(&mut self, x: Value) -> Result<Value> {
        let norm = self.reduce_l2(x, -1)?;
        let element = self.tensor_type(x)?.element;
        let least = self.scalar_of(element, 1e-12)?;
        let norm = self.max(norm, least)?;
        self.div(x, norm)
    }

    /// Checks that each of `vectors` is `[width]` where `x` is `[…, width]`.
    pub(crate) fn check_last_dim(
        &self,
        operator: &str,
        x: Value,
        vectors: &[Option<Value>],
    ) -> Result<()> {
        let kind = self.tensor_type(x)?;
        for vector in vectors.iter().flatten() {
            let vector = self.tensor_type(*vector)?;
            if vector.element != kind.element || kind.shape.last() != vector.shape.last() || {
                vector.rank() != 1
            } {
                return Err(self.error(
                    operator,
                    format!(
                        "{vector} does not fit the last dimension of {} {}",
                        kind.element,
                        show(&kind.shape)
                    ),
                ));
            }
        }
        Ok(())
    }
}
