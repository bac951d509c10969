//! One operator during the walk: what a rule sees and gives.

use super::rules;
use crate::error::{Error, Result};
use crate::graph::{Attribute, Attributes, Dim, Graph, Node, TensorType, Value};

/// What a rule is given: the operator, the gradients of its outputs and the graph to
/// add operators to.
pub(crate) struct Backward<'a> {
    /// The graph, to which the rule adds operators.
    pub(crate) g: &'a mut Graph,
    index: usize,
    node: &'a Node,
    outputs: Vec<Option<Value>>,
    wanted: Vec<bool>,
    given: Vec<Option<Value>>,
}

impl<'a> Backward<'a> {
    pub(super) fn new(
        g: &'a mut Graph,
        index: usize,
        node: &'a Node,
        outputs: Vec<Option<Value>>,
        wanted: Vec<bool>,
    ) -> Self {
        let given = vec![None; wanted.len()];
        Self { g, index, node, outputs, wanted, given }
    }

    /// Applies the operator's rule and returns the gradients of the inputs.
    pub(super) fn run(mut self) -> Result<Vec<Option<Value>>> {
        let rule = rules::find(&self.node.domain, &self.node.operator).ok_or_else(|| {
            self.unsupported(&format!(
                "has no gradient rule; rewrite the model without it, or train parameters after it \
                 only{}",
                match self.node.operator.as_str() {
                    "If" | "Loop" | "Scan" => " (operators with inner graphs are not supported)",
                    _ => "",
                }
            ))
        })?;
        rule(&mut self)?;
        Ok(self.given)
    }

    /// The error of an operator that cannot be differentiated as it stands.
    pub(crate) fn unsupported(&self, reason: &str) -> Error {
        let node = self.node;
        let domain = if node.domain.is_empty() { "" } else { &format!("{}.", node.domain) };
        let name = match (node.name.as_str(), node.outputs.iter().flatten().next()) {
            ("", Some(&output)) => self.g.value_name(output),
            (name, _) => name,
        };
        Error::Gradient(format!("{domain}{} `{name}` {reason}", node.operator))
    }

    /// The operator's name.
    pub(crate) fn operator(&self) -> &'a str {
        &self.node.operator
    }

    /// The operator's attributes.
    pub(crate) fn attributes(&self) -> Attributes<'a> {
        Attributes(&self.node.attributes)
    }

    /// Number of inputs.
    pub(crate) fn inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// Number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.node.outputs.len()
    }

    /// An input that must be there.
    pub(crate) fn input(&self, at: usize) -> Result<Value> {
        self.optional(at).ok_or_else(|| self.unsupported(&format!("lacks its input {at}")))
    }

    /// An input that may be left out.
    pub(crate) fn optional(&self, at: usize) -> Option<Value> {
        self.node.inputs.get(at).copied().flatten()
    }

    /// The type of an input.
    pub(crate) fn kind(&self, at: usize) -> Result<TensorType> {
        Ok(self.g.tensor_type(self.input(at)?)?.clone())
    }

    /// An output that must be there.
    pub(crate) fn output(&self, at: usize) -> Result<Value> {
        let output = self.node.outputs.get(at).copied().flatten();
        output.ok_or_else(|| self.unsupported(&format!("lacks its output {at}")))
    }

    /// An output of the forward operator that is made one if it was left out.
    pub(crate) fn extra_output(&mut self, at: usize, kind: TensorType) -> Result<Value> {
        if let Some(Some(output)) = self.g.nodes().get(self.index).and_then(|n| n.outputs.get(at)) {
            return Ok(*output);
        }
        self.g.extra_output(self.index, at, kind)
    }

    /// The gradient of the first output.
    pub(crate) fn gradient(&self) -> Result<Value> {
        self.gradient_of(0).ok_or_else(|| {
            self.unsupported("is differentiated through an output other than its first")
        })
    }

    /// The gradient of an output, where it has one.
    pub(crate) fn gradient_of(&self, at: usize) -> Option<Value> {
        self.outputs.get(at).copied().flatten()
    }

    /// Whether the gradient of an input is needed.
    pub(crate) fn wants(&self, at: usize) -> bool {
        self.wanted.get(at).copied().unwrap_or(false)
    }

    /// States the gradient of an input: of its shape, or of a shape that its shape was
    /// broadcast to, over which it is summed.
    pub(crate) fn give(&mut self, at: usize, gradient: Value) -> Result<()> {
        let input = self.input(at)?;
        let summed = sum_to(self.g, gradient, input)?;
        let before = self.given.get(at).copied().flatten();
        let summed = match before {
            Some(before) => self.g.op("Add", &[before, summed], vec![])?,
            None => summed,
        };
        if let Some(place) = self.given.get_mut(at) {
            *place = Some(summed);
        }
        Ok(())
    }

    /// A number of the element type of `like`.
    pub(crate) fn number(&mut self, like: Value, number: f64) -> Result<Value> {
        let element = self.g.tensor_type(like)?.element;
        self.g.scalar_of(element, number)
    }

    /// `a operator b`, for operators of two inputs and no attributes.
    pub(crate) fn pair(&mut self, operator: &str, a: Value, b: Value) -> Result<Value> {
        self.g.op(operator, &[a, b], vec![])
    }

    /// An operator of one input and no attributes.
    pub(crate) fn unary(&mut self, operator: &str, x: Value) -> Result<Value> {
        self.g.op(operator, &[x], vec![])
    }

    /// `x · number`.
    pub(crate) fn scaled(&mut self, x: Value, number: f64) -> Result<Value> {
        self.g.scaled(x, number)
    }

    /// A sum over `axes`, which are kept with size 1.
    pub(crate) fn sum_over(&mut self, x: Value, axes: &[i64]) -> Result<Value> {
        let axes = self.g.integers(axes)?;
        self.g.op("ReduceSum", &[x, axes], vec![Attribute::int("keepdims", 1)])
    }

    /// A mean over `axes`, which are kept with size 1.
    pub(crate) fn mean_over(&mut self, x: Value, axes: &[i64]) -> Result<Value> {
        let axes = self.g.integers(axes)?;
        self.g.op("ReduceMean", &[x, axes], vec![Attribute::int("keepdims", 1)])
    }

    /// `x`, finite, where a bool holds and zero elsewhere. A product, since ONNX Runtime's
    /// `Where` with a number takes many times as long on a CPU: 41 ms against 1.5 for 2
    /// million elements (1.32).
    pub(crate) fn masked(&mut self, condition: Value, x: Value) -> Result<Value> {
        let element = self.g.tensor_type(x)?.element;
        let mask = self.g.cast(condition, element)?;
        self.pair("Mul", x, mask)
    }

    /// `x` in the shape of `like`.
    pub(crate) fn reshape_like(&mut self, x: Value, like: Value) -> Result<Value> {
        reshape_like(self.g, x, like)
    }
}

/// `x` in the shape of `like`, which has as many elements.
pub(crate) fn reshape_like(g: &mut Graph, x: Value, like: Value) -> Result<Value> {
    let (from, to) = (g.tensor_type(x)?.clone(), g.tensor_type(like)?.clone());
    if from.shape == to.shape {
        return Ok(x);
    }
    let fixed: Vec<Option<i64>> =
        to.shape.iter().map(|dim| dim.fixed().map(|size| size as i64)).collect();
    let unknown = fixed.iter().filter(|size| size.is_none()).count();
    let kind = TensorType::new(from.element, to.shape.clone());
    let empty = fixed.contains(&Some(0));
    let sizes = if unknown <= 1 && !(empty && unknown == 1) {
        let sizes: Vec<i64> = fixed.iter().map(|size| size.unwrap_or(-1)).collect();
        g.integers(&sizes)?
    } else {
        g.op("Shape", &[like], vec![])?
    };
    let attributes = if empty { vec![Attribute::int("allowzero", 1)] } else { vec![] };
    g.push("Reshape", &[x, sizes], attributes, kind)
}

/// `gradient`, of a shape that the shape of `like` was broadcast to, summed over what
/// was repeated. The one place that knows of broadcasting.
pub(crate) fn sum_to(g: &mut Graph, gradient: Value, like: Value) -> Result<Value> {
    let (from, to) = (g.tensor_type(gradient)?.clone(), g.tensor_type(like)?.clone());
    if from.shape == to.shape {
        return Ok(gradient);
    }
    let Some(lead) = from.rank().checked_sub(to.rank()) else {
        return Err(g.error("ReduceSum", format!("a gradient {from} cannot become {to}")));
    };
    let one = Some(1);
    let mut axes: Vec<i64> = (0..lead as i64).collect();
    let mut certain = true;
    for (i, dim) in to.shape.iter().enumerate() {
        let summed = from.shape.get(lead + i);
        if summed == Some(dim) {
            continue;
        }
        match (summed.and_then(Dim::fixed), dim.fixed()) {
            (summed, size) if size == one && summed != one => axes.push((lead + i) as i64),
            (_, Some(_)) => {}
            (Some(_), None) | (None, None) => certain = false,
        }
    }
    if !certain {
        return sum_to_shape(g, gradient, like, lead);
    }
    if axes.is_empty() {
        return Ok(gradient);
    }
    let keep = axes.iter().any(|&axis| axis >= lead as i64);
    let axes = g.integers(&axes)?;
    let keepdims = vec![Attribute::int("keepdims", i64::from(keep))];
    let summed = g.op("ReduceSum", &[gradient, axes], keepdims)?;
    if keep && lead > 0 { reshape_like(g, summed, like) } else { Ok(summed) }
}

/// As [`sum_to`], where only the running graph knows which dimensions were repeated.
fn sum_to_shape(g: &mut Graph, gradient: Value, like: Value, lead: usize) -> Result<Value> {
    let kind = g.tensor_type(like)?.clone();
    let sizes = g.op("Shape", &[like], vec![])?;
    let mut padded = sizes;
    if lead > 0 {
        let ones = g.integers(&vec![1; lead])?;
        padded = g.op("Concat", &[ones, sizes], vec![Attribute::int("axis", 0)])?;
    }
    let found = g.op("Shape", &[gradient], vec![])?;
    let same = g.op("Equal", &[found, padded], vec![])?;
    let repeated = g.op("Not", &[same], vec![])?;
    let axes = g.op("NonZero", &[repeated], vec![])?;
    let zero = g.integers(&[0])?;
    let axes = g.op("Squeeze", &[axes, zero], vec![])?;
    let attributes = vec![Attribute::int("keepdims", 1), Attribute::int("noop_with_empty_axes", 1)];
    let summed = g.op("ReduceSum", &[gradient, axes], attributes)?;
    g.push("Reshape", &[summed, sizes], vec![], kind)
}

/// A tensor of one value in the shape of `like`.
pub(crate) fn filled_like(g: &mut Graph, like: Value, value: f64) -> Result<Value> {
    let kind = g.tensor_type(like)?.clone();
    let number = g.scalar_of(kind.element, value)?;
    let sizes = shape_of(g, like)?;
    g.push("Expand", &[number, sizes], vec![], kind)
}

/// int64 sizes as a constant, or computed from `like`.
pub(crate) fn shape_of(g: &mut Graph, like: Value) -> Result<Value> {
    let sizes: Option<Vec<i64>> =
        g.shape(like)?.iter().map(|dim| dim.fixed().map(|size| size as i64)).collect();
    match sizes {
        Some(sizes) => g.integers(&sizes),
        None => g.op("Shape", &[like], vec![]),
    }
}

/// Whether a value is of a floating-point type.
pub(crate) fn is_float(g: &Graph, value: Value) -> bool {
    g.tensor_type(value).is_ok_and(|kind| kind.element.is_float())
}
