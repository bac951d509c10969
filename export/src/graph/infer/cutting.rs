//! Operators that join tensors and cut them into parts.

use super::super::{Dim, Graph, TensorType, show};
use super::{Call, Known, position};
use crate::error::Result;

pub(super) fn concat(g: &mut Graph, call: &Call<'_>) -> Result<TensorType> {
    let mut kind = call.kind(g, 0)?;
    let axis = call.attributes.int("axis", 0);
    let at = position(axis, kind.rank())
        .ok_or_else(|| g.error("Concat", format!("{kind} has no dimension {axis}")))?;
    let mut sum = kind.shape.get(at).and_then(Dim::fixed);
    for i in 1..call.inputs.len() {
        let other = call.kind(g, i)?;
        let fits = other.element == kind.element
            && other.rank() == kind.rank()
            && kind
                .shape
                .iter()
                .zip(&other.shape)
                .enumerate()
                .all(|(i, (mine, its))| i == at || g.may_equal(mine, its));
        if !fits {
            return Err(g.error("Concat", format!("{kind} and {other} do not join")));
        }
        // The more exact of two sizes.
        for (i, (mine, its)) in kind.shape.iter_mut().zip(&other.shape).enumerate() {
            if i != at && mine.fixed().is_none() && its.fixed().is_some() {
                *mine = its.clone();
            }
        }
        sum = sum.zip(other.shape.get(at).and_then(Dim::fixed)).and_then(|(a, b)| a.checked_add(b));
    }
    if call.inputs.len() > 1 {
        let joined = sum.map_or_else(|| g.fresh_dim("joined"), Dim::from);
        if let Some(dim) = kind.shape.get_mut(at) {
            *dim = joined;
        }
    }
    Ok(kind)
}

pub(super) fn split(g: &mut Graph, call: &Call<'_>) -> Result<Vec<TensorType>> {
    let kind = call.kind(g, 0)?;
    let axis = call.attributes.int("axis", 0);
    let at = position(axis, kind.rank())
        .ok_or_else(|| g.error("Split", format!("{kind} has no dimension {axis}")))?;
    let whole = kind.shape.get(at).and_then(Dim::fixed);
    let sizes = match (call.attributes.ints("split"), call.optional(1)) {
        (Some(sizes), _) => Some(sizes),
        (None, Some(sizes)) => g.numbers_of(sizes),
        (None, None) => whole.map(|whole| {
            let part = whole.div_ceil(call.outputs.max(1));
            (0..call.outputs).map(|i| part.min(whole.saturating_sub(i * part)) as i64).collect()
        }),
    };
    // An unknown number of rows that is known to be even has two halves of the same size.
    let part = match (&sizes, kind.shape.get(at)) {
        (None, Some(whole)) => whole.part(call.outputs),
        _ => None,
    };
    Ok((0..call.outputs)
        .map(|i| {
            let size = sizes.as_ref().and_then(|sizes| usize::try_from(*sizes.get(i)?).ok());
            let mut kind = kind.clone();
            let dim = size.map(Dim::from).or_else(|| part.clone());
            let dim = dim.unwrap_or_else(|| g.fresh_dim("part"));
            if let Some(place) = kind.shape.get_mut(at) {
                *place = dim;
            }
            kind
        })
        .collect())
}

pub(super) fn slice(g: &mut Graph, call: &Call<'_>) -> Result<TensorType> {
    let mut kind = call.kind(g, 0)?;
    let rank = kind.rank();
    let numbers = |g: &Graph, at: usize| call.optional(at).and_then(|value| g.contents_of(value));
    let (starts, ends) = (numbers(g, 1), numbers(g, 2));
    let axes = call.optional(3).and_then(|axes| g.numbers_of(axes));
    let steps = call.optional(4).and_then(|steps| g.numbers_of(steps));
    let count = match &axes {
        Some(axes) => axes.len(),
        None => starts.as_ref().map_or(rank, |starts| starts.len()),
    };
    for i in 0..count {
        let axis = axes.as_ref().map_or(Some(i as i64), |axes| axes.get(i).copied());
        let Some(at) = axis.and_then(|axis| position(axis, rank)) else {
            return Err(g.error("Slice", format!("{} lacks a dimension of it", show(&kind.shape))));
        };
        let step = match (call.optional(4), &steps) {
            (None, _) => Some(1),
            (Some(_), steps) => steps.as_ref().and_then(|steps| steps.get(i).copied()),
        };
        let entry = |known: &Option<super::Contents>| {
            known.as_ref().and_then(|known| known.get(i).cloned()).unwrap_or(Known::Unknown)
        };
        let Some(dim) = kind.shape.get(at).cloned() else { continue };
        let sliced = sliced(&dim, &entry(&starts), &entry(&ends), step);
        let sliced = sliced.unwrap_or_else(|| g.fresh_dim("slice"));
        if let Some(place) = kind.shape.get_mut(at) {
            *place = sliced;
        }
    }
    Ok(kind)
}

/// The size of a dimension after slicing.
fn sliced(dim: &Dim, start: &Known, end: &Known, step: Option<i64>) -> Option<Dim> {
    let step = step.filter(|&step| step != 0)?;
    if let (Some(size), Some(start), Some(end)) = (dim.fixed(), start.number(), end.number()) {
        let size = size as i64;
        let shift = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        let count = if step > 0 {
            (shift(end).clamp(0, size) - shift(start).clamp(0, size) + step - 1) / step
        } else {
            let (start, end) = (shift(start).clamp(0, size - 1), shift(end).clamp(-1, size - 1));
            (start - end - step - 1) / -step
        };
        return usize::try_from(count.max(0)).ok().map(Dim::from);
    }
    // From the first entry to the last one, or to a stated size.
    if step == 1 && start.number() == Some(0) {
        return match end {
            Known::Number(end) if *end >= i64::from(i32::MAX) => Some(dim.clone()),
            Known::Size(end) => Some(end.clone()),
            _ => None,
        };
    }
    None
}
