//! What an encoder's graph computes on the way: an embedding after every block.

use std::collections::{HashMap, HashSet};

use ndarray::{Array2, ArrayView2, Axis};
use offshoot::bundle::Bundle;
use offshoot::{Encoder, Engine};
use ort::session::Session;

use crate::adapt::EncoderGraph;
use crate::derive::write_model;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::parity::Input;
use crate::quantize::tensors;

/// A graph that also gives what stands after each of its blocks.
///
/// A block ends where everything that goes from the input to the embedding passes one value,
/// and that value joins at least two others that do so too: where a residual branch meets the
/// stream. This needs neither names nor a known architecture.
#[derive(Debug)]
pub struct Layers {
    session: Session,
    names: Vec<String>,
    /// Whether channels are the second dimension of each value: it came from a convolution.
    channels_second: Vec<bool>,
    _folder: tempfile::TempDir,
}

impl Layers {
    /// Those of a bundle; `None` where its graph has no blocks. Of more than `most`, evenly
    /// many are taken, the last among them.
    ///
    /// # Errors
    /// Those of the bundle, of its graph and of ONNX Runtime.
    pub fn open(bundle: &Bundle, most: usize) -> Result<Option<Self>> {
        let mut read = EncoderGraph::read(bundle)?;
        let g = &mut read.graph;
        let ends = block_ends(g);
        if ends.is_empty() || most == 0 {
            return Ok(None);
        }
        let count = ends.len().min(most);
        let taken: Vec<Value> = (1..=count).map(|i| ends[i * ends.len() / count - 1]).collect();
        for &value in &taken {
            if !g.outputs().contains(&value) {
                g.expose(value);
            }
        }
        let names = taken.iter().map(|&value| g.value_name(value).to_owned()).collect();
        let channels_second = taken.iter().map(|&value| from_convolution(g, value)).collect();
        let folder = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
        let path = write_model(folder.path(), "layers", g)?;
        let engine = Engine::load()?;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let session = Session::builder(engine.environment())
            .and_then(|builder| Ok(builder.with_intra_threads(threads)?))
            .and_then(|mut builder| builder.commit_from_file(&path))
            .map_err(failed)?;
        Ok(Some(Self { session, names, channels_second, _folder: folder }))
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The mean over all places (tokens, patches, pixels) of what stands after each block, for
    /// one input of the encoder.
    ///
    /// # Errors
    /// Where the input is not of the encoder's kind; those of ONNX Runtime.
    pub fn embed(&mut self, encoder: &Encoder, input: &Input) -> Result<Vec<Vec<f32>>> {
        let outputs = self.session.run(tensors(encoder, input)?).map_err(failed)?;
        let each = self.names.iter().zip(&self.channels_second).map(|(name, second)| {
            let missing = || Error::Quantize(format!("the graph gave no value `{name}`"));
            let output = outputs.get(name).ok_or_else(missing)?;
            let (shape, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
            let dims: Vec<usize> = shape.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
            mean(&dims, values, *second).ok_or_else(missing)
        });
        each.collect()
    }
}

fn failed(error: ort::Error) -> Error {
    Error::Quantize(format!("ONNX Runtime could not run the graph layer by layer: {error}"))
}

/// The mean over the places of one row, `[1, …, width]` or `[1, width, …]`.
fn mean(dims: &[usize], values: &[f32], channels_second: bool) -> Option<Vec<f32>> {
    let width = if channels_second { *dims.get(1)? } else { *dims.last()? };
    let places = values.len() / width.max(1);
    if dims.len() < 2 || places == 0 || places * width != values.len() {
        return None;
    }
    let table = ArrayView2::from_shape(
        if channels_second { (width, places) } else { (places, width) },
        values,
    )
    .ok()?;
    let table: Array2<f32> = if channels_second { table.t().to_owned() } else { table.to_owned() };
    Some(table.mean_axis(Axis(0))?.to_vec())
}

/// What joins a branch with the stream.
const JOINS: [&str; 5] =
    ["Add", "Sum", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "FusedConv"];

/// Ends of blocks, in order.
fn block_ends(g: &Graph) -> Vec<Value> {
    let main = ["input_ids", "pixels", "signals"].iter().find_map(|name| g.input_named(name));
    let (Some(main), Some(embedding)) = (main, g.output_named("embedding")) else {
        return Vec::new();
    };
    // What depends on the input, sizes aside, and what the embedding depends on.
    let mut from_input = HashSet::from([main]);
    for node in g.nodes() {
        let reads = node.inputs.iter().flatten().any(|value| from_input.contains(value));
        if reads && !["Shape", "Size"].contains(&node.operator.as_str()) {
            from_input.extend(node.outputs.iter().flatten());
        }
    }
    let mut to_output = HashSet::from([embedding]);
    for node in g.nodes().iter().rev() {
        if node.outputs.iter().flatten().any(|value| to_output.contains(value)) {
            to_output.extend(node.inputs.iter().flatten());
        }
    }
    let on_path = |value: &Value| from_input.contains(value) && to_output.contains(value);
    // The last operator that reads each value.
    let mut last_read = HashMap::new();
    for (at, node) in g.nodes().iter().enumerate() {
        for value in node.inputs.iter().flatten().filter(|value| on_path(value)) {
            last_read.insert(*value, at);
        }
    }
    let mut ends = Vec::new();
    // The farthest operator that reads anything from before.
    let mut open = last_read.get(&main).copied().unwrap_or(0);
    for (at, node) in g.nodes().iter().enumerate() {
        let mut inputs: Vec<Value> = node.inputs.iter().flatten().copied().collect();
        inputs.retain(|value| on_path(value));
        inputs.dedup();
        let made: Vec<Value> = node.outputs.iter().flatten().copied().filter(&on_path).collect();
        if let [value] = made[..]
            && open <= at
            && inputs.len() >= 2
            && JOINS.contains(&node.operator.as_str())
        {
            ends.push(value);
        }
        for value in made {
            open = open.max(last_read.get(&value).copied().unwrap_or(at));
        }
    }
    ends
}

/// Whether the nearest operator before a value that is a convolution or a product is a
/// convolution.
fn from_convolution(g: &Graph, value: Value) -> bool {
    let mut wanted = HashSet::from([value]);
    for node in g.nodes().iter().rev() {
        if node.outputs.iter().flatten().any(|made| wanted.contains(made)) {
            match node.operator.as_str() {
                "Conv" | "FusedConv" => return true,
                "MatMul" | "Gemm" | "FusedMatMul" | "Attention" => return false,
                _ => wanted.extend(node.inputs.iter().flatten()),
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{ElementType, Lowering, Tensor};
    use crate::shape;

    /// Two residual blocks with a branch inside one of them, then a mean over places.
    #[test]
    fn a_block_ends_where_its_branch_meets_the_stream() {
        let mut g = Graph::new("g", Lowering::Standard);
        let x = g.input("signals", ElementType::Float32, shape!["batch", 3, 4]).unwrap();
        let weight = g.initializer("w", Tensor::from_f32(&[4, 4], &[0.1; 16])).unwrap();
        let a = g.linear(x, weight, None).unwrap();
        let first = g.add(x, a).unwrap();
        let b = g.linear(first, weight, None).unwrap();
        let c = g.relu(b).unwrap();
        let inside = g.add(b, c).unwrap();
        let second = g.add(inside, first).unwrap();
        let mean = g.reduce_mean(second, 1).unwrap();
        let pooled = g.reshape(mean, shape!["batch", 4]).unwrap();
        let normed = g.mul(pooled, pooled).unwrap();
        g.output("embedding", normed).unwrap();
        assert_eq!(block_ends(&g), [first, second]);
        assert!(!from_convolution(&g, second));
    }

    #[test]
    fn places_are_averaged_wherever_channels_stand() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(mean(&[1, 3, 2], &values, false).unwrap(), [3.0, 4.0]);
        assert_eq!(mean(&[1, 3, 2], &values, true).unwrap(), [1.5, 3.5, 5.5]);
        assert_eq!(mean(&[1, 6], &values, false).unwrap(), values);
        assert!(mean(&[6], &values, true).is_none() && mean(&[1, 4], &values, false).is_none());
    }
}
