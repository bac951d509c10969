//! The numbers of an automatic head, by name, for its file.

use ndarray::{Array1, Array2};

use super::candidates::Method;
use super::kernel::{FeatureMap, Kernel};
use super::{AutoHead, Member};
use crate::classes::Classes;

/// Most members a file may have; a fit has 100 candidates at most.
const MAX_MEMBERS: usize = 256;
/// Numbers that describe one member.
const SETTINGS: usize = 7;

/// Name, shape and values of each tensor.
pub(crate) fn tensors(head: &AutoHead) -> Vec<(String, Vec<usize>, Vec<f64>)> {
    let matrix = |name: &str, m: &Array2<f64>| {
        (name.to_owned(), m.shape().to_vec(), m.iter().copied().collect::<Vec<f64>>())
    };
    let row = |name: &str, v: &Array1<f64>| (name.to_owned(), vec![1, v.len()], v.to_vec());
    let settings: Vec<f64> = head.members.iter().flat_map(settings).collect();
    let mut tensors = vec![
        row("mean", &head.mean),
        row("inverse_deviations", &head.inverse_deviations),
        matrix("examples", &head.examples.mapv(f64::from)),
        matrix("left_out", &head.left_out),
        ("members".to_owned(), vec![head.members.len(), SETTINGS], settings),
    ];
    for (i, member) in head.members.iter().enumerate() {
        tensors.push(matrix(&format!("member.{i}.coefficients"), &member.coefficients));
        tensors.push(row(&format!("member.{i}.intercepts"), &member.intercepts));
    }
    tensors
}

/// Gives a matrix by name, of the stated rows and columns; rows `None` for as many as there are.
type Take<'a> = dyn FnMut(&str, [Option<usize>; 2]) -> Result<Array2<f64>, String> + 'a;

/// Rebuilds a head, or says which tensor is wrong.
pub(crate) fn from_tensors(
    classes: Classes,
    dimensions: usize,
    take: &mut Take,
) -> Result<AutoHead, String> {
    let (d, k) = (Some(dimensions), Some(classes.len()));
    let mut row =
        |name: &str, columns| Ok::<_, String>(take(name, [Some(1), columns])?.row(0).to_owned());
    let mean = row("mean", d)?;
    let inverse_deviations = row("inverse_deviations", d)?;
    let examples = take("examples", [None, d])?.mapv(|v| v as f32);
    if let Some(bad) = examples.iter().find(|v| !v.is_finite()) {
        return Err(format!("tensor \"examples\" holds {bad}"));
    }
    let left_out = take("left_out", [None, k])?;
    let settings = take("members", [None, Some(SETTINGS)])?;
    if settings.nrows() == 0 || settings.nrows() > MAX_MEMBERS {
        return Err(format!("tensor \"members\" has {} rows", settings.nrows()));
    }
    let mut members = Vec::new();
    for (i, settings) in settings.outer_iter().enumerate() {
        let wrong = || format!("row {i} of tensor \"members\" describes no known member");
        let (map, method) = read_settings(settings.to_vec().as_slice()).ok_or_else(wrong)?;
        let [penalty, weight, spread] = [settings[4], settings[5], settings[6]];
        if !(penalty > 0.0 && weight > 0.0 && weight <= 1.0 && spread > 0.0) {
            return Err(wrong());
        }
        let rows = if map.kernel.is_linear() { dimensions } else { examples.nrows() };
        let coefficients = take(&format!("member.{i}.coefficients"), [Some(rows), k])?;
        let intercepts = take(&format!("member.{i}.intercepts"), [Some(1), k])?.row(0).to_owned();
        members.push(Member { map, method, penalty, weight, spread, coefficients, intercepts });
    }
    let total: f64 = members.iter().map(|member| member.weight).sum();
    if (total - 1.0).abs() > 1e-9 {
        return Err(format!("the weights of its members sum to {total}, not 1"));
    }
    Ok(AutoHead { classes, mean, inverse_deviations, examples, members, left_out })
}

fn settings(member: &Member) -> [f64; SETTINGS] {
    let (kernel, gamma) = match member.map.kernel {
        Kernel::Linear => (0.0, 0.0),
        Kernel::Cosine => (1.0, 0.0),
        Kernel::Gaussian(gamma) => (2.0, gamma),
        Kernel::Laplace(gamma) => (3.0, gamma),
        Kernel::CosineGaussian(gamma) => (4.0, gamma),
    };
    let method = match member.method {
        Method::Ridge => 0.0,
        Method::Discriminant => 1.0,
    };
    let standardized = if member.map.standardized { 1.0 } else { 0.0 };
    [kernel, gamma, standardized, method, member.penalty, member.weight, member.spread]
}

fn read_settings(settings: &[f64]) -> Option<(FeatureMap, Method)> {
    let &[kernel, gamma, standardized, method, ..] = settings else { return None };
    let code = |value: f64| (0..8u8).find(|&code| f64::from(code) == value);
    let kernel = match code(kernel)? {
        0 => Kernel::Linear,
        1 => Kernel::Cosine,
        2 if gamma > 0.0 => Kernel::Gaussian(gamma),
        3 if gamma > 0.0 => Kernel::Laplace(gamma),
        4 if gamma > 0.0 => Kernel::CosineGaussian(gamma),
        _ => return None,
    };
    let standardized = match code(standardized)? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let method = match code(method)? {
        0 => Method::Ridge,
        1 => Method::Discriminant,
        _ => return None,
    };
    Some((FeatureMap { kernel, standardized }, method))
}
