//! Operators that compute with elements: one by one, in products, in sums.

use super::super::{Dim, ElementType, Graph, TensorType, show};
use super::{Call, integers, position};
use crate::error::Result;

/// Operators whose output is of the first input's type and shape.
const LIKE_FIRST: &[&str] = &[
    "Abs",
    "Acos",
    "Asin",
    "Atan",
    "BiasGelu",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Cosh",
    "CumSum",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "FastGelu",
    "Floor",
    "Gelu",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "InstanceNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "Mish",
    "Neg",
    "Not",
    "PRelu",
    "QuickGelu",
    "RMSNormalization",
    "Reciprocal",
    "Relu",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Trilu",
];

/// Operators that pair elements, broadcasting; any number of inputs.
const PAIRED: &[&str] = &[
    "Add",
    "And",
    "BitwiseAnd",
    "BitwiseOr",
    "Div",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "Sub",
    "Sum",
    "Xor",
];

const COMPARED: &[&str] = &["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"];

const REDUCED: &[&str] = &[
    "ArgMax",
    "ArgMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
];

pub(super) fn types(g: &mut Graph, call: &Call<'_>) -> Result<Option<Vec<TensorType>>> {
    let operator = call.operator;
    let kind = match operator {
        _ if LIKE_FIRST.contains(&operator) => {
            let kind = call.kind(g, 0)?;
            let mut all = vec![kind.clone()];
            if operator == "Dropout" && call.outputs > 1 {
                all.push(TensorType::new(ElementType::Bool, kind.shape));
            }
            return Ok(Some(all));
        }
        "IsNaN" | "IsInf" => TensorType::new(ElementType::Bool, call.kind(g, 0)?.shape),
        _ if PAIRED.contains(&operator) || COMPARED.contains(&operator) => {
            let mut kind = call.kind(g, 0)?;
            for at in 1..call.inputs.len() {
                let other = call.kind(g, at)?;
                if other.element != kind.element && operator != "Pow" {
                    return Err(
                        g.error(operator, format!("{kind} and {other}: elements differ in type"))
                    );
                }
                kind.shape = g.broadcast_shapes(operator, &kind.shape, &other.shape)?;
            }
            if COMPARED.contains(&operator) {
                kind.element = ElementType::Bool;
            }
            kind
        }
        "Where" => {
            let (choice, a, b) = (call.kind(g, 0)?, call.kind(g, 1)?, call.kind(g, 2)?);
            if choice.element != ElementType::Bool || a.element != b.element {
                return Err(g.error(
                    operator,
                    format!("elements are {}, {}, {}", choice.element, a.element, b.element),
                ));
            }
            let shape = g.broadcast_shapes(operator, &a.shape, &b.shape)?;
            let shape = g.broadcast_shapes(operator, &shape, &choice.shape)?;
            TensorType::new(a.element, shape)
        }
        "Cast" => {
            let to = call.attributes.int("to", 0);
            let element = ElementType::from_code(i32::try_from(to).unwrap_or(0));
            TensorType::new(element, call.kind(g, 0)?.shape)
        }
        "CastLike" => TensorType::new(call.kind(g, 1)?.element, call.kind(g, 0)?.shape),
        "MatMul" => matmul(g, call, false, false)?,
        "FusedMatMul" => {
            let flag = |name| call.attributes.int(name, 0) != 0;
            matmul(g, call, flag("transA"), flag("transB"))?
        }
        "Gemm" => gemm(g, call)?,
        "Einsum" => einsum(g, call)?,
        _ if REDUCED.contains(&operator) => reduced(g, call)?,
        "LayerNormalization" => return layer_normalization(g, call).map(Some),
        "BatchNormalization" => {
            let kind = call.kind(g, 0)?;
            let channels = call.kind(g, 1)?;
            let mut all = vec![kind];
            all.resize(call.outputs.max(1), channels);
            return Ok(Some(all));
        }
        "SoftmaxCrossEntropyLoss" | "NegativeLogLikelihoodLoss" => {
            let (scores, labels) = (call.kind(g, 0)?, call.kind(g, 1)?);
            let reduction = call.attributes.string("reduction");
            let shape = if reduction == "none" { labels.shape } else { vec![] };
            let mut all = vec![TensorType::new(scores.element, shape)];
            if call.outputs > 1 {
                all.push(scores);
            }
            return Ok(Some(all));
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![kind]))
}

fn matmul(g: &mut Graph, call: &Call<'_>, flip_a: bool, flip_b: bool) -> Result<TensorType> {
    let (mut a, mut b) = (call.kind(g, 0)?, call.kind(g, 1)?);
    let text = format!("{} × {}", show(&a.shape), show(&b.shape));
    let fail = |g: &Graph, reason: &str| g.error(call.operator, format!("{text}: {reason}"));
    if a.element != b.element {
        return Err(fail(g, &format!("elements are {} and {}", a.element, b.element)));
    }
    let (vector_a, vector_b) = (a.rank() == 1, b.rank() == 1);
    if vector_a {
        a.shape.insert(0, Dim::from(1));
    }
    if vector_b {
        b.shape.push(Dim::from(1));
    }
    for (kind, flip) in [(&mut a, flip_a), (&mut b, flip_b)] {
        let rank = kind.rank();
        if flip && rank >= 2 {
            kind.shape.swap(rank - 2, rank - 1);
        }
    }
    let ([lead_a @ .., m, k], [lead_b @ .., rows, n]) = (&a.shape[..], &b.shape[..]) else {
        return Err(fail(g, "both must have a dimension or more"));
    };
    if !g.may_equal(k, rows) {
        return Err(fail(g, &format!("the inner dimensions are {k} and {rows}")));
    }
    let mut shape = g.broadcast_shapes(call.operator, lead_a, lead_b)?;
    if !vector_a {
        shape.push(m.clone());
    }
    if !vector_b {
        shape.push(n.clone());
    }
    Ok(TensorType::new(a.element, shape))
}

fn gemm(g: &mut Graph, call: &Call<'_>) -> Result<TensorType> {
    let (a, b) = (call.kind(g, 0)?, call.kind(g, 1)?);
    let flag = |name| call.attributes.int(name, 0) != 0;
    let ([a0, a1], [b0, b1]) = (&a.shape[..], &b.shape[..]) else {
        return Err(g.error("Gemm", format!("{a} and {b}; both must have two dimensions")));
    };
    let (m, k) = if flag("transA") { (a1, a0) } else { (a0, a1) };
    let (rows, n) = if flag("transB") { (b1, b0) } else { (b0, b1) };
    if !g.may_equal(k, rows) || a.element != b.element {
        return Err(g.error("Gemm", format!("{a} × {b}: {k} against {rows}")));
    }
    Ok(TensorType::new(a.element, vec![m.clone(), n.clone()]))
}

/// The first of the letters that stand for dots in an equation.
const HIDDEN: u32 = 0x2500;

/// `Einsum`. The dimensions that dots stand for are given letters of their own, counted
/// from the last, and broadcast.
fn einsum(g: &mut Graph, call: &Call<'_>) -> Result<TensorType> {
    let equation: String =
        call.attributes.string("equation").chars().filter(|c| !c.is_whitespace()).collect();
    let wrong =
        |g: &Graph, reason: &str| g.error("Einsum", format!("the equation `{equation}` {reason}"));
    let dots = |count: usize| -> String {
        (0..count as u32).rev().filter_map(|i| char::from_u32(HIDDEN + i)).collect()
    };
    let (terms, result) = match equation.split_once("->") {
        Some((terms, result)) => (terms, result.to_owned()),
        None => {
            let mut once: Vec<char> = equation.chars().filter(|c| *c != ',').collect();
            once.sort_unstable();
            let all = once.clone();
            once.retain(|c| all.iter().filter(|d| *d == c).count() == 1);
            let once: String = once.into_iter().filter(|c| *c != '.').collect();
            let lead = if equation.contains("...") { "..." } else { "" };
            (equation.as_str(), format!("{lead}{once}"))
        }
    };
    let mut widest = 0;
    let mut sizes: Vec<(char, Dim)> = Vec::new();
    let mut element = ElementType::Float32;
    for (at, term) in terms.split(',').enumerate() {
        let kind = call.kind(g, at)?;
        element = kind.element;
        let letters = term.chars().filter(|c| *c != '.').count();
        let hidden = kind.rank().saturating_sub(letters);
        widest = widest.max(if term.contains("...") { hidden } else { 0 });
        let term = term.replacen("...", &dots(hidden), 1);
        if term.chars().count() != kind.rank() {
            return Err(wrong(g, &format!("does not name the dimensions of {kind}")));
        }
        for (letter, dim) in term.chars().zip(&kind.shape) {
            let spread = u32::from(letter) >= HIDDEN;
            match sizes.iter_mut().find(|(known, _)| *known == letter) {
                Some((_, known)) if spread && known.fixed() == Some(1) => *known = dim.clone(),
                Some(_) if spread && dim.fixed() == Some(1) => {}
                Some((_, known)) if !g.may_equal(known, dim) => {
                    return Err(wrong(g, &format!("gives `{letter}` the sizes {known} and {dim}")));
                }
                Some(_) => {}
                None => sizes.push((letter, dim.clone())),
            }
        }
    }
    let shape = result
        .replacen("...", &dots(widest), 1)
        .chars()
        .map(|letter| sizes.iter().find(|(known, _)| *known == letter).map(|(_, d)| d.clone()))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| wrong(g, "gives a letter that no input has"))?;
    Ok(TensorType::new(element, shape))
}

fn reduced(g: &mut Graph, call: &Call<'_>) -> Result<TensorType> {
    let mut kind = call.kind(g, 0)?;
    let rank = kind.rank();
    let keep = call.attributes.int("keepdims", 1) != 0;
    let arg = matches!(call.operator, "ArgMax" | "ArgMin");
    let axes = if arg {
        Some(vec![call.attributes.int("axis", 0)])
    } else {
        match (call.attributes.ints("axes"), call.optional(1)) {
            (Some(axes), _) => Some(axes),
            (None, None) => None,
            (None, Some(axes)) => match g.numbers_of(axes) {
                Some(axes) => Some(axes),
                None if keep => {
                    // Which dimensions become 1 is only known when the graph runs.
                    kind.shape = (0..rank).map(|_| g.fresh_dim("reduced")).collect();
                    return Ok(kind);
                }
                None => return Err(g.error(call.operator, "has axes that are computed".into())),
            },
        }
    };
    let axes = match axes {
        Some(axes) if !axes.is_empty() => axes,
        _ if call.attributes.int("noop_with_empty_axes", 0) != 0 => return Ok(kind),
        _ => (0..rank as i64).collect(),
    };
    let mut gone = vec![false; rank];
    for axis in axes {
        match position(axis, rank).and_then(|at| gone.get_mut(at)) {
            Some(gone) => *gone = true,
            None => {
                return Err(g.error(
                    call.operator,
                    format!("{} has no dimension {axis}", show(&kind.shape)),
                ));
            }
        }
    }
    kind.shape = kind
        .shape
        .iter()
        .zip(&gone)
        .filter(|(_, gone)| keep || !**gone)
        .map(|(dim, gone)| if *gone { Dim::from(1) } else { dim.clone() })
        .collect();
    Ok(if arg { integers(kind.shape) } else { kind })
}

/// `LayerNormalization` with its mean and inverse standard deviation, which are float32.
fn layer_normalization(g: &Graph, call: &Call<'_>) -> Result<Vec<TensorType>> {
    let kind = call.kind(g, 0)?;
    let axis = call.attributes.int("axis", -1);
    let at = position(axis, kind.rank()).ok_or_else(|| {
        g.error(call.operator, format!("{} has no dimension {axis}", show(&kind.shape)))
    })?;
    let mut shape = kind.shape.clone();
    for dim in shape.iter_mut().skip(at) {
        *dim = Dim::from(1);
    }
    let mut all = vec![kind];
    all.resize(call.outputs.max(1), TensorType::new(ElementType::Float32, shape));
    Ok(all)
}
