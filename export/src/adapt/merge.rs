//! Makes what was trained part of a new bundle.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ndarray::ArrayView2;
use offshoot::bundle::{Change, Manifest};

use super::LowRank;
use super::file::{bytes, replace};
use crate::archive::Written;
use crate::derive::Derivation;
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor, TensorData};

/// Writes the bundle `output`: that at `bundle` with trained tensors in the place of its
/// own, and low-rank changes added to its weight matrices, `W + down · up`. Its graph is
/// the source's, fused operators included.
///
/// # Errors
/// [`Error::Adapter`] when a tensor is not the graph's; [`Error::Archive`] when something
/// stands at `output` and overwriting was not allowed; [`Error::Runtime`] when the bundle is
/// damaged; [`Error::Io`].
pub fn merge(
    bundle: &Path,
    trained: &[(String, Tensor)],
    low_rank: &[LowRank],
    method: &str,
    output: &Path,
    overwrite: bool,
) -> Result<Written> {
    let work = Derivation::begin(bundle, output, overwrite, None)?;
    let mut graph = work.graph()?;
    let values: HashMap<&str, &Tensor> =
        trained.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut changed = Vec::new();
    for (name, tensor) in trained {
        if !low_rank.iter().any(|factor| factor.down == *name || factor.up == *name) {
            changed.push((name.clone(), tensor.clone()));
        }
    }
    for factor in low_rank {
        let get = |name: &str| {
            values.get(name).copied().ok_or_else(|| {
                Error::Adapter(format!("the factor `{name}` is not among the trained tensors"))
            })
        };
        let (down, up) = (get(&factor.down)?, get(&factor.up)?);
        changed.push((factor.weight.clone(), added(&graph, factor, down, up)?));
    }
    replace(&mut graph, &changed)?;
    let change = Change {
        what: format!("tune {method}"),
        source_digest: work.source.digest().to_owned(),
        details: BTreeMap::new(),
    };
    let (made, written) = work.write("tuned.offshoot", &graph, &change)?;
    work.publish(&made, output, overwrite)?;
    Ok(written)
}

/// Writes the bundle `output`: that at `bundle` with `trained` in the place of its tensors of the
/// same names, `change` added to what was done to it, and its manifest changed by `edit`.
///
/// # Errors
/// As [`merge`].
pub fn retrained(
    bundle: &Path,
    trained: &[(String, Tensor)],
    change: &Change,
    edit: &dyn Fn(&mut Manifest),
    output: &Path,
    overwrite: bool,
) -> Result<Written> {
    let work = Derivation::begin(bundle, output, overwrite, None)?;
    let mut graph = work.graph()?;
    replace(&mut graph, trained)?;
    let (made, written) = work.write_edited("trained.offshoot", &graph, change, edit)?;
    work.publish(&made, output, overwrite)?;
    Ok(written)
}

/// `W + down · up`, computed in 64-bit floats and rounded once.
fn added(graph: &Graph, factor: &LowRank, down: &Tensor, up: &Tensor) -> Result<Tensor> {
    let name = &factor.weight;
    let value = graph.initializers().iter().find(|(v, _)| graph.value_name(*v) == name);
    let (_, weight) = value.ok_or_else(|| {
        Error::Adapter(format!("the bundle has no weights `{name}` to merge the factors into"))
    })?;
    let wrong = || Error::Adapter(format!("the factors of `{name}` do not fit {weight:?}"));
    let held = Tensor {
        element: weight.element,
        dims: weight.dims.clone(),
        data: TensorData::Bytes(bytes(weight, name)?.into()),
    };
    let mut sum = held.to_f64().ok_or_else(wrong)?;
    let (down_values, up_values) =
        (down.to_f64().ok_or_else(wrong)?, up.to_f64().ok_or_else(wrong)?);
    let (&[rows, rank], &[inner, columns]) = (&down.dims[..], &up.dims[..]) else {
        return Err(wrong());
    };
    if weight.dims != [rows, columns] || rank != inner {
        return Err(wrong());
    }
    let left = ArrayView2::from_shape((rows, rank), &down_values).map_err(|_| wrong())?;
    let right = ArrayView2::from_shape((rank, columns), &up_values).map_err(|_| wrong())?;
    for (sum, change) in sum.iter_mut().zip(left.dot(&right)) {
        *sum += change;
    }
    Tensor::from_f64(weight.element, &weight.dims, &sum).ok_or_else(wrong)
}
