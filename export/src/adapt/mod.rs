//! What of an encoder is trained when it is adapted: small parts of it, chosen by name of
//! a method.
//!
//! The graph of a bundle is brought to standard operators, and either some of its own
//! tensors are chosen, or low-rank factors are added beside its weight matrices. What was
//! trained is written as an [adapter](write_adapter), a file of a few hundred kilobytes that
//! is applied when the encoder is opened, or [merged](merge) into a new bundle.

mod file;
mod lora;
mod merge;
mod source;

pub use file::write_adapter;
pub use merge::{merge, retrained};
pub use source::EncoderGraph;

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};

/// Which part of an encoder is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The biases of linear layers (BitFit: Ben Zaken, Goldberg & Ravfogel, 2022,
    /// arXiv:2106.10199).
    Bias,
    /// Scales and biases of layer normalisation.
    LayerNorm,
    /// A product of two low-rank factors beside each weight matrix, which itself stays as
    /// it is (LoRA: Hu et al., 2022, arXiv:2106.09685).
    Lora {
        /// Columns of the first factor and rows of the second.
        rank: usize,
    },
}

/// A low-rank change of one weight matrix: `W + down · up`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowRank {
    /// Name of the matrix, `[in, out]`.
    pub weight: String,
    /// Name of the first factor, `[in, rank]`.
    pub down: String,
    /// Name of the second factor, `[rank, out]`.
    pub up: String,
}

/// A graph with the tensors that are to be trained.
#[derive(Debug, Clone)]
pub struct Adapted {
    /// The graph, of standard operators.
    pub graph: Graph,
    /// The trainable initializers.
    pub parameters: Vec<Value>,
    /// What was added beside weight matrices.
    pub low_rank: Vec<LowRank>,
}

impl Adapted {
    /// Prepares the graph of an encoder. `seed` draws the first factors; the second ones
    /// start as zeros, so that the encoder is unchanged before the first step.
    ///
    /// # Errors
    /// [`Error::Adapter`] when the graph has nothing that the method trains or the rank is
    /// 0 or as large as the matrices; [`Error::Operator`] when its operators do not fit.
    pub fn new(mut graph: Graph, method: Method, seed: u64) -> Result<Self> {
        graph.upgrade()?;
        graph.to_standard()?;
        let mut low_rank = Vec::new();
        let parameters = match method {
            Method::Bias => biases(&graph),
            Method::LayerNorm => norms(&graph),
            Method::Lora { rank } => lora::insert(&mut graph, rank, seed, &mut low_rank)?,
        };
        if parameters.is_empty() {
            return Err(Error::Adapter(format!(
                "the encoder's graph has nothing that {} trains: no {}",
                match method {
                    Method::Bias => "`bias`",
                    Method::LayerNorm => "`layer-norm`",
                    Method::Lora { .. } => "`lora`",
                },
                match method {
                    Method::Bias => "bias is added to a product with a weight matrix",
                    Method::LayerNorm => "LayerNormalization",
                    Method::Lora { .. } => "floating-point weight matrix in a MatMul",
                }
            )));
        }
        Ok(Self { graph, parameters, low_rank })
    }
}

/// Vectors that are added to a product with a weight matrix.
fn biases(g: &Graph) -> Vec<Value> {
    let products: Vec<Value> = g
        .nodes()
        .iter()
        .filter(|node| node.operator == "MatMul")
        .filter(|node| node.inputs.iter().flatten().any(|&input| g.tensor(input).is_some()))
        .filter_map(|node| node.outputs.first().copied().flatten())
        .collect();
    let mut found = Vec::new();
    for node in g.nodes() {
        match node.operator.as_str() {
            "Add" if node.inputs.iter().flatten().any(|input| products.contains(input)) => {
                found.extend(node.inputs.iter().flatten().filter(|&&v| is_vector(g, v)));
            }
            "Gemm" => found.extend(
                node.inputs.get(2).copied().flatten().into_iter().filter(|&v| is_vector(g, v)),
            ),
            _ => {}
        }
    }
    unique(found)
}

/// Scales and biases of layer normalisation.
fn norms(g: &Graph) -> Vec<Value> {
    let nodes = g.nodes().iter().filter(|node| node.operator == "LayerNormalization");
    let inputs = nodes.flat_map(|node| node.inputs.iter().skip(1).flatten().copied());
    unique(inputs.filter(|&value| is_vector(g, value)).collect())
}

/// Whether a value is a floating-point initializer of one dimension.
fn is_vector(g: &Graph, value: Value) -> bool {
    g.tensor(value).is_some_and(|tensor| tensor.dims.len() == 1 && tensor.element.is_float())
}

fn unique(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_unstable();
    values.dedup();
    values
}
