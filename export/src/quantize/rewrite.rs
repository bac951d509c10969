//! Layers written with quantised weights.
//!
//! Where ONNX has operators for it, they are used, in the form in which ONNX Runtime
//! fuses them; blocks need ONNX Runtime's own `MatMulNBits`.

use std::collections::HashMap;

use onnx_protobuf::AttributeProto;

use super::convolution;
use super::layers::{Kind, Layer};
use super::numbers::{self, Blocks, Bytes};
use super::ranges::Span;
use super::stored::{bytes, floats, floats_of, half, unsigned};
use crate::error::Result;
use crate::graph::{
    Attribute, CONTRIB_DOMAIN, ElementType, Graph, Node, Tensor, TensorData, Value,
};

/// How one layer is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// As it is.
    Float32,
    /// Weight of 16-bit floats, widened when the model is opened.
    Float16,
    /// Weight of signed bytes, widened when the model is opened; activations in float32.
    Bytes,
    /// Weight of signed bytes, activations quantised as they come.
    Dynamic,
    /// The same with ranges of activations that are known beforehand.
    Static {
        /// The ranges.
        span: Span,
    },
    /// Weight in blocks of `bits` bits, activations in float32.
    Blocks {
        /// 4 or 8.
        bits: u8,
        /// Elements that share a scale.
        block: usize,
    },
}

/// Writes the `layers` of `graph` in the `forms`, one each.
pub(super) fn apply(graph: &mut Graph, layers: &[Layer], forms: &[Form]) -> Result<()> {
    let by_node: HashMap<usize, (&Layer, Form)> = layers
        .iter()
        .zip(forms)
        .filter(|(_, form)| **form != Form::Float32)
        .map(|(layer, form)| (layer.node, (layer, *form)))
        .collect();
    let mut writer = Writer::default();
    graph.rewrite(|g, index, node| match by_node.get(&index) {
        Some((layer, form)) => writer.layer(g, node, layer, *form).map(Some),
        None => Ok(None),
    })?;
    graph.prune();
    Ok(())
}

/// An activation and, where its range is known beforehand, the bits of its ends.
type Activation = (Value, Option<(u32, u32)>);

/// What layers share.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Activations that are quantised already.
    activations: HashMap<Activation, Vec<Value>>,
}

impl Writer {
    fn layer(
        &mut self,
        g: &mut Graph,
        node: &Node,
        layer: &Layer,
        form: Form,
    ) -> Result<Vec<Value>> {
        let at = |i: usize| node.inputs.get(i).copied().flatten();
        let weight = Weight::read(g, layer)?;
        if layer.kind == Kind::Table {
            return table(g, node, layer, &weight, form);
        }
        if matches!(form, Form::Float16 | Form::Bytes) {
            // The weight keeps its shape, so the operator stays.
            let wide = widened(g, layer, form)?;
            let put = |input: &Option<Value>| match *input == Some(layer.weight) {
                true => Some(wide),
                false => *input,
            };
            let inputs: Vec<_> = node.inputs.iter().map(put).collect();
            return Ok(again(g, node, &inputs));
        }
        if let Kind::Convolution { .. } = layer.kind {
            return convolution::write(self, g, node, layer, &weight, form);
        }
        let product = self.product(g, layer, &weight, form)?;
        let biased = match at(2).filter(|_| layer.kind != Kind::Product) {
            Some(bias) => one(g, "Add", "", &[Some(product), Some(bias)], vec![])?,
            None => product,
        };
        match layer.kind {
            Kind::Attention => attention(g, node, biased, &weight),
            _ => Ok(vec![biased]),
        }
    }

    fn product(&mut self, g: &mut Graph, layer: &Layer, w: &Weight, form: Form) -> Result<Value> {
        match form {
            Form::Static { span } => {
                let (x, ..) = self.known_range(g, layer.input, span.input)?;
                let Bytes { values, scales } = numbers::per_column(&w.values, w.columns);
                let zeros = bytes(&vec![0; w.columns], &[w.columns]);
                let inputs = [
                    g.initializer(&format!("{}.int8", layer.name), bytes(&values, &w.dims()))?,
                    g.initializer(&format!("{}.scale", layer.name), floats(&scales, &[w.columns]))?,
                    g.initializer(&format!("{}.zero", layer.name), zeros)?,
                ]
                .map(Some);
                let axis = vec![Attribute::int("axis", 1)];
                let wide = one(g, "DequantizeLinear", "", &inputs, axis)?;
                one(g, "MatMul", "", &[Some(x), Some(wide)], vec![])
            }
            Form::Blocks { bits, block } => blocks(g, layer, w, bits, block),
            _ => self.dynamic(g, layer, w),
        }
    }

    /// `DynamicQuantizeLinear` and `MatMulInteger`, which ONNX Runtime fuses to
    /// `DynamicQuantizeMatMul`.
    fn dynamic(&mut self, g: &mut Graph, layer: &Layer, w: &Weight) -> Result<Value> {
        let [x, x_scale, x_zero] = self.quantized(g, layer.input)?;
        let Bytes { values, scales } = numbers::per_column(&w.values, w.columns);
        let weight = g.initializer(&format!("{}.int8", layer.name), bytes(&values, &w.dims()))?;
        let scale =
            g.initializer(&format!("{}.scale", layer.name), floats(&scales, &[w.columns]))?;
        let inputs = [Some(x), Some(weight), Some(x_zero)];
        let sum = one(g, "MatMulInteger", "", &inputs, vec![])?;
        let to = vec![Attribute::int("to", i64::from(ElementType::Float32.code()))];
        let sum = one(g, "Cast", "", &[Some(sum)], to)?;
        let scale = one(g, "Mul", "", &[Some(x_scale), Some(scale)], vec![])?;
        one(g, "Mul", "", &[Some(sum), Some(scale)], vec![])
    }

    /// Activations quantised as they come: bytes, their scale and their zero.
    pub(super) fn quantized(&mut self, g: &mut Graph, x: Value) -> Result<[Value; 3]> {
        let made = match self.activations.get(&(x, None)) {
            Some(made) => made.clone(),
            None => {
                let made = g.push_untyped("DynamicQuantizeLinear", "", &[Some(x)], vec![], 3);
                self.activations.insert((x, None), made.clone());
                made
            }
        };
        let missing = |_| g.error("DynamicQuantizeLinear", "it has not three outputs".into());
        made.try_into().map_err(missing)
    }

    /// Activations rounded to 256 steps of a known range, and the size of a step.
    pub(super) fn known_range(
        &mut self,
        g: &mut Graph,
        x: Value,
        range: (f32, f32),
    ) -> Result<(Value, f32)> {
        let key = (x, Some((range.0.to_bits(), range.1.to_bits())));
        // Zero must be one of the steps.
        let (low, high) = (range.0.min(0.0), range.1.max(0.0));
        let step = if high > low { (high - low) / 255.0 } else { 1.0 };
        if let Some(value) = self.activations.get(&key).and_then(|made| made.first()) {
            return Ok((*value, step));
        }
        let zero = (-low / step).round_ties_even().clamp(0.0, 255.0) as u8;
        let scale = g.scalar(step)?;
        let zero = g.constant(Tensor {
            element: ElementType::Uint8,
            dims: vec![],
            data: TensorData::Bytes([zero].into()),
        })?;
        let inputs = [Some(x), Some(scale), Some(zero)];
        let rounded = one(g, "QuantizeLinear", "", &inputs, vec![])?;
        let inputs = [Some(rounded), Some(scale), Some(zero)];
        let back = one(g, "DequantizeLinear", "", &inputs, vec![])?;
        self.activations.insert(key, vec![back]);
        Ok((back, step))
    }
}

/// A weight in memory, as `[in, out]`; of a table, `[rows, columns]`; of a convolution,
/// `[out, in / groups · kernel]`.
pub(super) struct Weight {
    pub(super) values: Vec<f32>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Weight {
    fn read(g: &Graph, layer: &Layer) -> Result<Self> {
        let missing = || g.error("Initializer", format!("`{}` is not there", layer.name));
        let tensor = g.tensor(layer.weight).ok_or_else(missing)?;
        let (rows, columns) = match tensor.dims[..] {
            [rows, ref rest @ ..] if !rest.is_empty() => (rows, rest.iter().product()),
            _ => return Err(missing()),
        };
        let values = floats_of(tensor)?;
        if layer.kind != (Kind::Gemm { transposed: true }) {
            return Ok(Self { values, rows, columns });
        }
        let mut turned = Vec::with_capacity(values.len());
        for column in 0..columns {
            turned.extend(values.iter().skip(column).step_by(columns.max(1)));
        }
        Ok(Self { values: turned, rows: columns, columns: rows })
    }

    fn dims(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }
}

/// The weight stored as bytes or 16-bit floats, in the shape of the file, and operators
/// that widen it, which ONNX Runtime computes once when it opens the model.
fn widened(g: &mut Graph, layer: &Layer, form: Form) -> Result<Value> {
    let tensor = g.tensor(layer.weight).cloned();
    let tensor = tensor.ok_or_else(|| g.error("Initializer", "it is not there".into()))?;
    let values = floats_of(&tensor)?;
    if form == Form::Float16 {
        let half = half(&values, &tensor.dims);
        let weight = g.initializer(&format!("{}.float16", layer.name), half)?;
        return widen(g, weight);
    }
    let (found, dims) = match (layer.kind, &tensor.dims[..]) {
        (Kind::Gemm { transposed: true } | Kind::Convolution { .. }, [rows, rest @ ..]) => {
            let mut dims = vec![1; tensor.dims.len()];
            dims.splice(..1, [*rows]);
            (numbers::per_row(&values, rest.iter().product()), dims)
        }
        (_, &[_, columns]) => (numbers::per_column(&values, columns), vec![1, columns]),
        _ => return Err(g.error("Initializer", "it is no matrix".into())),
    };
    let weight = bytes(&found.values, &tensor.dims);
    let weight = g.initializer(&format!("{}.int8", layer.name), weight)?;
    let scale = g.initializer(&format!("{}.scale", layer.name), floats(&found.scales, &dims))?;
    let wide = widen(g, weight)?;
    one(g, "Mul", "", &[Some(wide), Some(scale)], vec![])
}

fn blocks(g: &mut Graph, layer: &Layer, w: &Weight, bits: u8, block: usize) -> Result<Value> {
    let Blocks { values, scales, zeros } = match bits {
        4 => numbers::blocks_of_4_bits(&w.values, w.columns, block),
        _ => numbers::blocks_of_8_bits(&w.values, w.columns, block),
    };
    let count = w.rows.div_ceil(block.max(1));
    let packed = block * usize::from(bits) / 8;
    let name = |what: &str| format!("{}.{what}", layer.name);
    let weight = g.initializer(
        &name(if bits == 4 { "int4" } else { "int8" }),
        unsigned(values, &[w.columns, count, packed]),
    )?;
    let scale = g.initializer(&name("scale"), floats(&scales, &[w.columns, count]))?;
    let zero = match zeros {
        Some(zeros) => {
            let dims = [w.columns, zeros.len() / w.columns.max(1)];
            Some(g.initializer(&name("zero"), unsigned(zeros, &dims))?)
        }
        None => None,
    };
    let attributes = vec![
        Attribute::int("K", w.rows as i64),
        Attribute::int("N", w.columns as i64),
        Attribute::int("bits", i64::from(bits)),
        Attribute::int("block_size", block as i64),
        // Sums in float32, as activations are.
        Attribute::int("accuracy_level", 1),
    ];
    let inputs = [Some(layer.input), Some(weight), Some(scale), zero];
    one(g, "MatMulNBits", CONTRIB_DOMAIN, &inputs, attributes)
}

/// Rows of a table of bytes times their scales, or of 16-bit floats.
fn table(g: &mut Graph, node: &Node, layer: &Layer, w: &Weight, form: Form) -> Result<Vec<Value>> {
    let rows_of = |g: &mut Graph, table: Value| {
        let mut inputs = node.inputs.clone();
        if let Some(first) = inputs.first_mut() {
            *first = Some(table);
        }
        let made = again(g, node, &inputs);
        made.first().copied().ok_or_else(|| g.error(&node.operator, "it has no output".into()))
    };
    if form == Form::Float16 {
        let half = half(&w.values, &w.dims());
        let half = g.initializer(&format!("{}.float16", layer.name), half)?;
        let rows = rows_of(g, half)?;
        return Ok(vec![widen(g, rows)?]);
    }
    let Bytes { values, scales } = numbers::per_row(&w.values, w.columns);
    let table = g.initializer(&format!("{}.int8", layer.name), bytes(&values, &w.dims()))?;
    let scales = g.initializer(&format!("{}.scale", layer.name), floats(&scales, &[w.rows, 1]))?;
    let rows = rows_of(g, table)?;
    let scales = rows_of(g, scales)?;
    let rows = widen(g, rows)?;
    Ok(vec![one(g, "Mul", "", &[Some(rows), Some(scales)], vec![])?])
}

/// What `Attention` does after its product.
fn attention(g: &mut Graph, node: &Node, joined: Value, w: &Weight) -> Result<Vec<Value>> {
    let third = (w.columns / 3) as i64;
    let (sizes, attributes) = match g.opset() {
        ..13 => (None, vec![Attribute::int("axis", -1), Attribute::ints("split", vec![third; 3])]),
        _ => (Some(g.integers(&[third; 3])?), vec![Attribute::int("axis", -1)]),
    };
    let parts = g.push_untyped("Split", "", &[Some(joined), sizes], attributes, 3);
    let [query, key, value] = parts[..] else {
        return Err(g.error("Split", "it has not three outputs".into()));
    };
    let at = |i: usize| node.inputs.get(i).copied().flatten();
    let kept = ["num_heads", "scale", "mask_filter_value"];
    let attributes: Vec<AttributeProto> =
        node.attributes.iter().filter(|a| kept.contains(&&*a.name)).cloned().collect();
    let inputs = [Some(query), Some(key), Some(value), None, at(3), at(5)];
    Ok(vec![one(g, "MultiHeadAttention", CONTRIB_DOMAIN, &inputs, attributes)?])
}

/// The same operator with other inputs.
pub(super) fn again(g: &mut Graph, node: &Node, inputs: &[Option<Value>]) -> Vec<Value> {
    let count = node.outputs.len();
    g.push_untyped(&node.operator, &node.domain, inputs, node.attributes.clone(), count)
}

/// An operator with one output.
pub(super) fn one(
    g: &mut Graph,
    operator: &str,
    domain: &str,
    inputs: &[Option<Value>],
    attributes: Vec<AttributeProto>,
) -> Result<Value> {
    let made = g.push_untyped(operator, domain, inputs, attributes, 1);
    made.first().copied().ok_or_else(|| g.error(operator, "it has no output".into()))
}

fn widen(g: &mut Graph, value: Value) -> Result<Value> {
    let to = vec![Attribute::int("to", i64::from(ElementType::Float32.code()))];
    one(g, "Cast", "", &[Some(value)], to)
}
