//! The Dense module of a sentence-transformers folder: a linear layer on the
//! embedding, with an activation.

use std::path::{Path, PathBuf};

use super::json::Object;
use super::modules::embedding_only;
use crate::checkpoint::{Checkpoint, SINGLE_FILE};
use crate::error::{Error, Result};
use crate::graph::blocks::Activation;
use crate::graph::{Dim, Graph, Tensor, Value};

/// A Dense module's configuration.
#[derive(Debug, Clone)]
pub(crate) struct DenseConfig {
    /// Width of what enters.
    pub(crate) inputs: usize,
    /// Width of what leaves.
    pub(crate) outputs: usize,
    bias: bool,
    activation: Activation,
    /// Whether the input, projected where widths differ, is added to the output.
    residual: bool,
    weights: PathBuf,
}

impl DenseConfig {
    /// Reads the module's `config.json`; its weights lie in `folder`.
    pub(crate) fn from_config(config: &Object, folder: &Path) -> Result<Self> {
        embedding_only(config)?;
        let weights = folder.join(SINGLE_FILE);
        if !weights.is_file() {
            let pickle = folder.join("pytorch_model.bin").is_file();
            return Err(Error::unsupported(
                &weights,
                if pickle {
                    "the module's weights are in pytorch_model.bin only; save the model again with \
                     sentence-transformers so that they are in model.safetensors"
                } else {
                    "the module's weights are missing; model.safetensors is expected"
                },
            ));
        }
        let activation = match config.text("activation_function")? {
            None => Activation::Tanh,
            Some(class) => activation(class).ok_or_else(|| {
                config.error(
                    "activation_function",
                    format!(
                        "is `{class}`; Identity, Tanh, ReLU, GELU, Sigmoid and SiLU of torch.nn are \
                         supported"
                    ),
                )
            })?,
        };
        Ok(Self {
            inputs: config.required_count("in_features")?,
            outputs: config.required_count("out_features")?,
            bias: config.bool("bias")?.unwrap_or(true),
            activation,
            residual: config.bool("use_residual")?.unwrap_or(false),
            weights,
        })
    }

    /// Applies the layer to `x` `[batch, inputs]`, giving `[batch, outputs]`.
    pub(crate) fn apply(&self, graph: &mut Graph, x: Value, scope: &str) -> Result<Value> {
        let width = graph.shape(x)?.last().and_then(Dim::fixed);
        if width != Some(self.inputs) {
            return Err(Error::unsupported(
                &self.weights,
                format!(
                    "the module's `in_features` is {} and what enters is {} wide",
                    self.inputs,
                    width.map_or("unknown".into(), |width| width.to_string())
                ),
            ));
        }
        let checkpoint = Checkpoint::open_file(&self.weights)?;
        let matrix = |name: &str| -> Result<Tensor> {
            let stored = checkpoint.tensor(name, &[self.outputs, self.inputs])?;
            Ok(stored.transposed().into_tensor())
        };
        graph.in_scope(scope, |g| {
            let weight = g.initializer("linear.weight", matrix("linear.weight")?)?;
            let bias = if self.bias {
                let bias = checkpoint.tensor("linear.bias", &[self.outputs])?.into_tensor();
                Some(g.initializer("linear.bias", bias)?)
            } else {
                None
            };
            let out = g.linear_activation(x, weight, bias, self.activation)?;
            if !self.residual {
                return Ok(out);
            }
            let straight = if self.inputs == self.outputs {
                x
            } else {
                let weight = g.initializer("residual.weight", matrix("residual.weight")?)?;
                g.matmul(x, weight)?
            };
            g.add(out, straight)
        })
    }
}

/// The activation of a class of `torch.nn`, by its full name.
fn activation(class: &str) -> Option<Activation> {
    Some(match class.strip_prefix("torch.nn.")?.rsplit('.').next()? {
        "Identity" => Activation::Identity,
        "Tanh" => Activation::Tanh,
        "ReLU" => Activation::Relu,
        "GELU" => Activation::Gelu,
        "Sigmoid" => Activation::Sigmoid,
        "SiLU" => Activation::Silu,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_known_by_their_full_names() {
        let tanh = "torch.nn.modules.activation.Tanh";
        assert_eq!(activation(tanh), Some(Activation::Tanh));
        assert_eq!(activation("torch.nn.modules.linear.Identity"), Some(Activation::Identity));
        assert_eq!(activation("torch.nn.GELU"), Some(Activation::Gelu));
        assert_eq!(activation("torch.nn.modules.activation.Mish"), None);
        assert_eq!(activation("custom.Tanh"), None);
    }
}
