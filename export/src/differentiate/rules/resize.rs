//! Resizing images.

use super::super::backward::Backward;
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::{Dim, Tensor, Value};

pub(super) const RULES: &[Rule] = &[rule(
    "Resize",
    "dx = Rᵀ·dy along each dimension, R the matrix of interpolation (nearest, linear)",
    resize,
)];

/// How a dimension is resized.
struct Axis {
    from: usize,
    to: usize,
    /// Output over input size, as stated or as it follows from the sizes.
    scale: f64,
}

fn resize(b: &mut Backward<'_>) -> Result<()> {
    let attributes = b.attributes();
    let text = |name: &str, default: &str| match attributes.string(name) {
        stated if stated.is_empty() => default.to_owned(),
        stated => stated,
    };
    let mode = text("mode", "nearest");
    let place = text("coordinate_transformation_mode", "half_pixel");
    let nearest = text("nearest_mode", "round_prefer_floor");
    let aspect = text("keep_aspect_ratio_policy", "stretch");
    let known = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"];
    if !matches!(mode.as_str(), "nearest" | "linear")
        || attributes.int("antialias", 0) != 0
        || attributes.int("exclude_outside", 0) != 0
        || aspect != "stretch"
        || !known.contains(&place.as_str())
    {
        return Err(b.unsupported(&format!(
            "resizes by `{mode}` with coordinates `{place}`; only `nearest` and `linear` without \
             antialiasing have a gradient rule"
        )));
    }
    let (from, to) = (b.g.shape(b.input(0)?)?, b.g.shape(b.output(0)?)?);
    let stated = b.optional(2).and_then(|scales| b.g.tensor(scales)).and_then(Tensor::to_f64);
    let axes = attributes.ints("axes");
    let rank = from.len();
    let mut gradient = b.gradient()?;
    for at in 0..rank {
        if from.get(at) == to.get(at) {
            continue;
        }
        let fixed = |shape: &[Dim]| shape.get(at).and_then(Dim::fixed);
        let (Some(small), Some(large)) = (fixed(&from), fixed(&to)) else {
            return Err(b.unsupported("needs known sizes; bind them"));
        };
        let entry = match &axes {
            None => Some(at),
            Some(axes) => axes.iter().position(|&axis| axis.rem_euclid(rank as i64) == at as i64),
        };
        let scale = entry.and_then(|i| stated.as_ref()?.get(i).copied());
        let scale = scale.unwrap_or(large as f64 / small.max(1) as f64);
        let axis = Axis { from: small, to: large, scale };
        let matrix = axis.matrix(&mode, &place, &nearest);
        gradient = along(b, gradient, at, rank, &axis, &matrix)?;
    }
    b.give(0, gradient)
}

impl Axis {
    /// The weight of each input for each output: `[to, from]`.
    fn matrix(&self, mode: &str, place: &str, nearest: &str) -> Vec<f64> {
        let mut matrix = vec![0.0; self.from * self.to];
        let last = self.from.saturating_sub(1) as f64;
        for i in 0..self.to {
            let at = i as f64;
            let x = match place {
                "asymmetric" => at / self.scale,
                "align_corners" if self.to > 1 => at * last / (self.to - 1) as f64,
                "align_corners" => 0.0,
                "pytorch_half_pixel" if self.to <= 1 => 0.0,
                _ => (at + 0.5) / self.scale - 0.5,
            };
            let mut add = |column: f64, weight: f64| {
                let column = column.clamp(0.0, last) as usize;
                if let Some(entry) = matrix.get_mut(i * self.from + column) {
                    *entry += weight;
                }
            };
            if mode == "linear" {
                let x = x.clamp(0.0, last);
                add(x.floor(), 1.0 - x.fract());
                add(x.floor() + 1.0, x.fract());
            } else {
                let halfway = x.fract().abs() == 0.5;
                add(
                    match nearest {
                        "floor" => x.floor(),
                        "ceil" => x.ceil(),
                        "round_prefer_ceil" if halfway => x.ceil(),
                        _ if halfway => x.floor(),
                        _ => x.round(),
                    },
                    1.0,
                );
            }
        }
        matrix
    }
}

/// A matrix `[to, from]`, transposed, applied to the dimension `at` of `dy`.
fn along(
    b: &mut Backward<'_>,
    dy: Value,
    at: usize,
    rank: usize,
    axis: &Axis,
    matrix: &[f64],
) -> Result<Value> {
    let element = b.g.tensor_type(dy)?.element;
    let transposed = |matrix: &[f64]| -> Vec<f64> {
        let entry = |i: usize, j: usize| matrix.get(j * axis.from + i).copied().unwrap_or(0.0);
        (0..axis.from).flat_map(|i| (0..axis.to).map(move |j| entry(i, j))).collect()
    };
    // On the last dimension but one from the left, else on the last one from the right.
    let left = at + 2 == rank;
    let tensor = match left {
        true => Tensor::from_f64(element, &[axis.from, axis.to], &transposed(matrix)),
        false => Tensor::from_f64(element, &[axis.to, axis.from], matrix),
    };
    let tensor = tensor.ok_or_else(|| b.unsupported("is of a type that is not floating-point"))?;
    let weights = b.g.constant(tensor)?;
    if left {
        return b.pair("MatMul", weights, dy);
    }
    if at + 1 == rank {
        return b.pair("MatMul", dy, weights);
    }
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(at, rank - 1);
    let turned = b.g.transpose(dy, &order)?;
    let product = b.pair("MatMul", turned, weights)?;
    b.g.transpose(product, &order)
}
