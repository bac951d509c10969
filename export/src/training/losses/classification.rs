//! Cross-entropy.

use super::{mean, total};
use crate::error::Result;
use crate::graph::{Attribute, ElementType, Graph, Tensor, Value};

/// Settings of [`cross_entropy`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropy {
    /// Share of the target that is spread evenly over all classes (Szegedy et al., 2016,
    /// arXiv:1512.00567).
    pub label_smoothing: f64,
    /// Rows with this label are left out of the mean.
    pub ignored_label: i64,
}

impl Default for CrossEntropy {
    fn default() -> Self {
        Self { label_smoothing: 0.0, ignored_label: -100 }
    }
}

/// Mean negative log-likelihood of `labels`, int64 `[rows]`, under the softmax of
/// `logits` `[rows, classes]`, over the rows that are not ignored; 0 when all are.
///
/// # Errors
/// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
pub fn cross_entropy(
    g: &mut Graph,
    logits: Value,
    labels: Value,
    settings: &CrossEntropy,
) -> Result<Value> {
    g.in_scope("cross_entropy", |g| {
        let kind = g.float_type("cross_entropy", logits)?;
        let chosen = g.tensor_type(labels)?.clone();
        let rows_fit = kind.shape.first().zip(chosen.shape.first());
        if kind.rank() != 2
            || chosen.rank() != 1
            || chosen.element != ElementType::Int64
            || !rows_fit.is_some_and(|(a, b)| g.may_equal(a, b))
        {
            return Err(g.error(
                "cross_entropy",
                format!("logits {kind} and labels {chosen}; [rows, classes] and int64 [rows]"),
            ));
        }
        let log = g.op("LogSoftmax", &[logits], vec![Attribute::int("axis", -1)])?;
        let ignored = g.constant(Tensor::from_i64(&[], &[settings.ignored_label]))?;
        let zero = g.constant(Tensor::from_i64(&[], &[0]))?;
        let skipped = g.equal(labels, ignored)?;
        let safe = g.select(skipped, zero, labels)?;
        let column = g.unsqueeze(safe, &[1])?;
        let axis = vec![Attribute::int("axis", 1)];
        let found = g.op("GatherElements", &[log, column], axis)?;
        let mut rows = g.squeeze(found, 1)?;
        if settings.label_smoothing > 0.0 {
            let even = g.reduce_mean(log, -1)?;
            let even = g.squeeze(even, 1)?;
            let even = g.scaled(even, settings.label_smoothing)?;
            rows = g.scaled(rows, 1.0 - settings.label_smoothing)?;
            rows = g.add(rows, even)?;
        }
        let counted = g.not(skipped)?;
        let counted = g.cast(counted, kind.element)?;
        let rows = g.mul(rows, counted)?;
        let sum = total(g, rows)?;
        let count = total(g, counted)?;
        let one = g.scalar_of(kind.element, 1.0)?;
        let count = g.max(count, one)?;
        let mean = g.div(sum, count)?;
        g.neg(mean)
    })
}

/// Mean cross-entropy of rows of scores against the row's own number: the diagonal is
/// the right answer.
pub(super) fn diagonal(g: &mut Graph, scores: Value) -> Result<Value> {
    let log = g.op("LogSoftmax", &[scores], vec![Attribute::int("axis", -1)])?;
    let eye = g.op("EyeLike", &[log], vec![])?;
    let product = g.mul(log, eye)?;
    let last = g.integers(&[-1])?;
    let right = g.op("ReduceSum", &[product, last], vec![Attribute::int("keepdims", 0)])?;
    let mean = mean(g, right)?;
    g.neg(mean)
}
