//! ONNX Runtime's own operators written with those of the ONNX specification.
//!
//! Encoders are imported with fused operators, which have no gradient and run in no other
//! engine. This is the way back: the same numbers, one operator more at a time.

use super::blocks::{AttentionMask, QueryKeyValue};
use super::ops::Gelu;
use super::{Attributes, CONTRIB_DOMAIN, Dim, Graph, Lowering, Node, Value};
use crate::error::Result;

impl Graph {
    /// Replaces ONNX Runtime's own operators by those of the specification, and infers
    /// the types of all values on the way. Operators that are not known here stay.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when operators do not fit together, or
    /// one is used in a way that has no standard form here.
    pub fn to_standard(&mut self) -> Result<()> {
        let lowering = std::mem::replace(&mut self.lowering, Lowering::Standard);
        let done = self.replace_contrib();
        self.lowering = lowering;
        done?;
        self.lowering = Lowering::Standard;
        if !self.nodes.iter().any(|node| node.domain == CONTRIB_DOMAIN) {
            self.opsets.remove(CONTRIB_DOMAIN);
        }
        Ok(())
    }

    fn replace_contrib(&mut self) -> Result<()> {
        let nodes = std::mem::take(&mut self.nodes);
        let mut left = nodes.into_iter();
        while let Some(node) = left.next() {
            if let Err(error) = self.replace_one(node) {
                self.nodes.extend(left);
                return Err(error);
            }
        }
        Ok(())
    }

    fn replace_one(&mut self, node: Node) -> Result<()> {
        if node.domain == CONTRIB_DOMAIN {
            let scope = node.name.trim_start_matches('/').to_owned();
            let made = self.in_scope(&scope, |g| g.standard_form(&node))?;
            if let (Some(made), Some(Some(output))) = (made, node.outputs.first()) {
                return self.alias(made, *output);
            }
        }
        self.nodes.push(node);
        self.infer_node(self.nodes.len() - 1)
    }

    /// Lets `output` be what `made`, the last operator's output, is.
    fn alias(&mut self, made: Value, output: Value) -> Result<()> {
        let kind = self.tensor_type(made)?.clone();
        self.declare_type(output, kind);
        if self.name_output_of_last(made, output).is_ok() {
            return Ok(());
        }
        let kind = self.tensor_type(output)?.clone();
        let copy = self.push("Identity", &[made], vec![], kind)?;
        self.name_output_of_last(copy, output)
    }

    /// The standard operators of a fused one; `None` for one that is not known here.
    fn standard_form(&mut self, node: &Node) -> Result<Option<Value>> {
        let input = |at: usize| node.inputs.get(at).copied().flatten();
        let attributes = Attributes(&node.attributes);
        let (Some(first), second) = (input(0), input(1)) else { return Ok(None) };
        let made = match node.operator.as_str() {
            "BiasGelu" => {
                let Some(bias) = second else { return Ok(None) };
                let sum = self.add(first, bias)?;
                self.gelu(sum, Gelu::Exact)?
            }
            "FastGelu" => {
                let sum = match second {
                    Some(bias) => self.add(first, bias)?,
                    None => first,
                };
                self.gelu(sum, Gelu::Tanh)?
            }
            "Gelu" => self.gelu(first, Gelu::Exact)?,
            "QuickGelu" => {
                let alpha = f64::from(attributes.float("alpha", 1.702));
                let element = self.tensor_type(first)?.element;
                let alpha = self.scalar_of(element, alpha)?;
                let inner = self.mul(first, alpha)?;
                let gate = self.sigmoid(inner)?;
                self.mul(first, gate)?
            }
            "SkipLayerNormalization" => {
                let (Some(skip), Some(scale)) = (second, input(2)) else { return Ok(None) };
                if node.outputs.iter().skip(1).flatten().next().is_some() {
                    return Ok(None);
                }
                let mut sum = self.add(first, skip)?;
                if let Some(bias) = input(4) {
                    sum = self.add(sum, bias)?;
                }
                self.layer_norm(sum, scale, input(3), attributes.float("epsilon", 1e-12))?
            }
            "Attention" => {
                let (Some(weight), None, None) = (second, input(4), input(6)) else {
                    return Ok(None);
                };
                let heads = usize::try_from(attributes.int("num_heads", 0)).unwrap_or(0);
                let qkv = QueryKeyValue { weight, bias: input(2) };
                let width = self.shape(weight)?.last().and_then(Dim::fixed).unwrap_or(0) / 3;
                if heads == 0 || width == 0 || attributes.int("unidirectional", 0) != 0 {
                    return Ok(None);
                }
                let scale = self.scale_of(&attributes, width / heads);
                let mask = self.standard_mask(input(3), input(5))?;
                self.attention_of_plain_operators(first, qkv, heads, width, scale, mask, None)?
            }
            "MultiHeadAttention" => {
                let (Some(key), Some(value), None) = (second, input(2), input(3)) else {
                    return Ok(None);
                };
                let heads = usize::try_from(attributes.int("num_heads", 0)).unwrap_or(0);
                let width = self.shape(first)?.last().and_then(Dim::fixed).unwrap_or(0);
                if heads == 0 || attributes.int("unidirectional", 0) != 0 {
                    return Ok(None);
                }
                let scale = self.scale_of(&attributes, width / heads);
                let mask = self.standard_mask(input(4), input(5))?;
                self.attention_of_heads([first, key, value], heads, width, scale, mask, None)?
            }
            "RotaryEmbedding" => {
                let (Some(cos), Some(sin)) = (input(2), input(3)) else { return Ok(None) };
                let heads = usize::try_from(attributes.int("num_heads", 0)).unwrap_or(0);
                if heads == 0 || attributes.int("interleaved", 0) != 0 {
                    return Ok(None);
                }
                self.rotary_of_parts(first, cos, sin, heads)?
            }
            _ => return Ok(None),
        };
        Ok(Some(made))
    }

    fn scale_of(&self, attributes: &Attributes<'_>, size: usize) -> f32 {
        match attributes.float("scale", 0.0) {
            0.0 => 1.0 / (size.max(1) as f32).sqrt(),
            scale => scale,
        }
    }

    /// The mask of fused attention, int32 `[batch, tokens]`, as an addend of the scores.
    fn standard_mask(
        &mut self,
        padding: Option<Value>,
        bias: Option<Value>,
    ) -> Result<AttentionMask> {
        match padding {
            Some(padding) => {
                let kind = self.tensor_type(padding)?;
                if kind.rank() != 2 {
                    return Err(self.error(
                        "Attention",
                        format!("has a mask {kind}; only [batch, tokens] has a standard form here"),
                    ));
                }
                self.attention_mask(padding, bias)
            }
            None => Ok(AttentionMask::of_bias(bias)),
        }
    }

    /// `RotaryEmbedding` of `x` `[batch, tokens, width]` by heads, positions from 0.
    fn rotary_of_parts(&mut self, x: Value, cos: Value, sin: Value, heads: usize) -> Result<Value> {
        let shape = self.shape(x)?;
        let [batch, tokens, width] = &shape[..] else {
            return Err(self.error("RotaryEmbedding", "takes [batch, tokens, width]".into()));
        };
        let size = width.fixed().unwrap_or(0) / heads;
        let split =
            self.reshape(x, vec![batch.clone(), tokens.clone(), heads.into(), size.into()])?;
        let halves = self.split(split, -1, &[size / 2, size - size / 2])?;
        let [first, second] = halves[..] else {
            return Err(self.error("RotaryEmbedding", "needs two halves".into()));
        };
        // One angle a token, the same in all heads.
        let (cos, sin) = (self.unsqueeze(cos, &[1])?, self.unsqueeze(sin, &[1])?);
        let (a, b) = (self.mul(first, cos)?, self.mul(second, sin)?);
        let left = self.sub(a, b)?;
        let (a, b) = (self.mul(second, cos)?, self.mul(first, sin)?);
        let right = self.add(a, b)?;
        let turned = self.concat(&[left, right], -1)?;
        self.reshape(turned, shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{ElementType, Tensor};
    use crate::shape;

    #[test]
    fn fused_attention_becomes_standard_operators_of_the_same_type() {
        let mut g = Graph::new("g", Lowering::OnnxRuntime);
        let x = g.input("x", ElementType::Float32, shape!["batch", "tokens", 8]).unwrap();
        let mask = g.input("mask", ElementType::Int64, shape!["batch", "tokens"]).unwrap();
        let weight = g.initializer("w", Tensor::from_f32(&[8, 24], &[0.1; 192])).unwrap();
        let mask = g.attention_mask(mask, None).unwrap();
        let qkv = QueryKeyValue { weight, bias: None };
        let y = g.self_attention(x, qkv, 2, mask, None).unwrap();
        g.output("y", y).unwrap();
        let fused = |g: &Graph| g.nodes().iter().filter(|n| n.domain == CONTRIB_DOMAIN).count();
        assert_eq!(fused(&g), 1);
        g.to_standard().unwrap();
        assert_eq!(fused(&g), 0);
        assert_eq!(g.tensor_type(y).unwrap().shape, shape!["batch", "tokens", 8]);
        assert!(g.outputs().contains(&y));
    }
}
