//! Small integer tensors by content, as far as it is known before the graph runs.

use std::sync::Arc;

use super::super::attribute::Attributes;
use super::super::{Dim, ElementType, Graph, Tensor, TensorData, Value};
use super::{Call, position};

/// Tensors of more elements are not followed.
const MOST: usize = 64;

/// One element of an integer tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// A number.
    Number(i64),
    /// The size of an unknown dimension.
    Size(Dim),
    /// Only the running graph knows.
    Unknown,
}

/// An integer tensor of no dimension or one, by content.
pub(crate) type Contents = Arc<[Known]>;

impl Known {
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Size(dim) => dim.fixed().and_then(|size| i64::try_from(size).ok()),
            Self::Unknown => None,
        }
    }

    /// As a dimension; negative numbers are none.
    pub(crate) fn dim(&self) -> Option<Dim> {
        match self {
            Self::Number(number) => usize::try_from(*number).ok().map(Dim::from),
            Self::Size(dim) => Some(dim.clone()),
            Self::Unknown => None,
        }
    }

    fn of(dim: &Dim) -> Self {
        match dim.fixed().and_then(|size| i64::try_from(size).ok()) {
            Some(size) => Self::Number(size),
            None => Self::Size(dim.clone()),
        }
    }
}

impl Graph {
    /// The content of an integer (or bool) tensor, where it is known.
    pub(crate) fn contents_of(&self, value: Value) -> Option<Contents> {
        if let Some(known) = self.contents.get(&value) {
            return Some(known.clone());
        }
        if self.inputs.contains(&value) {
            return None;
        }
        self.tensor(value).and_then(from_tensor)
    }

    /// The content as numbers, where all are known.
    pub(crate) fn numbers_of(&self, value: Value) -> Option<Vec<i64>> {
        self.contents_of(value)?.iter().map(Known::number).collect()
    }

    /// The content of an operator's first output, where it is a small integer tensor.
    pub(super) fn contents_after(&self, call: &Call<'_>) -> Option<Contents> {
        let contents = |at: usize| self.contents_of(call.optional(at)?);
        let attributes = &call.attributes;
        let known: Vec<Known> = match call.operator {
            "Shape" => {
                let shape = &self.tensor_type(call.optional(0)?).ok()?.shape;
                let rank = shape.len() as i64;
                let clamp = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
                let start = clamp(attributes.int("start", 0));
                let end = clamp(attributes.int("end", rank));
                shape.get(start..end.max(start))?.iter().map(Known::of).collect()
            }
            "Size" => {
                let shape = &self.tensor_type(call.optional(0)?).ok()?.shape;
                vec![Known::of(&Dim::product(shape)?)]
            }
            "Constant" => return constant(attributes),
            "ConstantOfShape" => {
                let sizes = self.numbers_of(call.optional(0)?)?;
                let count = sizes.iter().try_fold(1i64, |n, &size| n.checked_mul(size))?;
                let count = usize::try_from(count).ok().filter(|&n| n <= MOST)?;
                let value = match attributes.tensor("value") {
                    Some(proto) => from_proto(proto)?.first()?.clone(),
                    None => return None,
                };
                vec![value; count]
            }
            "Identity" | "Cast" | "Squeeze" | "Unsqueeze" | "Reshape" => {
                let integral = match call.operator {
                    "Cast" => matches!(attributes.int("to", 0), 6 | 7 | 9),
                    _ => true,
                };
                return contents(0).filter(|_| integral);
            }
            "Concat" => {
                let mut all = Vec::new();
                for at in 0..call.inputs.len() {
                    all.extend(contents(at)?.iter().cloned());
                }
                all
            }
            "Gather" => {
                let from = contents(0)?;
                let at = self.numbers_of(call.optional(1)?)?;
                at.iter()
                    .map(|&i| from.get(position(i, from.len())?).cloned())
                    .collect::<Option<_>>()?
            }
            "Slice" => {
                let from = contents(0)?;
                let numbers = |at: usize| -> Option<i64> {
                    self.numbers_of(call.optional(at)?)?.first().copied()
                };
                let (start, end) = (numbers(1)?, numbers(2)?);
                let step = if call.optional(4).is_some() { numbers(4)? } else { 1 };
                let length = from.len() as i64;
                let clamp = |at: i64| (if at < 0 { at + length } else { at }).clamp(0, length);
                let range = clamp(start) as usize..clamp(end) as usize;
                (step == 1).then(|| from.get(range).map(<[Known]>::to_vec)).flatten()?
            }
            "Range" => {
                let number = |at: usize| contents(at)?.first()?.number();
                let (start, limit, delta) = (number(0)?, number(1)?, number(2)?);
                if delta == 0 || limit.saturating_sub(start) / delta > MOST as i64 {
                    return None;
                }
                let mut all = Vec::new();
                let mut at = start;
                while (delta > 0 && at < limit) || (delta < 0 && at > limit) {
                    all.push(Known::Number(at));
                    let Some(next) = at.checked_add(delta) else { break };
                    at = next;
                }
                all
            }
            "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Equal" | "Min" | "Max" => {
                let (a, b) = (contents(0)?, contents(1)?);
                pairs(&a, &b)?.map(|(x, y)| arithmetic(call.operator, x, y)).collect()
            }
            "Where" => {
                let (choice, a, b) = (contents(0)?, contents(1)?, contents(2)?);
                let count = choice.len().max(a.len()).max(b.len());
                let one = |from: &Contents, i: usize| -> Option<Known> {
                    if from.len() == 1 { from.first() } else { from.get(i) }.cloned()
                };
                (0..count)
                    .map(|i| {
                        let (x, y) = (one(&a, i)?, one(&b, i)?);
                        Some(match one(&choice, i)?.number() {
                            Some(0) => y,
                            Some(_) => x,
                            None if x == y => x,
                            None => Known::Unknown,
                        })
                    })
                    .collect::<Option<_>>()?
            }
            _ => return None,
        };
        (known.len() <= MOST).then(|| known.into())
    }
}

fn pairs<'a>(
    a: &'a Contents,
    b: &'a Contents,
) -> Option<impl Iterator<Item = (&'a Known, &'a Known)>> {
    let count = if a.len() == b.len() || b.len() == 1 {
        a.len()
    } else if a.len() == 1 {
        b.len()
    } else {
        return None;
    };
    Some((0..count).filter_map(move |i| {
        Some((a.get(if a.len() == 1 { 0 } else { i })?, b.get(if b.len() == 1 { 0 } else { i })?))
    }))
}

fn arithmetic(operator: &str, x: &Known, y: &Known) -> Known {
    if let (Some(a), Some(b)) = (x.number(), y.number()) {
        let result = match operator {
            "Add" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            "Div" => a.checked_div(b),
            // The remainder has the sign of the divisor.
            "Mod" if b > 0 => a.checked_rem_euclid(b),
            "Equal" => Some(i64::from(a == b)),
            "Min" => Some(a.min(b)),
            "Max" => Some(a.max(b)),
            _ => None,
        };
        return result.map_or(Known::Unknown, Known::Number);
    }
    match (operator, x.dim(), y.dim()) {
        ("Mul", Some(a), Some(b)) => a.times(&b).map_or(Known::Unknown, Known::Size),
        ("Div", Some(a), Some(b)) => a.over(&b).map_or(Known::Unknown, |dim| Known::of(&dim)),
        ("Add" | "Sub", _, _) if y.number() == Some(0) => x.clone(),
        ("Add", _, _) if x.number() == Some(0) => y.clone(),
        ("Equal", Some(a), Some(b)) if a == b => Known::Number(1),
        // A size is never the negative number that exporters compare it with.
        ("Equal", Some(_), None) if y.number().is_some() => Known::Number(0),
        ("Equal", None, Some(_)) if x.number().is_some() => Known::Number(0),
        _ => Known::Unknown,
    }
}

fn constant(attributes: &Attributes<'_>) -> Option<Contents> {
    if let Some(value) = attributes.find("value_int") {
        return Some([Known::Number(value.i)].into());
    }
    if let Some(values) = attributes.ints("value_ints") {
        return Some(values.into_iter().map(Known::Number).collect());
    }
    from_proto(attributes.tensor("value")?)
}

fn from_proto(proto: &onnx_protobuf::TensorProto) -> Option<Contents> {
    let count = proto.dims.iter().try_fold(1i64, |n, &dim| n.checked_mul(dim))?;
    let element = ElementType::from_code(proto.data_type);
    if count > MOST as i64 {
        return None;
    }
    if !proto.raw_data.is_empty() {
        return from_bytes(element, &proto.raw_data);
    }
    Some(match element {
        ElementType::Int64 => proto.int64_data.iter().copied().map(Known::Number).collect(),
        ElementType::Int32 | ElementType::Bool => {
            proto.int32_data.iter().map(|&v| Known::Number(i64::from(v))).collect()
        }
        _ => return None,
    })
}

fn from_tensor(tensor: &Tensor) -> Option<Contents> {
    if tensor.elements()? > MOST || tensor.dims.len() > 1 {
        return None;
    }
    match &tensor.data {
        TensorData::Bytes(bytes) => from_bytes(tensor.element, bytes),
        TensorData::Source(_) => None,
        TensorData::Proto(proto) => from_proto(proto),
    }
}

fn from_bytes(element: ElementType, bytes: &[u8]) -> Option<Contents> {
    Some(match element {
        ElementType::Int64 => bytes
            .chunks_exact(8)
            .filter_map(|b| b.try_into().ok())
            .map(|b| Known::Number(i64::from_le_bytes(b)))
            .collect(),
        ElementType::Int32 => bytes
            .chunks_exact(4)
            .filter_map(|b| b.try_into().ok())
            .map(|b| Known::Number(i64::from(i32::from_le_bytes(b))))
            .collect(),
        ElementType::Bool => bytes.iter().map(|&b| Known::Number(i64::from(b))).collect(),
        _ => return None,
    })
}
