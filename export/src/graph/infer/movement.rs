//! Operators that move elements and change shapes.

use super::super::{Dim, ElementType, Graph, Shape, TensorType, show};
use super::{Call, Known, cutting, integers, position};
use crate::error::Result;

pub(super) fn types(g: &mut Graph, call: &Call<'_>) -> Result<Option<Vec<TensorType>>> {
    let operator = call.operator;
    let attributes = &call.attributes;
    let kind = match operator {
        "Constant" => match constant(call) {
            Some(kind) => kind,
            None => return Ok(None),
        },
        "Shape" => {
            let rank = call.kind(g, 0)?.rank() as i64;
            let clamp = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
            let start = clamp(attributes.int("start", 0));
            let count = clamp(attributes.int("end", rank)).saturating_sub(start);
            integers(vec![Dim::from(count)])
        }
        "Size" => integers(vec![]),
        "ConstantOfShape" => {
            let element = attributes
                .tensor("value")
                .map_or(ElementType::Float32, |t| ElementType::from_code(t.data_type));
            let shape = shape_from(g, call, 0)?;
            TensorType::new(element, shape)
        }
        "Range" => {
            let element = call.kind(g, 0)?.element;
            let numbers = |at: usize| g.numbers_of(call.optional(at)?)?.first().copied();
            let counted = match (numbers(0), numbers(2)) {
                (Some(0), Some(1)) => call
                    .optional(1)
                    .and_then(|limit| g.contents_of(limit))
                    .and_then(|limit| limit.first().and_then(Known::dim)),
                (Some(start), Some(step)) => numbers(1)
                    .filter(|_| step != 0)
                    .map(|limit| {
                        let length = limit.saturating_sub(start);
                        length.saturating_add(step - step.signum()) / step
                    })
                    .and_then(|count| usize::try_from(count.max(0)).ok())
                    .map(Dim::from),
                _ => None,
            };
            let dim = counted.unwrap_or_else(|| g.fresh_dim("range"));
            TensorType::new(element, vec![dim])
        }
        "Reshape" => reshape(g, call)?,
        "Expand" => {
            let kind = call.kind(g, 0)?;
            let to = shape_from(g, call, 1)?;
            let stated = call.optional(1).is_some_and(|sizes| g.contents_of(sizes).is_some());
            let shape = match stated {
                true => g.broadcast_shapes(operator, &kind.shape, &to)?,
                false => g.broadcast_unknown(operator, &kind.shape, &to)?,
            };
            TensorType::new(kind.element, shape)
        }
        "Flatten" => {
            let kind = call.kind(g, 0)?;
            let axis = attributes.int("axis", 1);
            let at = if axis == kind.rank() as i64 { Some(kind.rank()) } else { None };
            let at = at.or_else(|| position(axis, kind.rank())).unwrap_or(0);
            let (lead, rest) = kind.shape.split_at(at);
            let fold = |dims: &[Dim]| Dim::product(dims);
            match (fold(lead), fold(rest)) {
                (Some(a), Some(b)) => TensorType::new(kind.element, vec![a, b]),
                _ => return Err(g.error(operator, format!("{kind} is too large"))),
            }
        }
        "Squeeze" => {
            let mut kind = call.kind(g, 0)?;
            let rank = kind.rank();
            let axes = axes(g, call).unwrap_or_else(|| {
                let ones = kind.shape.iter().enumerate().filter(|(_, d)| d.fixed() == Some(1));
                ones.map(|(at, _)| at as i64).collect()
            });
            let gone: Vec<usize> = axes.iter().filter_map(|&axis| position(axis, rank)).collect();
            for &at in &gone {
                if kind.shape.get(at).and_then(Dim::fixed).is_some_and(|size| size != 1) {
                    return Err(g.error(operator, format!("dimension {at} of {kind} is not 1")));
                }
            }
            let mut at = 0;
            kind.shape.retain(|_| {
                at += 1;
                !gone.contains(&(at - 1))
            });
            kind
        }
        "Unsqueeze" => {
            let mut kind = call.kind(g, 0)?;
            let axes = axes(g, call)
                .ok_or_else(|| g.error(operator, "has axes that are computed".into()))?;
            let rank = kind.rank() + axes.len();
            let mut at: Vec<usize> = axes.iter().filter_map(|&axis| position(axis, rank)).collect();
            at.sort_unstable();
            at.dedup();
            if at.len() != axes.len() {
                return Err(g.error(operator, format!("{axes:?} do not fit {kind}")));
            }
            for at in at {
                kind.shape.insert(at.min(kind.shape.len()), Dim::from(1));
            }
            kind
        }
        "Transpose" => {
            let kind = call.kind(g, 0)?;
            let order =
                attributes.ints("perm").unwrap_or_else(|| (0..kind.rank() as i64).rev().collect());
            let shape: Option<Shape> = order
                .iter()
                .map(|&at| kind.shape.get(usize::try_from(at).ok()?).cloned())
                .collect();
            match shape.filter(|shape| shape.len() == kind.rank()) {
                Some(shape) => TensorType::new(kind.element, shape),
                None => return Err(g.error(operator, format!("{order:?} does not order {kind}"))),
            }
        }
        "Concat" => cutting::concat(g, call)?,
        "Split" => return cutting::split(g, call).map(Some),
        "Slice" => cutting::slice(g, call)?,
        "Gather" => {
            let mut kind = call.kind(g, 0)?;
            let chosen = call.kind(g, 1)?;
            let axis = attributes.int("axis", 0);
            let at = position(axis, kind.rank())
                .ok_or_else(|| g.error(operator, format!("{kind} has no dimension {axis}")))?;
            kind.shape.splice(at..=at, chosen.shape);
            kind
        }
        "GatherElements" => TensorType::new(call.kind(g, 0)?.element, call.kind(g, 1)?.shape),
        "GatherND" => {
            let (kind, chosen) = (call.kind(g, 0)?, call.kind(g, 1)?);
            let batch = usize::try_from(attributes.int("batch_dims", 0)).unwrap_or(0);
            let depth = chosen.shape.last().and_then(Dim::fixed);
            let (Some(depth), true) = (depth, chosen.rank() > 0) else {
                return Err(g.error(operator, format!("{kind} by {chosen}")));
            };
            let mut shape: Shape = chosen.shape.iter().take(chosen.rank() - 1).cloned().collect();
            shape.extend(kind.shape.iter().skip(batch + depth).cloned());
            TensorType::new(kind.element, shape)
        }
        "Pad" => {
            let mut kind = call.kind(g, 0)?;
            let rank = kind.rank();
            let pads = call.optional(1).and_then(|pads| g.numbers_of(pads));
            let axes = call.optional(3).and_then(|axes| g.numbers_of(axes));
            let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
            for (i, axis) in axes.iter().enumerate() {
                let Some(at) = position(*axis, rank) else { continue };
                let added = pads
                    .as_ref()
                    .and_then(|pads| pads.get(i)?.checked_add(*pads.get(i + axes.len())?));
                let dim = kind.shape.get(at).and_then(Dim::fixed);
                let padded = match (dim, added) {
                    (_, Some(0)) => continue,
                    (Some(size), Some(added)) => {
                        usize::try_from((size as i64).saturating_add(added)).ok()
                    }
                    _ => None,
                };
                let padded = padded.map_or_else(|| g.fresh_dim("padded"), Dim::from);
                if let Some(dim) = kind.shape.get_mut(at) {
                    *dim = padded;
                }
            }
            kind
        }
        "Tile" => {
            let mut kind = call.kind(g, 0)?;
            let times = call.optional(1).and_then(|times| g.contents_of(times));
            for at in 0..kind.rank() {
                let by = times.as_ref().and_then(|times| times.get(at)?.dim());
                let dim = kind.shape.get(at).zip(by).and_then(|(dim, by)| dim.times(&by));
                let dim = dim.unwrap_or_else(|| g.fresh_dim("tiled"));
                if let Some(place) = kind.shape.get_mut(at) {
                    *place = dim;
                }
            }
            kind
        }
        "OneHot" => {
            let (chosen, values) = (call.kind(g, 0)?, call.kind(g, 2)?);
            let depth = call.optional(1).and_then(|depth| g.contents_of(depth));
            let depth = depth.and_then(|depth| depth.first().and_then(Known::dim));
            let depth = depth.unwrap_or_else(|| g.fresh_dim("depth"));
            let mut shape = chosen.shape;
            let at = position(attributes.int("axis", -1), shape.len() + 1).unwrap_or(shape.len());
            shape.insert(at, depth);
            TensorType::new(values.element, shape)
        }
        "NonZero" => {
            let rank = call.kind(g, 0)?.rank();
            integers(vec![Dim::from(rank), g.fresh_dim("found")])
        }
        "TopK" => {
            let mut kind = call.kind(g, 0)?;
            let count = call.optional(1).and_then(|count| g.contents_of(count));
            let count = count.and_then(|count| count.first().and_then(Known::dim));
            let count = count.unwrap_or_else(|| g.fresh_dim("top"));
            let rank = kind.rank();
            if let Some(dim) =
                position(attributes.int("axis", -1), rank).and_then(|at| kind.shape.get_mut(at))
            {
                *dim = count;
            }
            return Ok(Some(vec![kind.clone(), integers(kind.shape)]));
        }
        "DepthToSpace" | "SpaceToDepth" => {
            let mut kind = call.kind(g, 0)?;
            let size = usize::try_from(attributes.int("blocksize", 0)).unwrap_or(0);
            let (block, square) = (Dim::from(size), Dim::from(size.saturating_mul(size)));
            let deep = operator == "SpaceToDepth";
            let scaled =
                |dim: &Dim, by: &Dim, up: bool| if up { dim.times(by) } else { dim.over(by) };
            let shape = match &kind.shape[..] {
                [batch, channels, height, width] if size > 0 => {
                    let known = [
                        scaled(channels, &square, deep),
                        scaled(height, &block, !deep),
                        scaled(width, &block, !deep),
                    ];
                    let mut shape = vec![batch.clone()];
                    for dim in known {
                        shape.push(dim.unwrap_or_else(|| g.fresh_dim("blocks")));
                    }
                    shape
                }
                _ => return Err(g.error(operator, format!("blocks of {size} in {kind}"))),
            };
            kind.shape = shape;
            kind
        }
        "EyeLike" => {
            let kind = call.kind(g, 0)?;
            let code = attributes.int("dtype", i64::from(kind.element.code()));
            TensorType::new(ElementType::from_code(code as i32), kind.shape)
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![kind]))
}

fn constant(call: &Call<'_>) -> Option<TensorType> {
    let attributes = &call.attributes;
    if let Some(tensor) = attributes.tensor("value") {
        let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok().map(Dim::from));
        let shape = dims.collect::<Option<Shape>>()?;
        return Some(TensorType::new(ElementType::from_code(tensor.data_type), shape));
    }
    if attributes.find("value_int").is_some() {
        return Some(integers(vec![]));
    }
    if let Some(values) = attributes.ints("value_ints") {
        return Some(integers(vec![Dim::from(values.len())]));
    }
    if attributes.find("value_float").is_some() {
        return Some(TensorType::new(ElementType::Float32, vec![]));
    }
    let floats = attributes.find("value_floats")?.floats.len();
    Some(TensorType::new(ElementType::Float32, vec![Dim::from(floats)]))
}

/// The shape that an input of integers states.
fn shape_from(g: &mut Graph, call: &Call<'_>, at: usize) -> Result<Shape> {
    let sizes = call.input(g, at)?;
    if let Some(known) = g.contents_of(sizes) {
        let dims: Vec<Option<Dim>> = known.iter().map(Known::dim).collect();
        return Ok(dims
            .into_iter()
            .map(|dim| dim.unwrap_or_else(|| g.fresh_dim("unknown")))
            .collect());
    }
    match g.shape(sizes)?.first().and_then(Dim::fixed) {
        Some(rank) => Ok((0..rank).map(|_| g.fresh_dim("unknown")).collect()),
        None => Err(g.error(call.operator, "the number of dimensions is not known".into())),
    }
}

fn axes(g: &Graph, call: &Call<'_>) -> Option<Vec<i64>> {
    call.attributes.ints("axes").or_else(|| g.numbers_of(call.optional(1)?))
}

fn reshape(g: &mut Graph, call: &Call<'_>) -> Result<TensorType> {
    let kind = call.kind(g, 0)?;
    let target = call.input(g, 1)?;
    let Some(known) = g.contents_of(target) else {
        let shape = shape_from(g, call, 1)?;
        return Ok(TensorType::new(kind.element, shape));
    };
    let zero_is_zero = call.attributes.int("allowzero", 0) != 0;
    let mut shape: Vec<Option<Dim>> = Vec::with_capacity(known.len());
    let mut inferred = None;
    for (at, entry) in known.iter().enumerate() {
        shape.push(match entry {
            Known::Number(0) if !zero_is_zero => kind.shape.get(at).cloned(),
            Known::Number(-1) => {
                inferred = Some(at);
                None
            }
            entry => entry.dim(),
        });
    }
    // One unknown follows from the number of elements.
    let missing: Vec<usize> =
        shape.iter().enumerate().filter(|(_, dim)| dim.is_none()).map(|(at, _)| at).collect();
    let missing = match missing[..] {
        [at] => Some(at),
        _ => inferred.filter(|_| missing.len() == 1),
    };
    if let Some(at) = missing {
        let others: Vec<Dim> = shape.iter().flatten().cloned().collect();
        let dim = Dim::product(&kind.shape)
            .zip(Dim::product(&others))
            .and_then(|(all, others)| all.over(&others));
        if let Some(place) = shape.get_mut(at) {
            *place = dim;
        }
    }
    let shape: Shape =
        shape.into_iter().map(|dim| dim.unwrap_or_else(|| g.fresh_dim("unknown"))).collect();
    let (from, into) = (Dim::product(&kind.shape), Dim::product(&shape));
    let wrong = match (from.as_ref().and_then(Dim::fixed), into.as_ref().and_then(Dim::fixed)) {
        (Some(from), Some(into)) => from != into,
        _ => !g.is_read() && from != into,
    };
    if wrong {
        return Err(g.error(
            "Reshape",
            format!("{} cannot become {}: the numbers of elements differ", show(&kind.shape), {
                show(&shape)
            }),
        ));
    }
    Ok(TensorType::new(kind.element, shape))
}
