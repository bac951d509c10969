//! ONNX Runtime's own operators, of the domain `com.microsoft`.

use crate::error::Result;
use crate::graph::{Attribute, CONTRIB_DOMAIN, Dim, ElementType, Graph, TensorType, Value, show};

/// What ONNX Runtime's attention operators take besides query, key and value.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttentionExtras {
    /// int32 `[batch, tokens]`, 1 for real tokens.
    pub(crate) padding: Option<Value>,
    /// `[batch or 1, heads or 1, tokens, tokens]`, added to the scores.
    pub(crate) bias: Option<Value>,
    /// Factor of the scores.
    pub(crate) scale: f32,
}

impl Graph {
    /// `Attention`: projection to query, key and value, attention and the joining
    /// of heads in one. `x` `[batch, tokens, in]`, `weight` `[in, 3·width]`.
    pub(crate) fn contrib_attention(
        &mut self,
        x: Value,
        weight: Value,
        bias: Value,
        heads: usize,
        extras: AttentionExtras,
    ) -> Result<Value> {
        let mut kind = self.matmul_type("Attention", x, weight, false)?;
        let joined = kind.shape.pop().and_then(|dim| dim.fixed()).unwrap_or(0);
        if heads == 0 || !joined.is_multiple_of(3 * heads) {
            return Err(self.error("Attention", format!("{joined} is not 3 × {heads} heads")));
        }
        kind.shape.push(Dim::from(joined / 3));
        self.check_scores("Attention", &kind, heads, &extras)?;
        let attributes = vec![
            Attribute::int("num_heads", heads as i64),
            Attribute::float("scale", extras.scale),
            Attribute::float("mask_filter_value", f32::MIN),
        ];
        let inputs = [Some(x), Some(weight), Some(bias), extras.padding, None, extras.bias];
        self.push_optional("Attention", CONTRIB_DOMAIN, &inputs, attributes, kind)
    }

    /// `MultiHeadAttention` on ready query, key and value, each
    /// `[batch, tokens, width]`.
    pub(crate) fn contrib_multi_head_attention(
        &mut self,
        [query, key, value]: [Value; 3],
        heads: usize,
        extras: AttentionExtras,
    ) -> Result<Value> {
        let kind = self.float_type("MultiHeadAttention", query)?;
        for other in [key, value] {
            let other = self.tensor_type(other)?;
            if *other != kind {
                return Err(self.error("MultiHeadAttention", format!("{kind} and {other} differ")));
            }
        }
        self.check_scores("MultiHeadAttention", &kind, heads, &extras)?;
        let attributes = vec![
            Attribute::int("num_heads", heads as i64),
            Attribute::float("scale", extras.scale),
            Attribute::float("mask_filter_value", f32::MIN),
        ];
        let inputs = [Some(query), Some(key), Some(value), None, extras.padding, extras.bias];
        self.push_optional("MultiHeadAttention", CONTRIB_DOMAIN, &inputs, attributes, kind)
    }

    /// `BiasGelu`: exact Gelu of `x + bias`.
    pub(crate) fn contrib_bias_gelu(&mut self, x: Value, bias: Value) -> Result<Value> {
        let kind = self.float_type("BiasGelu", x)?;
        self.check_last_dim("BiasGelu", x, &[Some(bias)])?;
        self.push_optional("BiasGelu", CONTRIB_DOMAIN, &[Some(x), Some(bias)], vec![], kind)
    }

    /// `FastGelu`: the tanh form of Gelu of `x + bias`.
    pub(crate) fn contrib_fast_gelu(&mut self, x: Value, bias: Option<Value>) -> Result<Value> {
        let kind = self.float_type("FastGelu", x)?;
        self.check_last_dim("FastGelu", x, &[bias])?;
        self.push_optional("FastGelu", CONTRIB_DOMAIN, &[Some(x), bias], vec![], kind)
    }

    /// `RotaryEmbedding` of `x` `[batch, tokens, width]`, with `cos` and `sin`
    /// `[tokens, head size / 2]` and positions counted from 0.
    pub(crate) fn contrib_rotary(
        &mut self,
        x: Value,
        cos: Value,
        sin: Value,
        heads: usize,
    ) -> Result<Value> {
        const OPERATOR: &str = "RotaryEmbedding";
        let kind = self.float_type(OPERATOR, x)?;
        let half = self.shape(cos)?.last().and_then(Dim::fixed).unwrap_or(0);
        let width = kind.shape.last().and_then(Dim::fixed);
        if self.shape(cos)? != self.shape(sin)? || width != Some(2 * half * heads) {
            return Err(self.error(
                OPERATOR,
                format!("{kind} by {} of {heads} heads", show(&self.shape(cos)?)),
            ));
        }
        let offset = self.integers(&[0])?;
        let attributes =
            vec![Attribute::int("interleaved", 0), Attribute::int("num_heads", heads as i64)];
        let inputs = [Some(x), Some(offset), Some(cos), Some(sin)];
        self.push_optional(OPERATOR, CONTRIB_DOMAIN, &inputs, attributes, kind)
    }

    fn check_scores(
        &self,
        operator: &str,
        x: &TensorType,
        heads: usize,
        extras: &AttentionExtras,
    ) -> Result<()> {
        let width = x.shape.last().and_then(Dim::fixed).unwrap_or(0);
        if x.rank() != 3 || heads == 0 || !width.is_multiple_of(heads) {
            return Err(self.error(operator, format!("{x} has no {heads} heads")));
        }
        if let Some(padding) = extras.padding {
            let padding = self.tensor_type(padding)?;
            if padding.element != ElementType::Int32 || x.shape.get(..2) != Some(&padding.shape) {
                return Err(self.error(operator, format!("a mask {padding} does not fit {x}")));
            }
        }
        if let Some(bias) = extras.bias {
            let bias = self.tensor_type(bias)?;
            let fits = match &bias.shape[..] {
                [batch, over, rows, columns] => {
                    (batch.fixed() == Some(1) || x.shape.first() == Some(batch))
                        && matches!(over.fixed(), Some(n) if n == 1 || n == heads)
                        && x.shape.get(1) == Some(rows)
                        && rows == columns
                }
                _ => false,
            };
            if !fits || bias.element != x.element {
                return Err(self.error(operator, format!("a bias {bias} does not fit {x}")));
            }
        }
        Ok(())
    }
}
