//! Linear algebra.

use crate::error::Result;
use crate::graph::{Dim, Graph, TensorType, Value, broadcast, show};

impl Graph {
    /// Matrix product over the last two dimensions, `[…, m, k] × […, k, n]`
    /// giving `[…, m, n]`; leading dimensions broadcast.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the shapes or types do
    /// not fit.
    pub fn matmul(&mut self, a: Value, b: Value) -> Result<Value> {
        let kind = self.matmul_type("MatMul", a, b, false)?;
        self.push("MatMul", &[a, b], vec![], kind)
    }

    /// `x · weight + bias`, with `x` `[…, in]`, `weight` `[in, out]` and `bias`
    /// `[out]`: a `MatMul` and, where there is a bias, an `Add`.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the shapes or types do
    /// not fit.
    pub fn linear(&mut self, x: Value, weight: Value, bias: Option<Value>) -> Result<Value> {
        let product = self.matmul(x, weight)?;
        match bias {
            Some(bias) => self.add(product, bias),
            None => Ok(product),
        }
    }

    /// The type of a matrix product; `transpose_b` swaps the last two dimensions
    /// of `b` first.
    pub(crate) fn matmul_type(
        &self,
        operator: &str,
        a: Value,
        b: Value,
        transpose_b: bool,
    ) -> Result<TensorType> {
        let (a, b) = (self.tensor_type(a)?, self.tensor_type(b)?);
        let fail = |reason: &str| {
            self.error(operator, format!("{} × {}: {reason}", show(&a.shape), show(&b.shape)))
        };
        if a.element != b.element || !a.element.is_float() {
            return Err(fail(&format!(
                "elements are {} and {}; both must be the same floating-point type",
                a.element, b.element
            )));
        }
        let ([lead_a @ .., m, k], [lead_b @ .., rows, columns]) = (&a.shape[..], &b.shape[..])
        else {
            return Err(fail("both must have two dimensions or more"));
        };
        let (inner, n): (&Dim, &Dim) = if transpose_b { (columns, rows) } else { (rows, columns) };
        if k != inner {
            return Err(fail(&format!("the inner dimensions are {k} and {inner}")));
        }
        let mut shape = broadcast(lead_a, lead_b).map_err(|reason| fail(&reason))?;
        shape.extend([m.clone(), n.clone()]);
        Ok(TensorType::new(a.element, shape))
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{ElementType, Graph, Lowering};
    use crate::shape;

    #[test]
    fn matmul_broadcasts_leading_dimensions() {
        let mut g = Graph::new("g", Lowering::Standard);
        let a = g.input("a", ElementType::Float32, shape!["batch", 12, "tokens", 32]).unwrap();
        let b = g.input("b", ElementType::Float32, shape![12, 32, 7]).unwrap();
        let y = g.matmul(a, b).unwrap();
        assert_eq!(g.tensor_type(y).unwrap().shape, shape!["batch", 12, "tokens", 7]);
    }

    #[test]
    fn matmul_names_operator_place_and_shapes() {
        let mut g = Graph::new("g", Lowering::Standard);
        let a = g.input("a", ElementType::Float32, shape!["batch", 384]).unwrap();
        let b = g.input("b", ElementType::Float32, shape![383, 7]).unwrap();
        let c = g.input("c", ElementType::Int64, shape![384, 7]).unwrap();
        let v = g.input("v", ElementType::Float32, shape![384]).unwrap();
        let message =
            g.in_scope("layer.0", |g| g.matmul(a, b)).map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            message,
            "MatMul in `/layer.0`: [batch, 384] × [383, 7]: the inner dimensions are 384 and 383"
        );
        assert!(g.matmul(a, c).unwrap_err().to_string().contains("float32 and int64"));
        assert!(g.matmul(a, v).unwrap_err().to_string().contains("two dimensions"));
    }
}
