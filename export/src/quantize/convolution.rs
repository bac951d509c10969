//! Convolutions whose activations are bytes.
//!
//! With known ranges a convolution stands between `DequantizeLinear` and `QuantizeLinear`,
//! which ONNX Runtime makes a `QLinearConv` of; without, it is a `ConvInteger`, whose
//! weight must be unsigned to be fast.

use onnx_protobuf::AttributeProto;

use super::layers::{Kind, Layer};
use super::numbers::{self, Bytes};
use super::ranges::Span;
use super::rewrite::{Form, Weight, Writer, one};
use super::stored::{bytes, floats, floats_of, unsigned};
use crate::error::Result;
use crate::graph::{Attribute, ElementType, Graph, Node, Tensor, TensorData, Value};

/// `form`, or bytes as weights where a convolution cannot have it.
pub(super) fn supported(layer: &Layer, form: Form) -> Form {
    let Kind::Convolution { whole, plain } = layer.kind else { return form };
    match form {
        Form::Blocks { .. } => Form::Bytes,
        Form::Dynamic if !whole || !plain => Form::Bytes,
        Form::Static { .. } if !plain => Form::Bytes,
        _ => form,
    }
}

/// Writes a convolution in the form [`Form::Static`] or [`Form::Dynamic`].
pub(super) fn write(
    writer: &mut Writer,
    g: &mut Graph,
    node: &Node,
    layer: &Layer,
    weight: &Weight,
    form: Form,
) -> Result<Vec<Value>> {
    let (attributes, relu) = plain(node);
    let sum = match form {
        Form::Static { span } => known(writer, g, node, layer, weight, span, attributes)?,
        _ => dynamic(writer, g, node, layer, weight, attributes)?,
    };
    let made = match relu {
        true => one(g, "Relu", "", &[Some(sum)], vec![])?,
        false => sum,
    };
    match form {
        Form::Static { span: Span { output: Some(range), .. } } => {
            Ok(vec![writer.known_range(g, made, range)?.0])
        }
        _ => Ok(vec![made]),
    }
}

/// The attributes of a convolution by itself, and whether a `Relu` follows.
fn plain(node: &Node) -> (Vec<AttributeProto>, bool) {
    let relu = node.attributes.iter().any(|a| a.name == "activation" && a.s == b"Relu");
    let own = |a: &&AttributeProto| !a.name.starts_with("activation");
    (node.attributes.iter().filter(own).cloned().collect(), relu)
}

fn known(
    writer: &mut Writer,
    g: &mut Graph,
    node: &Node,
    layer: &Layer,
    w: &Weight,
    span: Span,
    attributes: Vec<AttributeProto>,
) -> Result<Value> {
    let (x, step) = writer.known_range(g, layer.input, span.input)?;
    let given = node.inputs.get(2).copied().flatten();
    let bias = given.and_then(|bias| g.tensor(bias));
    let bias = bias.filter(|bias| bias.element == ElementType::Float32).map(floats_of);
    let bias = bias.transpose()?;
    let mut found = numbers::per_row(&w.values, w.columns);
    // Channels of weights so small that the bias is no 32-bit integer in their steps.
    for (row, bias) in bias.iter().flatten().enumerate() {
        let least = bias.abs() / (step * MOST_BIAS);
        if found.scales.get(row).is_some_and(|scale| *scale < least) {
            numbers::set_row(&mut found, &w.values, w.columns, row, least);
        }
    }
    let Bytes { values, scales } = found;
    let name = |what: &str| format!("{}.{what}", layer.name);
    let inputs = [
        g.initializer(&name("int8"), bytes(&values, &dims(g, layer)))?,
        g.initializer(&name("scale"), floats(&scales, &[w.rows]))?,
        g.initializer(&name("zero"), bytes(&vec![0; w.rows], &[w.rows]))?,
    ]
    .map(Some);
    let wide = one(g, "DequantizeLinear", "", &inputs, vec![Attribute::int("axis", 0)])?;
    let steps: Vec<f32> = scales.iter().map(|scale| scale * step).collect();
    let bias = match bias {
        Some(bias) => Some(integer_bias(g, layer, &bias, &steps)?),
        // One that is computed leaves the convolution to float32.
        None => given,
    };
    one(g, "Conv", "", &[Some(x), Some(wide), bias], attributes)
}

/// Largest bias in steps of the sums that it is added to: half of what 32 bits hold.
const MOST_BIAS: f32 = (1u32 << 30) as f32;

/// A bias as 32-bit integers in the steps of the sums that it is added to, `steps`.
fn integer_bias(g: &mut Graph, layer: &Layer, bias: &[f32], steps: &[f32]) -> Result<Value> {
    let whole = |values: Vec<u8>| Tensor {
        element: ElementType::Int32,
        dims: vec![steps.len()],
        data: TensorData::Bytes(values.into()),
    };
    let number = |(bias, step): (&f32, &f32)| (bias / step).round_ties_even() as i32;
    let values = bias.iter().zip(steps).map(number).flat_map(i32::to_le_bytes).collect();
    let name = |what: &str| format!("{}.bias.{what}", layer.name);
    let inputs = [
        g.initializer(&name("int32"), whole(values))?,
        g.initializer(&name("scale"), floats(steps, &[steps.len()]))?,
        g.initializer(&name("zero"), whole(vec![0; 4 * steps.len()]))?,
    ]
    .map(Some);
    one(g, "DequantizeLinear", "", &inputs, vec![Attribute::int("axis", 0)])
}

fn dynamic(
    writer: &mut Writer,
    g: &mut Graph,
    node: &Node,
    layer: &Layer,
    w: &Weight,
    attributes: Vec<AttributeProto>,
) -> Result<Value> {
    let [x, x_scale, x_zero] = writer.quantized(g, layer.input)?;
    let Bytes { values, scales } = numbers::per_row(&w.values, w.columns);
    // Bytes around 128.
    let values = values.into_iter().map(|v| v.cast_unsigned().wrapping_add(128)).collect();
    let dims = dims(g, layer);
    let weight = g.initializer(&format!("{}.int8", layer.name), unsigned(values, &dims))?;
    let zero = g.constant(unsigned(vec![128], &[]))?;
    // One number a channel, for `[batch, out, positions...]`.
    let mut across: Vec<usize> = dims.iter().skip(1).map(|_| 1).collect();
    across.splice(..1, [w.rows]);
    let scale = g.initializer(&format!("{}.scale", layer.name), floats(&scales, &across))?;
    let inputs = [Some(x), Some(weight), Some(x_zero), Some(zero)];
    let sum = one(g, "ConvInteger", "", &inputs, attributes)?;
    let to = vec![Attribute::int("to", i64::from(ElementType::Float32.code()))];
    let sum = one(g, "Cast", "", &[Some(sum)], to)?;
    let scale = one(g, "Mul", "", &[Some(x_scale), Some(scale)], vec![])?;
    let sum = one(g, "Mul", "", &[Some(sum), Some(scale)], vec![])?;
    match node.inputs.get(2).copied().flatten() {
        Some(bias) => {
            let mut shape: Vec<i64> = across.iter().map(|_| 1).collect();
            shape.splice(..1, [-1]);
            let shape = g.integers(&shape)?;
            let bias = one(g, "Reshape", "", &[Some(bias), Some(shape)], vec![])?;
            one(g, "Add", "", &[Some(sum), Some(bias)], vec![])
        }
        None => Ok(sum),
    }
}

/// The dimensions of a layer's weight.
fn dims(g: &Graph, layer: &Layer) -> Vec<usize> {
    g.tensor(layer.weight).map_or_else(Vec::new, |tensor| tensor.dims.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Lowering;
    use crate::quantize::{layers, rewrite};
    use crate::shape;

    #[derive(serde::Deserialize)]
    struct Reference {
        dims: Vec<usize>,
        weight: Vec<f32>,
        bias: Vec<f32>,
        x_range: (f32, f32),
        y_range: (f32, f32),
        int8: Vec<i32>,
        scale: Vec<f32>,
        int32: Vec<i32>,
        x_scale: f32,
        x_zero: u8,
        y_scale: f32,
        y_zero: u8,
    }

    fn data<'a>(g: &'a Graph, node: &Node, input: usize) -> &'a [u8] {
        match &g.tensor(node.inputs[input].unwrap()).unwrap().data {
            TensorData::Bytes(bytes) => bytes,
            _ => panic!("in memory"),
        }
    }

    fn numbers(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found} {expected}");
        }
    }

    /// Made by `tests/reference/quantize/make.py` with onnxruntime.quantization.
    #[test]
    fn weights_biases_and_ranges_are_those_of_onnxruntime() {
        let text = include_str!("../../tests/reference/quantize/convolution.json");
        let r: Reference = serde_json::from_str(text).unwrap();
        let mut g = Graph::new("g", Lowering::Standard);
        let x = g.input("x", ElementType::Float32, shape!["batch", 4, 12]).unwrap();
        let w = g.initializer("w", Tensor::from_f32(&r.dims, &r.weight)).unwrap();
        let b = g.initializer("b", Tensor::from_f32(&[r.bias.len()], &r.bias)).unwrap();
        let attributes =
            vec![Attribute::ints("kernel_shape", vec![3]), Attribute::ints("pads", vec![1, 1])];
        let y = g.op("Conv", &[x, w, b], attributes).unwrap();
        g.output("y", y).unwrap();
        let layers = layers::find(&g);
        let span = Span { input: r.x_range, output: Some(r.y_range) };
        rewrite::apply(&mut g, &layers, &[Form::Static { span }]).unwrap();

        let operators: Vec<&str> = g.nodes().iter().map(|node| &*node.operator).collect();
        let (quantize, dequantize) = ("QuantizeLinear", "DequantizeLinear");
        let expected = [quantize, dequantize, dequantize, dequantize, "Conv", quantize, dequantize];
        assert_eq!(operators, expected);
        let [x, _, weight, bias, _, y, _] = g.nodes() else { panic!("{operators:?}") };
        close(&numbers(data(&g, x, 1)), &[r.x_scale]);
        close(&numbers(data(&g, y, 1)), &[r.y_scale]);
        // A zero between two steps is rounded up here and down there.
        assert!(data(&g, x, 2)[0].abs_diff(r.x_zero) <= 1);
        assert!(data(&g, y, 2)[0].abs_diff(r.y_zero) <= 1);
        let bytes: Vec<i32> = data(&g, weight, 0).iter().map(|b| b.cast_signed().into()).collect();
        assert_eq!(bytes, r.int8);
        let whole = data(&g, bias, 0).as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b));
        let whole: Vec<i32> = whole.collect();
        let (scales, steps) = (numbers(data(&g, weight, 1)), numbers(data(&g, bias, 1)));
        // All but the last channel, whose scale is raised there to the least at which the
        // bias is a 32-bit integer, and here to twice that.
        let last = r.scale.len() - 1;
        close(&scales[..last], &r.scale[..last]);
        assert_eq!(whole[..last], r.int32[..last]);
        assert!((1.9..2.1).contains(&(scales[last] / r.scale[last])), "{scales:?}");
        for ((whole, step), bias) in whole.iter().zip(&steps).zip(&r.bias) {
            assert!((*whole as f32 * step - bias).abs() <= step.max(1e-6), "{whole} {step} {bias}");
        }
    }
}
