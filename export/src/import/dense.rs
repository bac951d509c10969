//! The Dense module of a sentence-transformers folder: a linear layer on the
//! embedding, with an activation.

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

use super::json::{Object, read_small};
use super::modules::embedding_only;
use crate::error::{Error, Result};
use crate::graph::blocks::Activation;
use crate::graph::{Dim, Graph, Tensor, Value};

/// The largest file of a Dense module that is read, in bytes.
const MAX_BYTES: u64 = 1 << 30;

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
        let weights = folder.join("model.safetensors");
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
        let bytes = read_small(&self.weights, MAX_BYTES)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| Error::Checkpoint {
            path: self.weights.clone(),
            reason: error.to_string(),
        })?;
        let matrix = |name: &str| self.tensor(&file, name, &[self.outputs, self.inputs]);
        let weight = transposed(&matrix("linear.weight")?, self.outputs, self.inputs);
        let bias = match self.bias {
            true => Some(self.tensor(&file, "linear.bias", &[self.outputs])?),
            false => None,
        };
        let through = match self.residual && self.inputs != self.outputs {
            true => Some(transposed(&matrix("residual.weight")?, self.outputs, self.inputs)),
            false => None,
        };
        let dims = [self.inputs, self.outputs];
        graph.in_scope(scope, |g| {
            let weight = g.initializer("linear.weight", Tensor::from_f32(&dims, &weight))?;
            let bias = match bias {
                Some(bias) => {
                    Some(g.initializer("linear.bias", Tensor::from_f32(&[self.outputs], &bias))?)
                }
                None => None,
            };
            let out = g.linear_activation(x, weight, bias, self.activation)?;
            if !self.residual {
                return Ok(out);
            }
            let straight = match through {
                Some(weight) => {
                    let weight = Tensor::from_f32(&dims, &weight);
                    let weight = g.initializer("residual.weight", weight)?;
                    g.matmul(x, weight)?
                }
                None => x,
            };
            g.add(out, straight)
        })
    }

    /// A tensor of the file as 32-bit floats, all of them finite.
    fn tensor(&self, file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let wrong = |reason: String| Error::tensor(&self.weights, name, reason);
        let view = file
            .tensor(name)
            .map_err(|_| wrong(format!("is missing; there are {}", file.names().join(", "))))?;
        if view.shape() != shape {
            return Err(wrong(format!(
                "is {:?} and the configuration asks for {shape:?}",
                view.shape()
            )));
        }
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => {
                data.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()
            }
            Dtype::BF16 => {
                data.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect()
            }
            other => {
                return Err(wrong(format!("is of type {other:?}; F32, F16 and BF16 are supported")));
            }
        };
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(wrong(format!("has {} at element {at}", values[at]))),
            None => Ok(values),
        }
    }
}

/// `[rows, columns]` as `[columns, rows]`.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).filter_map(move |row| values.get(row * columns + column)))
        .copied()
        .collect()
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

    #[test]
    fn weights_turn() {
        assert_eq!(transposed(&[1., 2., 3., 4., 5., 6.], 2, 3), [1., 4., 2., 5., 3., 6.]);
    }
}
