//! The automatic head as operators, in 64-bit floating point: kernel expansions cancel digits.

use std::collections::HashMap;

use ndarray::Array1;
use offshoot::adapters::AutoHead;
use offshoot::adapters::auto::{FeatureMap, Kernel, Member, SHARPNESS};

use super::numbers::{matrix, number, row, sizes, unary, unit};
use crate::error::{Error, Result};
use crate::graph::{ElementType, Graph, Value};

/// Shortest length that is divided by, as in the head.
const LENGTH_FLOOR: f64 = 1e-12;

/// Probabilities `[batch, classes]`, float64, of embeddings `x` `[batch, dimensions]`.
pub(super) fn probabilities(g: &mut Graph, x: Value, head: &AutoHead) -> Result<Value> {
    let x = g.cast(x, ElementType::Float64)?;
    let mean = row(g, "mean", head.mean())?;
    let centered = g.sub(x, mean)?;
    let mut rows = Rows { centered, head, made: HashMap::new() };
    let mut mixture = None;
    for (i, member) in head.members().iter().enumerate() {
        let weighted = g.in_scope(&format!("member.{i}"), |g| {
            let logits = logits(g, &mut rows, member)?;
            let proba = g.softmax(logits, -1)?;
            let weight = number(g, member.weight)?;
            g.mul(proba, weight)
        })?;
        mixture = Some(match mixture {
            None => weighted,
            Some(sum) => g.add(sum, weighted)?,
        });
    }
    let mixture = mixture.ok_or_else(|| Error::Head("the head has no members".to_owned()))?;
    let least = number(g, f64::MIN_POSITIVE)?;
    let mixture = g.max(mixture, least)?;
    let logs = unary(g, "Log", mixture)?;
    let sharpness = number(g, SHARPNESS)?;
    let scores = g.mul(logs, sharpness)?;
    g.softmax(scores, -1)
}

/// The embeddings as each scaling wants them, made once.
struct Rows<'a> {
    centered: Value,
    head: &'a AutoHead,
    made: HashMap<(bool, bool), Value>,
}

impl Rows<'_> {
    fn of(&mut self, g: &mut Graph, map: FeatureMap) -> Result<Value> {
        let key = (map.standardized, map.kernel.is_unit());
        if let Some(&rows) = self.made.get(&key) {
            return Ok(rows);
        }
        let mut rows = self.centered;
        if map.standardized {
            let scale = row(g, "inverse_deviations", self.head.inverse_deviations())?;
            rows = g.mul(rows, scale)?;
        }
        if map.kernel.is_unit() {
            rows = unit(g, rows, LENGTH_FLOOR)?;
        }
        self.made.insert(key, rows);
        Ok(rows)
    }
}

fn logits(g: &mut Graph, rows: &mut Rows, member: &Member) -> Result<Value> {
    let x = rows.of(g, member.map)?;
    let features = match member.map.kernel {
        Kernel::Linear | Kernel::Cosine => x,
        Kernel::Gaussian(gamma) | Kernel::CosineGaussian(gamma) => {
            let distances = distances(g, x, member, rows.head)?;
            let factor = number(g, -gamma / member.spread)?;
            let scaled = g.mul(distances, factor)?;
            unary(g, "Exp", scaled)?
        }
        Kernel::Laplace(gamma) => {
            let distances = distances(g, x, member, rows.head)?;
            let factor = number(g, 1.0 / member.spread)?;
            let scaled = g.mul(distances, factor)?;
            let lengths = g.sqrt(scaled)?;
            let factor = number(g, -gamma)?;
            let scaled = g.mul(lengths, factor)?;
            unary(g, "Exp", scaled)?
        }
        other => return Err(Error::Head(format!("the kernel {other:?} cannot be fused"))),
    };
    let weight = matrix(g, "coefficients", &member.coefficients)?;
    let bias = row(g, "intercepts", &member.intercepts)?;
    let product = g.matmul(features, weight)?;
    g.add(product, bias)
}

/// Squared distances `[batch, examples]`.
fn distances(g: &mut Graph, x: Value, member: &Member, head: &AutoHead) -> Result<Value> {
    let keys = member.keys(head);
    let lengths: Array1<f64> = keys.outer_iter().map(|key| key.dot(&key)).collect();
    let own = sizes(g, x)?;
    let keys = matrix(g, "keys", &keys.t().to_owned())?;
    let lengths = row(g, "sizes", &lengths)?;
    let products = g.matmul(x, keys)?;
    let two = number(g, -2.0)?;
    let products = g.mul(products, two)?;
    let sums = g.add(own, lengths)?;
    let distances = g.add(sums, products)?;
    let zero = number(g, 0.0)?;
    g.max(distances, zero)
}
