//! Operators that move elements and change shapes.

use crate::error::Result;
use crate::graph::{Attribute, Dim, ElementType, Graph, Shape, TensorType, Value, show};

impl Graph {
    /// The same elements in another shape. Unknown dimensions of `to` must stand
    /// where the input has them, save one.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the number of elements
    /// differs, or when more than one dimension would have to be computed.
    pub fn reshape(&mut self, x: Value, to: Shape) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        let (from, into) = (Dim::product(&kind.shape), Dim::product(&to));
        if from.is_none() || from != into {
            return Err(self.error(
                "Reshape",
                format!("{} cannot become {}: {}", show(&kind.shape), show(&to), {
                    "the numbers of elements differ"
                }),
            ));
        }
        let mut inferred = 0;
        let mut target = Vec::with_capacity(to.len());
        for (i, dim) in to.iter().enumerate() {
            target.push(match dim.fixed() {
                Some(size) => size as i64,
                None if kind.shape.get(i) == Some(dim) => 0,
                None => {
                    inferred += 1;
                    -1
                }
            });
        }
        if inferred > 1 {
            return Err(self.error(
                "Reshape",
                format!(
                    "{} cannot become {}: more than one dimension would have to be computed",
                    show(&kind.shape),
                    show(&to)
                ),
            ));
        }
        let target = self.integers(&target)?;
        self.push("Reshape", &[x, target], vec![], TensorType::new(kind.element, to))
    }

    /// Dimensions in another order: dimension `i` of the output is dimension
    /// `order[i]` of the input.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when `order` is not a permutation.
    pub fn transpose(&mut self, x: Value, order: &[usize]) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..kind.rank()) {
            return Err(self.error(
                "Transpose",
                format!("{order:?} does not order the dimensions of {}", show(&kind.shape)),
            ));
        }
        let shape = order.iter().filter_map(|&i| kind.shape.get(i).cloned()).collect();
        let perm = Attribute::ints("perm", order.iter().map(|&i| i as i64).collect());
        self.push("Transpose", &[x], vec![perm], TensorType::new(kind.element, shape))
    }

    /// A tensor cut along `axis` into pieces of the given sizes.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the sizes do not add up to the
    /// dimension.
    pub fn split(&mut self, x: Value, axis: i64, sizes: &[usize]) -> Result<Vec<Value>> {
        let kind = self.tensor_type(x)?.clone();
        let at = self.axis("Split", &kind.shape, axis)?;
        let total = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
        if kind.shape.get(at).and_then(Dim::fixed) != total || sizes.is_empty() {
            return Err(self.error(
                "Split",
                format!("dimension {axis} of {} cannot be cut into {sizes:?}", show(&kind.shape)),
            ));
        }
        let outputs = sizes
            .iter()
            .map(|&size| {
                let mut shape = kind.shape.clone();
                if let Some(dim) = shape.get_mut(at) {
                    *dim = Dim::from(size);
                }
                TensorType::new(kind.element, shape)
            })
            .collect();
        let lengths: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
        let lengths = self.integers(&lengths)?;
        let attributes = vec![Attribute::int("axis", axis)];
        Ok(self.push_node("Split", "", &[Some(x), Some(lengths)], attributes, outputs))
    }

    /// A tensor cut along `axis` into `count` pieces of the same size, or nearly so.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the dimension does not exist.
    pub fn split_evenly(&mut self, x: Value, axis: i64, count: usize) -> Result<Vec<Value>> {
        let attributes =
            vec![Attribute::int("axis", axis), Attribute::int("num_outputs", count as i64)];
        self.op_outputs("Split", &[Some(x)], attributes, count)
    }

    /// Tensors joined along `axis`.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the other dimensions or the types
    /// differ.
    pub fn concat(&mut self, parts: &[Value], axis: i64) -> Result<Value> {
        let Some((&first, rest)) = parts.split_first() else {
            return Err(self.error("Concat", "needs at least one tensor".into()));
        };
        if rest.is_empty() {
            return Ok(first);
        }
        let kind = self.tensor_type(first)?.clone();
        let at = self.axis("Concat", &kind.shape, axis)?;
        let mut sum = kind.shape.get(at).and_then(Dim::fixed);
        for &part in rest {
            let other = self.tensor_type(part)?;
            let fits = other.element == kind.element
                && other.rank() == kind.rank()
                && (0..kind.rank()).all(|i| i == at || other.shape.get(i) == kind.shape.get(i));
            if !fits {
                return Err(self.error("Concat", format!("{kind} and {other} do not join")));
            }
            sum = sum.zip(other.shape.get(at).and_then(Dim::fixed)).map(|(a, b)| a + b);
        }
        let joined = sum.map_or_else(|| self.fresh_dim("joined"), Dim::from);
        let mut shape = kind.shape;
        if let Some(dim) = shape.get_mut(at) {
            *dim = joined;
        }
        let attributes = vec![Attribute::int("axis", axis)];
        self.push("Concat", parts, attributes, TensorType::new(kind.element, shape))
    }

    /// Entries `start..end` along `axis`, with numbers known now.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the range leaves the dimension.
    pub fn slice(&mut self, x: Value, axis: i64, start: usize, end: usize) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        let at = self.axis("Slice", &kind.shape, axis)?;
        let size = kind.shape.get(at).and_then(Dim::fixed);
        if start > end || size.is_some_and(|size| end > size) {
            return Err(self.error(
                "Slice",
                format!("{start}..{end} leaves dimension {axis} of {}", show(&kind.shape)),
            ));
        }
        let mut shape = kind.shape;
        if let Some(dim) = shape.get_mut(at) {
            *dim = Dim::from(end - start);
        }
        let inputs = [
            x,
            self.integers(&[start as i64])?,
            self.integers(&[end as i64])?,
            self.integers(&[axis])?,
        ];
        self.push("Slice", &inputs, vec![], TensorType::new(kind.element, shape))
    }

    /// `x` as it is, through which no gradient passes: what it is computed from is constant
    /// for [`differentiate`](crate::differentiate).
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when its type is not known.
    pub fn stop_gradient(&mut self, x: Value) -> Result<Value> {
        let out = self.op("Identity", &[x], vec![])?;
        self.stopped.insert(out);
        Ok(out)
    }

    /// Whether no gradient passes through a value.
    pub(crate) fn is_stopped(&self, value: Value) -> bool {
        self.stopped.contains(&value)
    }

    /// The first `count` entries along the first dimension; `count` is a computed
    /// int64 `[1]` whose meaning is the dimension `size`. When the graph runs
    /// with a count beyond the dimension, all entries are given.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when types do not fit.
    pub fn take_first(&mut self, x: Value, count: Value, size: Dim) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        self.axis("Slice", &kind.shape, 0)?;
        let counted = self.tensor_type(count)?;
        if counted.element != ElementType::Int64 || counted.shape != [Dim::from(1)] {
            return Err(self.error("Slice", format!("the count is int64 [1], not {counted}")));
        }
        let mut shape = kind.shape;
        if let Some(dim) = shape.get_mut(0) {
            *dim = size;
        }
        let zero = self.integers(&[0])?;
        self.push("Slice", &[x, zero, count, zero], vec![], TensorType::new(kind.element, shape))
    }

    /// Adds dimensions of size 1, so that they stand at `axes` of the output.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when `axes` are not ascending or too large.
    pub fn unsqueeze(&mut self, x: Value, axes: &[usize]) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        let mut shape = kind.shape;
        for pair in axes.windows(2) {
            if pair[0] >= pair[1] {
                return Err(self.error("Unsqueeze", format!("{axes:?} is not ascending")));
            }
        }
        for &axis in axes {
            if axis > shape.len() {
                return Err(self.error(
                    "Unsqueeze",
                    format!("{} cannot have a dimension {axis}", show(&shape)),
                ));
            }
            shape.insert(axis, Dim::from(1));
        }
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        self.push_with_axes("Unsqueeze", x, axes, TensorType::new(kind.element, shape))
    }

    /// Removes one dimension of size 1.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the dimension is not 1.
    pub fn squeeze(&mut self, x: Value, axis: i64) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        let mut shape = kind.shape;
        let at = self.axis("Squeeze", &shape, axis)?;
        let removed = shape.remove(at);
        if removed.fixed() != Some(1) {
            return Err(self.error("Squeeze", format!("dimension {axis} is {removed}, not 1")));
        }
        self.push_with_axes("Squeeze", x, vec![at as i64], TensorType::new(kind.element, shape))
    }

    /// Axes became an input in version 13.
    fn push_with_axes(
        &mut self,
        operator: &str,
        x: Value,
        axes: Vec<i64>,
        kind: TensorType,
    ) -> Result<Value> {
        if self.opset() < 13 {
            return self.push(operator, &[x], vec![Attribute::ints("axes", axes)], kind);
        }
        let axes = self.integers(&axes)?;
        self.push(operator, &[x, axes], vec![], kind)
    }

    /// Entries of `x` along `axis`, chosen by the integers `indices`, whose shape
    /// replaces that dimension.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when types do not fit.
    pub fn gather(&mut self, x: Value, indices: Value, axis: i64) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        let chosen = self.tensor_type(indices)?.clone();
        if !matches!(chosen.element, ElementType::Int32 | ElementType::Int64) {
            return Err(self.error("Gather", format!("indices are integers, not {chosen}")));
        }
        let at = self.axis("Gather", &kind.shape, axis)?;
        let mut shape = kind.shape;
        shape.splice(at..=at, chosen.shape);
        let attributes = vec![Attribute::int("axis", axis)];
        self.push("Gather", &[x, indices], attributes, TensorType::new(kind.element, shape))
    }

    /// For each row of `x` `[batch, tokens, width]`, the entry that `indices` (int64
    /// `[batch, 1]`) names: `[batch, width]`. One `GatherND`.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
    pub fn gather_rows(&mut self, x: Value, indices: Value) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        let chosen = self.tensor_type(indices)?.clone();
        let ([batch, _, width], [rows, one]) = (&kind.shape[..], &chosen.shape[..]) else {
            return Err(self.error("GatherND", format!("{kind} by {chosen}")));
        };
        if rows != batch || one.fixed() != Some(1) || chosen.element != ElementType::Int64 {
            return Err(self.error("GatherND", format!("{kind} by {chosen}")));
        }
        if self.opset() < 12 {
            return Err(self.error(
                "GatherND",
                format!(
                    "needs version 12 of the operator set, and the graph is of {}",
                    self.opset()
                ),
            ));
        }
        let shape = vec![batch.clone(), width.clone()];
        let attributes = vec![Attribute::int("batch_dims", 1)];
        self.push("GatherND", &[x, indices], attributes, TensorType::new(kind.element, shape))
    }

    /// The size of one dimension as an int64 `[1]`.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when `axis` does not exist.
    pub fn size_of(&mut self, x: Value, axis: usize) -> Result<Value> {
        let shape = self.shape(x)?;
        self.axis("Shape", &shape, axis as i64)?;
        if self.opset() < 15 {
            let kind = TensorType::new(ElementType::Int64, vec![Dim::from(shape.len())]);
            let all = self.push("Shape", &[x], vec![], kind)?;
            let at = self.integers(&[axis as i64])?;
            return self.gather(all, at, 0);
        }
        let attributes =
            vec![Attribute::int("start", axis as i64), Attribute::int("end", axis as i64 + 1)];
        let kind = TensorType::new(ElementType::Int64, vec![Dim::from(1)]);
        self.push("Shape", &[x], attributes, kind)
    }

    /// The integers from 0 below `count`, an int64 `[1]` that means the dimension
    /// `size`: int64 `[size]`.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when types do not fit.
    pub fn range(&mut self, count: Value, size: Dim) -> Result<Value> {
        let limit = self.squeeze(count, 0)?;
        let zero = self.constant(crate::graph::Tensor::from_i64(&[], &[0]))?;
        let one = self.constant(crate::graph::Tensor::from_i64(&[], &[1]))?;
        let kind = TensorType::new(ElementType::Int64, vec![size]);
        self.push("Range", &[zero, limit, one], vec![], kind)
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{ElementType, Graph, Lowering, Value};
    use crate::shape;

    fn graph() -> (Graph, Value) {
        let mut g = Graph::new("g", Lowering::Standard);
        let x = g.input("x", ElementType::Float32, shape!["batch", "tokens", 12]).unwrap();
        (g, x)
    }

    #[test]
    fn reshape_counts_symbolic_elements() {
        let (mut g, x) = graph();
        let heads = g.reshape(x, shape!["batch", "tokens", 3, 4]).unwrap();
        let back = g.transpose(heads, &[0, 2, 1, 3]).unwrap();
        assert_eq!(g.tensor_type(back).unwrap().to_string(), "float32 [batch, 3, tokens, 4]");
        let rows = crate::graph::Dim::product(&shape!["batch", "tokens"]).unwrap();
        assert!(g.reshape(x, vec![rows, 12.into()]).is_ok());
        let message = g.reshape(x, shape!["batch", "tokens", 5]).unwrap_err().to_string();
        assert!(message.contains("[batch, tokens, 12] cannot become [batch, tokens, 5]"));
        assert!(g.reshape(x, shape!["tokens", "batch", 12]).is_err());
    }

    #[test]
    fn cutting_and_joining_are_checked() {
        let (mut g, x) = graph();
        assert!(g.split(x, -1, &[4, 4]).unwrap_err().to_string().contains("[4, 4]"));
        let parts = g.split(x, -1, &[4, 8]).unwrap();
        let whole = g.concat(&parts, -1).unwrap();
        assert_eq!(g.tensor_type(whole).unwrap(), g.tensor_type(x).unwrap());
        assert!(g.concat(&parts, 1).is_err());
        assert!(g.slice(x, -1, 4, 13).is_err());
        assert!(g.squeeze(x, 2).is_err());
        assert!(g.transpose(x, &[0, 1]).is_err());
        assert!(g.unsqueeze(x, &[5]).is_err());
        assert!(g.gather(x, x, 0).is_err());
    }
}
