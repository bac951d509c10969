//! Self-attention of several heads (Vaswani et al., 2017, arXiv:1706.03762).

use crate::error::Result;
use crate::graph::ops::AttentionExtras;
use crate::graph::{Dim, ElementType, Graph, Lowering, Tensor, Value, show};

/// What is kept from attention, made once for all layers.
#[derive(Debug, Clone, Copy)]
pub struct AttentionMask {
    /// Added to the scores; broadcasts to `[batch, heads, tokens, tokens]`.
    bias: Option<Value>,
    /// int32 `[batch, tokens]`, for operators that take it as it is.
    padding: Option<Value>,
}

impl AttentionMask {
    /// A mask that only adds `bias` to the scores, which broadcasts to
    /// `[batch, heads, tokens, tokens]`; with `None` all tokens see all.
    pub fn of_bias(bias: Option<Value>) -> Self {
        Self { bias, padding: None }
    }
}

/// The joined projections to query, key and value.
#[derive(Debug, Clone, Copy)]
pub struct QueryKeyValue {
    /// `[in, 3·width]`: query, key and value side by side.
    pub weight: Value,
    /// `[3·width]`.
    pub bias: Option<Value>,
}

/// Rotary position embedding (Su et al., 2021, arXiv:2104.09864) of the
/// positions from 0, for one base.
#[derive(Debug, Clone, Copy)]
pub struct Rotary {
    cos: Value,
    sin: Value,
}

impl Graph {
    /// The mask of a batch: `mask` int64 `[batch, tokens]`, 1 for real tokens, and
    /// perhaps a `bias` of the scores that all layers share, such as relative
    /// positions, `[1, heads or 1, tokens, tokens]`.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
    pub fn attention_mask(&mut self, mask: Value, bias: Option<Value>) -> Result<AttentionMask> {
        match self.lowering() {
            Lowering::OnnxRuntime => {
                let padding = self.cast(mask, ElementType::Int32)?;
                Ok(AttentionMask { bias, padding: Some(padding) })
            }
            Lowering::Standard => {
                let mask = self.cast(mask, ElementType::Float32)?;
                let one = self.scalar(1.0)?;
                let lowest = self.scalar(f32::MIN)?;
                let absent = self.sub(one, mask)?;
                let padding = self.mul(absent, lowest)?;
                let padding = self.unsqueeze(padding, &[1, 2])?;
                let bias = match bias {
                    Some(bias) => self.add(bias, padding)?,
                    None => padding,
                };
                Ok(AttentionMask { bias: Some(bias), padding: None })
            }
        }
    }

    /// Self-attention before its output projection: `x` `[batch, tokens, in]`
    /// gives `[batch, tokens, width]`.
    ///
    /// ONNX Runtime's own operators take as long as the plain ones on a CPU, since
    /// nearly all time goes to the matrix products of both, but need less memory while
    /// they run: a process with all-MiniLM-L6-v2 peaked at 314 MB instead of 423 MB
    /// for 4 texts of 512 tokens (ONNX Runtime 1.32).
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
    pub fn self_attention(
        &mut self,
        x: Value,
        qkv: QueryKeyValue,
        heads: usize,
        mask: AttentionMask,
        rotary: Option<Rotary>,
    ) -> Result<Value> {
        let shape = self.shape(qkv.weight)?;
        let width = shape.last().and_then(Dim::fixed).unwrap_or(0) / 3;
        if heads == 0 || width == 0 || !width.is_multiple_of(heads) {
            return Err(self.error(
                "Attention",
                format!("weights {} cannot be cut into {heads} heads", show(&shape)),
            ));
        }
        let scale = 1.0 / ((width / heads) as f32).sqrt();
        match self.lowering() {
            Lowering::Standard => {
                self.attention_of_plain_operators(x, qkv, heads, width, scale, mask, rotary)
            }
            Lowering::OnnxRuntime => {
                let extras = AttentionExtras { padding: mask.padding, bias: mask.bias, scale };
                if rotary.is_none() {
                    let bias = match qkv.bias {
                        Some(bias) => bias,
                        None => {
                            self.constant(Tensor::from_f32(&[3 * width], &vec![0.0; 3 * width]))?
                        }
                    };
                    return self.contrib_attention(x, qkv.weight, bias, heads, extras);
                }
                let joined = self.linear(x, qkv.weight, qkv.bias)?;
                let parts = self.split(joined, -1, &[width; 3])?;
                let [mut query, mut key, value] = self.three("Split", parts)?;
                if let Some(Rotary { cos, sin }) = rotary {
                    query = self.contrib_rotary(query, cos, sin, heads)?;
                    key = self.contrib_rotary(key, cos, sin, heads)?;
                }
                self.contrib_multi_head_attention([query, key, value], heads, extras)
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn attention_of_plain_operators(
        &mut self,
        x: Value,
        qkv: QueryKeyValue,
        heads: usize,
        width: usize,
        scale: f32,
        mask: AttentionMask,
        rotary: Option<Rotary>,
    ) -> Result<Value> {
        let joined = self.linear(x, qkv.weight, qkv.bias)?;
        let parts = self.split(joined, -1, &[width; 3])?;
        let parts = self.three("Split", parts)?;
        self.attention_of_heads(parts, heads, width, scale, mask, rotary)
    }

    /// Attention of ready query, key and value, each `[batch, tokens, width]`, with plain
    /// operators.
    pub(crate) fn attention_of_heads(
        &mut self,
        parts: [Value; 3],
        heads: usize,
        width: usize,
        scale: f32,
        mask: AttentionMask,
        rotary: Option<Rotary>,
    ) -> Result<Value> {
        let lead = self.shape(parts[0])?;
        let [batch, tokens, _] = &lead[..] else {
            return Err(
                self.error("Attention", format!("{} is not three-dimensional", show(&lead)))
            );
        };
        let by_head = vec![batch.clone(), tokens.clone(), heads.into(), (width / heads).into()];
        let split_heads = |g: &mut Self, part: Value| {
            let part = g.reshape(part, by_head.clone())?;
            g.transpose(part, &[0, 2, 1, 3])
        };
        let mut query = split_heads(self, parts[0])?;
        let mut key = split_heads(self, parts[1])?;
        let value = split_heads(self, parts[2])?;
        if let Some(rotary) = rotary {
            query = self.rotate(query, rotary)?;
            key = self.rotate(key, rotary)?;
        }
        if scale != 1.0 {
            let scale = self.scalar(scale)?;
            query = self.mul(query, scale)?;
        }
        let key = self.transpose(key, &[0, 1, 3, 2])?;
        let mut scores = self.matmul(query, key)?;
        if let Some(bias) = mask.bias {
            scores = self.add(scores, bias)?;
        }
        let weights = self.softmax(scores, -1)?;
        let context = self.matmul(weights, value)?;
        let context = self.transpose(context, &[0, 2, 1, 3])?;
        self.reshape(context, vec![batch.clone(), tokens.clone(), width.into()])
    }

    /// Angles of a rotary embedding for `tokens` positions: `positions` int64
    /// `[tokens]`, `frequencies` one for each pair of a head's dimensions.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
    pub fn rotary(&mut self, positions: Value, frequencies: &[f32]) -> Result<Rotary> {
        let positions = self.cast(positions, ElementType::Float32)?;
        let positions = self.unsqueeze(positions, &[1])?;
        let frequencies = self.constant(Tensor::from_f32(&[1, frequencies.len()], frequencies))?;
        let angles = self.mul(positions, frequencies)?;
        let cos = self.cos(angles)?;
        let sin = self.sin(angles)?;
        if self.lowering() == Lowering::OnnxRuntime {
            return Ok(Rotary { cos, sin });
        }
        // Both halves of a head turn by the same angles, the first the other way.
        let minus = self.neg(sin)?;
        let cos = self.concat(&[cos, cos], -1)?;
        let sin = self.concat(&[minus, sin], -1)?;
        Ok(Rotary { cos, sin })
    }

    /// Turns `x` `[batch, heads, tokens, size]`.
    fn rotate(&mut self, x: Value, Rotary { cos, sin }: Rotary) -> Result<Value> {
        let size = self.shape(x)?.last().and_then(Dim::fixed).unwrap_or(0);
        let halves = self.split(x, -1, &[size / 2, size - size / 2])?;
        let swapped: Vec<Value> = halves.into_iter().rev().collect();
        let swapped = self.concat(&swapped, -1)?;
        let straight = self.mul(x, cos)?;
        let across = self.mul(swapped, sin)?;
        self.add(straight, across)
    }

    fn three(&self, operator: &str, parts: Vec<Value>) -> Result<[Value; 3]> {
        parts.try_into().map_err(|_| self.error(operator, "did not give three tensors".to_owned()))
    }
}
