//! Low-rank factors beside weight matrices.

use std::collections::HashMap;

use super::LowRank;
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor, Value};

/// Adds `x · down · up` to every product `x · W` with a weight matrix, and returns the
/// factors.
pub(super) fn insert(
    g: &mut Graph,
    rank: usize,
    seed: u64,
    added: &mut Vec<LowRank>,
) -> Result<Vec<Value>> {
    if rank == 0 {
        return Err(Error::Adapter("the rank is 0; it must be 1 or more".into()));
    }
    let mut factors = Vec::new();
    let mut made = HashMap::new();
    let mut random = Uniform(seed);
    for node in g.take_nodes() {
        let place = match (node.operator.as_str(), &node.inputs[..], &node.outputs[..]) {
            ("MatMul", [Some(x), Some(weight)], [Some(output)]) => {
                let tensor = g.tensor(*weight);
                let dims = tensor.filter(|t| t.element.is_float()).map(|t| t.dims.clone());
                match dims.as_deref() {
                    Some(&[rows, columns]) => Some((*x, *weight, *output, rows, columns)),
                    _ => None,
                }
            }
            _ => None,
        };
        g.put_node(node);
        let Some((x, weight, output, rows, columns)) = place else { continue };
        if rank >= rows.min(columns) {
            return Err(Error::Adapter(format!(
                "the rank {rank} is not below the sides of `{}` [{rows}, {columns}]; choose a \
                 smaller one",
                g.value_name(weight)
            )));
        }
        // A matrix that stands in several products has one pair of factors.
        let (down, up) = match made.get(&weight) {
            Some(&pair) => pair,
            None => {
                let pair = pair(g, weight, [rows, rank, columns], &mut random, added)?;
                factors.extend([pair.0, pair.1]);
                made.insert(weight, pair);
                pair
            }
        };
        g.in_scope("lora", |g| {
            let plain = g.move_output(output)?;
            let narrow = g.op("MatMul", &[x, down], vec![])?;
            let change = g.op("MatMul", &[narrow, up], vec![])?;
            let kind = g.tensor_type(output)?.clone();
            let sum = g.push("Add", &[plain, change], vec![], kind)?;
            g.name_output_of_last(sum, output)
        })?;
    }
    Ok(factors)
}

/// The factors of one matrix, as initializers.
fn pair(
    g: &mut Graph,
    weight: Value,
    [rows, rank, columns]: [usize; 3],
    random: &mut Uniform,
    added: &mut Vec<LowRank>,
) -> Result<(Value, Value)> {
    let element = g.tensor_type(weight)?.element;
    let name = g.value_name(weight).to_owned();
    // Uniform with the variance of 1/in, as PyTorch starts a linear layer.
    let bound = 1.0 / (rows as f64).sqrt();
    let start: Vec<f64> = (0..rows * rank).map(|_| bound * random.next()).collect();
    let tensor = |dims: &[usize], values: &[f64]| {
        Tensor::from_f64(element, dims, values).ok_or_else(|| {
            Error::Adapter(format!("the weights `{name}` are {element}, not floating-point"))
        })
    };
    let (down_name, up_name) = (format!("{name}.lora_down"), format!("{name}.lora_up"));
    let down = g.root_initializer(&down_name, tensor(&[rows, rank], &start)?)?;
    let zeros = vec![0.0; rank * columns];
    let up = g.root_initializer(&up_name, tensor(&[rank, columns], &zeros)?)?;
    added.push(LowRank { weight: name, down: down_name, up: up_name });
    Ok((down, up))
}

/// Numbers between -1 and 1 (SplitMix64: Steele, Lea & Flood, 2014).
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = (z ^ (z >> 31)) >> 11;
        bits as f64 / (1u64 << 52) as f64 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapt::{Adapted, Method};
    use crate::graph::{ElementType, Lowering};
    use crate::shape;

    fn graph() -> Graph {
        let mut g = Graph::new("g", Lowering::Standard);
        let x = g.input("x", ElementType::Float32, shape!["batch", 6]).unwrap();
        let w = g.initializer("w", Tensor::from_f32(&[6, 5], &[0.5; 30])).unwrap();
        let b = g.initializer("b", Tensor::from_f32(&[5], &[0.5; 5])).unwrap();
        let y = g.linear(x, w, Some(b)).unwrap();
        g.output("embedding", y).unwrap();
        g
    }

    #[test]
    fn factors_stand_beside_the_matrix() {
        let adapted = Adapted::new(graph(), Method::Lora { rank: 2 }, 1).unwrap();
        assert_eq!(adapted.parameters.len(), 2);
        assert_eq!(adapted.low_rank[0].weight, "w");
        let operators: Vec<_> =
            adapted.graph.nodes().iter().map(|node| node.operator.as_str()).collect();
        assert_eq!(operators, ["MatMul", "MatMul", "MatMul", "Add", "Add"]);
        let message = Adapted::new(graph(), Method::Lora { rank: 5 }, 1).unwrap_err().to_string();
        assert!(message.contains("rank 5") && message.contains("[6, 5]"), "{message}");
    }

    #[test]
    fn a_shared_matrix_has_one_pair_of_factors() {
        let mut g = Graph::new("g", Lowering::Standard);
        let x = g.input("x", ElementType::Float32, shape!["batch", 4]).unwrap();
        let w = g.initializer("w", Tensor::from_f32(&[4, 4], &[0.5; 16])).unwrap();
        let y = g.matmul(x, w).unwrap();
        let y = g.matmul(y, w).unwrap();
        g.output("embedding", y).unwrap();
        let adapted = Adapted::new(g, Method::Lora { rank: 1 }, 1).unwrap();
        assert_eq!((adapted.parameters.len(), adapted.low_rank.len()), (2, 1));
        let products = adapted.graph.nodes().iter().filter(|node| node.operator == "MatMul");
        assert_eq!(products.count(), 6);
    }

    #[test]
    fn biases_are_found_and_absent_norms_named() {
        let adapted = Adapted::new(graph(), Method::Bias, 1).unwrap();
        let names: Vec<_> =
            adapted.parameters.iter().map(|&v| adapted.graph.value_name(v)).collect();
        assert_eq!(names, ["b"]);
        let message = Adapted::new(graph(), Method::LayerNorm, 1).unwrap_err().to_string();
        assert!(message.contains("no LayerNormalization"), "{message}");
    }
}
